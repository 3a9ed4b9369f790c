package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
)

// Proxy passes connections on to one server. It is safe for concurrent use.
type Proxy struct {
	server   string
	speak    func(*Proxy, context.Context, net.Conn) // serves one connection
	listener net.Listener
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	armed *Armed
}

// Start listens on a free port of loopback, in front of a server at host:port.
func Start(server string) (*Proxy, error) { return start(server, (*Proxy).serve) }

func start(server string, speak func(*Proxy, context.Context, net.Conn)) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{server: server, speak: speak, listener: listener, stop: stop}
	p.running.Go(func() { p.accept(ctx) })
	return p, nil
}

// InFrontOf starts a proxy in front of the server that a connection URL names.
func InFrontOf(connection string) (*Proxy, error) {
	u, err := url.Parse(connection)
	if err != nil {
		return nil, errors.New("starting a proxy: the connection URL cannot be read")
	}
	return Start(u.Host)
}

// Addr is where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Through is a connection URL that goes through the proxy instead of to the host and port it names.
func (p *Proxy) Through(connection string) string {
	u, err := url.Parse(connection)
	if err != nil {
		return connection
	}
	u.Host = p.Addr()
	return u.String()
}

// Close ends every connection and returns when nothing of the proxy is running.
func (p *Proxy) Close() {
	p.stop()
	_ = p.listener.Close()
	p.running.Wait()
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.speak(p, ctx, client) })
	}
}
