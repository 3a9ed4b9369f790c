package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// strict makes every slip on the command line an error that says how the command is meant. Left alone, cobra answers a
// misspelt subcommand ("policy chek") with the help and exit code 0, and a pipeline goes on as if the policy were checked.
func strict(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(at *cobra.Command, err error) error { return usage(at, flagMistake(err)) })
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
	switch valid := cmd.Args; {
	case cmd.HasSubCommands():
		cmd.SuggestionsMinimumDistance = 2
		cmd.Args = aCommand
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	case valid != nil:
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := valid(cmd, args); err != nil {
				return usage(cmd, wordMistake(cmd, valid, args))
			}
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return usage(cmd, err.Error())
			}
			return nil
		}
	}
}

// aCommand refuses a word that is no subcommand, with the nearest that is.
func aCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	if found := cmd.SuggestionsFor(args[0]); len(found) > 0 {
		near = " Did you mean " + strings.Join(found, " or ") + "?"
	}
	return fmt.Errorf("%q is no command of %s.%s %q lists them", args[0], cmd.CommandPath(), near, cmd.CommandPath()+" --help")
}

// usage is an error that ends with how the command is used.
func usage(cmd *cobra.Command, problem string) error {
	return fmt.Errorf("%s\nusage: %s\n%q says more", problem, cmd.UseLine(), cmd.CommandPath()+" --help")
}

// wordMistake says whether words are missing, or which are too many.
func wordMistake(cmd *cobra.Command, valid cobra.PositionalArgs, args []string) string {
	for n := len(args) - 1; n >= 0; n-- {
		if valid(cmd, args[:n]) == nil {
			return fmt.Sprintf("%s does not take %q", cmd.CommandPath(), strings.Join(args[n:], " "))
		}
	}
	return cmd.CommandPath() + " needs more than that"
}

// flagMistake leaves out what Go's own parser says about a value.
func flagMistake(err error) string {
	words, _, _ := strings.Cut(err.Error(), ": strconv.")
	return words
}
