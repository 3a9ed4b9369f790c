package approvals

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/prodaccess/prodaccess/policy"
)

// Usual is how requests went that asked the same people.
type Usual struct {
	// Answered is how many were decided by people, Median the time from filing to the answer that decided, half of them having
	// taken longer.
	Answered int
	Median   time.Duration
	// Lapsed is how many nobody decided in time.
	Lapsed int
}

const (
	// fewAnswers is how many there must be to say anything of what is usual.
	fewAnswers = 3
	// usualSince is how far back is looked.
	usualSince = 30 * 24 * time.Hour
	// usualFor is how long an answer of the store is good for.
	usualFor = time.Minute
	// usualWithin bounds how long the store is waited for: it is only something nice to know.
	usualWithin = 300 * time.Millisecond
)

// Known says whether there were enough of them to say how long an answer takes.
func (u Usual) Known() bool { return u.Answered >= fewAnswers }

// Rare says whether more than half of them were never answered.
func (u Usual) Rare() bool { return u.Answered+u.Lapsed >= fewAnswers && u.Lapsed > u.Answered }

// usuals remembers, by who is asked, what the store said, errors included. It is bounded. The store is asked once for everybody who
// wants to know the same at the same time.
type usuals struct {
	asking singleflight.Group

	mu    sync.Mutex
	known map[string]usual
}

type usual struct {
	Usual
	until time.Time
}

// Usual says how requests went in the last 30 days that asked the same people for the same approvals. It never fails: what
// cannot be learned quickly is nothing.
func (s *Service) Usual(ctx context.Context, asked []policy.Requirement) Usual {
	if len(asked) == 0 {
		return Usual{}
	}
	written, err := json.Marshal(asked)
	if err != nil {
		return Usual{}
	}
	key, now := string(written), s.cfg.Now()
	s.usual.mu.Lock()
	found, ok := s.usual.known[key]
	s.usual.mu.Unlock()
	if ok && now.Before(found.until) {
		return found.Usual
	}
	answer := s.usual.asking.DoChan(key, func() (any, error) {
		return s.learnUsual(context.WithoutCancel(ctx), key, asked), nil
	})
	select {
	case <-ctx.Done():
		return Usual{}
	case r := <-answer:
		return r.Val.(Usual)
	}
}

// learnUsual asks the store and remembers what it said.
func (s *Service) learnUsual(ctx context.Context, key string, asked []policy.Requirement) Usual {
	ctx, cancel := context.WithTimeout(ctx, usualWithin)
	defer cancel()
	now := s.cfg.Now()
	found, err := s.cfg.Store.Usual(ctx, asked, now.Add(-usualSince))
	if err != nil {
		found = Usual{}
	}
	s.usual.mu.Lock()
	defer s.usual.mu.Unlock()
	const most = 1000
	if s.usual.known == nil || len(s.usual.known) >= most {
		s.usual.known = map[string]usual{}
	}
	s.usual.known[key] = usual{Usual: found, until: now.Add(usualFor)}
	return found
}

// String is what people are told, as the end of a sentence about who is asked; empty where there is nothing to say.
func (u Usual) String() string {
	switch {
	case u.Rare():
		return "often not answered"
	case u.Known():
		return "usually answered in " + roughly(u.Median)
	}
	return ""
}

// roughly is a duration as people say it: "under a minute", "4 min", "2 h", "3 days".
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "under a minute"
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	case d < 36*time.Hour:
		return fmt.Sprintf("%d h", int(d.Round(time.Hour)/time.Hour))
	}
	return fmt.Sprintf("%d days", int(d.Round(24*time.Hour)/(24*time.Hour)))
}
