package faultproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
)

// InFrontOfMySQL starts a proxy in front of the MySQL or MariaDB server that a connection URL names. A step is a message of
// statements (COM_QUERY), which are told apart by a semicolon and a line's end, as grants/mysql sends them.
func InFrontOfMySQL(connection string) (*Proxy, error) {
	u, err := url.Parse(connection)
	if err != nil {
		return nil, errors.New("starting a proxy: the connection URL cannot be read")
	}
	return start(u.Host, (*Proxy).serveMySQL)
}

// The commands of the protocol that matter here.
const (
	comQuit  = 1
	comQuery = 3
)

// serveMySQL passes one connection on until either side ends it.
func (p *Proxy) serveMySQL(ctx context.Context, client net.Conn) {
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	stopServer := context.AfterFunc(ctx, func() { server.Close() })
	defer stopServer()
	answers, over := &gate{to: client}, make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(answers, server)
		answers.end(client)
	}()
	defer func() { server.Close(); <-over }()
	in := bufio.NewReader(client)
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if head[3] == 0 && len(body) > 0 && body[0] == comQuery {
			step := Step{SQL: strings.Split(string(body[1:]), string(between)), raw: body[1:]}
			if sprung := p.meet(&link{proxy: p, client: client}, step, len(step.SQL)); sprung != nil {
				pass := map[When]int{Before: 0, Amid: min(sprung.trap.Statements, len(step.SQL)), After: len(step.SQL)}[sprung.trap.When]
				answers.shut()
				if pass > 0 {
					_, _ = server.Write(command(comQuery, strings.Join(step.SQL[:pass], string(between))))
				}
				// The server hangs up when it is through with what came before.
				_, _ = server.Write(command(comQuit, ""))
				<-over
				close(sprung.reached)
				_, _ = io.Copy(io.Discard, in)
				return
			}
		}
		if _, err := server.Write(append(head, body...)); err != nil {
			return
		}
	}
}

// command is a message that begins an exchange.
func command(kind byte, text string) []byte {
	message := make([]byte, 4, 5+len(text))
	binary.LittleEndian.PutUint32(message, uint32(1+len(text))) // the fourth byte counts messages, from 0
	return append(append(message, kind), text...)
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
	if g.closed {
		return len(b), nil
	}
	return g.to.Write(b)
}

// end closes the client's side after the server's, unless the client is held.
func (g *gate) end(client net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		_ = client.Close()
	}
}
