package approvals_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhoIsOnCall(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.people.shift["bo@example.com"] = o.now().Add(time.Hour)
	if emails, unknown := o.OnCall(t.Context(), "payments"); !slices.Equal(emails, []string{"bo@example.com"}) || unknown != "" {
		t.Errorf("on call are %v %q", emails, unknown)
	}
	if emails, unknown := o.OnCall(t.Context(), "billing"); len(emails) > 0 || !strings.Contains(unknown, "no schedule") {
		t.Errorf("for a schedule that the policy lacks: %v %q", emails, unknown)
	}
	o.people.pagerDown = true
	if emails, unknown := o.OnCall(t.Context(), "payments"); len(emails) > 0 || unknown == "" {
		t.Errorf("while PagerDuty is away: %v %q", emails, unknown)
	}
}
