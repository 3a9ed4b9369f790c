package faultproxy

import (
	"bytes"
	"sync"
)

// script follows what one client sends and finds the steps in it.
type script struct {
	statements map[string]string // by the name it was prepared under
	portals    map[string]string // what each bound portal executes
	pending    []byte            // what has come since the last step's end
	sql        []string          // what it executes

	mu      sync.Mutex
	inside  bool   // the server says that a transaction is open
	earlier []Step // the steps of the open transaction
}

func newScript() *script {
	return &script{statements: map[string]string{}, portals: map[string]string{}}
}

// take adds a message. When it ends a round trip, whole is everything to be sent to the server, and step is what it asks
// for; a step without SQL executes nothing. answered says that the server will end its answer with ReadyForQuery.
func (s *script) take(f frame) (whole []byte, step Step, answered bool) {
	s.pending = append(s.pending, f.raw...)
	switch f.kind {
	case 'P': // Parse: name, query
		name, rest := text(f.body())
		s.statements[name], _ = text(rest)
		return nil, Step{}, false
	case 'B': // Bind: portal, statement
		portal, rest := text(f.body())
		name, _ := text(rest)
		s.portals[portal] = s.statements[name]
		return nil, Step{}, false
	case 'E': // Execute: portal
		portal, _ := text(f.body())
		s.sql = append(s.sql, s.portals[portal])
		return nil, Step{}, false
	case 'D': // Describe
		return nil, Step{}, false
	case 'C': // Close: a statement or a portal
		if body := f.body(); len(body) > 0 && body[0] == 'S' {
			name, _ := text(body[1:])
			delete(s.statements, name)
		}
		return nil, Step{}, false
	case 'Q': // simple query
		query, _ := text(f.body())
		s.sql = append(s.sql, query)
		answered = true
	case 'S': // Sync
		answered = true
	case 'H': // Flush: the client waits for what it sent so far, so it must go now; the round trip goes on
		whole, s.pending = s.pending, nil
		return whole, Step{}, false
	}
	step = Step{SQL: s.sql, raw: s.pending}
	s.mu.Lock()
	if s.inside {
		step.Earlier = s.earlier
	}
	s.mu.Unlock()
	whole = s.pending
	s.pending, s.sql = nil, nil
	return whole, step, answered
}

// sent remembers a step that goes to the server.
func (s *script) sent(step Step) {
	if len(step.SQL) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	step.Earlier = nil
	s.earlier = append(s.earlier[:len(s.earlier):len(s.earlier)], step)
}

// ready takes over the transaction's state from a ReadyForQuery.
func (s *script) ready(f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := f.body()
	s.inside = len(body) == 1 && body[0] != 'I'
	if !s.inside {
		s.earlier = nil
	}
}

// text reads a string that ends with a zero byte, and what follows it.
func text(b []byte) (string, []byte) {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return "", nil
	}
	return string(b[:end]), b[end+1:]
}
