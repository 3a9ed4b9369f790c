package bot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/sandbox"
)

// One connection of two is enough, and none is said only when it is known of both.
func TestOneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	var told []string
	c := connected{tell: func(err error) {
		if err == nil {
			told = append(told, "up")
		} else {
			told = append(told, err.Error())
		}
	}}
	is := func(socket int, wrong error, want ...string) {
		t.Helper()
		told = nil
		if c.is(socket, wrong); !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	}
	is(0, errors.New("refused")) // the other may yet come up
	is(1, nil, "up")
	is(1, errors.New("reset"), "reset")
	is(0, nil, "up")
	is(1, errors.New("refused"), "up")
	is(0, errors.New("dropped"), "dropped")
}

// What is wrong with Slack is what is wrong now, not what was when it was first asked.
func TestWhetherSlackWorksIsWhatItIsNow(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	var mu sync.Mutex
	var heard []error
	w.bot.socketWorks = func(err error) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, err)
	}
	socket := func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(heard) == 0 {
			return errors.New("nothing is known yet")
		}
		return heard[len(heard)-1]
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.bot.RunSocket(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Socket Mode ended with %v", err)
		}
	}()
	works := func(want bool) {
		t.Helper()
		limit := soon(t)
		for (socket() == nil) != want && limit.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if got := socket(); (got == nil) != want {
			t.Errorf("the socket works: %v, %v", got == nil, got)
		}
		if got := w.slack.Check(t.Context()); (got == nil) != want {
			t.Errorf("Slack works: %v, %v", got == nil, got)
		}
	}
	works(true)
	w.ws.Down(true)
	works(false)
	w.ws.Heal()
	works(true)

	w.ws.Fail("auth.test", sandbox.Fault{Error: "token_revoked"})
	if err := w.slack.Check(t.Context()); codeOf(err) != "token_revoked" {
		t.Errorf("a token that was revoked: %v", err)
	}
	w.ws.Heal()
	w.ws.Fail("auth.test", sandbox.Fault{Error: "ratelimited"})
	if err := w.slack.Check(t.Context()); err != nil {
		t.Errorf("a Slack that is busy: %v", err)
	}
}
