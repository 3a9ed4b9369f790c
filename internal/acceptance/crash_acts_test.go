package acceptance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/sandbox"
)

// files writes down a request of ana's, who is on call and needs nobody's approval, and returns its id. Windows that she has
// open are closed first.
func (m *mortal) files(duration, reason string) string {
	m.t.Helper()
	m.clearsScreen()
	id := m.filed("ana", duration, reason)
	if m.request(id) == "pending" { // PagerDuty did not say in time that she is on call
		m.approves(id, reason)
	}
	return id
}

// filed types a request, again when its author is turned away, and returns its id.
func (m *mortal) filed(who, duration, reason string) (id string) {
	m.t.Helper()
	var r sandbox.Reply
	var typed time.Time
	m.eventually("the request "+reason+" is there", func() (bool, error) {
		id = m.store(`SELECT id FROM requests WHERE reason = $1`, reason)
		if id == "<nil>" && time.Since(typed) > tryAgainAfter {
			r = m.Person(who).Command("/prodaccess orders-prod read-only " + duration + " " + reason)
			typed = time.Now()
		}
		return id != "<nil>", fmt.Errorf("%v %s", r.Err(), r.Text)
	})
	return id
}

// approves lets dora approve, again when she is turned away.
func (m *mortal) approves(id, reason string) {
	m.t.Helper()
	m.eventually("dora's approval counts", func() (bool, error) {
		if m.request(id) != "pending" {
			return true, nil
		}
		m.finds("dora", "Approve", reason)
		r := m.Person("dora").Clicks("Approve", sandbox.InMessage(), sandbox.With(reason))
		return m.request(id) != "pending", r.Err()
	})
}

// clearsScreen closes whatever windows ana has open.
func (m *mortal) clearsScreen() {
	if _, open := m.Person("ana").View(); open {
		m.Person("ana").ClosesAll()
	}
}

// finds waits until a message about a request has a button.
func (m *mortal) finds(who, label, reason string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	if err := m.Person(who).WaitsForButton(ctx, label, sandbox.InMessage(), sandbox.With(reason)); err != nil {
		m.t.Fatalf("%s waits for [%s] on %q: %v", who, label, reason, err)
	}
}

// onScreen is the URL of a request's credential if ana's window shows it now, else nothing.
func (m *mortal) onScreen(request string) string {
	m.t.Helper()
	view, _ := m.Person("ana").View()
	url := credentialURL.FindString(view.Text)
	for _, login := range strings.Fields(m.store(`SELECT coalesce(string_agg(login, ' '), '') FROM grants WHERE request_id = $1`, request)) {
		if strings.Contains(url, login) {
			return url
		}
	}
	return ""
}

// obtains presses Get credentials on an approved or active request and returns the credential; where there is a login already,
// a new password is asked for. When nothing comes of a press for a while, it is made again, or when the button is back: what a
// press began that was too slow is taken back after a minute.
func (m *mortal) obtains(reason string) string {
	m.t.Helper()
	m.clearsScreen()
	ana := m.Person("ana")
	var pressed, submitted time.Time
	m.within(3*patience, "ana has the credential of "+reason, func() (bool, error) {
		view, open := ana.View()
		switch {
		case strings.Contains(view.Text, "postgresql://"):
			return true, nil
		case strings.Contains(view.Text, "[New password]") && time.Since(submitted) > 2*tryAgainAfter:
			submitted = time.Now()
			return false, ana.Submits(nil).Err()
		case time.Since(pressed) < 2*tryAgainAfter || time.Since(submitted) < 2*tryAgainAfter:
		case open:
			ana.ClosesAll()
		default:
			r := ana.Clicks("Get credentials", sandbox.InMessage(), sandbox.With(reason))
			if r.Err() == nil {
				pressed = time.Now()
			}
			return false, r.Err()
		}
		return false, fmt.Errorf("she sees %q", view.Text)
	})
	return m.credential("ana")
}

// cause is why the latest grant of a request ended.
func (m *mortal) cause(request string) string {
	m.t.Helper()
	return m.store(`SELECT cause FROM grants WHERE request_id = $1 ORDER BY place DESC LIMIT 1`, request)
}

// holdings are credentials that people have, each with a session open.
type holdings []holding

type holding struct {
	deed
	url     string
	session *pgx.Conn
}

// add lets ana ask, take and use access. The deed that follows is its end.
func (h *holdings) add(m *mortal, reason string) deed {
	m.t.Helper()
	id := m.files("1h", reason)
	url := m.obtains(reason)
	d := deed{request: id, reason: reason, done: func() bool {
		return m.store(`SELECT count(*) FROM grants WHERE request_id = $1 AND state <> 'revoked'`, id) == "0"
	}}
	*h = append(*h, holding{d, url, m.connect(url)})
	return d
}

// end lets every deadline pass, waits until every grant is over, without help, and fails the test for whatever is left of
// one: a session, a way in, a login, a message that says otherwise.
func (h holdings) end(m *mortal) {
	m.t.Helper()
	for _, held := range h {
		m.comesDue(held.request)
	}
	m.eventually("every grant is over", func() (bool, error) {
		return m.store(`SELECT count(*) FROM grants WHERE state <> 'revoked' OR receipt IS NULL`) == "0", nil
	})
	m.settles()
	m.agrees()
	m.onceOnly()
	for _, held := range h {
		if _, err := held.session.Exec(m.ctx, `SELECT 1`); err == nil {
			m.t.Errorf("%s: the session that was open lives on", held.reason)
		}
		if m.opens(held.url) {
			m.t.Errorf("%s: the credential still opens a session", held.reason)
		}
		if text := m.sees("ana", held.reason).Text; !strings.Contains(text, "Access is over") {
			m.t.Errorf("%s: the message to its holder does not say that it is over:\n%s", held.reason, text)
		}
		m.carded(held.reason)
	}
}
