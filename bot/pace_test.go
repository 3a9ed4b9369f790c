package bot

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"
)

// engine plays the job engine on a clock of its own: what is put off for long comes back when the engine looks, every five seconds.
type engine struct {
	*clock
	due agenda
	ran int
}

func (e *engine) later(what string, after time.Duration) {
	const looks = 5 * time.Second
	at := e.Now().Add(after)
	if after >= looks {
		at = at.Add(looks - at.Sub(noon)%looks)
	}
	heap.Push(&e.due, due{at, what})
}

// run works on what is due until nothing is, or until a time.
func (e *engine) run(until time.Time, work func(what string) error) {
	for e.due.Len() > 0 && e.due[0].at.Before(until) {
		next := heap.Pop(&e.due).(due)
		if wait := next.at.Sub(e.Now()); wait > 0 {
			_ = e.pass(context.Background(), wait)
		}
		e.ran++
		if err := work(next.request); err != nil {
			e.later(next.request, max(err.(*Undelivered).After, time.Second))
		}
	}
	if wait := until.Sub(e.Now()); wait > 0 && e.due.Len() > 0 {
		_ = e.pass(context.Background(), wait)
	}
}

// everything is far enough away for all that is due.
var everything = noon.Add(240 * time.Hour)

func newEngine() (*engine, *pacer) {
	e := &engine{clock: &clock{now: noon}}
	p := newPacer(e.Now)
	// Workers wait side by side, while the clock goes on only when the engine has nothing to do.
	p.wait = func(context.Context, time.Duration) error { return nil }
	return e, p
}

func TestPaceHandsTheWorkerBack(t *testing.T) {
	t.Parallel()
	e, p := newEngine()
	turn := func(lane, who string) error { return p.turn(t.Context(), lane, posts, who, waitedFor) }
	for i := range posts.burst {
		if err := turn("c", fmt.Sprint(i)); err != nil {
			t.Fatalf("post %d has to wait: %v", i, err)
		}
	}
	var last error
	waiting := 0
	for i := range 10 {
		if last = turn("c", fmt.Sprint("more ", i)); last == nil {
			waiting++
		}
	}
	if waiting > int(patience/posts.every) {
		t.Errorf("%d workers wait for their turn", waiting)
	}
	if u := undelivered(t, last); u.After <= patience || !errors.Is(u, ErrInLine) {
		t.Errorf("the worker is given back for %v: %v", u.After, u)
	}
	if err := turn("other", "1"); err != nil {
		t.Errorf("another channel has to wait: %v", err)
	}
	_ = e.pass(t.Context(), 2*time.Minute)
	no(t, turn("c", "later"))
}

// A thousand messages for one channel go out in the order in which they came, at Slack's pace, and each is asked for a few times.
func TestPaceKeepsALine(t *testing.T) {
	t.Parallel()
	const many = 1000
	e, p := newEngine()
	for i := range many {
		heap.Push(&e.due, due{noon.Add(time.Duration(i) * 10 * time.Millisecond), fmt.Sprintf("%04d", i)})
	}
	var served []string
	e.run(everything, func(who string) error {
		if err := p.turn(t.Context(), "c", posts, who, waitedFor); err != nil {
			return err
		}
		served = append(served, who)
		return nil
	})
	if len(served) != many {
		t.Fatalf("%d were served", len(served))
	}
	took := e.Now().Sub(noon)
	if slack := many * posts.every; took < slack-10*time.Second || took > slack*11/10 {
		t.Errorf("it took %v, and Slack takes them in %v", took, slack)
	}
	if e.ran > 4*many {
		t.Errorf("they came for their turn %d times in all", e.ran)
	}
	for i, who := range served {
		if n, _ := strconv.Atoi(who); n < i-30 || n > i+30 {
			t.Fatalf("%s was served as number %d", who, i)
		}
	}
	if q := &p.lanes["c"].queue; !q.empty(e.Now()) || len(q.order[waitedFor]) > 0 {
		t.Errorf("%d are still in line", len(q.waiting))
	}
}

func TestPaceLetsThroughWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	const records, urgent = 300, 30
	e, p := newEngine()
	for i := range records {
		e.later(fmt.Sprint("record ", i), 0)
	}
	for i := range urgent {
		heap.Push(&e.due, due{noon.Add(20 * time.Second), fmt.Sprint("urgent ", i)})
	}
	var lastUrgent time.Duration
	served := 0
	e.run(everything, func(who string) error {
		u := record
		if who[0] == 'u' {
			u = waitedFor
		}
		if err := p.turn(t.Context(), "c", posts, who, u); err != nil {
			return err
		}
		if served++; u == waitedFor {
			lastUrgent = e.Now().Sub(noon)
		}
		return nil
	})
	if served != records+urgent {
		t.Fatalf("%d were served", served)
	}
	if bound := (20 + urgent + 10) * time.Second; lastUrgent > bound {
		t.Errorf("what is waited for was served after %v, not within %v", lastUrgent, bound)
	}
	if took, all := e.Now().Sub(noon), (records+urgent)*posts.every; took > all*11/10 {
		t.Errorf("all took %v instead of %v", took, all)
	}
	if e.ran > 6*(records+urgent) {
		t.Errorf("they came for their turn %d times in all", e.ran)
	}
}

// A record that became urgent leaves its place for a better one.
func TestPaceMovesWhoBecameUrgent(t *testing.T) {
	t.Parallel()
	e, p := newEngine()
	after := map[string]time.Duration{}
	for i := range 200 {
		who := fmt.Sprint(i)
		if err := p.turn(t.Context(), "c", posts, who, record); err != nil {
			after[who] = undelivered(t, err).After
		}
	}
	if after["199"] < 3*time.Minute {
		t.Fatalf("the last is asked back after %v", after["199"])
	}
	if u := undelivered(t, p.turn(t.Context(), "c", posts, "199", record)); u.After != after["199"] {
		t.Errorf("asking again moved it from %v to %v", after["199"], u.After)
	}
	_ = e.pass(t.Context(), 10*time.Second)
	if err := p.turn(t.Context(), "c", posts, "199", waitedFor); err != nil {
		if u := undelivered(t, err); u.After > 5*time.Second {
			t.Errorf("being urgent, it is asked back after %v", u.After)
		}
	}
}

// Those in line may be drawn by another replica, or by nobody any more; the line goes on without them.
func TestPaceForgetsWhoDoesNotComeBack(t *testing.T) {
	t.Parallel()
	e, p := newEngine()
	for i := range 50 {
		_ = p.turn(t.Context(), "c", posts, fmt.Sprint(i), waitedFor)
	}
	_ = e.pass(t.Context(), 10*time.Second)
	tries := 0
	e.later("new", 0)
	e.run(everything, func(who string) error { tries++; return p.turn(t.Context(), "c", posts, who, waitedFor) })
	if took := e.Now().Sub(noon); took > time.Minute || tries > 5 {
		t.Errorf("a newcomer waited for those who do not come until %v, with %d tries", took, tries)
	}
	_ = e.pass(t.Context(), 3*time.Minute)
	if q := &p.lanes["c"].queue; !q.empty(e.Now()) {
		t.Errorf("%d places are kept", len(q.waiting))
	}
}

func TestPaceHonoursAPause(t *testing.T) {
	t.Parallel()
	e, p := newEngine()
	_ = p.call("c", posts, func() error { return &failure{code: "ratelimited", after: 30 * time.Second, words: "slow"} })
	served := map[string]time.Duration{}
	for i := range 5 {
		e.later(fmt.Sprint(i), 0)
	}
	e.run(everything, func(who string) error {
		err := p.turn(t.Context(), "c", posts, who, waitedFor)
		if err == nil {
			served[who] = e.Now().Sub(noon)
		}
		return err
	})
	for who, at := range served {
		if at < 30*time.Second || at > 45*time.Second {
			t.Errorf("%s was served after %v, and Slack asked for 30s", who, at)
		}
	}
}

func TestPaceBoundsWhatItKeeps(t *testing.T) {
	t.Parallel()
	_, p := newEngine()
	for i := range mostWaiting + 100 {
		_ = p.turn(t.Context(), "c", posts, fmt.Sprint(i), record)
	}
	if n := len(p.lanes["c"].queue.waiting); n > mostWaiting {
		t.Errorf("%d places are kept", n)
	}
}
