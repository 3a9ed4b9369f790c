package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/gorilla/websocket"
)

// conn is a connection to a browser: https://chromedevtools.github.io/devtools-protocol/
type conn struct {
	ws   *websocket.Conn
	done chan struct{}

	mu        sync.Mutex
	next      int
	waiting   map[int]chan answer
	listeners map[string]func(method string, params json.RawMessage) // by session
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

func dial(ctx context.Context, url string) (*conn, error) {
	ws, _, err := websocket.DefaultDialer.DialContext(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("connecting to the browser: %w", err)
	}
	c := &conn{ws: ws, done: make(chan struct{}), waiting: map[int]chan answer{}, listeners: map[string]func(string, json.RawMessage){}}
	go c.read()
	return c, nil
}

func (c *conn) read() {
	defer close(c.done)
	for {
		var m struct {
			ID        int
			SessionID string `json:"sessionId"`
			Method    string
			Params    json.RawMessage
			answer
		}
		if c.ws.ReadJSON(&m) != nil {
			return
		}
		c.mu.Lock()
		waiting, listen := c.waiting[m.ID], c.listeners[m.SessionID]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case waiting != nil:
			waiting <- m.answer
		case m.Method != "" && listen != nil:
			listen(m.Method, m.Params)
		}
	}
}

// call runs one method in a session, and reads its result into result unless that is nil.
func (c *conn) call(ctx context.Context, session, method string, params, result any) error {
	mine := make(chan answer, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = mine
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	err := c.ws.WriteJSON(m)
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a := <-mine:
		if a.Error != nil {
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-c.done:
		return fmt.Errorf("%s: %w", method, errors.New("the browser is gone"))
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (c *conn) listen(session string, to func(string, json.RawMessage)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners[session] = to
}

func (c *conn) close() {
	_ = c.ws.Close()
	<-c.done
}
