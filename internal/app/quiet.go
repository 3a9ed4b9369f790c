package app

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
)

// pgxTx is the transaction type the job engine is instantiated with.
type pgxTx = pgx.Tx

// quiet passes what the job engine logs to our log, warnings and worse only.
type quiet struct{ log zerolog.Logger }

// Enabled implements slog.Handler.
func (q quiet) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (q quiet) Handle(_ context.Context, r slog.Record) error {
	event := q.log.Warn()
	if r.Level >= slog.LevelError {
		event = q.log.Error()
	}
	r.Attrs(func(a slog.Attr) bool {
		event = event.Str(a.Key, a.Value.String())
		return true
	})
	event.Str("from", "job engine").Msg(r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs([]slog.Attr) slog.Handler { return q }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(string) slog.Handler { return q }
