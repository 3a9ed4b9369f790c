package store_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/store"
)

// lossy passes connections on; those that were open when it is told to, it keeps open and passes nothing on any more, as a
// firewall does that forgot them.
type lossy struct {
	net.Listener
	mu   sync.Mutex
	gone chan struct{} // closed for the connections of now
	over chan struct{}
}

func (l *lossy) serve(server string) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		gone := l.gone
		l.mu.Unlock()
		all.Go(func() {
			defer client.Close()
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				return
			}
			defer upstream.Close()
			var both sync.WaitGroup
			pass := func(to, from net.Conn) {
				buffer := make([]byte, 64<<10)
				for {
					n, err := from.Read(buffer)
					if err != nil {
						_ = to.Close()
						return
					}
					select {
					case <-gone:
						_, _ = io.Copy(io.Discard, from)
						return
					default:
						_, _ = to.Write(buffer[:n])
					}
				}
			}
			both.Go(func() { pass(upstream, client) })
			both.Go(func() { pass(client, upstream) })
			<-l.over
			_, _ = client.Close(), upstream.Close()
			both.Wait()
		})
	}
}

// forget lets the connections of now die unseen.
func (l *lossy) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.gone)
	l.gone = make(chan struct{})
}

// Whoever has two seconds for an answer gets one, though the connection that the store had kept is dead.
func TestADeadConnectionDoesNotUseUpTheTimeForAnAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{Listener: listener, gone: make(chan struct{}), over: make(chan struct{})}
	u, err := url.Parse(b.service)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	u.Host = listener.Addr().String()
	ended := make(chan struct{})
	go func() { defer close(ended); l.serve(server) }()
	st, err := store.Open(t.Context(), store.Config{URL: secret.New(u.String()), Log: zerolog.Nop(), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = listener.Close()
		close(l.over)
		st.Close()
		<-ended
	}()
	if _, err := st.NextDeadline(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.forget()
	time.Sleep(1100 * time.Millisecond) // the pool asks a connection how it is after a second
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := st.NextDeadline(ctx); err != nil {
		t.Error(err)
	}
}
