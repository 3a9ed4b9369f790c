package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/internal/app"
	"github.com/prodaccess/prodaccess/internal/config"
)

func (c *command) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the bot, the reaper and the jobs",
		Long: `serve runs one replica. Run as many as you want on one store.

SIGTERM and SIGINT let what is in hand finish, for as long as shutdown_timeout says. A changed policy file is taken up by
itself within seconds, and at once on SIGHUP; one that does not load leaves the old one in force, is recorded, and is
said in the security channel.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			log, err := newLog(c.err, cfg.Log)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, log)
		},
	}
}

func serve(ctx context.Context, cfg config.Config, log zerolog.Logger) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	running, err := app.Start(ctx, cfg, log)
	if err != nil {
		return err
	}
	for {
		select {
		case <-reload:
			// ReloadPolicy says in the log what came of it; a bad file changes nothing.
			_ = running.ReloadPolicy(ctx)
		case <-ctx.Done():
			log.Info().Msg("stopping: finishing what is in hand")
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
			defer cancel()
			return running.Stop(stopCtx)
		}
	}
}

// newLog makes the log as the configuration wants it.
func newLog(w io.Writer, cfg config.Log) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("reading log.level: %w", err)
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano
	if cfg.Format == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}
