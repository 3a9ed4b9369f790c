package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// open is a world with a replica that serves; change may rewrite its configuration first.
func open(t *testing.T, opts stage.Options, change func(*stage.Conf)) *world {
	t.Helper()
	w := newWorld(t, opts)
	if change != nil {
		change(&w.Conf)
		if err := w.WriteConfig(); err != nil {
			t.Fatal(err)
		}
	}
	w.serve()
	return w
}

// types lets somebody write a request in one line. The words are its reason; they find its card and its row again, so
// every request of a test has words of its own.
func (w *world) types(who, profile, duration, words string) sandbox.Reply {
	return w.Person(who).Command(fmt.Sprintf("/prodaccess orders-prod %s %s INC-123 %s", profile, duration, words))
}

// asks files a request and returns its id. Who is told to try again does.
func (w *world) asks(who, profile, duration, words string) string {
	w.t.Helper()
	r := w.ok(w.types(who, profile, duration, words))
	id := w.requestOf(words)
	if id == "<nil>" && turnedAway(r) {
		w.t.Logf("%s is told: %s", who, r.Text)
		r = w.ok(w.types(who, profile, duration, words))
		id = w.requestOf(words)
	}
	if id == "<nil>" {
		w.t.Fatalf("%s asked and no request was filed: %s", who, r.Text)
	}
	return id
}

func (w *world) requestOf(words string) string {
	w.t.Helper()
	return w.store(`SELECT id FROM requests WHERE reason = $1`, words)
}

// clicksOn waits for a button on a message with the words and presses it.
func (w *world) clicksOn(who, label, words string) sandbox.Reply {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := w.Person(who).WaitsForButton(ctx, label, sandbox.InMessage(), sandbox.With(words)); err != nil {
		w.t.Fatalf("%s waits for [%s] on %q: %v\n%s sees:\n%s", who, label, words, err, who, w.Person(who).Sees())
	}
	return w.ok(w.Person(who).Clicks(label, sandbox.InMessage(), sandbox.With(words)))
}

// clicksBehind presses a button that was on a message with the words once, as somebody whose screen is behind.
func (w *world) clicksBehind(who, label, words string) sandbox.Reply {
	w.t.Helper()
	return w.ok(w.Person(who).ClicksStale(label, sandbox.InMessage(), sandbox.With(words)))
}

// takes presses Get credentials and returns the URL in the window that opens.
func (w *world) takes(who, words string) string {
	w.t.Helper()
	w.Person(who).ClosesAll()
	w.clicksOn(who, "Get credentials", words)
	return w.credential(who)
}

// gets is the whole way to a credential: asked, approved by dora, taken.
func (w *world) gets(who, duration, words string) (request, url string) {
	w.t.Helper()
	request = w.asks(who, "read-only", duration, words)
	w.clicksOn("dora", "Approve", words)
	return request, w.takes(who, words)
}

// fills in the window in front of somebody and sends it.
func (w *world) submits(who, title string, values map[string]string) sandbox.Reply {
	w.t.Helper()
	w.window(who, title)
	return w.Person(who).Submits(values)
}

// window waits until the window in front of somebody says the words.
func (w *world) window(who, words string) sandbox.View {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := w.Person(who).WaitsForView(ctx, words)
	if err != nil {
		w.t.Fatalf("%s waits for a window with %q: %v\n%s", who, words, err, w.Person(who).Sees())
	}
	return v
}

// cardSays waits until the card of a request, in front of somebody, has all the words.
func (w *world) cardSays(who, words string, also ...string) string {
	w.t.Helper()
	var text string
	w.eventually(fmt.Sprintf("%s sees on the card of %q: %q", who, words, also), func() (bool, error) {
		for _, m := range w.Person(who).Messages() {
			if strings.Contains(m.Text, words) && !m.Ephemeral && hasAll(m.Text, also) {
				text = m.Text
				return true, nil
			}
		}
		return false, fmt.Errorf("%s sees:\n%s", who, w.Person(who).Sees())
	})
	return text
}

func hasAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// request is the state of a request, grant that of its latest grant.
func (w *world) request(id string) string {
	w.t.Helper()
	return w.store(`SELECT state FROM requests WHERE id = $1`, id)
}

func (w *world) grant(request string) string {
	w.t.Helper()
	return w.store(`SELECT state FROM grants WHERE request_id = $1 ORDER BY place DESC LIMIT 1`, request)
}

// becomes waits until the latest grant of a request is in a state.
func (w *world) becomes(request, state string) {
	w.t.Helper()
	w.eventually("the grant is "+state, func() (bool, error) {
		is := w.grant(request)
		return is == state, fmt.Errorf("it is %s", is)
	})
}

// comesDue lets the deadline of a request's live grant be now, so that what has to happen before it may take its time.
func (w *world) comesDue(request string) { w.comesDueIn(request, 0) }

func (w *world) comesDueIn(request string, left time.Duration) {
	err := w.as(w.Store.URL("prodaccess"), fmt.Sprintf(`UPDATE grants SET deadline = now() + interval '%d ms', version = version + 1
		WHERE state = 'active' AND request_id = '%s'`, left.Milliseconds(), request))
	if err != nil {
		w.t.Errorf("moving the deadline of %s: %v", request, err)
	}
}

// audited counts the audit events of a kind about a request.
func (w *world) audited(request, kind string, refused bool) string {
	w.t.Helper()
	return w.store(`SELECT count(*)::text FROM audit_events WHERE request_id = $1 AND kind = $2 AND refused = $3`, request, kind, refused)
}

// is fails the test when something is not what it must be, and goes on.
func (w *world) is(what string, got, want any) {
	w.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// refusedLogin fails the test when a credential still opens a session.
func (w *world) refusedLogin(what, url string) {
	w.t.Helper()
	conn, err := pgx.Connect(w.ctx, url)
	if err == nil {
		_ = conn.Close(context.WithoutCancel(w.ctx))
		w.t.Errorf("%s: the credential still opens a session", what)
	}
}

// cards counts the messages in a channel that are about a request: its card is the one that is no receipt.
func (w *world) cards(channel, request string) int {
	n := 0
	for _, m := range w.Slack.Messages() {
		if m.Channel == channel && !m.Deleted && !m.Ephemeral && strings.Contains(m.Text, "Request "+request) {
			n++
		}
	}
	return n
}

// saying counts the messages in a channel that have the words.
func (w *world) saying(channel, words string) int {
	n := 0
	for _, m := range w.Slack.Messages() {
		if m.Channel == channel && !m.Deleted && strings.Contains(m.Text, words) {
			n++
		}
	}
	return n
}

// whole fails the test when the audit log does not verify.
func (w *world) whole() {
	w.t.Helper()
	out, err := w.Run(w.ctx, "audit", "verify")
	if err != nil || !strings.Contains(out, "The chain is whole") {
		w.t.Errorf("audit verify: %v\n%s", err, out)
	}
}

// restart brings a server back.
func (w *world) restart(server interface{ Restart(context.Context) error }) time.Time {
	w.t.Helper()
	if err := server.Restart(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	return time.Now()
}

// as runs SQL on the connection of somebody else.
func (w *world) as(url, sql string) error {
	conn, err := pgx.Connect(w.ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(w.ctx))
	_, err = conn.Exec(w.ctx, sql)
	return err
}
