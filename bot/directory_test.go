package bot

import (
	"errors"
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
