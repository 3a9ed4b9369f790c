package bot

import (
	"container/heap"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/sandbox"
)

// TestBacklog files a hundred requests a second for some seconds, of which many are decided long before Slack takes their cards, with
// Slack's own limits on a clock that does not wait. Nobody waits for what is not theirs, every card catches up at Slack's pace
// and is drawn as it is then, and Slack never has to say that it is too much.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const requests, people, perSecond = 160, 40, 100
	e, p := newEngine()
	w := quiet(t, sandbox.Options{Now: e.Now, Scopes: appScopes})
	w.service.changed = func(string) {}
	w.bot.now, w.bot.pace = e.Now, p
	var ids []string
	for i := range people {
		ids = append(ids, w.ws.AddPerson(sandbox.Person{Name: fmt.Sprintf("p%02d", i)}).ID())
	}
	posted, changed := map[string]time.Duration{}, map[string]int{}
	t.Cleanup(w.ws.OnDrawn(func(d sandbox.Drawn) {
		payload, _ := d.Metadata["event_payload"].(map[string]any)
		key := fmt.Sprint(payload["key"])
		if d.Version == 1 {
			posted[key] = e.Now().Sub(noon)
		} else {
			changed[key]++
		}
	}))

	states := writings["ordinary"].states()
	// Every second request is answered two seconds later, and of those every second one is taken and used and over after a minute.
	lives := [][]string{{"pending"}, {"pending", "denied-by-person"}, {"pending", "cancelled"}, {"pending", "approved", "active", "over-expired"}}
	when := []time.Duration{0, 2 * time.Second, 20 * time.Second, 70 * time.Second}
	age := make([]int, requests)
	filed := func(i int) time.Duration { return time.Duration(i) * time.Second / perSecond }
	for i := range requests {
		for step := range lives[i%len(lives)] {
			heap.Push(&e.due, due{noon.Add(filed(i) + when[step]), fmt.Sprintf("step %d", i)})
		}
	}
	draws := 0
	e.run(everything, func(what string) error {
		if number, step := strings.CutPrefix(what, "step "); step {
			var i int
			_, _ = fmt.Sscanf(number, "%d", &i)
			c := states[lives[i%len(lives)][age[i]]]
			age[i]++
			c.Request.ID, c.Request.Version = fmt.Sprintf("r%03d", i), int64(age[i])
			c.Request.Requester = approvals.Person{ID: ids[i%people], Name: "Somebody", Email: "somebody@example.com"}
			c.Request.Reason = fmt.Sprintf("backlog-%03d", i)
			if c.Grant != nil {
				g := *c.Grant
				g.ID, g.Deadline = "g"+c.Request.ID, e.Now().Add(time.Hour)
				if g.State == grants.Revoked {
					g.Deadline = e.Now()
				}
				c.Grant = &g
			}
			w.service.put(c)
			heap.Push(&e.due, due{e.Now(), c.Request.ID})
			return nil
		}
		draws++
		err := w.bot.Draw(t.Context(), what)
		if err == nil {
			return nil
		}
		if u := undelivered(t, err); u.Permanent {
			t.Fatalf("%s was given up: %v", what, err)
		}
		return err
	})

	calls := map[string]int{}
	for _, said := range w.ws.Traffic() {
		if said.Kind != "answer" {
			continue
		}
		calls[said.Name]++
		if said.Status == http.StatusTooManyRequests {
			t.Fatalf("Slack refused %s for the rate", said.Name)
		}
	}
	for _, needless := range []string{"conversations.open", "conversations.history"} {
		if calls[needless] > 0 {
			t.Errorf("%d calls of %s, with nothing to look for", calls[needless], needless)
		}
	}
	var last time.Duration
	for i := range requests {
		id, life := fmt.Sprintf("r%03d", i), lives[i%len(lives)]
		card, own := posted[cardKey(id)], posted[noticeKey(id)]
		if own-filed(i) > 20*time.Second {
			t.Errorf("the requester of %s has their copy after %v", id, own-filed(i))
		}
		last = max(last, card)
		// A card that was posted after the last change of its request was drawn once.
		if decided := filed(i) + when[len(life)-1] + patience; card > decided && changed[cardKey(id)] > 0 {
			t.Errorf("the card of %s was posted at %v, decided at %v, and changed %d times", id, card, decided, changed[cardKey(id)])
		}
	}
	w.areTrue(requests, "backlog-%03d", e.Now())
	if slack := requests * posts.every; last > slack*12/10 {
		t.Errorf("the last card was there after %v, and Slack takes them in %v", last, slack)
	}
	jobs := 0
	for _, n := range age {
		jobs += n
	}
	if draws > 8*jobs {
		t.Errorf("%d drawings for %d changes", draws, jobs)
	}
	t.Logf("%d changes, %d drawings, %v", jobs, draws, calls)
}

// areTrue checks that every request is shown once in the channel and once to its requester, and as it is now.
func (w *world) areTrue(requests int, reason string, now time.Time) {
	w.Helper()
	said := map[string][]sandbox.Message{}
	for _, m := range w.ws.Messages() {
		for i := range requests {
			if words := fmt.Sprintf(reason, i); !m.Deleted && strings.Contains(m.Text, words) {
				said[words] = append(said[words], m)
				break
			}
		}
	}
	for i := range requests {
		c, err := w.service.Case(w.Context(), fmt.Sprintf("r%03d", i))
		no(w.T, err)
		words, head := fmt.Sprintf(reason, i), stands(c, now).head
		if m := said[words]; len(m) != 2 || m[0].Channel == m[1].Channel {
			w.Errorf("%s is shown %d times, not once in the channel and once to its requester", words, len(m))
		}
		for _, m := range said[words] {
			if !strings.Contains(m.Text, head) {
				w.Errorf("%s in %s does not say %q:\n%s", words, m.ChannelName, head, m.Text)
			}
		}
	}
}
