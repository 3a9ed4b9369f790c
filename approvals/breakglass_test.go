package approvals_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// breaks breaks glass, which must succeed.
func (o *office) breaks(who string) approvals.Case {
	o.t.Helper()
	c, err := o.BreakGlass(o.t.Context(), o.wish(who, "read-only"))
	if err != nil || c.Request.State != approvals.Approved {
		o.t.Fatalf("%s breaks glass: %s %s %v", who, c.Request.State, c.Request.Decision.Why, err)
	}
	return c
}

// takes activates, issues and shows the access.
func (o *office) takes(who string, c approvals.Case) approvals.Case {
	o.t.Helper()
	c, err := o.Activate(o.t.Context(), press(who, c))
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.Issue(o.t.Context(), c.Grant.ID); err != nil {
		o.t.Fatal(err)
	}
	if err := o.Shown(o.t.Context(), c.Grant.ID); err != nil {
		o.t.Fatal(err)
	}
	return c
}

// secured lets the security step of a revocation be done.
func (o *office) secured(c approvals.Case) {
	o.t.Helper()
	if _, err := o.grants.change(o.t.Context(), c.Grant.ID, func(g *grants.Grant) { g.State, g.SecuredAt = grants.Cleanup, o.now() }); err != nil {
		o.t.Fatal(err)
	}
}

func TestBreakingGlass(t *testing.T) {
	t.Parallel()
	o := full(t)
	wish := o.wish("bo", "read-only")
	wish.Duration = 0 // the longest
	preview, err := o.PreviewBreakGlass(t.Context(), wish)
	if err != nil || preview.Outcome != policy.Approved || preview.Review == nil || preview.Duration != time.Hour {
		t.Fatalf("previewed %+v, %v", preview, err)
	}
	c, err := o.BreakGlass(t.Context(), wish)
	if err != nil {
		t.Fatal(err)
	}
	r, id := c.Request, c.Request.ID
	if r.State != approvals.Approved || !r.BreakGlass || r.Decision.Rule != policy.BreakGlassRule || r.Length() != time.Hour || !c.Review.Open() {
		t.Errorf("%+v with %+v", r, c.Review)
	}
	if !c.Review.DueAt.Equal(r.FiledAt.Add(24*time.Hour)) || !r.LapsesAt.Equal(r.FiledAt.Add(30*time.Minute)) {
		t.Errorf("due %s, lapses %s, filed %s", c.Review.DueAt, r.LapsesAt, r.FiledAt)
	}
	for kind, at := range map[jobs.Kind]time.Time{
		jobs.Draw: r.FiledAt, jobs.Lapse: r.LapsesAt, jobs.Review: r.FiledAt.Add(6 * time.Hour), jobs.Incident: r.FiledAt,
	} {
		if got := o.waiting(kind, id); len(got) != 1 || !near(got[0], at) {
			t.Errorf("%s waits for %v, want %s", kind, got, at)
		}
	}
	events, err := o.Timeline(t.Context(), id)
	if err != nil || len(events) != 2 || events[0].Kind != audit.RequestFiled || events[1].Kind != audit.GlassBroken {
		t.Fatalf("recorded %+v, %v", events, err)
	}
	if loud := events[1]; loud.Actor.Name != "bo" || loud.Reason != wish.Reason || loud.Detail["reviewers"] != "@security" || loud.Detail["review_due"] == "" {
		t.Errorf("recorded %+v", loud)
	}
	again, err := o.BreakGlass(t.Context(), wish)
	if err != nil || again.Request.ID != id {
		t.Errorf("delivered again: %v", err)
	}
}

func TestWhoMayBreakGlass(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.people.gone["guest"] = approvals.NotEligible
	for who, profile := range map[string]string{"eve": "read-only", "bo": "support", "dora": "read-only"} {
		c, err := o.BreakGlass(t.Context(), o.wish(who, profile))
		if err != nil || c.Request.State != approvals.Denied || c.Request.BreakGlass || c.Review != nil || c.Request.Answer == "" {
			t.Errorf("%s breaks glass for %s: %s, %v", who, profile, c.Request.State, err)
		}
		if o.records(audit.RequestFiled, c.Request.ID, false) != 1 || o.records(audit.RequestDenied, c.Request.ID, false) != 1 ||
			o.records(audit.GlassBroken, c.Request.ID, false) != 0 || len(o.waiting(jobs.Draw, c.Request.ID)) != 0 {
			t.Errorf("%s: what was denied is kept like any denied request", who)
		}
	}
	_, err := o.BreakGlass(t.Context(), o.wish("guest", "read-only"))
	refusedWith(t, err, approvals.NotEligible)
	wish := o.wish("bo", "read-only")
	wish.Reason = " "
	_, err = o.BreakGlass(t.Context(), wish)
	refusedWith(t, err, approvals.BadInput)
	if n := o.records(audit.GlassBroken, "", true); n != 2 {
		t.Errorf("%d of 2 refused attempts are recorded", n)
	}
	// On call is a reason too, for as long as it is known.
	o.people.shift["olga@example.com"] = o.now().Add(20 * time.Minute)
	if c := o.breaks("olga"); c.Request.Decision.Shift == nil || c.Request.LapsesAt.After(o.people.shift["olga@example.com"].Add(time.Second)) {
		t.Errorf("rests on %+v", c.Request.Decision.Shift)
	}
	o.people.shift["kim@example.com"] = o.now().Add(time.Hour)
	o.people.pagerDown = true
	c, err := o.BreakGlass(t.Context(), o.wish("kim", "read-only"))
	if err != nil || c.Request.State != approvals.Denied || !strings.Contains(c.Request.Answer, "PagerDuty did not answer") {
		t.Errorf("with PagerDuty down: %s %s %v", c.Request.State, c.Request.Answer, err)
	}
}

func TestNoMoreGlassIsBrokenBeforeTheReview(t *testing.T) {
	t.Parallel()
	o := full(t)
	first := o.breaks("bo")
	for _, who := range []string{"bo", "bo-2"} {
		_, err := o.BreakGlass(t.Context(), o.wish(who, "data-fix"))
		refusal := refusedWith(t, err, approvals.ReviewOpen)
		if !strings.Contains(refusal.Words, first.Request.ID) || !strings.Contains(refusal.Words, "@security") {
			t.Error(refusal.Words)
		}
		_, err = o.PreviewBreakGlass(t.Context(), o.wish(who, "data-fix"))
		refusedWith(t, err, approvals.ReviewOpen)
	}
	if n := o.records(audit.GlassBroken, "", true); n != 2 {
		t.Errorf("%d of 2 refused attempts are recorded", n)
	}
	o.breaks("ana") // somebody else's review is not in the way
	c := o.takes("bo", first)
	if _, err := o.Release(t.Context(), press("bo", c)); err != nil {
		t.Fatal(err)
	}
	o.secured(c)
	if _, err := o.CloseReview(t.Context(), press("sam", c), approvals.Justified, "the outage was real"); err != nil {
		t.Fatal(err)
	}
	o.breaks("bo")
}

// The schema decides when two replicas break glass for one person at the same instant.
func TestGlassBrokenTwiceAtTheSameInstant(t *testing.T) {
	t.Parallel()
	o := full(t)
	other := o.service(o.open(), o.policy.Load, o.now)
	for _, who := range []string{"ana", "bo", "mia"} {
		var wg sync.WaitGroup
		var mu sync.Mutex
		broken := 0
		for i := range 8 {
			s := o.Service
			if i%2 == 0 {
				s = other
			}
			wish := o.wish(who, "read-only")
			wg.Go(func() {
				_, err := s.BreakGlass(t.Context(), wish)
				if err == nil {
					mu.Lock()
					broken++
					mu.Unlock()
					return
				}
				if refusal := refusedWith(t, err, approvals.ReviewOpen); !strings.Contains(refusal.Words, "not reviewed yet") {
					t.Error(refusal.Words)
				}
			})
		}
		wg.Wait()
		if broken != 1 {
			t.Errorf("%s broke glass %d times", who, broken)
		}
	}
	if n := o.records(audit.GlassBroken, "", true); n != 21 {
		t.Errorf("%d of 21 refused attempts are recorded", n)
	}
}

func TestClosingAReview(t *testing.T) {
	t.Parallel()
	o := full(t)
	c := o.breaks("bo")
	closes := func(who, note string) error {
		_, err := o.CloseReview(t.Context(), press(who, c), approvals.NotJustified, note)
		return err
	}
	refusedWith(t, closes("bo", "it was fine"), approvals.NotReviewer)
	refusedWith(t, closes("bo-2", "it was fine"), approvals.NotReviewer)
	refusedWith(t, closes("dora", "looked"), approvals.NotReviewer)
	refusedWith(t, closes("max", "looked"), approvals.NotReviewer) // not escalated yet
	refusedWith(t, closes("sam", "looked"), approvals.TooEarly)
	c = o.takes("bo", c)
	if refusal := refusedWith(t, closes("sam", "looked"), approvals.TooEarly); !strings.Contains(refusal.Words, "Revoke it") {
		t.Error(refusal.Words)
	}
	_, err := o.Extend(t.Context(), press("bo", c), time.Minute)
	if refusal := refusedWith(t, err, approvals.NotApprover); !strings.Contains(refusal.Words, "never extended") {
		t.Error(refusal.Words)
	}
	_, err = o.Revoke(t.Context(), press("dora", c), "enough")
	refusedWith(t, err, approvals.NotApprover)
	if _, err := o.Revoke(t.Context(), press("sam", c), "enough"); err != nil {
		t.Errorf("a reviewer revokes: %v", err)
	}
	refusedWith(t, closes("sam", "looked"), approvals.TooEarly)
	o.secured(c)
	refusedWith(t, closes("sam", " "), approvals.BadInput)
	o.people.gone["sue"] = approvals.NotEligible
	refusedWith(t, closes("sue", "looked"), approvals.NotEligible)
	if n := o.records(audit.ReviewClosed, c.Request.ID, true); n != 9 {
		t.Errorf("%d of 9 refused attempts are recorded", n)
	}
	for _, who := range []string{"sam", "bo", "dora"} {
		list, err := o.Reviewable(t.Context(), who)
		if err != nil || len(list) != map[string]int{"sam": 1}[who] {
			t.Errorf("%s may close %d reviews, %v", who, len(list), err)
		}
	}
	incidents := len(o.waiting(jobs.Incident, c.Request.ID))
	for range 2 { // the second is the same press delivered again
		if err := closes("sam", "a query of no use to anybody"); err != nil {
			t.Fatal(err)
		}
	}
	got := o.reads(c)
	if got.Review.Open() || got.Review.Verdict != approvals.NotJustified || got.Review.ClosedBy.Name != "sam" {
		t.Errorf("%+v", got.Review)
	}
	if len(o.waiting(jobs.Incident, c.Request.ID)) != incidents+1 || o.records(audit.ReviewClosed, c.Request.ID, false) != 1 {
		t.Error("closing is recorded once and resolves the incident")
	}
	events, _ := o.Timeline(t.Context(), c.Request.ID)
	if last := events[len(events)-1]; last.Detail["verdict"] != "not-justified" || last.Reason == "" {
		t.Errorf("recorded %+v", last)
	}
	if err := o.Review(t.Context(), c.Request.ID); err != nil {
		t.Error(err)
	}
	o.sleeps(48 * time.Hour)
	if err := o.Review(t.Context(), c.Request.ID); err != nil || o.records(audit.ReviewReminded, c.Request.ID, false) != 0 {
		t.Errorf("reminded of a closed review: %v", err)
	}
}

func TestAReviewThatNobodyClosesIsRemindedOfForEver(t *testing.T) {
	t.Parallel()
	o := full(t)
	c := o.breaks("mia") // who is a manager
	id := c.Request.ID
	c = o.takes("mia", c)
	if _, err := o.Release(t.Context(), press("mia", c)); err != nil {
		t.Fatal(err)
	}
	o.secured(c)
	look := func(after time.Duration, subject string, escalations int) {
		t.Helper()
		o.sleeps(after)
		for range 2 {
			if err := o.Review(t.Context(), id); err != nil && !errors.Is(err, approvals.ErrEarly) {
				t.Fatal(err)
			}
		}
		if got := o.waiting(jobs.Nudge, subject+id); len(got) != 1 {
			t.Errorf("%s is posted %d times", subject, len(got))
		}
		if o.records(audit.ReviewEscalated, id, false) != escalations {
			t.Errorf("at %s it has escalated %d times", subject, o.records(audit.ReviewEscalated, id, false))
		}
		waits := o.waiting(jobs.Review, id)
		if last := waits[len(waits)-1]; !last.After(o.now()) || last.Sub(o.now()) > 24*time.Hour {
			t.Errorf("after %s the next look is at %s", subject, last)
		}
	}
	look(6*time.Hour, "review/1/", 0)
	_, err := o.CloseReview(t.Context(), press("max", c), approvals.Justified, "looked")
	refusedWith(t, err, approvals.NotReviewer)
	look(6*time.Hour, "review/2/", 1)
	if got := o.reads(c).Reviewers(); got != "@security or @managers" {
		t.Errorf("it takes %s", got)
	}
	look(6*time.Hour, "review/3/", 1)
	look(6*time.Hour, "overdue/4/", 1)
	look(6*time.Hour, "overdue/5/", 1)
	look(90*24*time.Hour, "overdue/365/", 1)
	if n := o.records(audit.ReviewReminded, id, false); n != 6 {
		t.Errorf("%d reminders are recorded", n)
	}
	_, err = o.CloseReview(t.Context(), press("mia", c), approvals.Justified, "I had to")
	refusedWith(t, err, approvals.NotReviewer)
	if list, err := o.Reviewable(t.Context(), "max"); err != nil || len(list) != 1 {
		t.Errorf("max may close %d, %v", len(list), err)
	}
	if _, err := o.CloseReview(t.Context(), press("max", c), approvals.Justified, "looked"); err != nil {
		t.Errorf("whoever it was escalated to closes it: %v", err)
	}
}

func TestGlassThatNobodyUsedNeedsNoReview(t *testing.T) {
	t.Parallel()
	o := full(t)
	cancelled := o.breaks("bo")
	if c, err := o.Cancel(t.Context(), press("bo", cancelled)); err != nil || c.Review.Verdict != approvals.Unused {
		t.Errorf("cancelled: %+v, %v", c.Review, err)
	}
	lapsed := o.breaks("bo")
	failed, err := o.Activate(t.Context(), press("bo", lapsed))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Abandon(t.Context(), failed.Grant.ID, "the target was restarted"); err != nil {
		t.Fatal(err)
	}
	if err := o.Reopen(t.Context(), lapsed.Request.ID); err != nil {
		t.Fatal(err)
	}
	o.sleeps(time.Hour)
	if err := o.Lapse(t.Context(), lapsed.Request.ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range []approvals.Case{cancelled, lapsed} {
		got := o.reads(c)
		if got.Review.Open() || got.Review.Verdict != approvals.Unused || got.Review.ClosedBy.ID != "" {
			t.Errorf("%s: %+v", got.Request.State, got.Review)
		}
		if o.records(audit.ReviewClosed, c.Request.ID, false) != 1 || len(o.waiting(jobs.Incident, c.Request.ID)) != 2 {
			t.Errorf("%s: closing it is recorded, and resolves the incident", got.Request.State)
		}
	}
	o.breaks("bo")
}

// What is taken later is held against the policy of then: a break_glass section that is gone gives nothing any more.
func TestGlassUnderAPolicyThatHasChanged(t *testing.T) {
	t.Parallel()
	o := full(t)
	same, gone := o.breaks("bo"), o.breaks("ana")
	o.rules(fullPolicy + "# another file that says the same\n")
	if _, err := o.Activate(t.Context(), press("bo", same)); err != nil {
		t.Errorf("a policy that says the same: %v", err)
	}
	before, _, _ := strings.Cut(fullPolicy, "break_glass:")
	o.rules(before)
	_, err := o.Activate(t.Context(), press("ana", gone))
	refusedWith(t, err, approvals.AlreadyOver)
	// The reviewers are those of the decision, as the groups are now.
	o.rules(strings.Replace(fullPolicy, "security: { emails: [sam@example.com, sue@example.com] }", "security: { emails: [sue@example.com] }", 1))
	_, err = o.CloseReview(t.Context(), press("sam", same), approvals.Justified, "looked")
	refusedWith(t, err, approvals.NotReviewer)
	_, err = o.CloseReview(t.Context(), press("sue", same), approvals.Justified, "looked")
	refusedWith(t, err, approvals.TooEarly)
}

func TestReviewsThatWaitForSomebody(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.rules(strings.Replace(fullPolicy, "security: { emails: [sam@example.com, sue@example.com] }", "security: { slack_usergroup: S0SEC }", 1))
	o.people.member["S0SEC/sam"], o.people.member["S0SEC/ana"] = true, true
	first := o.breaks("bo")
	o.sleeps(time.Minute)
	second := o.breaks("ana")
	list, err := o.Reviewable(t.Context(), "sam")
	if err != nil || len(list) != 2 || list[0].Request.ID != first.Request.ID || list[1].Request.ID != second.Request.ID {
		t.Errorf("sam may close, the most urgent first, %d, %v", len(list), err)
	}
	if list, err := o.Reviewable(t.Context(), "ana"); err != nil || len(list) != 1 || list[0].Request.ID != first.Request.ID {
		t.Errorf("ana may close bo's and not her own: %d, %v", len(list), err)
	}
	o.people.unknown = "Slack did not answer"
	if list, err := o.Reviewable(t.Context(), "sam"); err != nil || len(list) != 0 {
		t.Errorf("what is not known helped: %d, %v", len(list), err)
	}
	_, err = o.CloseReview(t.Context(), press("sam", first), approvals.Justified, "looked")
	if refusal := refusedWith(t, err, approvals.NotReviewer); !strings.Contains(refusal.Words, "could not be found out") || !strings.Contains(refusal.Words, "Slack did not answer") {
		t.Error(refusal.Words)
	}
	o.people.gone["gus"] = approvals.NotEligible
	_, err = o.Reviewable(t.Context(), "gus")
	refusedWith(t, err, approvals.NotEligible)
}

// What was asked is kept, so that another policy can be asked the same.
func TestBrokenGlassCanBeReplayed(t *testing.T) {
	t.Parallel()
	o := full(t)
	c := o.breaks("bo")
	var kept []policy.Past
	if err := o.store.Past(t.Context(), o.now().Add(-time.Hour), func(page []policy.Past) error { kept = append(kept, page...); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 1 || !kept[0].Kept || !kept[0].Question.BreakGlass || kept[0].Question.Request.Profile != c.Request.Profile {
		t.Errorf("kept is %+v", kept)
	}
}

func TestAnIncidentIsOpenedWhereThePolicyWantsOne(t *testing.T) {
	t.Parallel()
	o := full(t)
	o.rules(strings.Replace(fullPolicy, "notify: [security_channel, pagerduty]", "notify: [security_channel]", 1))
	c := o.breaks("bo")
	if _, err := o.Cancel(t.Context(), press("bo", c)); err != nil {
		t.Fatal(err)
	}
	if got := o.waiting(jobs.Incident, c.Request.ID); len(got) != 0 {
		t.Errorf("%d incidents that nobody wants", len(got))
	}
}
