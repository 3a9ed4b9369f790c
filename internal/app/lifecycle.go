package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// slowStep is how long a step may take before it is said what is waited for.
const slowStep = time.Second

// stop runs every step, whatever the others return, and says which one is waited for and how long each slow one took.
func (l *lifecycle) stop(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(l.steps) {
		began := time.Now()
		slow := time.AfterFunc(slowStep, func() { l.log.Info().Str("step", s.name).Msg("stopping: still waiting") })
		err := s.stop(ctx)
		slow.Stop()
		if took := time.Since(began); took > slowStep || err != nil {
			l.log.Info().Err(err).Str("step", s.name).Int64("took_ms", took.Milliseconds()).Msg("stopping")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", s.name, err))
		}
	}
	l.steps = nil
	return errors.Join(errs...)
}

// waited waits until everybody of a group is done, or ctx ends.
func waited(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
