package approvals

import (
	"errors"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"pgregory.net/rapid"
)

// broken is glass that ana broke: an hour to take it, a day to review it.
func broken() Case {
	c := pending()
	c.Request.State, c.Request.BreakGlass, c.Request.ApprovedAt = Approved, true, began
	c.Request.Decision = policy.Decision{Outcome: policy.Approved, Rule: policy.BreakGlassRule, Review: &policy.Review{
		Reviewers: []string{"group:security"}, Within: 24 * time.Hour, Remind: 5 * time.Hour,
		Escalate: &policy.Escalation{After: 12 * time.Hour, To: []string{"group:managers"}},
	}}
	c.Review = &Review{OpenedAt: began, DueAt: began.Add(24 * time.Hour)}
	return c
}

// used is the same after the access is over.
func used() Case {
	c := broken()
	c.Request.State = Activated
	c.Grant = &grants.Grant{State: grants.Revoked, Cause: grants.Expired, ShownAt: began, SecuredAt: began.Add(time.Hour)}
	return c
}

func closing(name string) CloseReview {
	return CloseReview{By: person(name), Reviewer: true, Verdict: Justified, Note: "the outage was real"}
}

func TestAReviewIsClosedBySomebodyElseWhenTheAccessIsOver(t *testing.T) {
	at := began.Add(2 * time.Hour)
	wantRefusal(t, used(), closing("ana"), at, NotReviewer)
	wantRefusal(t, used(), CloseReview{By: Person{ID: "U2", Email: "ANA@example.com"}, Reviewer: true, Verdict: Justified, Note: "x"}, at, NotReviewer)
	refusalOf(t, used(), CloseReview{By: person("eve"), Verdict: Justified, Note: "x"}, at, NotReviewer, "@security")
	for _, note := range []string{"", " \n"} {
		wantRefusal(t, used(), CloseReview{By: person("sam"), Reviewer: true, Verdict: Justified, Note: note}, at, BadInput)
	}
	for _, verdict := range []ReviewVerdict{"", Unused, "fine"} {
		wantRefusal(t, used(), CloseReview{By: person("sam"), Reviewer: true, Verdict: verdict, Note: "x"}, at, BadInput)
	}
	wantRefusal(t, pending(one("dba")), closing("sam"), at, AlreadyOver)

	refusalOf(t, broken(), closing("sam"), began.Add(time.Minute), TooEarly, "can still be taken until 04:00 UTC")
	refusalOf(t, broken(), closing("sam"), at, TooEarly, "closes by itself")
	for words, g := range map[string]grants.Grant{
		"Revoke it":        {State: grants.Active, ShownAt: began, Deadline: at},
		"live":             {State: grants.Provisioning, Deadline: at},
		"taken back":       {State: grants.Revoking, Cause: grants.Withdrawn, ShownAt: began},
		"has taken":        {State: grants.Revoked, Cause: grants.Failed, SecuredAt: began},
		"closes by itself": {State: grants.Revoking, Cause: grants.Failed},
	} {
		c := used()
		c.Grant = &g
		refusalOf(t, c, closing("sam"), at, TooEarly, words)
	}
	earlier := used() // this try is over; one that failed before it is not
	earlier.Grants, earlier.Unsecured = 2, 1
	refusalOf(t, earlier, closing("sam"), at, TooEarly, "An earlier try to make the login failed")
	earlier.Unsecured = 0
	must(t, earlier, closing("sam"), at)
	secured := used()
	secured.Grant = &grants.Grant{State: grants.Revoking, Cause: grants.Withdrawn, ShownAt: began, SecuredAt: at}
	must(t, secured, closing("sam"), at)

	c := must(t, used(), closing("sam"), at)
	if c.Review.Open() || c.Review.ClosedBy.Name != "sam" || c.Review.Note == "" || !c.Review.ClosedAt.Equal(at) {
		t.Errorf("%+v", c.Review)
	}
	if _, err := Next(c, closing("sam"), at); !errors.Is(err, ErrNoChange) {
		t.Errorf("delivered again: %v", err)
	}
	refusalOf(t, c, closing("sue"), at, AlreadyOver, "sam has closed this review: justified")
	other := closing("sam")
	other.Verdict = NotJustified
	wantRefusal(t, c, other, at, AlreadyOver)
}

func TestTheReviewOfAccessThatNobodyTookClosesByItself(t *testing.T) {
	for _, act := range []struct {
		a  Act
		at time.Time
	}{{Cancel{By: person("ana")}, began}, {Lapse{}, began.Add(time.Hour)}} {
		before := broken()
		c := must(t, before, act.a, act.at)
		if c.Review.Open() || c.Review.Verdict != Unused || c.Review.ClosedBy.ID != "" || !c.Review.ClosedAt.Equal(act.at) {
			t.Errorf("%T: %+v", act.a, c.Review)
		}
		if !before.Review.Open() {
			t.Errorf("%T changed the case of before", act.a)
		}
		refusalOf(t, c, closing("sam"), act.at, AlreadyOver, "by itself")
	}
	if c := must(t, broken(), Activate{By: person("ana")}, began); !c.Review.Open() {
		t.Error("taking the access closed the review")
	}
}

func TestAnOpenReviewIsLookedAtForEver(t *testing.T) {
	c := broken()
	if got := c.Reviewers(); got != "@security" {
		t.Errorf("it takes %s", got)
	}
	hours := func(now time.Time) float64 { return c.looks().after(now).Sub(began).Hours() }
	now := began
	for _, want := range []float64{5, 10, 12, 15, 20, 24, 29, 34} {
		if got := hours(now); got != want {
			t.Fatalf("after %s the next look is at %gh, want %gh", now.Sub(began), got, want)
		}
		now = c.looks().after(now)
		before := c
		c = must(t, c, LookAtReview{}, now)
		if _, err := Next(c, LookAtReview{}, now); !errors.Is(err, ErrNoChange) {
			t.Errorf("looked twice at %gh", want)
		}
		if escalates := escalatesReview(before, c); escalates != (want == 12) {
			t.Errorf("at %gh it escalates: %t", want, escalates)
		}
		if c.Review.Overdue(now) != (want >= 24) {
			t.Errorf("at %gh it is overdue: %t", want, c.Review.Overdue(now))
		}
	}
	if got := c.Reviewers(); got != "@security or @managers" {
		t.Errorf("it takes %s", got)
	}
	// An outage of a year: one look, and the next within a day.
	year := now.Add(365 * 24 * time.Hour)
	c = must(t, c, LookAtReview{}, year)
	if next := c.looks().after(year); !next.After(year) || next.Sub(year) > 24*time.Hour {
		t.Errorf("the next look is %s later", next.Sub(year))
	}
	closed := must(t, used(), closing("sam"), now)
	if _, err := Next(closed, LookAtReview{}, year); !errors.Is(err, ErrNoChange) {
		t.Errorf("a closed review is looked at: %v", err)
	}
	if _, err := Next(pending(one("dba")), LookAtReview{}, year); !errors.Is(err, ErrNoChange) {
		t.Errorf("no review is looked at: %v", err)
	}
	if got := broken().Upcoming(began); len(got) != 4 || got[0].What != Lapses || got[1].What != RemindsReview || got[2].What != EscalatesReview || got[3].What != ReviewDue {
		t.Errorf("time will do %+v", got)
	}
}

// Whatever the pauses: the looks that after gives are those that by counts, one by one, and never more than a day apart
// once the review is due.
func TestLooksAreCountedAsTheyCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := func(from, to int, what string) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, what)) * time.Minute
		}
		l := looks{opened: began, due: began.Add(minutes(1, 3000, "within")), pause: minutes(0, 3000, "remind")}
		if rapid.Bool().Draw(t, "escalates") {
			l.escalated = began.Add(minutes(0, 4000, "escalate"))
		}
		now, n := began.Add(-1), 0
		for range 30 {
			if l.by(now) != n {
				t.Fatalf("%d looks by %s, want %d", l.by(now), now.Sub(began), n)
			}
			next := l.after(now)
			if !next.After(now) || next.Add(-1).After(now) && l.by(next.Add(-1)) != n {
				t.Fatalf("after %s comes %s", now.Sub(began), next.Sub(began))
			}
			if now.Before(l.due) && next.After(l.due) || !now.Before(l.due) && next.Sub(now) > aDay {
				t.Fatalf("nobody looks between %s and %s", now.Sub(began), next.Sub(began))
			}
			now, n = next, n+1
		}
	})
}
