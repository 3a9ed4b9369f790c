package approvals_test

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// What the policy was asked is kept with its answer, so that asking again gives the same, also when the policy has been
// replaced since and the world is another.
func TestFilingKeepsWhatThePolicyWasAsked(t *testing.T) {
	t.Parallel()
	o := setup(t)
	began := o.now().Add(-time.Minute)
	then := o.policy.Load()
	for _, who := range []string{"UANA", "UBO"} {
		o.asks(who, "read-only")
	}
	o.rules("version: 1\n")
	var kept []policy.Past
	if err := o.store.Past(t.Context(), began, func(page []policy.Past) error { kept = append(kept, page...); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 2 {
		t.Fatalf("%d are kept", len(kept))
	}
	for _, past := range kept {
		asked := past.Question.Request
		if !past.Kept || asked.User.Email == "" || asked.Target.Environment != "production" || asked.Duration != 30*time.Minute || asked.At.IsZero() {
			t.Errorf("kept %+v", asked)
		}
		if past.Question.Facts.History != nil {
			t.Error("the history is kept with every request")
		}
		again := then.Decide(asked, past.Question.Facts)
		if again.Outcome != past.Decision.Outcome || again.Rule != past.Decision.Rule || past.Decision.Policy != then.Hash() {
			t.Errorf("then %s by %q, now %s by %q", past.Decision.Outcome, past.Decision.Rule, again.Outcome, again.Rule)
		}
	}
}
