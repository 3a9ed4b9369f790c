package bot

import (
	"context"
	"errors"
	"sync"
	"time"
)

// fakeDrafts keep drafts as the store does.
type fakeDrafts struct {
	mu   sync.Mutex
	rows map[string]fakeDraft
	down bool
}

type fakeDraft struct {
	view, content string
	at            time.Time
	there         bool
}

func newFakeDrafts() *fakeDrafts { return &fakeDrafts{rows: map[string]fakeDraft{}} }

func (f *fakeDrafts) row(person string) fakeDraft {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rows[person]
}

func (f *fakeDrafts) SaveDraft(_ context.Context, person, view string, at time.Time, content string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errors.New("the store is down")
	}
	had, known := f.rows[person]
	if !known || !had.at.After(at) && (had.view != view || had.there) {
		f.rows[person] = fakeDraft{view, content, at, true}
	}
	return nil
}

func (f *fakeDrafts) Draft(_ context.Context, person string, since time.Time) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return "", false, errors.New("the store is down")
	}
	had := f.rows[person]
	return had.content, had.there && !had.at.Before(since), nil
}

func (f *fakeDrafts) SentDraft(_ context.Context, person, view string, at time.Time) error {
	return f.forget(person, view, at)
}

func (f *fakeDrafts) ClearDraft(_ context.Context, person string, at time.Time) error {
	return f.forget(person, "", at)
}

func (f *fakeDrafts) forget(person, view string, at time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errors.New("the store is down")
	}
	f.rows[person] = fakeDraft{view: view, at: at}
	return nil
}
