package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// glassSection lets backend break glass for a short time; security reviews, and dan as well when it takes them too long.
const glassSection = `break_glass:
  who: [group:backend]
  profiles: [read-only]
  max_duration: 30m
  review_within: %s
  remind_every: %s
  reviewers: [group:security]
  escalate: { after: %s, to: [user:dan@example.com] }
operators:`

// stagesGlass is the section that the stage's policy has, for the demo.
const stagesGlass = "break_glass: { who: [oncall:payments, group:dba], profiles: [read-only, data-fix], max_duration: 30m, reviewers: [group:security] }\n"

// glass is a world in which glass may be broken, with two replicas and somebody more in the security channel.
func glass(t *testing.T, within, remind, escalate string) *world {
	t.Helper()
	w := newWorld(t, stage.Options{})
	w.policy(stagesGlass+"operators:", fmt.Sprintf(glassSection, within, remind, escalate))
	w.joins(sandbox.Person{Name: "dan"})
	w.Slack.Join(w.Conf.Security, "dan")
	w.serve()
	w.serve()
	return w
}

// breaks goes as far as the credential that follows from broken glass, and returns the request and the URL.
func (w *world) breaks(who, words string) (id, url string) {
	w.t.Helper()
	w.Person(who).ClosesAll()
	w.ok(w.Person(who).Command("/prodaccess break-glass orders-prod read-only INC-123 " + words))
	w.window(who, "What will happen")
	w.is("requests before the window was sent", w.store(`SELECT count(*) FROM requests WHERE reason = $1`, words), 0)
	w.ok(w.Person(who).Submits(nil))
	url = w.credential(who)
	return w.requestOf(words), url
}

func TestBrokenGlassIsReviewed(t *testing.T) {
	t.Parallel()
	w := glass(t, "24h", "6h", "12h")
	const words = "checkout is down and nobody answers"
	id, url := w.breaks("ana", words)
	conn := w.connect(url)
	if _, err := conn.Exec(t.Context(), `SELECT count(*) FROM orders`); err != nil {
		t.Errorf("broken glass gives no access: %v", err)
	}
	w.cardSays("sam", words, "Glass broken", "ana@example.com", "approved by nobody")
	w.is("answers", w.store(`SELECT count(*) FROM approvals WHERE request_id = $1`, id), 0)
	w.is("broken glass in the audit log", w.audited(id, "glass.broken", false), 1)

	// Until it is reviewed there is no more for ana, and nothing to close while she is in.
	w.says(w.Person("ana").Command("/prodaccess break-glass orders-prod read-only and once more"), "not reviewed yet")
	w.clicksOn("sam", "Revoke", words)
	w.submits("sam", "Revoke", map[string]string{"Reason": "that is enough"})
	w.eventually("the session is closed", func() (bool, error) { return conn.Ping(t.Context()) != nil, nil })
	w.refusedLogin("the login of broken glass", url)
	w.clicksOn("sam", "Not justified…", words)
	w.submits("sam", "Timeline", map[string]string{"Note": "the runbook says how to do without"})
	w.cardSays("sam", words, "not justified", "the runbook says how to do without")
	w.is("the review", w.store(`SELECT verdict || ' by ' || closed_by_email FROM reviews WHERE request_id = $1`, id), "not-justified by sam@example.com")
	w.is("closed reviews in the audit log", w.audited(id, "review.closed", false), 1)
	w.breaks("ana", "it is down again")
	w.whole()
}

// Nobody looks: it is said again and again, others are told, and they may close it.
func TestAReviewThatNobodyCloses(t *testing.T) {
	t.Parallel()
	w := glass(t, "6s", "2s", "3s")
	const words = "broken and forgotten"
	id, _ := w.breaks("bo", words)
	w.Person("bo").ClosesAll()
	w.clicksOn("bo", "Release", words)
	w.eventually("the review escalates and becomes overdue", func() (bool, error) {
		return w.audited(id, "review.escalated", false) == "1" &&
			w.store(`SELECT count(*) > 0 FROM audit_events WHERE request_id = $1 AND kind = 'review.reminded' AND detail ->> 'overdue' = 'yes'`, id) == "true", nil
	})
	w.cardSays("dan", words, "OVERDUE", "dan@example.com", "[Justified…]")
	w.clicksOn("dan", "Justified…", words)
	w.submits("dan", "Timeline", map[string]string{"Note": "read the orders of the last hour, nothing else"})
	w.eventually("the review is closed", func() (bool, error) { return w.audited(id, "review.closed", false) == "1", nil })
	reminded := w.audited(id, "review.reminded", false)
	w.eventually("what was to remind of it has come", func() (bool, error) {
		return w.store(`SELECT count(*) FROM river_job WHERE args ->> 'work' = 'review' AND args ->> 'subject' = $1
			AND state NOT IN ('completed', 'cancelled', 'discarded')`, id) == "0", nil
	})
	w.is("reminders after it was closed", w.audited(id, "review.reminded", false), reminded)
	w.whole()
}

// Two windows at the same instant, on two replicas: the glass of one person breaks once.
func TestGlassBreaksOnce(t *testing.T) {
	t.Parallel()
	w := glass(t, "24h", "6h", "12h")
	broken := 0
	for round := range 2 {
		var open [2]func()
		for i := range open {
			words := fmt.Sprintf("round %d window %d.", round, i)
			w.ok(w.Person([]string{"ana", "bo"}[i]).Command("/prodaccess break-glass orders-prod read-only " + words))
			w.window([]string{"ana", "bo"}[i], "What will happen")
			open[i] = func() { w.Person([]string{"ana", "bo"}[i]).Submits(nil) }
		}
		together(open[0], func() { _ = w.Slack.Redeliver() }, open[1])
		for _, who := range []string{"ana", "bo"} {
			w.credential(who)
			w.Person(who).ClosesAll()
		}
		broken += 2
		w.is("broken glass", w.store(`SELECT count(*) FROM requests WHERE break_glass`), broken)
		w.is("open reviews", w.store(`SELECT count(*) FROM reviews WHERE closed_at IS NULL`), 2)
		for i, who := range []string{"ana", "bo"} {
			words := fmt.Sprintf("round %d window %d.", round, i)
			w.clicksOn(who, "Release", words)
			w.clicksOn("sam", "Justified…", words)
			w.submits("sam", "Timeline", map[string]string{"Note": "looked"})
			w.eventually("closed", func() (bool, error) {
				return strings.HasPrefix(w.store(`SELECT coalesce(verdict, '') FROM reviews WHERE request_id = $1`, w.requestOf(words)), "justified"), nil
			})
		}
	}
	w.whole()
}
