package acceptance

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/sandbox"
)

// files writes down a request of ana's, who is on call and needs nobody's approval, and returns its id. Windows that she has
// open are closed first.
func (m *mortal) files(duration, reason string) string {
	m.t.Helper()
	m.clearsScreen()
	m.ok(m.Person("ana").Command("/prodaccess orders-prod read-only " + duration + " " + reason))
	return m.store(`SELECT id FROM requests WHERE reason = $1`, reason)
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

// getsAgain presses Get credentials on an approved or active request and returns the credential; where there is a login
// already, a new password is asked for.
func (m *mortal) getsAgain(reason string) string {
	m.t.Helper()
	m.clearsScreen()
	m.finds("ana", "Get credentials", reason)
	m.ok(m.Person("ana").Clicks("Get credentials", sandbox.InMessage(), sandbox.With(reason)))
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	if _, err := m.Person("ana").WaitsForView(ctx, "Credentials"); err != nil {
		m.t.Fatalf("%q: %v", reason, err)
	}
	m.eventually("a window with the credential, or one that offers a new password", func() (bool, error) {
		view, _ := m.Person("ana").View()
		return strings.Contains(view.Text, "postgresql://") || strings.Contains(view.Text, "[New password]"), nil
	})
	if view, _ := m.Person("ana").View(); !strings.Contains(view.Text, "postgresql://") {
		m.ok(m.Person("ana").Submits(nil))
	}
	return m.credential("ana")
}

// holdings are credentials that people have, each with a session open.
type holdings []holding

type holding struct {
	deed
	url     string
	session *pgx.Conn
}

// add lets ana ask, take and use access. The deed that follows is its end.
func (h *holdings) add(m *mortal, duration, reason string) deed {
	m.t.Helper()
	id := m.files(duration, reason)
	m.finds("ana", "Get credentials", reason)
	m.ok(m.Person("ana").Clicks("Get credentials", sandbox.InMessage(), sandbox.With(reason)))
	url := m.credential("ana")
	d := deed{request: id, reason: reason, done: func() bool {
		return m.store(`SELECT count(*) FROM grants WHERE request_id = $1 AND state = 'revoked'`, id) == "1"
	}}
	*h = append(*h, holding{d, url, m.connect(url)})
	return d
}

// end waits until every grant is over, without help, and fails the test for whatever is left of one: a session, a way
// in, a login, a message that says otherwise.
func (h holdings) end(m *mortal) {
	m.t.Helper()
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
