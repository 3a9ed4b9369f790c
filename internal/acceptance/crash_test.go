package acceptance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// TestKilledWhileIssuing: kill -9 at every step of issuing, and a restart. Whoever pressed can press again and gets one
// credential, and no login is left that nobody holds.
func TestKilledWhileIssuing(t *testing.T) {
	t.Parallel()
	for name, http := range map[string]bool{"socket": false, "http": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMortal(t, stage.Options{HTTP: http})
			seen := map[string]string{} // the URL that was on ana's screen, by request
			prepare := func(name string) deed {
				reason := "killed " + name
				id := m.files("1h", reason)
				m.finds("ana", "Get credentials", reason)
				return deed{
					request: id, reason: reason,
					begin: func() sandbox.Reply { return m.Person("ana").Clicks("Get credentials", sandbox.With(reason)) },
					done: func() bool {
						return m.store(`SELECT count(*) FROM grants WHERE request_id = $1 AND shown_at IS NOT NULL`, id) == "1"
					},
				}
			}
			var fates []fate
			for _, place := range []string{"target", "store"} {
				fates = append(fates, m.throughout(place, prepare, func(f fate) {
					m.eventually("a press that was delivered once more is answered", func() (bool, error) {
						return m.store(`SELECT count(*) FROM grants WHERE request_id = $1 AND state = 'provisioning' AND intended_at > $2`, f.request, f.since) == "0", nil
					})
					seen[f.request] = m.onScreen(f.request)
				})...)
			}
			m.settles()
			m.agrees()
			m.onceOnly()

			for _, f := range fates {
				m.carded(f.reason)
				if f.acknowledged() && m.store(`SELECT count(*) FROM grants WHERE request_id = $1`, f.request) == "0" {
					t.Errorf("%s: the press was acknowledged, and it is lost", f)
				}
				url := m.obtains(f.reason)
				if !m.opens(url) {
					t.Errorf("%s: the credential of the second press does not open a session", f)
				}
				if old := seen[f.request]; old != "" && m.opens(old) {
					t.Errorf("%s: the credential that was on the screen when the bot died still works beside the new one", f)
				}
			}
			m.agrees()
			m.onceOnly()
		})
	}
}

// TestKilledWhileRevoking: kill -9 at every step of giving access back, and a restart. A release that was acknowledged is
// carried out; one that was not is made good by the deadline.
func TestKilledWhileRevoking(t *testing.T) {
	t.Parallel()
	m := newMortal(t, stage.Options{HTTP: true})
	var all holdings
	released := func(name string) deed {
		d := all.add(m, "killed at its release "+name)
		m.finds("ana", "Release", d.reason)
		d.begin = func() sandbox.Reply { return m.Person("ana").Clicks("Release", sandbox.With(d.reason)) }
		return d
	}
	var fates []fate
	for _, place := range []string{"target", "store"} {
		fates = append(fates, m.throughout(place, released, nil)...)
	}
	all.end(m)
	for _, f := range fates {
		cause := m.cause(f.request)
		if cause != "released" && (f.acknowledged() || cause != "expired") {
			t.Errorf("%s: acknowledged: %t, and the grant ended because it was %s", f, f.acknowledged(), cause)
		}
	}
}

// TestKilledAtTheDeadline: kill -9 at every step of taking what is due, and a restart.
func TestKilledAtTheDeadline(t *testing.T) {
	t.Parallel()
	m := newMortal(t, stage.Options{})
	var all holdings
	fates := m.throughout("store", func(name string) deed {
		d := all.add(m, "killed at its deadline "+name)
		d.begin = func() sandbox.Reply { m.comesDue(d.request); return sandbox.Reply{} }
		d.counts = takesDue
		return d
	}, nil)
	all.end(m)
	for _, f := range fates {
		if cause := m.cause(f.request); cause != "expired" {
			t.Errorf("%s: the grant ended because it was %s", f, cause)
		}
	}
}

// TestKilledWhileMakingANewPassword: kill -9 at every step of showing a credential again, and a restart. The login stays
// what it was, and the newest password is the only one.
func TestKilledWhileMakingANewPassword(t *testing.T) {
	t.Parallel()
	m := newMortal(t, stage.Options{HTTP: true})
	const reason = "killed while making a new password"
	var all holdings
	id := all.add(m, reason).request
	session, seen := all[0].session, []string{all[0].url}
	again := func(string) deed {
		m.eventually("the window offers a new password", func() (bool, error) {
			// A press in the first seconds after issuing counts as a double click.
			if view, _ := m.Person("ana").View(); strings.Contains(view.Text, "[New password]") {
				return true, nil
			}
			m.clearsScreen()
			r := m.Person("ana").Clicks("Get credentials", sandbox.InMessage(), sandbox.With(reason))
			ctx, cancel := context.WithTimeout(m.ctx, time.Second)
			defer cancel()
			_, err := m.Person("ana").WaitsForView(ctx, "[New password]")
			return false, errors.Join(r.Err(), err)
		})
		shown := m.store(`SELECT count(*) FROM audit_events WHERE request_id = $1 AND kind = 'grant.shown'`, id)
		return deed{
			request: id, reason: reason,
			begin: func() sandbox.Reply { return m.Person("ana").Submits(nil) },
			done: func() bool {
				return m.store(`SELECT count(*) FROM audit_events WHERE request_id = $1 AND kind = 'grant.shown'`, id) != shown
			},
		}
	}
	for _, place := range []string{"target", "store"} {
		m.throughout(place, again, func(fate) {
			if url := m.onScreen(id); url != "" {
				seen = append(seen, url)
			}
		})
	}
	last := m.obtains(reason)
	if !m.opens(last) {
		t.Error("the newest credential does not open a session")
	}
	for _, url := range seen {
		if url != last && m.opens(url) {
			t.Error("a password still works that was replaced by a newer one")
		}
	}
	if _, err := session.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Errorf("the session that was open all the time: %v", err)
	}
	m.agrees()
	m.onceOnly()
}

// TestKilledWhileDeciding: kill -9 at every step of filing and of approving, and a restart. What was acknowledged is
// there, and there once.
func TestKilledWhileDeciding(t *testing.T) {
	t.Parallel()
	m := newMortal(t, stage.Options{})
	filed := func(name string) deed {
		reason := "killed filing " + name
		return deed{
			reason: reason,
			begin:  func() sandbox.Reply { return m.Person("bo").Command("/prodaccess orders-prod read-only 1h " + reason) },
			done: func() bool {
				return m.store(`SELECT count(*) FROM requests WHERE reason = $1`, reason) == "1"
			},
		}
	}
	approved := func(name string) deed {
		reason := "killed approving " + name
		id := m.filed("bo", "1h", reason)
		m.finds("dora", "Approve", reason)
		return deed{
			request: id, reason: reason,
			begin: func() sandbox.Reply { return m.Person("dora").Clicks("Approve", sandbox.With(reason)) },
			done: func() bool {
				return m.store(`SELECT count(*) FROM requests WHERE id = $1 AND state = 'approved'`, id) == "1"
			},
		}
	}
	filings := m.throughout("store", filed, nil)
	approvings := m.throughout("store", approved, nil)
	for _, f := range filings {
		count := m.store(`SELECT count(*) FROM requests WHERE reason = $1`, f.reason)
		if count != "1" && (f.acknowledged() || count != "0") {
			t.Errorf("%s: acknowledged: %t, and %s requests are there", f, f.acknowledged(), count)
		}
	}
	for _, f := range approvings {
		state := m.request(f.request)
		if f.acknowledged() && state != "approved" {
			t.Errorf("%s: the approval was acknowledged, and the request is %s", f, state)
		}
		if state == "pending" {
			m.approves(f.request, f.reason)
		}
		if votes := m.store(`SELECT count(*) FROM approvals WHERE request_id = $1`, f.request); votes != "1" {
			t.Errorf("%s: %s approvals are recorded", f, votes)
		}
	}
	m.settles()
	m.agrees()
	m.onceOnly()
	for _, f := range approvings {
		m.carded(f.reason)
		m.finds("bo", "Get credentials", f.reason)
	}
}
