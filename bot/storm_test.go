package bot

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/sandbox"
)

// clock is a time that passes only when somebody waits.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return nil
}

// due is a drawing that somebody asked for.
type due struct {
	at      time.Time
	request string
}

// agenda is the job engine of a storm: drawings by when they are due.
type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// lost lets a part of all calls reach Slack and loses the answer, as a timeout does.
type lost struct {
	http.RoundTripper
	draw *rand.Rand
	calm *bool
}

func (l lost) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err == nil && !*l.calm && strings.Contains(r.URL.Path, "/api/") && l.draw.IntN(12) == 0 {
		_ = answer.Body.Close()
		return nil, errors.New("no answer in time")
	}
	return answer, err
}

// lives are the states a request goes through, in order, and what its messages say at the end of each.
var lives = [][]string{
	{"pending", "approved", "provisioning", "active", "revoking", "over-expired"},
	{"pending", "denied-by-person"},
	{"pending", "cancelled"},
	{"pending", "lapsed-unanswered"},
	{"pending", "approved", "provisioning", "active"},
}

// TestTenMinutesOfStorm lets forty requests live for ten minutes while Slack answers with 429, 500, its own errors, broken
// connections and silence. Afterwards every card and every direct message is true, and each is there once.
func TestTenMinutesOfStorm(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			storm(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

func storm(t *testing.T, draw *rand.Rand) {
	const requests, lasts = 40, 10 * time.Minute
	now := &clock{now: noon}
	w := quiet(t, sandbox.Options{Now: now.Now})
	w.service.changed = func(string) {}
	calm := false
	w.slack.client.Transport = lost{w.slack.client.Transport, draw, &calm}
	w.bot.now, w.bot.pace = now.Now, newPacer(now.Now)
	w.bot.pace.wait = now.pass
	w.ws.Fail("*", sandbox.Fault{Error: "ratelimited", RetryAfter: 4 * time.Second, Probability: 0.05})
	w.ws.Fail("*", sandbox.Fault{Status: http.StatusInternalServerError, Probability: 0.05})
	w.ws.Fail("*", sandbox.Fault{Error: "internal_error", Probability: 0.05})
	w.ws.Fail("*", sandbox.Fault{Drop: true, Probability: 0.05})

	states := writings["ordinary"].states()
	wanted := &agenda{}
	age := make([]int, requests)
	step := func(i int) {
		life := lives[i%len(lives)]
		if age[i] == len(life) {
			return
		}
		c := states[life[age[i]]]
		c.Request.ID = fmt.Sprintf("r%02d", i)
		c.Request.Requester = approvals.Person{ID: w.ana.ID(), Name: "Ana", Email: "ana@example.com"}
		c.Request.Version = int64(age[i] + 1)
		c.Request.Reason = fmt.Sprintf("storm-%02d", i)
		if c.Grant != nil {
			g := *c.Grant
			g.ID, g.Deadline = "g"+c.Request.ID, now.Now().Add(time.Hour)
			if g.State != grants.Active && g.State != grants.Provisioning {
				g.Deadline = now.Now()
			}
			c.Grant = &g
		}
		age[i]++
		w.service.put(c)
		heap.Push(wanted, due{now.Now(), c.Request.ID})
	}
	failed := 0
	work := func(until time.Time) {
		for wanted.Len() > 0 && (*wanted)[0].at.Before(until) {
			next := heap.Pop(wanted).(due)
			if wait := next.at.Sub(now.Now()); wait > 0 {
				_ = now.pass(t.Context(), wait)
			}
			if err := w.bot.Draw(t.Context(), next.request); err != nil {
				u := undelivered(t, err)
				if u.Permanent {
					t.Fatalf("request %s was given up: %v", next.request, err)
				}
				failed++
				heap.Push(wanted, due{now.Now().Add(max(u.After, 50*time.Millisecond)), next.request})
			}
		}
	}
	for now.Now().Before(noon.Add(lasts)) {
		step(draw.IntN(requests))
		at := now.Now().Add(time.Duration(draw.IntN(4000)) * time.Millisecond)
		work(at)
		if wait := at.Sub(now.Now()); wait > 0 {
			_ = now.pass(t.Context(), wait)
		}
	}
	if failed < 20 {
		t.Errorf("only %d drawings failed: that was no storm", failed)
	}
	w.ws.Heal()
	calm = true
	over := now.Now()
	work(over.Add(lasts))
	if wanted.Len() > 0 {
		t.Errorf("%d drawings are still waiting %s after the storm", wanted.Len(), lasts)
	}
	if took := now.Now().Sub(over); took > 3*time.Minute {
		t.Errorf("everything was true only %s after the storm", took)
	}
	for i := range requests {
		if age[i] == 0 {
			continue
		}
		c, err := w.service.Case(t.Context(), fmt.Sprintf("r%02d", i))
		no(t, err)
		reason, head := fmt.Sprintf("storm-%02d", i), stands(c, now.Now()).head
		var places []string
		for _, m := range w.ws.Messages() {
			if m.Deleted || !strings.Contains(m.Text, reason) {
				continue
			}
			places = append(places, m.ChannelName)
			if !strings.Contains(m.Text, head) {
				t.Errorf("%s in %s does not say %q:\n%s", reason, m.ChannelName, head, m.Text)
			}
		}
		if len(places) != 2 || places[0] == places[1] {
			t.Errorf("%s is shown in %q, not once in the channel and once to its requester", reason, places)
		}
	}
}
