package app

import (
	"context"
	"time"
)

const (
	// drawnWithin is when whoever draws a card must have come to an end with a message: by then its claim on it is over too. One
	// that takes longer, because Slack hangs, is joined by another, which waits for the claim and finds the card drawn.
	drawnWithin = 30 * time.Second
	// lookAtDrawings is how often it is looked.
	lookAtDrawings = 10 * time.Second
)

// watchDrawings has drawn again what somebody began to draw and did not end, because their replica was killed: the job engine takes
// a job from the dead only after the longest that any job may take, and looks for such jobs twice a minute.
func (a *App) watchDrawings() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait(ctx, lookAtDrawings); ctx.Err() == nil; wait(ctx, lookAtDrawings) {
			// What could not be asked for is asked for at the next look; that the store does not answer is said elsewhere.
			if n, err := a.store.Redraw(ctx, a.now().Add(-drawnWithin)); err == nil && n > 0 {
				a.log.Info().Int("drawings", n).Msg("cards that somebody did not come to an end with are drawn again")
			}
		}
	}()
	a.lifecycle.onStop("drawings", func(context.Context) error { cancel(); <-done; return nil })
}
