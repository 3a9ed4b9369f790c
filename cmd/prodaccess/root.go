package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/config"
)

// Exit codes. Scripts may rely on them.
const (
	exitOK       = 0
	exitFailed   = 1 // the command could not do its work
	exitFindings = 2 // it did, and found something wrong: drift, a broken chain, faults in a file
)

// findings is an error that means "the check ran and did not pass"; what it found was printed already.
type findings struct{ n int }

func (f findings) Error() string { return fmt.Sprintf("%d found", f.n) }

// streams are where a command reads and writes; tests give their own.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is what every subcommand shares.
type command struct {
	streams
	configFile string
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	c := &command{streams: streams{in, out, errs}}
	root := &cobra.Command{
		Use:   "prodaccess",
		Short: "Expiring, scoped database credentials through Slack",
		Long: `prodaccess is a self-hosted Slack bot that hands out expiring, scoped database credentials and takes them back.

Start with "prodaccess demo" for the whole story on this machine, without a Slack account.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&c.configFile, "config", "c", os.Getenv("PRODACCESS_CONFIG"),
		"configuration file (also PRODACCESS_CONFIG); without one, the environment alone")
	root.AddCommand(c.serve(), c.demo(), c.migrate(), c.config(), c.policy(), c.targets(), c.grants(), c.audit(), c.doctor(), c.version())
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable (not .HasSubCommands)}}", 1))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, new(findings)):
		return exitFindings
	default:
		say(errs, "prodaccess: %s", c.withHint(err))
		return exitFailed
	}
}

// withHint are an error's words. Where the environment alone was read and is not enough, most often a file was meant.
func (c *command) withHint(err error) string {
	if _, faults := errors.AsType[config.Faults](err); faults && c.configFile == "" {
		return err.Error() + "\nNo configuration file was read. If there is one, name it with --config FILE or in PRODACCESS_CONFIG."
	}
	return err.Error()
}

// load reads the configuration; the error lists everything that is wrong with it.
func (c *command) load() (config.Config, error) { return config.Load(c.configFile, os.Environ()) }
