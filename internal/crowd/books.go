package crowd

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/sandbox"
)

// books are what people did and what they were shown.
type books struct {
	mu sync.Mutex
	// asked are the commands by their number, which is in their reason.
	asked map[int]*asked
	acts  []Act
	// shown is every drawing of every message, by the message's key.
	shown map[string][]drawing
	// twice are keys under which more than one message stands.
	twice map[string]bool
	first map[string]string // channel and timestamp by key
	// choices are buttons that somebody has before them and may press.
	choices []choice
	// presses counts those whose answer stands in the audit log, doubtful those that were not acknowledged.
	presses, doubtful map[press]int
	replies           map[press][]sandbox.Reply
	offered           map[string]bool // Approve buttons on Home tabs that were offered as a choice already
}

// Act is one command or press and how it went.
type Act struct {
	What    string    // "command" or "press"
	At      time.Time // when the answer came
	Latency time.Duration
	// Failed is what the person saw when there was no acknowledgement.
	Failed string
}

type asked struct {
	who  string
	team int
	// files says whether the command asks for something that is stored.
	files bool
	said  string
	ok    bool
}

type drawing struct {
	at   time.Time
	head string
	// edit is a change of a message that was there.
	edit bool
}

type choice struct {
	label   string
	request string
	number  int
	button  sandbox.Button
	who     string // the one who has it before them; empty in the channel
	ripe    time.Time
}

func newBooks() *books {
	return &books{asked: map[int]*asked{}, shown: map[string][]drawing{}, twice: map[string]bool{}, first: map[string]string{}, presses: map[press]int{}, doubtful: map[press]int{}, replies: map[press][]sandbox.Reply{}, offered: map[string]bool{}}
}

var numbered = regexp.MustCompile(`load (\d{6})`)

// drawn writes down what the app drew, and which of its buttons may be pressed.
func (b *books) drawn(d sandbox.Drawn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if d.Home {
		for _, button := range d.Buttons {
			if button.Label == "Approve" && !b.offered[d.To+button.Value] {
				b.offered[d.To+button.Value] = true
				b.choices = append(b.choices, choice{label: "Approve", request: button.Value, number: -1, button: button, who: d.To, ripe: now})
			}
		}
		return
	}
	payload, _ := d.Metadata["event_payload"].(map[string]any)
	key, _ := payload["key"].(string)
	if key == "" {
		return
	}
	at := d.Channel + " " + d.TS
	if first, there := b.first[key]; there && first != at {
		b.twice[key] = true
	}
	b.first[key] = at
	head, _, _ := strings.Cut(d.Text, ": ")
	b.shown[key] = append(b.shown[key], drawing{now, head, d.Version > 1})
	kind, request, _ := strings.Cut(key, ":")
	found := numbered.FindStringSubmatch(d.Text)
	if found == nil || (kind != "card" && kind != "notice") {
		return
	}
	number, _ := strconv.Atoi(found[1])
	for _, button := range d.Buttons {
		switch button.Label {
		case "Approve", "Deny", "Cancel", "Get credentials":
			b.choices = append(b.choices, choice{button.Label, request, number, button, d.To, now.Add(thinking())})
		}
	}
}

// take gives the ripe choice at random, if there is one, and forgets it.
func (b *books) take(pick func(n int) int) (choice, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var ripe []int
	for i, c := range b.choices {
		if c.ripe.Before(now) {
			ripe = append(ripe, i)
		}
		if len(ripe) == 200 {
			break
		}
	}
	if len(ripe) == 0 {
		return choice{}, false
	}
	i := ripe[pick(len(ripe))]
	c := b.choices[i]
	b.choices = slices.Delete(b.choices, i, i+1)
	return c, true
}

func (b *books) did(what string, r sandbox.Reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failed := r.Failure
	if err := r.Err(); err != nil && failed == "" && len(r.Errors) == 0 { // what is wrong with a form is an answer
		failed = err.Error()
	}
	b.acts = append(b.acts, Act{what, time.Now(), r.Latency, failed})
}

// answers are the kinds of audit events that answer a press, by its label.
var answers = map[string]string{"Approve": "request.approved", "Cancel": "request.cancelled", "Get credentials": "grant.intended"}

type press struct{ who, request, kind string }

// pressed writes down a press whose answer stands in the audit log.
func (b *books) pressed(who string, c choice, r sandbox.Reply) {
	b.did("press", r)
	b.mu.Lock()
	defer b.mu.Unlock()
	p := press{who, c.request, answers[c.label]}
	if r.Failure != "" { // it may or may not have arrived
		b.doubtful[p]++
		return
	}
	b.presses[p]++
	b.replies[p] = append(b.replies[p], r)
}

// told are presses whose presser was told that they did not work.
func (b *books) told() map[press]bool {
	b.mu.Lock()
	replies := maps.Clone(b.replies)
	b.mu.Unlock()
	out := map[press]bool{}
	for p, all := range replies {
		for _, r := range all {
			out[p] = out[p] || slices.ContainsFunc(r.Posts(), turned)
		}
	}
	return out
}

// turned says whether an answer tells somebody to try again.
func turned(said string) bool {
	return strings.Contains(said, "Slack did not say who you are") || strings.Contains(said, "eference")
}
