package approvals_test

import (
	"slices"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// TestMe holds what somebody is said to be able to ask for against what is decided when they do.
func TestMe(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.mu.Lock()
	o.people.shift["ana@example.com"] = time.Now().Add(time.Hour)
	o.people.mu.Unlock()
	me, err := o.Me(t.Context(), "ana")
	if err != nil {
		t.Fatal(err)
	}
	if me.Person.Name != "ana" || !slices.Equal(me.Groups, []string{"backend"}) || len(me.OnCall) != 1 || me.OnCall[0].Schedule != "payments" {
		t.Errorf("ana is %+v", me)
	}
	for _, profile := range []string{"read-only", "data-fix"} {
		i := slices.IndexFunc(me.Offers, func(offer approvals.Offer) bool { return offer.Profile == profile })
		d, err := o.Preview(t.Context(), approvals.Filing{By: "ana", Target: "orders-prod", Profile: profile})
		if err != nil {
			t.Fatal(err)
		}
		if (i >= 0) != (d.Outcome != policy.Denied) || i >= 0 && me.Offers[i].Decision.Outcome != d.Outcome {
			t.Errorf("%s is offered as %+v and decided as %s", profile, me.Offers, d.Outcome)
		}
	}
	sam, err := o.Me(t.Context(), "sam")
	if err != nil || len(sam.Offers) != 0 || len(sam.OnCall) != 0 || !slices.Equal(sam.Groups, []string{"security"}) {
		t.Errorf("sam is %+v (%v)", sam, err)
	}
}
