package store

import (
	"context"
	"time"
)

const (
	// sealGather lets events that are committed at about the same time be sealed together, which costs a fraction.
	sealGather = 50 * time.Millisecond
	// sealPoll finds events of a replica that died, or that lost the race for the lock, without being told.
	sealPoll = 5 * time.Second
	// sealLast bounds how long Stop tries to seal what waits.
	sealLast = 2 * time.Second
)

// Sealer seals audit events soon after they are committed: within a tenth of a second on a replica that is alone, within the
// poll's few seconds when two replicas commit at the same moment. Every replica runs one; a lock lets one at a time work.
type Sealer struct {
	store *Store
	stop  context.CancelFunc
	done  chan struct{}
}

// NewSealer makes the loop; Start runs it.
func NewSealer(s *Store) *Sealer { return &Sealer{store: s} }

// Start begins to seal, at once with what is waiting. It returns immediately. A Sealer is started once.
func (l *Sealer) Start(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	l.done = make(chan struct{})
	go l.run(ctx)
}

// Stop ends the loop, waits for it, and seals what waits: where no other replica runs, nobody else does, and an event without
// a seal looks like a forged one after a while. Call it when whatever records events has stopped. What cannot be sealed in two
// seconds is sealed by the next sealer anywhere.
func (l *Sealer) Stop() {
	if l.stop == nil {
		return
	}
	l.stop()
	<-l.done
	ctx, cancel := context.WithTimeout(context.Background(), sealLast)
	defer cancel()
	if err := l.store.SealAll(ctx); err != nil {
		l.store.log.Warn().Err(err).Msg("audit events wait for the next replica to seal them")
	}
}

func (l *Sealer) run(ctx context.Context) {
	defer close(l.done)
	poll := time.NewTicker(sealPoll)
	defer poll.Stop()
	failing := ""
	for {
		sealed, err := l.store.SealPending(ctx, l.store.now())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != failing: // an outage is one line, not one every few seconds
			failing = err.Error()
			l.store.log.Error().Err(err).Msg("audit events wait for their seals")
		case err == nil && failing != "":
			failing = ""
			l.store.log.Info().Int("sealed", sealed).Msg("audit events are sealed again")
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		case <-l.store.recorded:
			gather := time.NewTimer(sealGather)
			select {
			case <-ctx.Done():
				gather.Stop()
				return
			case <-gather.C:
			}
		}
	}
}
