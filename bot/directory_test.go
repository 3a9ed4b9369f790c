package bot

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/sandbox"
)

func TestWhoMayAct(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	d := NewDirectory(w.slack, time.Now)
	got, err := d.Person(t.Context(), w.ana.ID(), true)
	no(t, err)
	if want := (approvals.Person{ID: w.ana.ID(), Name: "ana", Email: "ana@example.com", Zone: "Etc/UTC"}); got != want {
		t.Errorf("ana is %+v", got)
	}
	for name, p := range map[string]sandbox.Person{
		"Bots":          {IsBot: true, Email: "b@example.com"},
		"Guests":        {IsRestricted: true, Email: "g@example.com"},
		"Guests can":    {IsUltraRestricted: true, Email: "h@example.com"},
		"another":       {IsStranger: true, Email: "s@example.com"},
		"People from":   {TeamID: "T0OTHER", Email: "o@example.com"},
		"deactivated":   {Deleted: true, Email: "d@example.com"},
		"not confirmed": {EmailUnconfirmed: true, Email: "u@example.com"},
		"no e-mail":     {},
	} {
		p.Name = strings.ReplaceAll(name, " ", "-")
		who := w.ws.AddPerson(p)
		_, err := d.Person(t.Context(), who.ID(), false)
		refused, ok := errors.AsType[*approvals.Refusal](err)
		if !ok || refused.Code != approvals.NotEligible || !strings.Contains(refused.Words, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = d.Person(t.Context(), "U0NOBODY", true)
	if refused, ok := errors.AsType[*approvals.Refusal](err); !ok || refused.Code != approvals.NotEligible {
		t.Errorf("nobody: %v", err)
	}
}

func TestFreshnessOfPeople(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	var mu sync.Mutex
	clock := time.Now()
	d := NewDirectory(w.slack, func() time.Time { mu.Lock(); defer mu.Unlock(); return clock })
	_, err := d.Person(t.Context(), w.ana.ID(), false)
	no(t, err)
	w.ws.ChangePerson("ana", func(p *sandbox.Person) { p.IsRestricted = true })
	if _, err := d.Person(t.Context(), w.ana.ID(), false); err != nil {
		t.Errorf("within the minute: %v", err)
	}
	if _, err := d.Person(t.Context(), w.ana.ID(), true); err == nil {
		t.Error("a fresh look misses that ana is a guest now")
	}
	if _, err := d.Person(t.Context(), w.ana.ID(), false); err == nil {
		t.Error("what the fresh look learned was forgotten")
	}
	w.ws.ChangePerson("ana", func(p *sandbox.Person) { p.IsRestricted = false })
	mu.Lock()
	clock = clock.Add(remembered + time.Second)
	mu.Unlock()
	if _, err := d.Person(t.Context(), w.ana.ID(), false); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	w.ws.Fail("users.info", sandbox.Fault{Status: 500})
	_, err = d.Person(t.Context(), w.ana.ID(), true)
	if refused, ok := errors.AsType[*approvals.Refusal](err); !ok || refused.Code != approvals.NotKnown {
		t.Errorf("Slack is down: %v", err)
	}
}

func TestMembership(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{})
	dba := w.ws.AddUserGroup("@dba", "bo")
	d := NewDirectory(w.slack, time.Now)
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			if m := d.Membership(t.Context(), dba, w.bo.ID(), true); !m.Member || m.Unknown != "" {
				t.Errorf("bo: %+v", m)
			}
			if m := d.Membership(t.Context(), dba, w.ana.ID(), true); m.Member || m.Unknown != "" {
				t.Errorf("ana: %+v", m)
			}
		})
	}
	asking.Wait()
	if n := w.calls("usergroups.users.list"); n != 1 {
		t.Errorf("Slack was asked %d times", n)
	}
	if m := d.Membership(t.Context(), "S0NONE", w.bo.ID(), true); m.Member || m.Unknown == "" {
		t.Errorf("no such group: %+v", m)
	}
	w.ws.Fail("usergroups.users.list", sandbox.Fault{Drop: true})
	if m := d.Membership(t.Context(), "S0OTHER", w.bo.ID(), true); m.Member || m.Unknown == "" {
		t.Errorf("Slack is down: %+v", m)
	}
}

func TestMembershipOnAFreePlan(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true, FreePlan: true})
	d := NewDirectory(w.slack, time.Now)
	for range 3 {
		m := d.Membership(t.Context(), "S0DBA", w.bo.ID(), false)
		if m.Member || !strings.Contains(m.Unknown, "plan has no user groups") {
			t.Errorf("got %+v", m)
		}
	}
	if n := w.calls("usergroups.users.list"); n != 1 {
		t.Errorf("Slack was asked %d times", n)
	}
}

// calls counts how often a method was called.
func (w *world) calls(method string) int {
	n := 0
	for _, e := range w.ws.Traffic() {
		if e.From == "app" && e.Name == method {
			n++
		}
	}
	return n
}

// While more people press than Slack takes look-ups for, what it said of them within the last minute holds; those of whom nothing is
// known are still looked up, and nothing older than a minute ever holds.
func TestManyPressesSpareSlack(t *testing.T) {
	t.Parallel()
	now := &clock{now: noon}
	w := quiet(t, sandbox.Options{Now: now.Now})
	d := NewDirectory(w.slack, now.Now)
	for range 200 {
		_, err := d.Person(t.Context(), w.ana.ID(), true)
		no(t, err)
	}
	for i := range 30 {
		who := w.ws.AddPerson(sandbox.Person{Name: fmt.Sprint("new", i), Email: "new@example.com"})
		_, err := d.Person(t.Context(), who.ID(), i%2 == 0)
		no(t, err)
	}
	asked := 0
	for _, e := range w.ws.Traffic() {
		if e.Kind == "answer" && e.Name == "users.info" {
			asked++
			if e.Status == http.StatusTooManyRequests {
				t.Fatalf("Slack refused look-up %d for the rate", asked)
			}
		}
	}
	if asked < 60 || asked > 95 {
		t.Errorf("Slack was asked %d times", asked)
	}
	_ = now.pass(t.Context(), 10*time.Second)
	w.ws.ChangePerson("ana", func(p *sandbox.Person) { p.Deleted = true })
	_ = now.pass(t.Context(), 51*time.Second)
	if _, err := d.Person(t.Context(), w.ana.ID(), true); err == nil {
		t.Error("somebody who left may still press after a minute")
	}
}

// Slack's own refusal for the rate is no reason to turn somebody away who was known a moment ago, and to no one else.
func TestRefusedLookUps(t *testing.T) {
	t.Parallel()
	now := &clock{now: noon}
	w := quiet(t, sandbox.Options{Now: now.Now})
	d := NewDirectory(w.slack, now.Now)
	_, err := d.Person(t.Context(), w.ana.ID(), true)
	no(t, err)
	w.ws.Fail("users.info", sandbox.Fault{Error: "ratelimited", RetryAfter: 20 * time.Second})
	_, err = d.Person(t.Context(), w.ana.ID(), true)
	no(t, err)
	calls := len(w.ws.Traffic())
	_, err = d.Person(t.Context(), w.ana.ID(), true)
	no(t, err)
	if len(w.ws.Traffic()) > calls {
		t.Error("Slack asked for a pause and was asked again")
	}
	if _, err := d.Person(t.Context(), w.bo.ID(), true); err == nil {
		t.Error("somebody of whom nothing is known was let in")
	}
	_ = now.pass(t.Context(), time.Minute)
	if _, err := d.Person(t.Context(), w.ana.ID(), true); err == nil {
		t.Error("what was known a minute ago still holds")
	}
}

// Drawings that nobody asked for use up no look-up that a press may need: they take an older answer, or come again.
func TestUnaskedDrawingsSpareLookUps(t *testing.T) {
	t.Parallel()
	now := &clock{now: noon}
	w := quiet(t, sandbox.Options{Now: now.Now})
	d := NewDirectory(w.slack, now.Now)
	var people []*sandbox.Actor
	for i := range looksBurst {
		people = append(people, w.ws.AddPerson(sandbox.Person{Name: fmt.Sprint("p", i), Email: fmt.Sprintf("p%d@example.com", i)}))
	}
	var u *Undelivered
	for i, who := range people {
		_, err := d.Person(unasked(t.Context()), who.ID(), false)
		switch enough := i <= looksBurst-sparedUnasked; {
		case enough:
			no(t, err)
		case !errors.As(err, &u) || u.After <= 0 || !errors.Is(err, ErrInLine):
			t.Fatalf("look-up %d: %v", i, err)
		}
	}
	if left := d.looks.TokensAt(now.Now()); left < spared {
		t.Errorf("%v look-ups are left for presses", left)
	}
	// A press, and opening a Home, look up whoever they need.
	_, err := d.Person(t.Context(), people[looksBurst-1].ID(), false)
	no(t, err)
	_ = now.pass(t.Context(), 2*time.Minute)
	for range looksBurst - spared {
		_, err := d.Person(t.Context(), people[1].ID(), true)
		no(t, err)
	}
	left := d.looks.TokensAt(now.Now())
	_, err = d.Person(unasked(t.Context()), people[0].ID(), false)
	no(t, err)
	if now := d.looks.TokensAt(now.Now()); now < left {
		t.Error("an answer of two minutes ago was asked for again while calls are scarce")
	}
}

// The Homes job draws as nobody asked it to, and comes again where calls are scarce.
func TestFresheningSparesLookUps(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	no(t, w.homes.HomeOpened(t.Context(), w.bo.ID(), time.Now().Add(-homesEvery), time.Now().Add(-homesEvery), time.Time{}))
	w.service.failing("Answerable unasked", &Undelivered{After: homesEvery, Err: errScarce})
	if u := undelivered(t, w.bot.FreshenHomes(t.Context())); !errors.Is(u, errScarce) {
		t.Error(u)
	}
	if stale, err := w.homes.StaleHomes(t.Context(), time.Time{}, time.Now(), time.Now(), 1); err != nil || len(stale) != 1 {
		t.Errorf("a Home that was put off counts as looked at: %v", err)
	}
}
