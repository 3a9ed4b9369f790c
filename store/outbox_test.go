package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/internal/outbox"
)

func TestMessageIsPostedAndRedrawn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const lease = time.Minute
	claim := func(at time.Time, want outbox.Message) string {
		t.Helper()
		m, token, err := b.ClaimMessage(t.Context(), "card:r1", at, lease)
		if err != nil {
			t.Fatal(err)
		}
		want.Key, want.FirstTriedAt = "card:r1", noon
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("claimed another message:\n%s", diff)
		}
		return token
	}
	busy := func(at time.Time) {
		t.Helper()
		if _, _, err := b.ClaimMessage(t.Context(), "card:r1", at, lease); !errors.Is(err, outbox.ErrBusy) {
			t.Errorf("claimed what another holds: %v", err)
		}
	}
	lost := claim(noon, outbox.Message{})
	busy(noon.Add(lease - time.Second))
	second := claim(noon.Add(lease), outbox.Message{Tried: true}) // the first worker died
	if err := b.RecordPosted(t.Context(), "card:r1", lost, "C1", "1.1", 1); !errors.Is(err, outbox.ErrBusy) {
		t.Errorf("a lost claim was recorded: %v", err)
	}
	if err := b.ReleaseMessage(t.Context(), "card:r1", second); err != nil {
		t.Fatal(err)
	}
	third := claim(noon.Add(lease+1), outbox.Message{Tried: true})
	if err := b.RecordPosted(t.Context(), "card:r1", third, "C1", "17.5", 3); err != nil {
		t.Fatal(err)
	}
	fourth := claim(noon.Add(lease+2), outbox.Message{Channel: "C1", TS: "17.5", Version: 3})
	busy(noon.Add(lease + 3))
	if err := b.RecordGone(t.Context(), "card:r1", fourth, "message_not_found"); err != nil {
		t.Fatal(err)
	}
	if token := claim(noon.Add(time.Hour), outbox.Message{Channel: "C1", TS: "17.5", Version: 3, Gone: true, Why: "message_not_found"}); token != "" {
		t.Error("a claim on what is gone")
	}
	for _, why := range []string{"is_archived", "message_not_found"} { // it is gone for the second
		if m, err := b.Message(t.Context(), "card:r1"); err != nil || !m.Gone || m.Why != "message_not_found" {
			t.Errorf("what is gone: %+v, %v", m, err)
		}
		if err := b.ReviveMessage(t.Context(), "card:r1", why); err != nil {
			t.Fatal(err)
		}
	}
	if token := claim(noon.Add(2*time.Hour), outbox.Message{Channel: "C1", TS: "17.5", Version: 3}); token == "" {
		t.Error("no claim on what was revived")
	}
	if err := b.ReviveMessage(t.Context(), "card:r1", "message_not_found"); err != nil {
		t.Fatal(err)
	}
	busy(noon.Add(2*time.Hour + time.Second)) // reviving what is not gone takes nobody's claim
	if _, err := b.Message(t.Context(), "never"); !errors.Is(err, outbox.ErrNoMessage) {
		t.Errorf("a message that never was: %v", err)
	}
}

func TestOneWorkerDrawsAMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, _, err := b.ClaimMessage(t.Context(), "digest:today", noon, time.Minute)
			switch {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, outbox.ErrBusy):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d workers hold one message", got.Load())
	}
}
