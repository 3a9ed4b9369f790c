package sandbox

import (
	"context"
	"fmt"
	"strings"
)

// WaitsForMessage waits until the person sees a message that contains words, and returns the newest.
func (a *Actor) WaitsForMessage(ctx context.Context, words string) (Message, error) {
	m, err := wait(ctx, a.ws, func() (Message, bool) {
		for _, m := range a.sight() {
			if out := a.ws.export(m); strings.Contains(out.Text, words) {
				return out, true
			}
		}
		return Message{}, false
	})
	return m, a.explain(err, "a message with %q", words)
}

// WaitsForButton waits until the person can press a button, wherever it is.
func (a *Actor) WaitsForButton(ctx context.Context, label string, where ...Where) error {
	_, err := wait(ctx, a.ws, func() (struct{}, bool) {
		_, found := a.locate(label, where, false)
		return struct{}{}, found
	})
	return a.explain(err, "a button %q", label)
}

// WaitsForView waits until the modal in front of the person has words in its title or its text.
func (a *Actor) WaitsForView(ctx context.Context, words string) (View, error) {
	v, err := wait(ctx, a.ws, func() (View, bool) {
		if v := a.ws.top(a.p.id); v != nil && strings.Contains(a.ws.renderView(v), words) {
			return a.ws.exportView(v), true
		}
		return View{}, false
	})
	return v, a.explain(err, "a view with %q", words)
}

// WaitsForHome waits until the person's Home tab contains words.
func (a *Actor) WaitsForHome(ctx context.Context, words string) (View, error) {
	v, err := wait(ctx, a.ws, func() (View, bool) {
		if v := a.ws.homes[a.p.id]; v != nil && strings.Contains(a.ws.renderView(v), words) {
			return a.ws.exportView(v), true
		}
		return View{}, false
	})
	return v, a.explain(err, "a Home tab with %q", words)
}

// View is the modal in front of the person, if there is one.
func (a *Actor) View() (View, bool) {
	a.ws.mu.Lock()
	defer a.ws.mu.Unlock()
	if v := a.ws.top(a.p.id); v != nil {
		return a.ws.exportView(v), true
	}
	return View{}, false
}

func (a *Actor) explain(err error, format string, values ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s waited for %s: %w; this is what they see:\n%s", a.p.Name, fmt.Sprintf(format, values...), err, a.Sees())
}

// sight are the messages in front of the person, newest first.
func (a *Actor) sight() []*message {
	all := a.ws.visible(a.p.id)
	if a.channel == "" {
		return all
	}
	c, err := a.place()
	var here []*message
	for _, m := range all {
		if err == nil && m.channel == c {
			here = append(here, m)
		}
	}
	return here
}

// Messages are the messages the person sees now, newest first.
func (a *Actor) Messages() []Message {
	a.ws.mu.Lock()
	defer a.ws.mu.Unlock()
	var out []Message
	for _, m := range a.sight() {
		out = append(out, a.ws.export(m))
	}
	return out
}

// Sees is the person's screen as text: the modal if one is open, then the Home tab if they are there, then their
// conversations, the oldest message first. Buttons are written [Approve].
func (a *Actor) Sees() string {
	ws := a.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var parts []string
	if v := ws.top(a.p.id); v != nil {
		parts = append(parts, ws.renderView(v))
	}
	if home := ws.homes[a.p.id]; home != nil && ws.atHome[a.p.id] {
		parts = append(parts, "== Home ==\n"+ws.renderView(home))
	}
	seen := a.sight()
	for _, c := range ws.channels {
		var lines []string
		for i := len(seen) - 1; i >= 0; i-- {
			m := seen[i]
			if m.channel != c {
				continue
			}
			line := ws.renderMessage(m.now())
			if m.only != "" {
				line = "(only you can see this)\n" + line
			}
			lines = append(lines, line)
		}
		if lines != nil {
			parts = append(parts, "== "+ws.title(c)+" ==\n"+strings.Join(lines, "\n\n"))
		}
	}
	return strings.Join(parts, "\n\n")
}
