package sandbox

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Pane is something shown beside the workspace that the workspace knows nothing about: the tables of a database, a log.
type Pane struct {
	Title string
	About string // one sentence, mrkdwn; may be empty
	// Read returns what the pane shows now. It is called about once a second for each open page. Nil for a pane
	// without tables.
	Read func(ctx context.Context) ([]Table, error)
	// Actions are buttons under the tables.
	Actions []PaneAction
	// Folded panes show their title until somebody opens them.
	Folded bool
}

// Table is one table of a pane.
type Table struct {
	Caption string
	Columns []string
	Rows    [][]string
	Empty   string // what is said when there is no row
}

// PaneAction is a button of a pane that does something outside of the workspace, for the person at the screen.
type PaneAction struct {
	Label string
	// Run does it and returns what came of it, in plain text. It has [actionTime] to do so.
	Run func(ctx context.Context, person string) Output
}

// Output is what came of a [PaneAction].
type Output struct {
	Text   string
	Failed bool // it was refused; the page shows it as such
}

// output is an Output with the moment it was there, and what it came from.
type output struct {
	Pane   int       `json:"pane"`
	Action int       `json:"action"`
	Label  string    `json:"label"`
	Person string    `json:"person"`
	Text   string    `json:"text"`
	Failed bool      `json:"failed"`
	At     time.Time `json:"at"`
}

const (
	actionTime = 20 * time.Second // how long a pane's action may take
	readTime   = 5 * time.Second  // how long reading a pane may take
	readEvery  = 900 * time.Millisecond
)

// paneFrame is a pane as the page gets it.
type paneFrame struct {
	Pane   int     `json:"pane"`
	Tables []Table `json:"tables"`
	Error  string  `json:"error"`
}

// paneFrames are the panes without what they show.
func (ws *Workspace) paneFrames() []object {
	out := []object{}
	for _, p := range ws.page.Panes {
		actions := []string{}
		for _, a := range p.Actions {
			actions = append(actions, a.Label)
		}
		out = append(out, object{"title": p.Title, "about": p.About, "actions": actions, "folded": p.Folded})
	}
	return out
}

// readPanes reads every pane again and again until ctx ends, and hands over each reading.
func (ws *Workspace) readPanes(ctx context.Context, panes []Pane, hand func(paneFrame)) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		for i, p := range panes {
			if p.Read == nil {
				continue
			}
			reading, cancel := context.WithTimeout(ctx, readTime)
			tables, err := p.Read(reading)
			cancel()
			if ctx.Err() != nil {
				return
			}
			f := paneFrame{Pane: i, Tables: tables}
			if err != nil {
				f.Error = err.Error()
			}
			hand(f)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// servePaneAction presses a button of a pane.
func (ws *Workspace) servePaneAction(w http.ResponseWriter, r *http.Request) {
	leave, ok := ws.enter()
	if !ok {
		return
	}
	defer leave()
	var ask struct{ Person string }
	if !readAsk(w, r, &ask) {
		return
	}
	pane, _ := strconv.Atoi(r.PathValue("pane"))
	action, _ := strconv.Atoi(r.PathValue("action"))
	ws.mu.Lock()
	p := ws.page.Page
	ws.mu.Unlock()
	a := ws.find(ask.Person)
	if a == nil || pane < 0 || pane >= len(p.Panes) || action < 0 || action >= len(p.Panes[pane].Actions) {
		http.NotFound(w, r)
		return
	}
	run := p.Panes[pane].Actions[action]
	ctx, cancel := context.WithTimeout(r.Context(), actionTime)
	defer cancel()
	out := run.Run(ctx, a.Name())
	ws.mu.Lock()
	ws.page.outputs[r.PathValue("pane")] = output{
		Pane: pane, Action: action, Label: run.Label, Person: a.Name(), Text: out.Text, Failed: out.Failed, At: ws.opts.Now(),
	}
	ws.notify()
	ws.mu.Unlock()
	sayJSON(w, object{"failed": out.Failed, "text": out.Text})
}
