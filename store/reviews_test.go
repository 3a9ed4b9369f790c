package store_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// glass is a request for access now, approved by nobody, and its review.
func glass(by approvals.Person) (approvals.Request, *approvals.Review) {
	r := approvedRequest()
	r.Requester, r.BreakGlass = by, true
	r.Decision.Rule = policy.BreakGlassRule
	r.Decision.Review = &policy.Review{Reviewers: []string{"group:security"}, Within: 24 * time.Hour, Remind: time.Hour, Notify: []string{"security_channel"}}
	return r, &approvals.Review{OpenedAt: noon, DueAt: noon.Add(24 * time.Hour)}
}

// broken is broken glass by somebody, its review open.
func (b *bundle) broken(by approvals.Person) approvals.Case {
	b.t.Helper()
	r, review := glass(by)
	c, created, err := b.CreateRequest(b.t.Context(), approvals.Change{
		Request: r, Review: review, Events: []audit.Event{event(audit.GlassBroken, r.ID)}, Jobs: []jobs.Job{draw(r.ID)},
	})
	if err != nil || !created {
		b.t.Fatalf("breaking glass: created %v, %v", created, err)
	}
	return c
}

// deniedGlass is broken glass that the policy denied to Ana.
func (b *bundle) deniedGlass() approvals.Request {
	b.t.Helper()
	r, _ := glass(ana)
	r.State, r.ApprovedAt, r.EndedAt = approvals.Denied, time.Time{}, noon
	r.Decision.Outcome = policy.Denied
	return b.file(r).Request
}

// change changes a case and reads it back as it was returned.
func (b *bundle) change(id string, change func(approvals.Case) approvals.Change) approvals.Case {
	b.t.Helper()
	after, err := b.ChangeCase(b.t.Context(), id, func(c approvals.Case) (approvals.Change, error) { return change(c), nil })
	if err != nil {
		b.t.Fatal(err)
	}
	read, err := b.Case(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	if diff := cmp.Diff(after, read); diff != "" {
		b.t.Errorf("what the change returned is not what is read:\n%s", diff)
	}
	return after
}

func closeReview(c approvals.Case, by approvals.Person, verdict approvals.ReviewVerdict) approvals.Change {
	c.Review.ClosedAt, c.Review.ClosedBy, c.Review.Verdict, c.Review.Note = noon.Add(2*time.Hour), by, verdict, "looked\x00 at it"
	if verdict == approvals.Unused {
		c.Review.Note = ""
	}
	return approvals.Change{Request: c.Request, Review: c.Review, Events: []audit.Event{event(audit.ReviewClosed, c.Request.ID)}}
}

func TestReviewIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	filed := b.broken(ana)
	id := filed.Request.ID
	if read, err := b.Case(t.Context(), id); err != nil || cmp.Diff(filed, read) != "" {
		t.Errorf("what filing returned is not what is read: %v\n%s", err, cmp.Diff(filed, read))
	}
	want := approvals.Review{OpenedAt: noon, DueAt: noon.Add(24 * time.Hour)}
	if !filed.Request.BreakGlass || filed.Review == nil || *filed.Review != want {
		t.Fatalf("filed %+v", filed.Review)
	}
	c := b.change(id, func(c approvals.Case) approvals.Change {
		c.Review.Reminders, c.Review.EscalatedAt = 3, noon.Add(25*time.Hour+time.Nanosecond)
		return approvals.Change{Request: c.Request, Review: c.Review}
	})
	want.Reminders, want.EscalatedAt = 3, noon.Add(25*time.Hour)
	if *c.Review != want || !c.Review.Open() {
		t.Errorf("reminded of: %+v", c.Review)
	}
	c = b.change(id, func(c approvals.Case) approvals.Change { // what does not speak of the review leaves it
		c.Review.Reminders = 99
		return approvals.Change{Request: c.Request}
	})
	if *c.Review != want {
		t.Errorf("the store's own copy was in a change function's hands: %+v", c.Review)
	}
	c = b.change(id, func(c approvals.Case) approvals.Change { return closeReview(c, cy, approvals.NotJustified) })
	want.ClosedAt, want.ClosedBy, want.Verdict, want.Note = noon.Add(2*time.Hour), cy, approvals.NotJustified, "looked\uFFFD at it"
	if *c.Review != want || c.Review.Open() {
		t.Errorf("closed: %+v", c.Review)
	}
	again := b.broken(ana).Request.ID // she may once more
	c = b.change(again, func(c approvals.Case) approvals.Change { return closeReview(c, approvals.Person{}, approvals.Unused) })
	if c.Review.Open() || c.Review.ClosedBy.ID != "" || c.Review.Verdict != approvals.Unused {
		t.Errorf("closed by itself: %+v", c.Review)
	}
	r, review := glass(ana)
	review.Reminders, review.EscalatedAt, review.Note = 9, noon, "before anything happened"
	if c, _, err := b.CreateRequest(t.Context(), approvals.Change{Request: r, Review: review}); err != nil || c.Review.Reminders != 0 || !c.Review.EscalatedAt.IsZero() || c.Review.Note != "" {
		t.Errorf("a new review has a past: %v, %+v", err, c.Review)
	}
	if denied := b.deniedGlass(); !denied.BreakGlass {
		t.Error("denied, and not told from other denials")
	}
}

func TestReviewThatIsNotThereCannotChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.file(pending()).Request
	_, err := b.ChangeCase(t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) {
		return approvals.Change{Request: c.Request, Review: &approvals.Review{OpenedAt: noon, DueAt: noon.Add(time.Hour)}}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "has no review to change") {
		t.Errorf("a review came from nowhere: %v", err)
	}
}

// Of sixteen who break glass at the same instant on two replicas, as one and the same person, one does.
func TestOneOpenReviewPerPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := []*store.Store{b.Store, b.open(8)}
	var broken, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		r, review := glass(ana)
		wg.Go(func() {
			_, created, err := replicas[i%2].CreateRequest(t.Context(), approvals.Change{
				Request: r, Review: review, Events: []audit.Event{event(audit.GlassBroken, r.ID)}, Jobs: []jobs.Job{draw(r.ID)},
			})
			switch {
			case err == nil && created:
				broken.Add(1)
			case errors.Is(err, approvals.ErrOpenReview) && !created:
				refused.Add(1)
			default:
				t.Errorf("created %v, %v", created, err)
			}
		})
	}
	wg.Wait()
	if broken.Load() != 1 || refused.Load() != 15 {
		t.Errorf("%d broke glass, %d were refused", broken.Load(), refused.Load())
	}
	for what, want := range map[string]int{"requests": 1, "reviews": 1, "audit_events": 1, "river_job": 1} {
		if n := b.count(`SELECT count(*) FROM ` + what); n != want {
			t.Errorf("%d rows in %s, want %d", n, what, want)
		}
	}
	b.broken(bo) // somebody else is not in the way
}

// A redelivery of what broke the glass is recognised, however open its review is.
func TestRedeliveryOfBrokenGlassIsRecognised(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.broken(ana)
	r, review := glass(ana)
	r.Key = first.Request.Key
	c, created, err := b.CreateRequest(t.Context(), approvals.Change{Request: r, Review: review})
	if err != nil || created || c.Request.ID != first.Request.ID || !c.Review.Open() {
		t.Errorf("created %v, %v: %+v", created, err, c)
	}
}

func TestOpenReviewsComeAsTheyAreDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []string
	for i, by := range []approvals.Person{ana, bo, cy} {
		r, review := glass(by)
		review.DueAt, r.FiledAt = noon.Add(time.Duration(10-i)*time.Hour), noon.Add(-time.Duration(i)*time.Minute)
		if _, _, err := b.CreateRequest(t.Context(), approvals.Change{Request: r, Review: review}); err != nil {
			t.Fatal(err)
		}
		want = append([]string{r.ID}, want...)
	}
	b.file(pending())
	b.change(want[1], func(c approvals.Case) approvals.Change { return closeReview(c, ana, approvals.Justified) })
	want = slices.Delete(want, 1, 2)
	ask := func(q approvals.Query) (got []string) {
		t.Helper()
		q.OpenReviews = true
		cases, err := b.Cases(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if !c.Review.Open() {
				t.Errorf("%s has no open review", c.Request.ID)
			}
			got = append(got, c.Request.ID)
		}
		return got
	}
	if got := ask(approvals.Query{}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ask(approvals.Query{Limit: 1}); !slices.Equal(got, want[:1]) {
		t.Errorf("the most urgent is not first: %v", got)
	}
	if got := ask(approvals.Query{Requester: ana.ID, States: []approvals.State{approvals.Approved}}); !slices.Equal(got, want[1:]) {
		t.Errorf("of Ana: %v", got)
	}
}

// Two reviewers on two replicas close one review: one finding stands, and it is recorded once.
func TestReviewIsClosedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.open(8)
	c := b.broken(ana)
	var closed atomic.Int32
	var wg sync.WaitGroup
	for i, by := range []approvals.Person{bo, cy, bo, cy, bo, cy, bo, cy} {
		wg.Go(func() {
			_, err := []*store.Store{b.Store, other}[i%2].ChangeCase(t.Context(), c.Request.ID, func(c approvals.Case) (approvals.Change, error) {
				if !c.Review.Open() {
					return approvals.Change{}, approvals.ErrNoChange
				}
				closed.Add(1)
				return closeReview(c, by, approvals.Justified), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.count(`SELECT count(*) FROM audit_events WHERE kind = 'review.closed'`); closed.Load() != 1 || n != 1 {
		t.Errorf("closed %d times, recorded %d times", closed.Load(), n)
	}
}
