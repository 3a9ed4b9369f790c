package crowd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prodaccess/prodaccess/sandbox"
)

// Load is how much people do.
type Load struct {
	// PerSecond is how many commands and presses there are in a second, and For how long.
	PerSecond int
	For       time.Duration
	// Requests is the share of the commands that file a request; the others look, mistype or are refused.
	Requests float64
	// Watch is called about once a second with how long people have been acting.
	Watch func(since time.Duration)
}

const (
	// presses is the share of the acts that are presses, while there is something to press.
	presses = 0.4
	// windows is how far apart windows are opened: Slack takes a hundred calls of views.open a minute, and as many of views.update.
	windows = 1200 * time.Millisecond
)

// thinking is how long somebody looks before they press.
func thinking() time.Duration { return time.Duration(200+rand.IntN(3000)) * time.Millisecond }

// storm is a load at work.
type storm struct {
	*Crowd
	ctx    context.Context
	load   Load
	number atomic.Int64
	// opened is when the next window may be opened.
	mu     sync.Mutex
	opened time.Time
}

// Storm lets people act until the load ends, and returns when everything they did was answered, or went unanswered for the
// three seconds that Slack waits.
func (c *Crowd) Storm(ctx context.Context, load Load) {
	s := &storm{Crowd: c, ctx: ctx, load: load}
	var acting sync.WaitGroup
	acting.Go(func() { s.lookHome() })
	began := time.Now()
	total := int(load.For.Seconds() * float64(load.PerSecond))
	watched := 0
	for i := range total {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(load.PerSecond))
		if wait := time.Until(due); wait > 0 {
			pass(ctx, wait)
		}
		if ctx.Err() != nil {
			break
		}
		acting.Go(s.act)
		if since := time.Since(began); load.Watch != nil && int(since.Seconds()) > watched {
			watched = int(since.Seconds())
			acting.Go(func() { load.Watch(since) })
		}
	}
	acting.Wait()
}

func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// lookHome lets those who answer open their Home tab about every twelve seconds.
func (s *storm) lookHome() {
	const every = 12 * time.Second
	until := time.Now().Add(s.load.For)
	pause := every / time.Duration(len(s.teams))
	for i := 0; time.Now().Add(pause).Before(until) && s.ctx.Err() == nil; i++ {
		pass(s.ctx, pause)
		s.teams[i%len(s.teams)].lead.OpensHome()
	}
}

func (s *storm) act() {
	if rand.Float64() < presses {
		const looks = 8 // at what somebody may press, most of which they leave as it is
		for range looks {
			if c, ok := s.books.take(rand.IntN); !ok {
				break
			} else if s.choose(c) {
				return
			}
		}
	}
	s.command()
}

// command types a line.
func (s *storm) command() {
	n := int(s.number.Add(1))
	i := rand.IntN(len(s.teams))
	who := s.teams[i].members[rand.IntN(inTeam)]
	a := &asked{who: who.Name(), team: i}
	s.books.mu.Lock()
	s.books.asked[n] = a
	s.books.mu.Unlock()
	line := fmt.Sprintf("orders-prod read-only 30m load %06d", n)
	switch {
	case rand.Float64() < s.load.Requests:
		a.files = true
	default:
		line = []string{
			fmt.Sprintf("orders-prod data-fix 30m load %06d", n), // refused by the policy, and filed
			fmt.Sprintf("order-prod read-only 30m load %06d", n), // typos
			fmt.Sprintf("orders-prod read-onyl 30m load %06d", n),
			fmt.Sprintf("orders-prod read-only 30 load %06d", n),
			"help", "list", "whoami", "explain orders-prod read-only",
		}[n%8]
		a.files = n%8 == 0
	}
	r := who.Command("/prodaccess " + line)
	s.books.did("command", r)
	if a.files && n%25 == 0 { // Slack is not sure that it arrived
		s.books.did("command", r.Again())
	}
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	a.ok, a.said = r.Err() == nil, r.Text
}

// choose presses a button, or says that this person does not.
func (s *storm) choose(c choice) bool {
	switch c.label {
	case "Cancel":
		return rand.IntN(3) == 0 && s.press(s.stage.Person(c.who), c)
	case "Get credentials":
		return s.window() && s.press(s.stage.Person(c.who), c)
	case "Approve":
		who := c.who
		if who == "" { // in the channel everybody sees it, and now and then the wrong one presses
			i := s.teamOf(c.number)
			if rand.IntN(8) == 0 {
				i = (i + 1) % len(s.teams)
			}
			who = s.teams[i].lead.Name()
		}
		return s.press(s.stage.Person(who), c)
	case "Deny":
		return rand.IntN(4) == 0 && s.window() && s.deny(s.teams[s.teamOf(c.number)].lead, c)
	}
	return false
}

func (s *storm) teamOf(number int) int {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	if a := s.books.asked[number]; a != nil {
		return a.team
	}
	return 0
}

// window says whether one may be opened now.
func (s *storm) window() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.opened) {
		return false
	}
	s.opened = time.Now().Add(windows)
	return true
}

// press presses once, and now and then twice at the same moment.
func (s *storm) press(who *sandbox.Actor, c choice) bool {
	times := 1
	if rand.IntN(10) == 0 {
		times = 2
	}
	var pressing sync.WaitGroup
	var done atomic.Bool
	for range times {
		pressing.Go(func() {
			r := who.Presses(c.button)
			if r.Latency == 0 && r.Err() != nil {
				return // it is not there any more
			}
			done.Store(true)
			s.books.pressed(who.ID(), c, r)
		})
	}
	pressing.Wait()
	return done.Load()
}

func (s *storm) deny(who *sandbox.Actor, c choice) bool {
	r := who.Presses(c.button)
	if r.Latency == 0 && r.Err() != nil {
		return false
	}
	s.books.did("press", r)
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	if _, err := who.WaitsForView(ctx, "Deny request"); err != nil {
		return true // it was answered meanwhile, and the presser was told so
	}
	r = who.Submits(map[string]string{"Reason": "not now"})
	if r.Latency > 0 {
		s.books.did("press", r)
	}
	who.ClosesAll()
	return true
}
