package mysql

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// hush stands between a driver and the server, and can stop passing anything on without a word, as a machine does that has
// lost its power: connections stay, new ones are taken, and nobody answers.
type hush struct {
	quiet    atomic.Bool
	asked    atomic.Int64 // connections that were begun
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	all      sync.WaitGroup
}

func newHush(t *testing.T, server string) *hush {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hush{listener: l}
	h.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			h.asked.Add(1)
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			h.mu.Lock()
			h.conns = append(h.conns, client, upstream)
			h.mu.Unlock()
			for _, way := range [][2]net.Conn{{client, upstream}, {upstream, client}} {
				h.all.Go(func() { _, _ = io.Copy(&hushed{h, way[1]}, way[0]); _ = way[1].Close() })
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		h.mu.Lock()
		for _, c := range h.conns {
			_ = c.Close()
		}
		h.mu.Unlock()
		h.all.Wait()
	})
	return h
}

type hushed struct {
	*hush
	to net.Conn
}

func (h *hushed) Write(b []byte) (int, error) {
	if h.quiet.Load() {
		return len(b), nil
	}
	return h.to.Write(b)
}

// through is a URL of the server that passes a hush.
func through(t *testing.T, url secret.String) (*hush, secret.String) {
	t.Helper()
	text := url.Reveal()
	at := strings.LastIndex(text, "@")
	h := newHush(t, strings.TrimSuffix(text[at+1:], "/"))
	return h, secret.New(text[:at+1] + h.listener.Addr().String() + "/")
}

// A server that falls silent in the middle of a conversation is given up before the caller's own time is over.
func TestAServerThatFallsSilent(t *testing.T) { onEach(t, aServerThatFallsSilent) }

func aServerThatFallsSilent(t *testing.T, on flavour) {
	h, url := through(t, shared(t, on).admin)
	d := shared(t, on).open(t, func(cfg *Config) { cfg.AdminURL = url })
	if _, err := d.Fingerprint(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	h.quiet.Store(true)
	begun := time.Now()
	if _, err := d.Fingerprint(ctx); grants.ReasonOf(err) != grants.FailUnreachable || ctx.Err() != nil {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	if took := time.Since(begun); took > 3*silence {
		t.Errorf("it was given up after %s", took)
	}
	h.quiet.Store(false)
	if _, err := d.Fingerprint(ctx); err != nil {
		t.Errorf("the connection that failed is used again: %v", err)
	}
}

// A node that does not answer delays the lock on the primary for one moment, however many logins are to be taken back, and
// counts again as soon as it answers.
func TestADeadNodeDelaysNoLock(t *testing.T) { onEach(t, aDeadNodeDelaysNoLock) }

func aDeadNodeDelaysNoLock(t *testing.T, on flavour) {
	c := shared(t, on)
	h, url := through(t, c.admin) // the server is its own node
	d := c.open(t, func(cfg *Config) { cfg.Nodes = []Node{{Name: "replica", URL: url}} })
	d.patience = time.Second
	var orders []grants.Order
	for range 12 {
		o := newOrder(t, d, "pa_read_only")
		if _, err := d.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		orders = append(orders, o)
	}
	h.quiet.Store(true)
	begun := time.Now()
	var all sync.WaitGroup
	for _, share := range [][]grants.Order{orders[:6], orders[6:]} { // two slots for twelve
		all.Go(func() {
			for _, o := range share {
				if secured, err := d.Secure(t.Context(), loginOf(o)); grants.ReasonOf(err) != grants.FailUnreachable || !strings.Contains(err.Error(), "replica") ||
					!slices.Equal(secured.Nodes, []string{"orders-prod"}) {
					t.Errorf("secured: %+v, %v", secured, err)
				}
				if c.canLogin(o) {
					t.Error("not locked on the primary")
				}
			}
		})
	}
	all.Wait()
	// Each alone would wait for d.patience + connectTimeout, six times in each slot.
	if took := time.Since(begun); took > 4*(d.patience+connectTimeout) {
		t.Errorf("a dead node held up the last lock for %s", took)
	}
	h.quiet.Store(false)
	eventually(t, "the node counts again", func() bool {
		secured, err := d.Secure(t.Context(), loginOf(orders[0]))
		return err == nil && len(secured.Nodes) == 2
	})
	for _, o := range orders {
		takeBack(t, c, d, o)
	}
}

// Whoever looks for sessions without being allowed to see other people's finds none, and is told nothing: that is not taken
// for an answer.
func TestANodeOnWhichSessionsAreNotSeen(t *testing.T) { onEach(t, aNodeOnWhichSessionsAreNotSeen) }

func aNodeOnWhichSessionsAreNotSeen(t *testing.T, on flavour) {
	c := shared(t, on)
	run(t, c, "CREATE USER blind@'%' IDENTIFIED BY 'blind'", "GRANT SELECT ON prodaccess.* TO blind@'%'", "GRANT SELECT ON mysql.* TO blind@'%'")
	t.Cleanup(func() { run(t, c, "DROP USER blind@'%'") })
	d := c.open(t, func(cfg *Config) { cfg.Nodes = []Node{{Name: "replica", URL: secret.New(c.srv.URL("blind", "blind"))}} })
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	secured, err := d.Secure(t.Context(), loginOf(o))
	if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), "GRANT PROCESS ON *.* TO 'blind'@'%'") || slices.Contains(secured.Nodes, "replica") {
		t.Errorf("secured: %+v, %v", secured, err)
	}
	found, err := d.Check(t.Context(), []grants.Profile{readOnly})
	if err != nil {
		t.Fatal(err)
	}
	mayKill := "GRANT " + on.mayKill() + " ON *.* TO 'blind'@'%'"
	for _, mend := range []string{"GRANT PROCESS ON *.* TO 'blind'@'%'", mayKill} {
		if !slices.ContainsFunc(found, func(f grants.Finding) bool { return f.Mend == mend }) {
			t.Errorf("check does not say %s: %+v", mend, found)
		}
		run(t, c, mend)
	}
	if found, err = d.Check(t.Context(), []grants.Profile{readOnly}); err != nil || slices.ContainsFunc(found, func(f grants.Finding) bool { return strings.Contains(f.What, "node replica") }) {
		t.Errorf("mended: %+v, %v", found, err)
	}
	if _, err := d.Secure(t.Context(), loginOf(o)); err != nil {
		t.Errorf("mended: %v", err)
	}
	takeBack(t, c, d, o)
}
