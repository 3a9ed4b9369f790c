package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// screen prints the story. Progress lines are rewritten in place on a terminal and printed once elsewhere.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	chapter  int
}

const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

func (s *screen) style(code, text string) string {
	if !s.terminal {
		return text
	}
	return code + text + plain
}

func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// heading begins a chapter of the story.
func (s *screen) heading(format string, args ...any) {
	s.chapter++
	s.line("\n%s", s.style(bold, fmt.Sprintf("%d. %s", s.chapter, fmt.Sprintf(format, args...))))
}

// does says what somebody does.
func (s *screen) does(who, format string, args ...any) {
	s.line("   %s %s", s.style(green, who), fmt.Sprintf(format, args...))
}

// box shows what is on somebody's screen.
func (s *screen) box(title, text string) {
	s.line("   ┌─ %s", title)
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		s.line("   │ %s", strings.TrimRight(line, "\n"))
	}
	s.line("   └─")
}

// step says what is being done until the function returned stops it, with the seconds it has taken so far.
func (s *screen) step(text string) (done func()) {
	began := time.Now()
	if !s.terminal {
		s.line("   … %s", text)
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	show := func(mark string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(s.out, "\r   %s %s %s\x1b[K", mark, text, s.style(dim, time.Since(began).Round(100*time.Millisecond).String()))
	}
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			show("…")
			select {
			case <-stop:
				show("✓")
				fmt.Fprintln(s.out)
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(stop); <-stopped }
}
