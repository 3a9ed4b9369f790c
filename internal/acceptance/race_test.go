package acceptance

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Promise 4: every transition happens once, whoever presses how often on which replica.

// together lets people act at the same moment.
func together(acts ...func()) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for _, act := range acts {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			act()
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// presses presses a button that is there and does not mind being refused.
func (w *world) presses(who, label, words string) func() {
	return func() {
		if err := w.Person(who).Clicks(label, sandbox.InMessage(), sandbox.With(words)).Err(); err != nil {
			w.t.Errorf("%s presses [%s] on %q: %v", who, label, words, err)
		}
	}
}

// twoReplicas is a world with two bots on one store, both connected to Slack.
func twoReplicas(t *testing.T, opts stage.Options) *world {
	t.Helper()
	w := newWorld(t, opts)
	w.Slack.AddPerson(sandbox.Person{Name: "dan", RealName: "Dan", Email: "dan@example.com"})
	w.Slack.Join(w.Conf.Approvals, "dan")
	w.Slack.Join(w.Conf.Audit, "dan")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 2 {
		if err := w.serve().WaitsForLog(ctx, "connected to slack"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestTwoApproversInTheSameMillisecond(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{})
	for round := range 8 {
		words := fmt.Sprintf("two approvers round %d.", round)
		id := w.asks("bo", "read-only", "1h", words)
		w.cardSays("dan", words, "[Approve]")
		w.cardSays("dora", words, "[Approve]")
		together(w.presses("dora", "Approve", words), w.presses("dan", "Approve", words))
		w.is("the request", w.request(id), "approved")
		w.is("approvals", w.store(`SELECT count(*) FROM approvals WHERE request_id = $1`, id), 1)
		w.is("approvals in the audit log", w.audited(id, "request.approved", false), 1)
		w.is("refused approvals in the audit log", w.audited(id, "request.approved", true), 1)
	}
	w.whole()
}

func TestDoubleClicksHaveOneEffect(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{})
	for round := range 4 {
		words := fmt.Sprintf("double clicks round %d.", round)
		id := w.asks("bo", "read-only", "1h", words)
		w.cardSays("dora", words, "[Approve]")
		w.Person("dora").DoubleClicks("Approve", sandbox.InMessage(), sandbox.With(words))
		w.is("approvals in the audit log", w.audited(id, "request.approved", false), 1)
		w.cardSays("bo", words, "[Get credentials]")
		w.Person("bo").ClosesAll()
		w.Person("bo").DoubleClicks("Get credentials", sandbox.InMessage(), sandbox.With(words))
		w.connect(w.credential("bo"))
		w.is("grants", w.store(`SELECT count(*) FROM grants WHERE request_id = $1`, id), 1)
		w.is("intents in the audit log", w.audited(id, "grant.intended", false), 1)
		w.is("logins issued, in the audit log", w.audited(id, "grant.issued", false), 1)
		w.eventually("shown once", func() (bool, error) { return w.audited(id, "grant.shown", false) == "1", nil })
		w.is("logins on the target", w.logins(), round+1)
		w.is("cards", w.cards(w.Conf.Approvals, id), 1)
	}
}

// Slack sends again what it is not sure about: the very same payload, perhaps to the other replica.
func TestRedeliveredEventsHaveOneEffect(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{})
	again := func() {
		together(func() { _ = w.Slack.Redeliver() }, func() { _ = w.Slack.Redeliver() })
	}
	words := "delivered again and again"
	id := w.asks("bo", "read-only", "1h", words)
	w.ok(w.Slack.Redeliver())
	again()
	w.is("requests", w.store(`SELECT count(*) FROM requests`), 1)
	w.is("requests in the audit log", w.store(`SELECT count(*) FROM audit_events WHERE kind = 'request.filed'`), 1)
	w.clicksOn("dora", "Approve", words)
	again()
	w.is("approvals in the audit log", w.audited(id, "request.approved", false), 1)
	url := w.takes("bo", words)
	again()
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 1)
	w.is("logins issued, in the audit log", w.audited(id, "grant.issued", false), 1)
	w.connect(url)
	w.is("cards", w.cards(w.Conf.Approvals, id), 1)
}

// Approve, Cancel and time running out, all at once, many times: the request ends in one state, and the audit log has
// exactly the steps that lead there.
func TestApproveCancelAndLapseAtOnce(t *testing.T) {
	t.Parallel()
	const lapse = 15 * time.Second // the cards have to be drawn before, on a machine that does much else
	w := newWorld(t, stage.Options{Environ: []string{"PRODACCESS_REQUESTS_LAPSE_AFTER=15s", "PRODACCESS_REQUESTS_ACTIVATE_WITHIN=1s"}})
	w.serve()
	w.serve()
	type one struct{ words, id string }
	var all []one
	var rounds sync.WaitGroup
	for i := range 12 {
		words := fmt.Sprintf("all at once round %d.", i)
		r := one{words, w.asks("bo", "read-only", "1h", words)}
		asked := time.Now()
		all = append(all, r)
		w.cardSays("dora", words, "[Approve]")
		w.cardSays("bo", words, "[Cancel]")
		rounds.Go(func() {
			// The moment moves over the rounds from a little before the request lapses to a little after.
			moment := time.NewTimer(time.Until(asked.Add(lapse - 200*time.Millisecond + time.Duration(i)*25*time.Millisecond)))
			defer moment.Stop()
			<-moment.C
			together(
				func() { w.Person("dora").ClicksStale("Approve", sandbox.InMessage(), sandbox.With(r.words)) },
				func() { w.Person("bo").ClicksStale("Cancel", sandbox.InMessage(), sandbox.With(r.words)) },
			)
		})
	}
	rounds.Wait()
	for _, r := range all {
		w.eventually("the request is over", func() (bool, error) {
			is := w.request(r.id)
			return is == "cancelled" || is == "lapsed", fmt.Errorf("it is %s", is)
		})
		steps := w.store(`SELECT string_agg(substr(kind, 9), ' ' ORDER BY id) FROM audit_events
			WHERE request_id = $1 AND NOT refused AND kind LIKE 'request.%'`, r.id)
		legal := map[string][]string{
			"cancelled": {"filed cancelled", "filed approved cancelled"},
			"lapsed":    {"filed lapsed", "filed approved lapsed"},
		}[w.request(r.id)]
		if steps != legal[0] && steps != legal[1] {
			t.Errorf("%s is %s after %q", r.words, w.request(r.id), steps)
		}
		w.cardSays("dora", r.words, map[string]string{"cancelled": "Cancelled", "lapsed": "Lapsed"}[w.request(r.id)])
	}
	w.whole()
}

// A hundred things at once from two replicas: one card each, and one digest for each instant.
func TestTwoReplicasPostEveryMessageOnce(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{Digest: "@every 5s"})
	var ids []string
	var mu sync.Mutex
	var acts []func()
	for i := range 10 {
		acts = append(acts, func() {
			words := fmt.Sprintf("at the same time %d.", i)
			if err := w.types("bo", "read-only", "1h", words).Err(); err != nil {
				t.Errorf("asking: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, words)
		})
	}
	together(acts...)
	for _, words := range ids {
		w.cardSays("dora", words, "Waiting for approval")
		w.cardSays("bo", words, "Waiting for approval")
		w.is("cards of "+words, w.cards(w.Conf.Approvals, w.requestOf(words)), 1)
	}
	w.eventually("three digests are posted", func() (bool, error) {
		n := w.saying(w.Conf.Audit, "prodaccess digest")
		return n >= 3, fmt.Errorf("%d", n)
	})
	seen := map[string]int{}
	for _, m := range w.Slack.Messages() {
		if m.Channel == w.Conf.Audit && strings.Contains(m.Text, "prodaccess digest") {
			// The period it covers says which one it is.
			seen[strings.Join(instants.FindAllString(m.Raw[0], 2), " ")]++
		}
	}
	for period, n := range seen {
		if n != 1 {
			t.Errorf("the digest of %s was posted %d times", period, n)
		}
	}
	w.is("different digests", len(seen), w.saying(w.Conf.Audit, "prodaccess digest"))
}

var instants = regexp.MustCompile(`date\^\d+`)

// Somebody who is angry, or a script, asks without end in two replicas: the channel that everybody reads gets as many cards as one
// person may have waiting, and no more until one is answered or cancelled.
func TestAskingWithoutEndFillsNoChannel(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{Environ: []string{"PRODACCESS_REQUESTS_MOST_PENDING=4"}})
	var acts []func()
	for i := range 16 {
		acts = append(acts, func() { w.types("bo", "read-only", "1h", fmt.Sprintf("without end %02d.", i)) })
	}
	together(acts...)
	w.is("requests", w.store(`SELECT count(*) FROM requests`), 4)
	w.is("refused ones in the audit log", w.store(`SELECT count(*) FROM audit_events WHERE kind = 'request.filed' AND refused AND detail ->> 'code' = 'too-many'`), 12)
	w.says(w.types("bo", "read-only", "1h", "one more"), "Press Cancel on what you do not need")
	words := w.store(`SELECT reason FROM requests ORDER BY reason LIMIT 1`)
	w.clicksOn("bo", "Cancel", words)
	w.ok(w.types("bo", "read-only", "1h", "one more"))
	w.cardSays("dora", "one more", "Waiting for approval")
	w.is("requests", w.store(`SELECT count(*) FROM requests`), 5)
	w.whole()
}
