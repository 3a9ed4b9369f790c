package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

// What is not allowed is offered in the form as something that is: a press fills the fields, keeps what was written and asks nobody.
func TestFormOffersWhatIsAllowedInstead(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.instead = []approvals.Alternative{
			{Target: "orders-prod", Profile: "read-only", Duration: 37 * time.Minute, Decision: policy.Decision{Outcome: policy.Approved}},
			{Target: "orders-prod", Profile: "not-on-the-menu", Duration: time.Hour, Decision: policy.Decision{Outcome: policy.Approved}},
			{Target: "billing-prod", Profile: "read-only", Duration: 30 * time.Minute, Decision: policy.Decision{Outcome: policy.Approved}},
		}
		w.service.decides(func(f approvals.Filing) policy.Decision {
			if f.Target == "orders-prod" && f.Profile == "data-fix" {
				return policy.Decision{Outcome: policy.Denied, Why: "Nobody fixes there."}
			}
			return later(f)
		})
		w.does(w.ana.Command("/prodaccess"))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
		w.does(w.ana.Fills(map[string]string{"Access": "data-fix"}))
		w.does(w.ana.Fills(map[string]string{"Reason": "checkout is failing"}))
		v := w.window(w.ana, "Nobody fixes there.")
		if !strings.Contains(v.Text, "What you can have instead") || !strings.Contains(v.Text, "[Choose read-only] [Choose billing-prod]") {
			w.Fatalf("the form offers nothing instead:\n%s", v.Text)
		}
		w.does(w.ana.Clicks("Choose read-only"))
		if v = w.window(w.ana, "Needs one of @dba"); strings.Contains(v.Text, "instead") {
			w.Errorf("what is allowed has something instead:\n%s", v.Text)
		}
		if n := len(w.wishes()); n != 0 {
			w.Errorf("a press asked for %d things", n)
		}
		w.does(w.ana.Submits(nil))
		r := w.service.cases["r1"].Request
		if r.Target != "orders-prod" || r.Profile != "read-only" || r.Duration != 37*time.Minute || r.Reason != "checkout is failing" {
			w.Errorf("%+v was asked for", r)
		}
	})
}

// What its writer can mend at a field is not a reason to offer something else.
func TestFormOffersNothingInsteadOfAReason(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	w.service.instead = []approvals.Alternative{{Target: "orders-prod", Profile: "read-only", Duration: time.Hour}}
	m, err := w.bot.menuFor(t.Context(), w.ana.ID())
	no(t, err)
	for field, offers := range map[string]bool{
		"": true, policy.FieldTarget: true, policy.FieldProfile: true, policy.FieldDuration: true, policy.FieldReason: false, policy.FieldTicket: false, policy.FieldStart: false,
	} {
		w.service.decides(func(approvals.Filing) policy.Decision { return policy.Decision{Outcome: policy.Denied, Field: field} })
		if got := w.bot.alternatives(t.Context(), w.ana.ID(), "test", m, wish{target: "orders-prod", profile: "data-fix", length: "2h"}); (len(got) > 0) != offers {
			t.Errorf("at %q it offers %d blocks", field, len(got))
		}
	}
}
