package approvals_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
)

// TestExtendableSaysWhatExtendWouldDo looks first and then acts: what is promised is given, and not a second more.
func TestExtendableSaysWhatExtendWouldDo(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.people.shift["ana@example.com"] = o.now().Add(8 * time.Hour)
	c := o.takes("ana", o.asks("ana", "read-only"))
	look := func() (time.Duration, string) {
		t.Helper()
		c = o.reads(c)
		most, why, err := o.Extendable(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return most, why
	}
	most, why := look()
	if most <= 0 || why != "" {
		t.Fatalf("extendable by %s, %q", most, why)
	}
	if _, err := o.Extend(t.Context(), press("ana", c), most+time.Minute); err == nil {
		t.Errorf("extended by more than the %s that are possible", most)
	}
	if _, err := o.Extend(t.Context(), press("ana", c), most); err != nil {
		t.Errorf("not extended by %s: %v", most, err)
	}
	if most, why = look(); most > 0 || why == "" {
		t.Errorf("after all of it, extendable by %s, %q", most, why)
	}

	// A shift that ends bounds it.
	o.people.shift["bo@example.com"] = o.now().Add(40 * time.Minute)
	c = o.takes("bo", o.asks("bo", "read-only"))
	if most, _ = look(); most > 11*time.Minute || most < time.Minute {
		t.Errorf("extendable by %s, ten minutes before the shift ends", most)
	}
	o.people.pagerDown = true
	if most, why = look(); most > 0 || !strings.Contains(why, "PagerDuty did not answer") {
		t.Errorf("while PagerDuty is away: %s, %q", most, why)
	}
	if n := o.records(audit.GrantExtended, c.Request.ID, true); n != 0 {
		t.Errorf("looking left %d records", n)
	}
	if most, why, _ := o.Extendable(t.Context(), approvals.Case{}); most > 0 || why == "" {
		t.Errorf("what nobody took is extendable by %s, %q", most, why)
	}
}

func TestMayRevoke(t *testing.T) {
	t.Parallel()
	o := setup(t)
	c := o.asks("ana", "read-only")
	refusedWith(t, o.MayRevoke(t.Context(), press("dora", c)), approvals.AlreadyOver)
	o.approves("dora", c)
	c = o.takes("ana", c)
	for _, who := range []string{"dora", "sam"} {
		if err := o.MayRevoke(t.Context(), press(who, c)); err != nil {
			t.Errorf("%s may not revoke: %v", who, err)
		}
	}
	refusedWith(t, o.MayRevoke(t.Context(), press("eve", c)), approvals.NotApprover)
	if n := o.records(audit.GrantEnding, c.Request.ID, true); n != 2 {
		t.Errorf("%d of two refused attempts are recorded", n)
	}
	if !o.reads(c).Grant.Live() {
		t.Error("looking revoked")
	}
}
