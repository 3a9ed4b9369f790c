package faultproxy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/internal/faultproxy"
	"github.com/prodaccess/prodaccess/internal/localpg"
)

// patience bounds waits for what takes milliseconds.
const patience = 20 * time.Second

// bundle is a database with a table of notes, a proxy in front of it, and a connection that does not go through it.
type bundle struct {
	t     *testing.T
	proxy *faultproxy.Proxy
	url   string // through the proxy
	super *pgx.Conn
}

func setup(t *testing.T) *bundle {
	t.Helper()
	srv := localpg.Shared(t)
	direct := srv.URL(localpg.NewDatabase(t, srv, ""))
	proxy, err := faultproxy.InFrontOf(direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	b := &bundle{t: t, proxy: proxy, url: proxy.Through(direct), super: connect(t, direct)}
	b.exec(b.super, `CREATE TABLE notes (word text NOT NULL)`)
	return b
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func (b *bundle) exec(conn *pgx.Conn, sql string, args ...any) {
	b.t.Helper()
	if _, err := conn.Exec(b.t.Context(), sql, args...); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
}

// kill ends a connection as the death of its process does. (When a context ends, pgx says goodbye first, for seconds.)
func kill(conn *pgx.Conn) { _ = conn.PgConn().Conn().Close() }

// notes are the words in the table, as somebody sees them who asks the server itself.
func (b *bundle) notes() string {
	b.t.Helper()
	var all string
	if err := b.super.QueryRow(b.t.Context(), `SELECT coalesce(string_agg(word, ' ' ORDER BY word), '') FROM notes`).Scan(&all); err != nil {
		b.t.Fatal(err)
	}
	return all
}

// write inserts words in one transaction and returns how it ended.
func write(ctx context.Context, conn *pgx.Conn, words ...string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, word := range words {
			if _, err := tx.Exec(ctx, `INSERT INTO notes (word) VALUES ($1)`, word); err != nil {
				return err
			}
		}
		return nil
	})
}

func isWrite(s faultproxy.Step) bool { return s.Runs("insert into notes") }

// ofAWrite counts writes, and the COMMIT of a transaction that wrote.
func ofAWrite(s faultproxy.Step) bool {
	if isWrite(s) {
		return true
	}
	for _, earlier := range s.Earlier {
		if isWrite(earlier) {
			return true
		}
	}
	return false
}

func TestAStoppedClientIsStoppedThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		when   faultproxy.When
		number int
		counts func(faultproxy.Step) bool
		notes  string // what is there after the client is gone
	}{
		{"before a write", faultproxy.Before, 1, isWrite, ""},
		{"after a write that is not committed", faultproxy.After, 2, isWrite, ""},
		{"before COMMIT", faultproxy.Before, 3, ofAWrite, ""},
		{"after COMMIT", faultproxy.After, 3, ofAWrite, "one two"},
		{"everything counted: BEGIN, two writes, COMMIT", faultproxy.After, 4, nil, "one two"},
		{"parameters are seen", faultproxy.Before, 1, func(s faultproxy.Step) bool { return s.Mentions("two") }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			conn := connect(t, b.url)
			armed := b.proxy.Arm(faultproxy.Trap{When: c.when, Number: c.number, Counts: c.counts})
			ended := make(chan error, 1)
			go func() { ended <- write(t.Context(), conn, "one", "two") }()
			select {
			case <-armed.Reached():
			case err := <-ended:
				t.Fatalf("the client was not stopped: %v; counted: %q", err, armed.Counted())
			case <-time.After(patience):
				t.Fatalf("the trap did not spring; counted: %q", armed.Counted())
			}
			if after := b.notes(); after != c.notes {
				t.Errorf("while the client is stopped the server has %q instead of %q", after, c.notes)
			}
			if !armed.Disarm() || len(armed.Counted()) != c.number {
				t.Errorf("the trap does not say that it sprang at step %d: %q", c.number, armed.Counted())
			}
			if err := write(t.Context(), connect(t, b.url), "other"); err != nil {
				t.Errorf("another client is held too: %v", err)
			}
			select {
			case err := <-ended:
				t.Fatalf("the client got an answer: %v", err)
			default:
			}
			kill(conn)
			if err := <-ended; err == nil {
				t.Error("the client was told that all went well")
			}
			b.exec(b.super, `DELETE FROM notes WHERE word = 'other'`)
			if after := b.notes(); after != c.notes {
				t.Errorf("when the client is gone the server has %q instead of %q", after, c.notes)
			}
		})
	}
}

func TestTheTransactionOfAStoppedClientEndsWithIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(b.super, `INSERT INTO notes (word) VALUES ('kept')`)
	conn := connect(t, b.url)
	armed := b.proxy.Arm(faultproxy.Trap{When: faultproxy.Before, Number: 1, Counts: func(s faultproxy.Step) bool { return s.Runs("commit") }})
	ended := make(chan error, 1)
	go func() {
		ended <- pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `SELECT FROM notes FOR UPDATE`)
			return err
		})
	}()
	<-armed.Reached()
	kill(conn)
	<-ended
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := b.super.Exec(ctx, `UPDATE notes SET word = 'free'`); err != nil {
		t.Fatalf("its lock is still held: %v", err)
	}
}

func TestATrapThatIsNotReachedChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	armed := b.proxy.Arm(faultproxy.Trap{When: faultproxy.After, Number: 3, Counts: isWrite})
	if err := write(t.Context(), connect(t, b.url), "one", "two"); err != nil {
		t.Fatal(err)
	}
	if armed.Disarm() {
		t.Error("the trap says that it sprang")
	}
	if got := len(armed.Counted()); got != 2 {
		t.Errorf("%d steps were counted instead of 2: %q", got, armed.Counted())
	}
	if err := write(t.Context(), connect(t, b.url), "three"); err != nil {
		t.Fatal(err)
	}
	if got := b.notes(); got != "one three two" {
		t.Errorf("the notes are %q", got)
	}
}

func TestPreparingIsNoStepAndABatchIsOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.url)
	for round := range 2 { // prepared in the first, known in the second
		armed := b.proxy.Arm(faultproxy.Trap{Number: 100})
		batch := &pgx.Batch{}
		batch.Queue(`INSERT INTO notes (word) VALUES ($1)`, "a")
		batch.Queue(`INSERT INTO notes (word) VALUES (upper($1))`, "b")
		if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
			t.Fatal(err)
		}
		if got := armed.Counted(); len(got) != 1 {
			t.Errorf("round %d: a batch counts as %d steps: %q", round, len(got), got)
		}
	}
}

func TestWhatIsNoQueryPasses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	t.Run("plain text where TLS is only preferred", func(t *testing.T) {
		connect(t, strings.Replace(b.url, "sslmode=disable", "sslmode=prefer", 1))
	})
	t.Run("TLS is refused where it is required", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), strings.Replace(b.url, "sslmode=disable", "sslmode=require", 1))
		if err == nil {
			conn.Close(t.Context())
			t.Error("a connection came about")
		}
	})
	t.Run("a wrong password is refused by the server itself", func(t *testing.T) {
		config, err := pgx.ParseConfig(b.url)
		if err != nil {
			t.Fatal(err)
		}
		config.Password = "wrong"
		_, err = pgx.ConnectConfig(t.Context(), config)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "28P01" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("notifications", func(t *testing.T) {
		conn := connect(t, b.url)
		b.exec(conn, `LISTEN doors`)
		b.exec(b.super, `NOTIFY doors, 'open'`)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		n, err := conn.WaitForNotification(ctx)
		if err != nil || n.Payload != "open" {
			t.Errorf("got %v, %v", n, err)
		}
	})
	t.Run("a request to cancel", func(t *testing.T) {
		conn := connect(t, b.url)
		armed := b.proxy.Arm(faultproxy.Trap{Number: 100})
		slept := make(chan error, 1)
		go func() { _, err := conn.Exec(t.Context(), `SELECT pg_sleep(60)`); slept <- err }()
		for deadline := time.Now().Add(patience); len(armed.Counted()) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		for { // a request that arrives before the query cancels nothing
			if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-slept:
				if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "57014" {
					t.Errorf("got %v", err)
				}
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Run("COPY", func(t *testing.T) {
		conn := connect(t, b.url)
		n, err := conn.CopyFrom(t.Context(), pgx.Identifier{"notes"}, []string{"word"}, pgx.CopyFromRows([][]any{{"x"}, {"y"}}))
		if err != nil || n != 2 {
			t.Errorf("copied %d rows: %v", n, err)
		}
	})
}

func TestTheEndOfTheServersSideReachesAStoppedClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.url)
	armed := b.proxy.Arm(faultproxy.Trap{When: faultproxy.Before, Number: 1, Counts: isWrite})
	ended := make(chan error, 1)
	go func() { ended <- write(t.Context(), conn, "one") }()
	<-armed.Reached()
	b.exec(b.super, `SELECT pg_terminate_backend($1::int)`, int32(conn.PgConn().PID()))
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the client was told that all went well")
		}
	case <-time.After(patience):
		t.Error("the client was not told")
	}
}
