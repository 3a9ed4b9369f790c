package faultproxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
)

// link is one client's connection and the one to the server behind it.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	script         *script

	mu sync.Mutex
	// asked counts the round trips the client began, the startup being the first, answered those the server ended.
	asked, answered int
	// held is the trap that stopped this client after a step, holdAt that step's round trip.
	held   *Armed
	holdAt int
}

// serve passes one connection on until either side ends it.
func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	in := bufio.NewReader(client)
	opening, code, err := readOpening(in)
	for err == nil && (code == sslRequest || code == gssRequest) {
		if _, err = client.Write([]byte{'N'}); err == nil {
			opening, code, err = readOpening(in)
		}
	}
	if err != nil {
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", p.server)
	if err != nil {
		return // the client sees its connection end, as it does when a server goes away
	}
	defer server.Close()
	stopServer := context.AfterFunc(ctx, func() { server.Close() })
	defer stopServer()
	if _, err := server.Write(opening.raw); err != nil {
		return
	}
	if code == cancelRequest {
		// The server ends the connection when it has passed the request on, which the client waits for.
		_, _ = io.Copy(client, server)
		return
	}
	l := &link{proxy: p, client: client, server: server, script: newScript(), asked: 1}
	var back sync.WaitGroup
	back.Go(l.backward)
	l.forward(in)
	server.Close()
	back.Wait()
}

// forward passes on what the client sends until it is gone. A client that was stopped is read, and not listened to.
func (l *link) forward(in *bufio.Reader) {
	for {
		f, err := readFrame(in)
		if err != nil {
			return
		}
		whole, step, answered := l.script.take(f)
		if whole == nil {
			continue
		}
		var sprung *Armed
		if len(step.SQL) > 0 {
			sprung = l.proxy.meet(l, step, statements(step.raw))
		}
		if sprung != nil && sprung.trap.When == Before {
			close(sprung.reached)
			_, _ = io.Copy(io.Discard, in)
			return
		}
		if sprung != nil && sprung.trap.When == Amid {
			whole = firstStatements(whole, sprung.trap.Statements)
		}
		l.script.sent(step)
		l.mu.Lock()
		if answered {
			l.asked++
		}
		if sprung != nil {
			l.held, l.holdAt = sprung, l.asked
		}
		l.mu.Unlock()
		if _, err := l.server.Write(whole); err != nil {
			return
		}
		if sprung != nil {
			_, _ = io.Copy(io.Discard, in)
			return
		}
	}
}

// backward passes on what the server sends until it is gone, but for the answer to the step the client was stopped after.
func (l *link) backward() {
	// The client must learn of the server's end, and forward, which waits for the client, with it.
	defer l.client.Close()
	in, out := bufio.NewReader(l.server), bufio.NewWriter(l.client)
	for {
		f, err := readFrame(in)
		if err != nil {
			_ = out.Flush()
			return
		}
		if f.kind == 'Z' {
			l.script.ready(f)
		}
		if l.swallows(f) {
			continue
		}
		if _, err := out.Write(f.raw); err != nil {
			return
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return
			}
		}
	}
}

// swallows counts the ends of answers and says whether a message must not reach the client.
func (l *link) swallows(f frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	swallow := l.held != nil && l.answered >= l.holdAt-1
	if f.kind == 'Z' {
		l.answered++
		if swallow && l.answered == l.holdAt {
			close(l.held.reached)
		}
	}
	return swallow
}
