package bot

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Who somebody is may not be known for a moment. What is their own is shown meanwhile, and nothing of what there is.
func TestWhileSlackDoesNotSayWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command(askLine))
	w.service.failing("Known", refusal(approvals.NotKnown, "Slack did not say who you are (ratelimited). Try again in a moment."))
	for line, says := range map[string][2]string{ // what it says, and what it must not
		"help":                 {"TARGET PROFILE 30m", "orders-prod"},
		"list":                 {"Slack did not say who you are", "billing-prod"},
		"order-prod read-only": {"Slack did not say who you are", "orders-prod"},
		"status":               {"Slack did not say who you are", "list"},
		"release":              {"You have no access now.", "orders-prod"},
	} {
		r := w.does(w.ana.Command("/prodaccess " + line))
		if !strings.Contains(r.Text, says[0]) || strings.Contains(r.Text, says[1]) {
			t.Errorf("%q is answered with %q", line, r.Text)
		}
	}
	if r := w.does(w.ana.Command("/prodaccess list")); !strings.Contains(r.Text, "Waiting for approval") {
		t.Errorf("one's own request is missing: %q", r.Text)
	}
}
