package sandbox

import (
	"net/http"
	"strings"
)

// Tour walks a newcomer through something, step by step. Each step ends when what it waits for has really happened.
type Tour struct {
	Title string
	About string // mrkdwn: what the tour shows and how long it takes
	Steps []Step
}

// Step is one step of a [Tour].
type Step struct {
	Person string // who does it
	Place  string // where they do it: a channel's name, "app" for the app's direct messages, "home" for its Home tab; anywhere when empty
	Title  string
	Text   string // mrkdwn
	Type   string // what to write in the message box
	Press  string // the label of the button to press: of a message, a view, the Home tab or a pane
	// Until says what ends the step: the first of these that is there. A step without any ends when the reader says so.
	Until []Sight
}

// Sight is something that can be waited for. Messages and outputs count only when they came or changed after the step
// began.
type Sight struct {
	Person  string // who sees it; the step's person when empty
	Message string // words of a message
	View    string // words of the modal in front of them
	Home    string // words of their Home tab, while they are there
	Output  string // words of a pane's output
	NoView  bool   // no modal is open
}

// tourFrame is where the tour is, as the page gets it.
func (ws *Workspace) tourFrame() object {
	t := ws.page.Tour
	o := object{"title": t.Title, "about": t.About, "steps": len(t.Steps), "at": ws.page.at}
	if at := ws.page.at; at >= 0 && at < len(t.Steps) {
		s := t.Steps[at]
		o["step"] = object{
			"person": s.Person, "place": s.Place, "title": s.Title, "text": s.Text, "type": s.Type, "press": s.Press, "manual": len(s.Until) == 0,
		}
	}
	return o
}

// serveTour starts the tour, goes on to the next step or one back, or ends it.
func (ws *Workspace) serveTour(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Do string }
	if !readAsk(w, r, &ask) {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	switch ask.Do {
	case "start":
		ws.tourGoes(0)
	case "next":
		if ws.page.at >= 0 {
			ws.tourGoes(min(ws.page.at+1, len(ws.page.Tour.Steps)))
		}
	case "back":
		if ws.page.at > 0 {
			ws.tourGoes(ws.page.at - 1)
		}
	case "end":
		ws.tourGoes(-1)
	default:
		http.Error(w, "start, next, back or end", http.StatusBadRequest)
		return
	}
	sayJSON(w, object{"ok": true})
}

func (ws *Workspace) tourGoes(to int) {
	ws.page.at, ws.page.since = to, ws.opts.Now()
	ws.notify()
}

// tourMoves goes on while what the tour waits for is there. The caller holds ws.mu.
func (ws *Workspace) tourMoves() {
	for ws.page.at >= 0 && ws.page.at < len(ws.page.Tour.Steps) {
		step := ws.page.Tour.Steps[ws.page.at]
		reached := false
		for _, s := range step.Until {
			if s.Person == "" {
				s.Person = step.Person
			}
			reached = reached || ws.inSight(s)
		}
		if !reached {
			return
		}
		ws.tourGoes(ws.page.at + 1)
	}
}

// inSight reports whether all that a sight names is there.
func (ws *Workspace) inSight(s Sight) bool {
	p := ws.personNamed(s.Person)
	if p == nil {
		return false
	}
	top := ws.top(p.id)
	switch {
	case s.NoView && top != nil,
		s.View != "" && (top == nil || !strings.Contains(ws.renderView(top), s.View)),
		s.Home != "" && (ws.homes[p.id] == nil || !ws.atHome[p.id] || !strings.Contains(ws.renderView(ws.homes[p.id]), s.Home)),
		s.Message != "" && !ws.messageSince(p.id, s.Message),
		s.Output != "" && !ws.outputSince(s.Output):
		return false
	}
	return s.NoView || s.View != "" || s.Home != "" || s.Message != "" || s.Output != ""
}

func (ws *Workspace) messageSince(user, words string) bool {
	for _, m := range ws.visible(user) {
		if c := m.now(); !c.at.Before(ws.page.since) && strings.Contains(ws.renderMessage(c), words) {
			return true
		}
	}
	return false
}

func (ws *Workspace) outputSince(words string) bool {
	for _, o := range ws.page.outputs {
		if !o.At.Before(ws.page.since) && strings.Contains(o.Text, words) {
			return true
		}
	}
	return false
}
