package approvals_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// A group that was renamed or taken away since must not keep a review open for ever.
func TestAReviewOutlivesTheGroupThatWasToCloseIt(t *testing.T) {
	o := setup(t)
	o.rules(boundsPolicy)
	c := o.takes("ana", o.breaks("ana"))
	if _, err := o.Release(t.Context(), press("ana", c)); err != nil {
		t.Fatal(err)
	}
	o.secured(c)
	o.rules(strings.ReplaceAll(strings.ReplaceAll(boundsPolicy, "group:dba", "group:databases"), "  dba:", "  databases:") +
		"operators: [user:sam@example.com]\n")
	_, err := o.CloseReview(t.Context(), press("cy", c), approvals.Justified, "looked")
	if refusal := refusedWith(t, err, approvals.NotReviewer); !strings.Contains(refusal.Words, "no longer defines @dba") ||
		!strings.Contains(refusal.Words, "@databases or sam@example.com") {
		t.Error(refusal.Words)
	}
	for _, who := range []string{"dora", "sam"} {
		if mine, err := o.Reviewable(t.Context(), who); err != nil || len(mine) != 1 {
			t.Errorf("%s is to review %d: %v", who, len(mine), err)
		}
	}
	if _, err := o.CloseReview(t.Context(), press("sam", c), approvals.Justified, "looked"); err != nil {
		t.Errorf("an operator: %v", err)
	}
	again := o.takes("ana", o.breaks("ana"))
	o.rules(boundsPolicy)
	if _, err := o.Release(t.Context(), press("ana", again)); err != nil {
		t.Fatal(err)
	}
	o.secured(again)
	if _, err := o.CloseReview(t.Context(), press("dora", again), approvals.Justified, "looked"); err != nil {
		t.Errorf("a reviewer by the policy in force: %v", err)
	}
}

// The binary of before ends a request of broken glass and knows no review.
func TestTheReviewOfARequestThatAnEarlierVersionEndedClosesByItself(t *testing.T) {
	for _, state := range []approvals.State{approvals.Lapsed, approvals.Cancelled} {
		o := setup(t)
		o.rules(boundsPolicy)
		c := o.breaks("ana")
		by := "NULL"
		if state == approvals.Cancelled {
			by = "requester_id"
		}
		query[string](o, `UPDATE requests SET state = $2, ended_at = now(), version = version + 1,
			ended_by_id = `+by+`, ended_by_name = `+strings.Replace(by, "_id", "_name", 1)+`, ended_by_email = `+
			strings.Replace(by, "_id", "_email", 1)+`, ended_by_zone = `+strings.Replace(by, "_id", "_zone", 1)+` WHERE id = $1 RETURNING id`, c.Request.ID, string(state))
		if err := o.Review(t.Context(), c.Request.ID); err != nil {
			t.Fatal(err)
		}
		if got := o.reads(c); got.Review.Open() || got.Review.Verdict != approvals.Unused {
			t.Errorf("%s: %+v", state, got.Review)
		}
		if o.records(audit.ReviewClosed, c.Request.ID, false) != 1 || o.records(audit.ReviewReminded, c.Request.ID, false) != 0 {
			t.Errorf("%s: recorded otherwise", state)
		}
		if _, err := o.BreakGlass(t.Context(), o.wish("ana", "read-only")); err != nil {
			t.Errorf("%s: again: %v", state, err)
		}
	}
}

// A worker whose clock is behind comes again when the time has come, however far behind it is.
func TestAJobThatComesEarlyComesAgain(t *testing.T) {
	o := setup(t)
	o.rules(boundsPolicy)
	c := o.breaks("ana")
	for what, job := range map[string]struct {
		run func() error
		due time.Time
	}{
		"lapse":  {func() error { return o.Lapse(t.Context(), c.Request.ID) }, c.Request.LapsesAt},
		"review": {func() error { return o.Review(t.Context(), c.Request.ID) }, o.waiting(jobs.Review, c.Request.ID)[0]},
	} {
		for _, before := range []time.Duration{20 * time.Second, 10 * time.Minute} {
			o.ahead.Store(int64(time.Until(job.due) - before))
			early, ok := errors.AsType[*approvals.Early](job.run())
			if !ok || (early.After-before).Abs() > 5*time.Second {
				t.Errorf("%s, %s early: %v", what, before, early)
			}
		}
	}
}

// Where Slack does not say who is in a group, whoever wants to revoke is told that, and not that they may not.
func TestRevokingWhileSlackDoesNotAnswer(t *testing.T) {
	o := setup(t)
	o.rules(strings.Replace(twoAgree(), "dba: { emails:", "dba: { slack_usergroup: S0DBA, emails:", 1))
	c := o.takes("ana", o.narrowed("one-table", ""))
	o.people.unknown = "Slack did not answer"
	_, err := o.Revoke(t.Context(), press("cy", c), "no need")
	if refusal := refusedWith(t, err, approvals.NotApprover); !strings.Contains(refusal.Words, "Slack did not answer") {
		t.Error(refusal.Words)
	}
	o.people.unknown = ""
	_, err = o.Revoke(t.Context(), press("cy", c), "no need")
	if refusal := refusedWith(t, err, approvals.NotApprover); !strings.Contains(refusal.Words, "Only those") {
		t.Error(refusal.Words)
	}
}

// A try that failed may have left a login behind, and nobody knows that it is gone. That another try is over is no reason to
// say that the access is.
func TestAReviewWaitsForEarlierTries(t *testing.T) {
	o := setup(t)
	o.rules(boundsPolicy)
	broken := o.breaks("ana")
	failed, err := o.Activate(t.Context(), press("ana", broken))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Abandon(t.Context(), failed.Grant.ID, "the window did not open"); err != nil {
		t.Fatal(err)
	}
	if err := o.Reopen(t.Context(), broken.Request.ID); err != nil {
		t.Fatal(err)
	}
	c := o.takes("ana", broken)
	if c.Grant.ID == failed.Grant.ID || c.Unsecured != 2 {
		t.Fatalf("%d logins may be there after the second try", c.Unsecured)
	}
	if _, err := o.Release(t.Context(), press("ana", c)); err != nil {
		t.Fatal(err)
	}
	o.secured(c)
	_, err = o.CloseReview(t.Context(), press("dora", c), approvals.Justified, "looked")
	if refusal := refusedWith(t, err, approvals.TooEarly); !strings.Contains(refusal.Words, "An earlier try") || !strings.Contains(refusal.Words, c.Request.Target) {
		t.Error(refusal.Words)
	}
	if o.records(audit.ReviewClosed, c.Request.ID, true) != 1 {
		t.Error("the attempt is not recorded")
	}
	o.secured(failed)
	if _, err := o.CloseReview(t.Context(), press("dora", c), approvals.Justified, "looked"); err != nil {
		t.Error(err)
	}
}

// Those who are called to a review are those who may close it: whom the decision names, as long as the policy still defines
// them, and whom the policy in force names.
func TestReviewersOfANewerPolicyAreCalledToo(t *testing.T) {
	o := setup(t)
	o.rules(boundsPolicy)
	c := o.breaks("ana")
	renamed := strings.ReplaceAll(strings.ReplaceAll(boundsPolicy, "group:dba", "group:databases"), "  dba:", "  databases:")
	shattered, _, _ := strings.Cut(renamed, "break_glass:")
	const operators = "operators: [user:sam@example.com]\n"
	for what, want := range map[string]struct{ source, words string }{
		"as it was":              {boundsPolicy, "@dba"},
		"more":                   {strings.Replace(boundsPolicy, "reviewers: [group:dba]", "reviewers: [user:max@example.com, group:dba]", 1), "@dba or max@example.com"},
		"others":                 {strings.Replace(boundsPolicy, "reviewers: [group:dba]", "reviewers: [user:max@example.com]", 1), "@dba or max@example.com"},
		"renamed":                {renamed + operators, "@databases"},
		"nobody but an operator": {shattered + operators, "sam@example.com"},
	} {
		o.rules(want.source)
		read := o.reads(c)
		if read.Reviewers() != want.words || len(read.ReviewedBy()) != strings.Count(want.words, " or ")+1 {
			t.Errorf("%s: %q, want %q", what, read.Reviewers(), want.words)
		}
		open, err := o.Cases(t.Context(), approvals.Query{OpenReviews: true})
		if err != nil || len(open) != 1 || open[0].Reviewers() != want.words {
			t.Errorf("%s: listed with %v, %v", what, open, err)
		}
		for _, next := range read.Upcoming(o.now()) {
			if next.What == approvals.ReviewDue && approvals.Selectors(next.Who) != want.words {
				t.Errorf("%s: when it is due, %v are told", what, next.Who)
			}
		}
		_, err = o.BreakGlass(t.Context(), o.wish("ana", "read-only"))
		if refusal, ok := errors.AsType[*approvals.Refusal](err); what != "nobody but an operator" && (!ok || !strings.Contains(refusal.Words, "It takes somebody of "+want.words+".")) {
			t.Errorf("%s: breaking glass again: %v", what, err)
		}
	}
	o.rules(strings.Replace(boundsPolicy, "reviewers: [group:dba]", "reviewers: [user:max@example.com, group:dba]", 1))
	_, err := o.CloseReview(t.Context(), press("cy", c), approvals.Justified, "looked")
	if refusal := refusedWith(t, err, approvals.NotReviewer); !strings.Contains(refusal.Words, "@dba or max@example.com") {
		t.Error(refusal.Words)
	}
}
