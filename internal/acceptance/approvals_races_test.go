package acceptance

import (
	"fmt"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// stale presses a button from a screen that is behind, and does not mind being refused.
func (w *world) stale(who, label, words string) func() {
	return func() { w.Person(who).ClicksStale(label, sandbox.InMessage(), sandbox.With(words)) }
}

// The last yes, the first one taken back, a cancellation and a new policy, at the same instant on two replicas: either both
// yeses stand and it is approved, or it is not, and the audit log says how it came about.
func TestTheLastYesAndTheFirstTakenBack(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{})
	text := w.policyText()
	outcomes := map[string]int{}
	for round := range 8 {
		words := fmt.Sprintf("last yes, round %d.", round)
		id := w.asks("bo", "data-fix", "1h", words)
		w.clicksOn("dora", "Approve", words)
		w.cardSays("dora", words, "[Withdraw my approval]")
		w.cardSays("sam", words, "[Approve]")
		acts := []func(){
			w.stale("sam", "Approve", words), w.stale("dora", "Withdraw my approval", words), w.stale("dan", "Approve", words),
			func() { w.saves("policy.yaml", fmt.Sprintf("%s# round %d\n", text, round)) },
		}
		if round%4 == 3 {
			acts = append(acts, w.stale("bo", "Cancel", words))
		}
		together(acts...)
		state := w.request(id)
		outcomes[state]++
		standing := w.store(`SELECT count(*) FROM approvals WHERE request_id = $1 AND verdict = 'yes' AND withdrawn_at IS NULL`, id)
		withdrawn := w.store(`SELECT count(*) FROM approvals WHERE request_id = $1 AND withdrawn_at IS NOT NULL`, id)
		if state == "approved" && standing != "2" {
			t.Errorf("round %d: approved with %s standing yeses", round, standing)
		}
		w.is("withdrawals in the audit log", w.audited(id, "request.withdrawn", false), withdrawn)
		w.is("yeses in the audit log", w.audited(id, "request.approved", false),
			w.store(`SELECT count(*) FROM approvals WHERE request_id = $1 AND verdict = 'yes'`, id))
		w.is("last yeses in the audit log", w.store(`SELECT count(*) FROM audit_events WHERE request_id = $1 AND kind = 'request.approved'
			AND NOT refused AND detail ->> 'quorum' = 'met'`, id), w.store(`SELECT count(*) FROM requests WHERE id = $1 AND approved_at IS NOT NULL`, id))
		if state == "pending" {
			w.stale("bo", "Cancel", words)()
			w.is("a request that is still pending", w.request(id), "cancelled")
		}
		w.is("cards", w.cards(w.Conf.Approvals, id), 1)
	}
	t.Log(outcomes)
	w.whole()
}
