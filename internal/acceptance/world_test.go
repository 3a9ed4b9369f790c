package acceptance

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/prodaccess/prodaccess/sandbox/slacktypes"
)

// patience bounds every wait. It is long because machines are slow, and every wait ends as soon as what it waits for is
// there.
const patience = 60 * time.Second

// world is a stage with the shorthand of a test.
type world struct {
	*stage.Stage
	t   *testing.T
	ctx context.Context
}

func newWorld(t *testing.T, opts stage.Options) *world {
	t.Helper()
	opts.Binary = binary
	if opts.AckWithin == 0 {
		// How fast the bot answers is measured by the benchmarks, on a machine that does nothing else.
		opts.AckWithin = patience / 2
	}
	s, err := stage.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Stage: s, t: t, ctx: t.Context()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the bots wrote:\n%s", s.Logs())
		}
		for _, wrong := range slacktypes.Check(s.Slack) {
			t.Error(wrong)
		}
		s.Close()
		if strings.Contains(s.Logs(), "WARNING: DATA RACE") {
			t.Error("the race detector found a race in the bot")
		}
	})
	return w
}

// serve starts a replica.
func (w *world) serve() *stage.Bot {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	b, err := w.Serve(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// ok fails the test when an act did not go well.
func (w *world) ok(r sandbox.Reply) sandbox.Reply {
	w.t.Helper()
	if err := r.Err(); err != nil {
		w.t.Fatalf("%v\n%s", err, r.Text)
	}
	return r
}

// says fails the test when the reply to an act does not contain the words, at once or through its response URL.
func (w *world) says(r sandbox.Reply, words string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	text, err := r.WaitsForPost(ctx, words)
	if err != nil {
		w.t.Fatalf("waiting to be told %q: %v (told so far: %q %q)", words, err, r.Text, r.Posts())
	}
	return text
}

// sees waits until a person sees a message with the words.
func (w *world) sees(who, words string) sandbox.Message {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	m, err := w.Person(who).WaitsForMessage(ctx, words)
	if err != nil {
		w.t.Fatalf("%s waits for %q: %v\n%s sees:\n%s", who, words, err, who, w.Person(who).Sees())
	}
	return m
}

// clicks waits for a button and presses it.
func (w *world) clicks(who, label string) sandbox.Reply {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := w.Person(who).WaitsForButton(ctx, label); err != nil {
		w.t.Fatalf("%s waits for [%s]: %v\n%s sees:\n%s", who, label, err, who, w.Person(who).Sees())
	}
	return w.ok(w.Person(who).Clicks(label))
}

var credentialURL = regexp.MustCompile(`postgresql://\S+`)

// credential waits for the window with the credential and returns its URL.
func (w *world) credential(who string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := w.Person(who).WaitsForView(ctx, "postgresql://")
	if err != nil {
		w.t.Fatalf("%s waits for the credential: %v\n%s", who, err, w.Person(who).Sees())
	}
	return credentialURL.FindString(v.Text)
}

// password takes the password out of a connection URL.
func password(t *testing.T, url string) string {
	t.Helper()
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Password
}

// connect opens a session as the holder of a credential.
func (w *world) connect(url string) *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.ctx, url)
	if err != nil {
		w.t.Fatalf("connecting with the credential: %v", err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(w.ctx)) })
	return conn
}

// eventually polls until a condition holds; the error says how things are while it does not.
func (w *world) eventually(what string, holds func() (bool, error)) {
	w.t.Helper()
	w.within(patience, what, holds)
}

func (w *world) within(limit time.Duration, what string, holds func() (bool, error)) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, err := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("after %s it is still not so: %s (%v)", limit, what, err)
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			w.t.Fatalf("waiting: %s: %v", what, w.ctx.Err())
		}
	}
}

// target asks the target as its superuser for one value.
func (w *world) target(sql string, args ...any) string {
	w.t.Helper()
	return ask(w.t, w.Target.URL("orders"), sql, args...)
}

// store asks the store as its superuser for one value.
func (w *world) store(sql string, args ...any) string {
	w.t.Helper()
	return ask(w.t, w.Store.URL("prodaccess"), sql, args...)
}

func ask(t *testing.T, url, sql string, args ...any) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	return askOn(t, conn, sql, args...)
}

func askOn(t *testing.T, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	var value any
	err := conn.QueryRow(t.Context(), sql, args...).Scan(&value)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return fmt.Sprint(value)
}

// logins counts the roles on the target that are not the access roles, the quarantine or the administrator.
func (w *world) logins() string {
	w.t.Helper()
	return w.target(`SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pa\_%' AND rolcanlogin`)
}

// trace counts every role that a grant could have left behind, able to log in or not.
func (w *world) trace() string {
	w.t.Helper()
	return w.target(`SELECT count(*) FROM pg_roles WHERE rolname ~ '^pa_.*_[a-z0-9]{10}$'`)
}
