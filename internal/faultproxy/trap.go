package faultproxy

import (
	"bytes"
	"slices"
	"strings"
)

// When says on which side of a step its client is stopped.
type When int

// The sides of a step.
const (
	// Before: the step never reaches the server.
	Before When = iota
	// After: the server carries the step out, its answer never comes back.
	After
	// Amid: the server gets the first Trap.Statements of the step's statements and carries them out, and nothing else; its
	// answer never comes back. That is what it sees of a client that dies, or is disconnected, between two statements of a
	// message, and what it leaves behind when it ends the session itself there.
	Amid
)

// String names the side.
func (w When) String() string {
	return [...]string{Before: "before", After: "after", Amid: "amid"}[w]
}

// Step is what a client asks for in one round trip.
type Step struct {
	// SQL are the statements it executes, as they were prepared or sent.
	SQL []string
	// Earlier are the steps before it in the same transaction, the one that began it first. Empty outside of one.
	Earlier []Step

	raw []byte
}

// Runs says whether a statement of the step contains words, whatever their case.
func (s Step) Runs(words string) bool {
	return slices.ContainsFunc(s.SQL, func(sql string) bool {
		return strings.Contains(strings.ToLower(sql), strings.ToLower(words))
	})
}

// Mentions says whether words occur anywhere in what the client sent for the step: its statements or, sent as text or as
// binary strings, its parameters.
func (s Step) Mentions(words string) bool { return bytes.Contains(s.raw, []byte(words)) }

// Trap says where a client is stopped.
type Trap struct {
	When When
	// Number says at which of the counted steps, from 1.
	Number int
	// Counts says whether a step counts; nil counts every one. It is called for one step at a time, must be quick and must
	// not keep the step.
	Counts func(Step) bool
	// Statements is how many of the step's statements the server gets, where When is Amid.
	Statements int
}

// Armed is a trap that waits or has sprung.
type Armed struct {
	proxy   *Proxy
	trap    Trap
	counted []string
	sprung  bool
	size    int
	held    *link
	reached chan struct{}
}

// Arm sets a trap; the one before it, if it has not sprung, is taken away.
func (p *Proxy) Arm(t Trap) *Armed {
	a := &Armed{proxy: p, trap: t, reached: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = a
	return a
}

// Reached is closed when the client stands where it was to be stopped.
func (a *Armed) Reached() <-chan struct{} { return a.reached }

// Size is how many statements the step has at which the trap sprang.
func (a *Armed) Size() int {
	a.proxy.mu.Lock()
	defer a.proxy.mu.Unlock()
	return a.size
}

// Cut ends the connection of the client that was stopped, and no other.
func (a *Armed) Cut() {
	a.proxy.mu.Lock()
	held := a.held
	a.proxy.mu.Unlock()
	if held != nil {
		_ = held.client.Close()
	}
}

// Disarm takes the trap away and says whether it had sprung; then Reached is closed or is about to be.
func (a *Armed) Disarm() bool {
	a.proxy.mu.Lock()
	defer a.proxy.mu.Unlock()
	if a.proxy.armed == a {
		a.proxy.armed = nil
	}
	return a.sprung
}

// Counted lists the first statement of every step that counted so far, the one it sprang at included.
func (a *Armed) Counted() []string {
	a.proxy.mu.Lock()
	defer a.proxy.mu.Unlock()
	return slices.Clone(a.counted)
}

// meet shows a link's step of so many statements to the trap in place and returns it when it springs.
func (p *Proxy) meet(l *link, s Step, size int) *Armed {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.armed
	if a == nil || (a.trap.Counts != nil && !a.trap.Counts(s)) {
		return nil
	}
	a.counted = append(a.counted, s.SQL[0])
	if len(a.counted) < a.trap.Number {
		return nil
	}
	a.sprung, p.armed = true, nil
	a.size, a.held = size, l
	return a
}
