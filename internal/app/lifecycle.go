package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// lifecycle is the list of steps that take the app down, in the order they were put up.
type lifecycle struct {
	log   zerolog.Logger
	steps []step
}

type step struct {
	name string
	stop func(context.Context) error
}

// onStop adds a step. Steps run in reverse.
func (l *lifecycle) onStop(name string, stop func(context.Context) error) {
	l.steps = append(l.steps, step{name, stop})
}

// stop runs every step, whatever the others return, and says how long each slow one took.
func (l *lifecycle) stop(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(l.steps) {
		began := time.Now()
		err := s.stop(ctx)
		if took := time.Since(began); took > time.Second || err != nil {
			l.log.Info().Err(err).Str("step", s.name).Int64("took_ms", took.Milliseconds()).Msg("stopping")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", s.name, err))
		}
	}
	l.steps = nil
	return errors.Join(errs...)
}
