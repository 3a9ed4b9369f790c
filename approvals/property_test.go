package approvals

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// narrower says which profiles give more than each: a chain, and one beside it.
var narrower = map[string][]string{
	"read-only": nil, "masked": {"read-only"}, "aggregates": {"read-only", "masked"}, "other": {"read-only"},
}

// TestMachineKeepsItsPromises throws random acts of random people at random requests at random times, and holds every step
// against the invariants of doc.go.
func TestMachineKeepsItsPromises(t *testing.T) {
	accepted := map[string]int{}
	lives := func(t *rapid.T) {
		c, now := drawCase(t), began
		for range rapid.IntRange(12, 50).Draw(t, "acts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds")) * time.Second)
			c = drawGrant(t, c, now)
			act := drawAct(t, c)
			before := deepCopy(c)
			next, err := Next(c, act, now)
			if !reflect.DeepEqual(before, c) {
				t.Fatalf("purity: %T changed the case it was given", act)
			}
			if _, closes := act.(CloseReview); closes && err != nil && heldByEarlier(c) {
				accepted["kept open by an earlier try"]++
			}
			if err != nil {
				if _, refused := errors.AsType[*Refusal](err); !refused && !errors.Is(err, ErrNoChange) {
					t.Fatalf("words: %T failed with %v", act, err)
				}
				if !reflect.DeepEqual(before, next) {
					t.Fatalf("refusals: %T was refused and changed the case", act)
				}
				continue
			}
			accepted[fmt.Sprintf("%T", act)]++
			for name, holds := range invariants {
				if wrong := holds(step{before, next, act, now}); wrong != "" {
					t.Fatalf("%s: %T by %v: %s", name, act, act, wrong)
				}
			}
			c = next
			if _, taken := act.(Activate); taken {
				c.Grant = &grants.Grant{State: grants.Provisioning, Deadline: now.Add(time.Hour)}
				c.Grants, c.Unsecured = c.Grants+1, c.Unsecured+1
			}
		}
	}
	for range 10 {
		rapid.Check(t, lives)
	}
	t.Log(accepted)
	if accepted["kept open by an earlier try"] == 0 {
		t.Error("no review was ever kept open by an earlier try: the test shows nothing about it")
	}
	for _, act := range []Act{
		Approve{}, Deny{}, Withdraw{}, Cancel{}, Activate{}, CloseReview{}, Remind{}, Escalate{}, Lapse{}, Reopen{}, LookAtReview{}, Begin{},
	} {
		if accepted[fmt.Sprintf("%T", act)] == 0 {
			t.Errorf("%T never happened: the test shows nothing about it", act)
		}
	}
}

var everybody = []string{"ana", "bo", "cy", "dee", "eve", "fay"}

// drawCase is a request of ana's that waits for people, or glass that she broke.
func drawCase(t *rapid.T) Case {
	if rapid.IntRange(0, 2).Draw(t, "glass") == 0 {
		c := broken()
		if rapid.Bool().Draw(t, "used") {
			c = used()
		}
		c.Request.Decision.Review.Remind = time.Duration(rapid.IntRange(0, 60).Draw(t, "review remind")) * time.Minute
		c.Request.Decision.Review.Escalate.After = time.Duration(rapid.IntRange(0, 120).Draw(t, "review escalate")) * time.Minute
		c.Review.DueAt = began.Add(time.Duration(rapid.IntRange(1, 240).Draw(t, "within")) * time.Minute)
		return c
	}
	var needed []policy.Requirement
	for i := range rapid.IntRange(1, 3).Draw(t, "requirements") {
		needed = append(needed, policy.Requirement{From: []string{fmt.Sprintf("group:g%d", i)}, Count: rapid.IntRange(1, 2).Draw(t, "count")})
	}
	c := pending(needed...)
	c.Request.Profile = "read-only"
	c.Request.LapsesAt = began.Add(3 * time.Hour)
	if rapid.IntRange(0, 2).Draw(t, "later") == 0 {
		c.Request.StartsAt = began.Add(time.Duration(rapid.IntRange(1, 240).Draw(t, "starts")) * time.Minute)
	}
	d := &c.Request.Decision
	d.InOrder = rapid.Bool().Draw(t, "in order")
	d.Waits.Remind = time.Duration(rapid.IntRange(0, 30).Draw(t, "remind")) * time.Minute
	for i := range rapid.IntRange(0, 2).Draw(t, "escalations") {
		d.Escalations = append(d.Escalations, policy.Escalation{After: time.Duration(20+15*i) * time.Minute, To: []string{"group:managers"}})
	}
	return c
}

// heldByEarlier says whether the latest try is over and one before it is not.
func heldByEarlier(c Case) bool { return c.Unsecured > 0 && c.Grant.State == grants.Revoked }

// drawGrant lets something happen to the grants: the latest is issued, shown, fails, ends; an earlier one is secured.
func drawGrant(t *rapid.T, c Case, now time.Time) Case {
	if c.Grant == nil {
		return c
	}
	g := *c.Grant
	switch rapid.IntRange(0, 5).Draw(t, "grant") {
	case 0:
		if g.State == grants.Provisioning {
			g.State, g.IssuedAt = grants.Active, now
		}
	case 1:
		if g.State == grants.Active {
			g.ShownAt = now
		}
	case 2:
		if g.Live() && g.ShownAt.IsZero() {
			g.State, g.Cause = grants.Revoking, grants.Failed
		}
	case 3:
		if g.Live() {
			g.State, g.Cause = grants.Revoking, grants.Expired
		}
	case 4:
		if g.State == grants.Revoking {
			g.State, g.SecuredAt = grants.Revoked, now
			c.Unsecured--
		}
	case 5:
		if c.Unsecured > 1 || heldByEarlier(c) {
			c.Unsecured--
		}
	}
	c.Grant = &g
	return c
}

func drawAct(t *rapid.T, c Case) Act {
	by := person(rapid.SampledFrom(everybody).Draw(t, "by"))
	if rapid.IntRange(0, 5).Draw(t, "another account") == 0 {
		by.ID += "-2" // of the same human: the address is the same
	}
	fills := []int{}
	if n := len(c.Request.Decision.Approvals); n > 0 {
		fills = rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, n, rapid.ID).Draw(t, "fills")
	}
	approve := Approve{By: by, Fills: fills, TakeWithin: 20 * time.Minute}
	if rapid.IntRange(0, 2).Draw(t, "less") == 0 {
		profile := rapid.SampledFrom([]string{"", "", "masked", "aggregates", "other", "read-only"}).Draw(t, "profile")
		approve.Less = &Less{time.Duration(rapid.IntRange(-1, 40).Draw(t, "minutes")) * time.Minute, profile}
		approve.Above = narrower[profile]
	}
	verdict := rapid.SampledFrom([]ReviewVerdict{Justified, NotJustified, Unused}).Draw(t, "verdict")
	note := rapid.SampledFrom([]string{"", " ", "looked", "looked"}).Draw(t, "note")
	closing := CloseReview{By: by, Reviewer: rapid.IntRange(0, 3).Draw(t, "reviewer") > 0, Verdict: verdict, Note: note}
	if rapid.Bool().Draw(t, "likely") {
		switch g := c.Grant; {
		case c.Request.State == Approved && !c.Request.Ready():
			return Begin{}
		case c.Request.State == Approved:
			return Activate{By: person("ana")}
		case g != nil && g.Cause == grants.Failed && c.Request.State == Activated:
			return Reopen{}
		case c.Review.Open():
			return closing
		}
	}
	return rapid.SampledFrom([]Act{
		approve, approve, approve, approve,
		Deny{By: by, Fills: fills, Reason: "no"},
		Withdraw{By: by},
		Withdraw{By: by},
		Cancel{By: by},
		Activate{By: by},
		closing,
		Remind{},
		Escalate{},
		Lapse{},
		Begin{},
		Reopen{},
		LookAtReview{},
	}).Draw(t, "act")
}

func deepCopy(c Case) Case {
	c.Approvals = slices.Clone(c.Approvals)
	for i := range c.Approvals {
		c.Approvals[i].Fills = slices.Clone(c.Approvals[i].Fills)
		if less := c.Approvals[i].Less; less != nil {
			copied := *less
			c.Approvals[i].Less = &copied
		}
	}
	if c.Request.Less != nil {
		less := *c.Request.Less
		c.Request.Less = &less
	}
	if c.Review != nil {
		review := *c.Review
		c.Review = &review
	}
	if c.Grant != nil {
		g := *c.Grant
		c.Grant = &g
	}
	return c
}
