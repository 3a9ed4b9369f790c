package mysql

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// guillotine stands between a driver and the server and cuts every connection after a number of statements: those of a
// message up to that point reach the server and are carried out, the rest does not, and no answer comes back. That is
// what a server sees of a client that dies, or of a connection that somebody kills, between two statements.
type guillotine struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	left  int // statements until the cut; negative: never
	seen  int
	conns []net.Conn
	all   sync.WaitGroup
}

func newGuillotine(t *testing.T, server string) *guillotine {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &guillotine{listener: l, server: server, left: -1}
	g.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			g.all.Go(func() { g.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		g.cut()
		g.all.Wait()
	})
	return g
}

func (g *guillotine) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

// set arms it: the next n statements pass. It returns how many have passed so far.
func (g *guillotine) set(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.left, g.seen = n, 0
	return seen
}

// take says how many of a message's statements may pass, and whether the cut follows.
func (g *guillotine) take(n int) (pass int, cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left < 0 {
		g.seen += n
		return n, false
	}
	pass = min(n, g.left)
	g.left -= pass
	g.seen += pass
	return pass, g.left == 0
}

func (g *guillotine) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	defer server.Close()
	g.mu.Lock()
	g.conns = append(g.conns, client, server)
	dead := g.left == 0 // nobody comes back after the cut
	g.mu.Unlock()
	if dead {
		return
	}
	answers := make(chan struct{})
	silent := &gate{to: client}
	go func() {
		defer close(answers)
		_, _ = io.Copy(silent, server)
		_ = client.Close()
	}()
	defer func() { _ = server.Close(); <-answers }()
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if head[3] != 0 || len(body) == 0 || body[0] != 3 || bytes.HasPrefix(body[1:], []byte("SET NAMES")) || string(body[1:]) == greeting {
			_, _ = server.Write(append(head, body...)) // the handshake, and what every connection begins with
			continue
		}
		statements := strings.Split(string(body[1:]), ";\n")
		pass, cut := g.take(len(statements))
		if !cut {
			_, _ = server.Write(append(head, body...))
			continue
		}
		silent.shut()
		if pass > 0 {
			_, _ = server.Write(packet("\x03" + strings.Join(statements[:pass], ";\n")))
		}
		_, _ = server.Write(packet("\x01")) // COM_QUIT: the server hangs up when it is through with what came before
		<-answers
		g.cut()
		return
	}
}

func packet(body string) []byte {
	head := make([]byte, 4)
	binary.LittleEndian.PutUint32(head, uint32(len(body)))
	return append(head, body...)
}

// gate passes bytes on until it is shut.
type gate struct {
	mu     sync.Mutex
	to     io.Writer
	closed bool
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		_, _ = g.to.Write(b)
	}
	return len(b), nil
}

// behind opens a driver on the shared cluster whose connections all pass the guillotine.
func behind(t *testing.T, c *cluster) (*Driver, *guillotine) {
	t.Helper()
	url := c.admin.Reveal()
	at := strings.LastIndex(url, "@")
	g := newGuillotine(t, strings.TrimSuffix(url[at+1:], "/"))
	d := c.open(t, func(cfg *Config) { cfg.AdminURL = secret.New(url[:at+1] + g.listener.Addr().String() + "/") })
	return d, g
}

func newOrder(t testing.TB, d *Driver, role string) grants.Order {
	t.Helper()
	fingerprint, err := d.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ToLower(rand.Text()[:12])
	return grants.Order{
		Login: grants.LoginName("ana", id), AccessRole: role, Stamp: grants.Stamp{Installation: "test", Grant: id}, Fingerprint: fingerprint,
		ValidUntil: time.Now().Add(time.Hour), NotAfter: time.Now().Add(grants.IssueWithin), ConnectionLimit: 4, Password: secret.New(rand.Text()),
	}
}

func loginOf(o grants.Order) grants.Login {
	return grants.Login{Name: o.Login, Stamp: o.Stamp, Fingerprint: o.Fingerprint}
}

// takeBack revokes with a driver that nothing is wrong with, and looks for traces.
func takeBack(t testing.TB, c *cluster, d *Driver, o grants.Order) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := d.Secure(ctx, loginOf(o)); err != nil {
		t.Errorf("secure: %v", err)
	}
	if c.canLogin(o) {
		t.Error("the password still opens a session after securing")
	}
	if _, err := d.Clean(ctx, loginOf(o)); err != nil {
		t.Errorf("clean: %v", err)
	}
	if c.exists(t, o.Login) {
		t.Error("the account is still there")
	}
}

func (c *cluster) canLogin(o grants.Order) bool {
	s, err := openSession(context.Background(), c.srv.Config(o.Login, o.Password.Reveal(), ""))
	if err == nil {
		s.Close()
	}
	return err == nil
}

// statementsOf counts what an act sends when nothing goes wrong.
func statementsOf(t *testing.T, g *guillotine, act func() error) int {
	t.Helper()
	g.set(-1)
	if err := act(); err != nil {
		t.Fatal(err)
	}
	n := g.set(-1)
	if n == 0 {
		t.Fatal("no statement was seen")
	}
	return n
}

func TestIssueCutAfterEveryStatement(t *testing.T) { onEach(t, issueCutAfterEveryStatement) }

func issueCutAfterEveryStatement(t *testing.T, on flavour) {
	c := shared(t, on)
	sound := c.open(t, nil)
	d, g := behind(t, c)
	whole := newOrder(t, sound, "pa_read_only")
	n := statementsOf(t, g, func() error { _, err := d.Issue(t.Context(), whole); return err })
	takeBack(t, c, sound, whole)
	for cut := range n + 1 {
		o := newOrder(t, sound, "pa_read_only")
		g.set(cut)
		_, err := d.Issue(t.Context(), o)
		if err == nil && cut < n {
			t.Errorf("cut after %d of %d statements: issued", cut, n)
		}
		usable := c.canLogin(o)
		if usable && cut < n-3 { // unlock, the row, the last look
			t.Errorf("cut after %d of %d statements: a login that nobody vouches for can be used", cut, n)
		}
		exists := c.exists(t, o.Login)
		listed, err := sound.Logins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if known := slices.ContainsFunc(listed, func(l grants.Login) bool { return l.Name == o.Login && l.CanLogin == usable }); known != exists {
			t.Errorf("cut after %d statements: the account exists: %v, the sweep sees it: %v", cut, exists, known)
		}
		takeBack(t, c, sound, o)
	}
}

func TestExtendCutAfterEveryStatement(t *testing.T) { onEach(t, extendCutAfterEveryStatement) }

func extendCutAfterEveryStatement(t *testing.T, on flavour) {
	c := shared(t, on)
	sound := c.open(t, nil)
	d, g := behind(t, c)
	later := time.Now().Add(2 * time.Hour)
	for _, ended := range []bool{false, true} {
		extendCut(t, c, sound, d, g, later, ended)
	}
}

// extendCut extends a login that lives, or one that the server has ended by itself.
func extendCut(t *testing.T, c *cluster, sound, d *Driver, g *guillotine, later time.Time, ended bool) {
	for cut, n := 0, 1; cut <= n; cut++ {
		o := newOrder(t, sound, "pa_read_only")
		if _, err := sound.Issue(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if ended {
			run(t, c, "UPDATE prodaccess.logins SET state = 'over', valid_until = UTC_TIMESTAMP(6) WHERE login = '"+o.Login+"'", "ALTER USER '"+o.Login+"'@'%' ACCOUNT LOCK")
		}
		if cut == 0 {
			n = statementsOf(t, g, func() error { return d.Extend(t.Context(), loginOf(o), later) })
		}
		g.set(cut)
		_ = d.Extend(t.Context(), loginOf(o), later)
		if !c.canLogin(o) && !ended {
			t.Errorf("cut after %d statements: the holder is locked out", cut)
		}
		// Whoever was cut off does not stand in the way of the next one, nor does a login that the server has ended meanwhile.
		eventually(t, "it is extended again", func() bool {
			err := sound.Extend(t.Context(), loginOf(o), later.Add(time.Hour))
			if err != nil && grants.ReasonOf(err) != grants.FailBusy {
				t.Fatalf("cut after %d statements: extended again: %v", cut, err)
			}
			return err == nil
		})
		if !c.canLogin(o) || value[int](t, c, "SELECT COUNT(*) FROM prodaccess.logins WHERE login = ? AND state = 'live' AND worker = 0 AND valid_until > UTC_TIMESTAMP() + INTERVAL 150 MINUTE", o.Login) != 1 {
			t.Errorf("cut after %d statements: the second extension is not what the row says", cut)
		}
		takeBack(t, c, sound, o)
	}
}

func TestRevocationCutAfterEveryStatement(t *testing.T) { onEach(t, revocationCutAfterEveryStatement) }

func revocationCutAfterEveryStatement(t *testing.T, on flavour) {
	c := shared(t, on)
	sound := c.open(t, nil)
	d, g := behind(t, c)
	for _, step := range []struct {
		name   string
		before func(grants.Login) error
		act    func(grants.Login) error
	}{
		{"secure", func(grants.Login) error { return nil }, func(l grants.Login) error { _, err := d.Secure(t.Context(), l); return err }},
		{
			"clean", func(l grants.Login) error { _, err := sound.Secure(t.Context(), l); return err },
			func(l grants.Login) error { _, err := d.Clean(t.Context(), l); return err },
		},
	} {
		for cut, n := 0, 1; cut <= n; cut++ {
			o := newOrder(t, sound, "pa_read_only")
			if _, err := sound.Issue(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s, err := openSession(t.Context(), c.srv.Config(o.Login, o.Password.Reveal(), "app"))
			if err != nil {
				t.Fatal(err)
			}
			if err := step.before(loginOf(o)); err != nil {
				t.Fatal(err)
			}
			if cut == 0 {
				n = statementsOf(t, g, func() error { return step.act(loginOf(o)) })
			} else {
				g.set(cut)
				_ = step.act(loginOf(o))
			}
			if step.name == "secure" && cut == 0 && c.canLogin(o) {
				t.Error("secured, and the password opens a session")
			}
			takeBack(t, c, sound, o)
			if err := s.Read(t.Context()); err == nil {
				t.Errorf("%s cut after %d statements: the session lives on", step.name, cut)
			}
			s.Close()
		}
	}
}

// The statements of an order that is stuck on the network arrive after everything is over: nothing comes of them.
func TestAnOrderThatArrivesAfterTheEnd(t *testing.T) { onEach(t, anOrderThatArrivesAfterTheEnd) }

func anOrderThatArrivesAfterTheEnd(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	conn, f, err := d.everyday.borrow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	verifier, err := nativePassword.verifier(o.Password)
	if err != nil {
		t.Fatal(err)
	}
	// It got as far as its row, when the login is taken back by somebody else.
	if n, err := change(t.Context(), conn, f.writeDown(o, verifier, time.Now())); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	takeBack(t, c, d, o)
	if _, err := send(t.Context(), conn, f.make(o, nativePassword, verifier, false)...); err == nil {
		t.Error("the account came to be after the end")
	}
	// Another connection, which did not get to its row before, finds that it is over.
	if _, err := d.Issue(t.Context(), o); err == nil {
		t.Error("the order was carried out after the end")
	}
	if c.exists(t, o.Login) {
		t.Error("the account is there")
	}
}
