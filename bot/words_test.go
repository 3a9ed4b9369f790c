package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

func TestLateness(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		late  time.Duration
		early bool
		cause grants.Cause
		want  string
	}{
		{"at once", 9 * time.Millisecond, false, grants.Expired, "Locked 9 ms after its deadline."},
		{"to the millisecond", 300 * time.Microsecond, false, grants.Expired, "Locked at the moment of its deadline."},
		{"a clock behind ours", -2 * time.Millisecond, false, grants.Expired, "Locked at the moment of its deadline."},
		{"seconds", 1240 * time.Millisecond, false, grants.Expired, "Locked 1.2 s after its deadline."},
		{"the target was down", 3 * time.Minute, false, grants.Expired, "Locked 3m after its deadline."},
		{"released", 5 * time.Millisecond, true, grants.Released, "Locked 5 ms after Release."},
		{"revoked", 5 * time.Millisecond, true, grants.Withdrawn, "Locked 5 ms after Revoke."},
		{"failed", 5 * time.Millisecond, true, grants.Failed, "Locked 5 ms after it was given up."},
	} {
		g := grants.Grant{Cause: test.cause, Deadline: noon, EndingAt: noon.Add(time.Millisecond), Receipt: &grants.Receipt{LockedAt: noon.Add(test.late)}}
		if test.early {
			g.Deadline, g.EndingAt = noon.Add(time.Hour), noon
		}
		if got := lateness(g); got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
	for name, r := range map[string]grants.Receipt{"never locked": {}, "never existed": {LockedAt: noon, NeverExisted: true}} {
		if got := lateness(grants.Grant{Deadline: noon, Receipt: &r}); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A receipt that is begun, while a login is not locked out on every node or not dropped yet, is no proof to judge by.
func TestAReviewerReadsNoReceiptBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for _, state := range []grants.State{grants.Revoking, grants.Cleanup, grants.Revoked} {
		g := grants.Grant{State: state, Login: "pa_ana_1", Receipt: &grants.Receipt{Killed: 1, LockedAt: noon, VerifiedAt: noon}}
		words := doneWords(approvals.Case{Grant: &g}, nil)
		if said := strings.Contains(words, "the login is gone"); said != (state == grants.Revoked) {
			t.Errorf("%s: %s", state, words)
		}
	}
}

func TestChecksAreSaidOnce(t *testing.T) {
	t.Parallel()
	gone, session := grants.Check{What: "no role is named pa_ana", OK: true}, grants.Check{What: "no session on a", OK: true}
	got := checked([]grants.Check{session, gone, session, {What: "nobody was made a member"}, {What: "no session on a"}})
	want := []string{
		"⚠️ did not hold: nobody was made a member", "⚠️ did not hold: no session on a", "✓ no session on a (looked 2 times)", "✓ no role is named pa_ana",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyNamesTheRuleOnce(t *testing.T) {
	t.Parallel()
	for why, want := range map[string]int{`Approved at once by the rule "say \"it\" once": on call.`: 1, "ana is in group backend.": 1} {
		got := said(policy.Decision{Why: why, Rule: `say "it" once`})
		if n := strings.Count(strings.ReplaceAll(got, `\`, ""), `say "it" once`); n != want {
			t.Errorf("the rule is named %d times in %q", n, got)
		}
	}
}

// TestDigestLeavesOutNothingness reads digests of quiet days.
func TestDigestLeavesOutNothingness(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	read := func(d audit.Digest) string {
		d.From, d.To, d.Head = noon.Add(-24*time.Hour), noon, audit.Head{Seq: 7, Hash: "abc"}
		_, read, _ := strings.Cut(w.posted(digestMessage(d)), "\n") // the text before it is one line of everything
		return read
	}
	quietDay := read(audit.Digest{})
	for _, want := range []string{"Nothing was asked and nothing is live.", "Nothing is overdue.", "head `7:abc`"} {
		if !strings.Contains(quietDay, want) {
			t.Errorf("the quiet digest lacks %q:\n%s", want, quietDay)
		}
	}
	if strings.Contains(quietDay, "proof") {
		t.Errorf("the quiet digest speaks of what was not written off:\n%s", quietDay)
	}
	busy := read(audit.Digest{Asked: 2, ApprovedByPeople: 2, MedianAnswer: 300 * time.Millisecond, Waiting: 1})
	for _, want := range []string{"*Asked* 2\n2 by people, answered within a second at the median", "*Now* 1\nwaiting for an answer; none live"} {
		if !strings.Contains(busy, want) {
			t.Errorf("the digest lacks %q:\n%s", want, busy)
		}
	}
	booked := read(audit.Digest{Later: 1, NextStart: noon.Add(time.Hour)})
	if want := "*Starts later* 1\napproved; the next starts 2 Mar 13:00 UTC"; !strings.Contains(booked, want) {
		t.Errorf("the digest lacks %q:\n%s", want, booked)
	}
	for _, zero := range []string{" 0 ", " 0\n", "0s", "Starts later", "Refused", "Issued", "Ended", "Not taken up"} {
		if strings.Contains(quietDay, zero) || strings.Contains(busy, zero) {
			t.Errorf("a digest says %q:\n%s\n%s", zero, quietDay, busy)
		}
	}
}

// TestOutlookSaysItOnce reads what the policy's own sentences become before anything is filed.
func TestOutlookSaysItOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		decision policy.Decision
		want     string
	}{
		{
			policy.Decision{
				Outcome: policy.NeedsApproval, Rule: "a second pair of eyes", Why: `Needs 1 approval from group dba (rule "a second pair of eyes").`,
				Approvals: []policy.Requirement{{From: []string{"group:dba"}, Count: 1}},
			},
			"⏳ *Needs one of @dba* (rule “a second pair of eyes”).",
		},
		{
			policy.Decision{Outcome: policy.Approved, Rule: "on call", Why: `Approved at once by the rule "on call": ana is on call.`},
			`✅ *Approved at once* by the rule "on call": ana is on call.`,
		},
		{policy.Decision{Outcome: policy.Denied, Why: "Contractors never write."}, "⛔ *Not allowed.* Contractors never write."},
	} {
		if got := outlook(test.decision); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
