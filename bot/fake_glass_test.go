package bot

import (
	"context"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

func (f *fakeService) ApproveLess(_ context.Context, p approvals.Press, less approvals.Less) (approvals.Case, error) {
	return f.change("ApproveLess", p.Request, func(c *approvals.Case) error {
		if less.Duration >= c.Request.Duration {
			return &approvals.Refusal{Code: approvals.BadInput, Field: labelDuration, Words: "That is not shorter."}
		}
		now := time.Now()
		c.Request.State, c.Request.ApprovedAt, c.Request.Less = approvals.Approved, now, &less
		c.Approvals = append(c.Approvals, approvals.Approval{
			By: approvals.Person{ID: p.By, Name: "bo"}, Verdict: approvals.Yes, At: now, Fills: []int{0}, Less: &less,
		})
		return nil
	})
}

func (f *fakeService) Narrower(c approvals.Case) []policy.Profile {
	if c.Request.Profile != "data-fix" {
		return nil
	}
	return f.Profiles("billing-prod")
}

func (f *fakeService) Withdraw(_ context.Context, p approvals.Press) (approvals.Case, error) {
	return f.change("Withdraw", p.Request, func(c *approvals.Case) error {
		c.Approvals = slices.Clone(c.Approvals)
		for i, a := range c.Approvals {
			if a.By.ID == p.By && a.WithdrawnAt.IsZero() {
				c.Approvals[i].WithdrawnAt = time.Now()
				return nil
			}
		}
		return refusal(approvals.NotApprover, "You have not approved this request.")
	})
}

// glass is what the fake decides about broken glass.
func glass(in approvals.Filing) policy.Decision {
	length := in.Duration
	if length == 0 {
		length = time.Hour
	}
	return policy.Decision{
		Outcome: policy.Approved, Rule: policy.BreakGlassRule, Why: "ana is on call for payments.", Policy: "0123456789abcdef", Duration: length, MaxDuration: time.Hour,
		Review: &policy.Review{Reviewers: []string{"group:security"}, Within: 24 * time.Hour, Notify: []string{"security_channel", "pagerduty"}},
	}
}

func (f *fakeService) PreviewBreakGlass(_ context.Context, in approvals.Filing) (policy.Decision, error) {
	return glass(in), f.err("PreviewBreakGlass")
}

func (f *fakeService) BreakGlass(ctx context.Context, in approvals.Filing) (approvals.Case, error) {
	if err := f.err("BreakGlass"); err != nil {
		return approvals.Case{}, err
	}
	f.mu.Lock()
	usual := f.policy
	f.policy = glass
	f.mu.Unlock()
	c, err := f.File(ctx, in)
	f.mu.Lock()
	f.policy = usual
	f.mu.Unlock()
	if err != nil {
		return c, err
	}
	return f.change("", c.Request.ID, func(c *approvals.Case) error {
		c.Request.BreakGlass, c.Request.Duration = true, c.Request.Decision.Duration
		c.Review = &approvals.Review{OpenedAt: c.Request.FiledAt, DueAt: c.Request.FiledAt.Add(24 * time.Hour)}
		return nil
	})
}

func (f *fakeService) CloseReview(_ context.Context, p approvals.Press, verdict approvals.ReviewVerdict, note string) (approvals.Case, error) {
	return f.change("CloseReview", p.Request, func(c *approvals.Case) error {
		if c.Request.Requester.ID == p.By {
			return refusal(approvals.NotReviewer, "Nobody reviews their own broken glass.")
		}
		r := *c.Review
		r.ClosedAt, r.ClosedBy, r.Verdict, r.Note = time.Now(), approvals.Person{ID: p.By, Name: "bo"}, verdict, note
		c.Review = &r
		return nil
	})
}

func (f *fakeService) Reviewable(_ context.Context, by string) ([]approvals.Case, error) {
	return f.some(0, func(c *approvals.Case) bool { return c.Review.Open() && c.Request.Requester.ID != by }), f.err("Reviewable")
}

func (f *fakeService) Timeline(ctx context.Context, request string) ([]audit.Event, error) {
	c, err := f.Case(ctx, request)
	if err != nil {
		return nil, err
	}
	by := audit.Actor{Kind: "person", ID: c.Request.Requester.ID, Name: c.Request.Requester.Name}
	events := []audit.Event{{ID: 1, At: c.Request.FiledAt, Kind: audit.GlassBroken, Actor: by}}
	if g := c.Grant; g != nil {
		for id, step := range []struct {
			kind audit.Kind
			at   time.Time
		}{{audit.GrantIssued, g.IssuedAt}, {audit.GrantShown, g.ShownAt}, {audit.GrantEnding, g.EndingAt}, {audit.GrantSecured, g.SecuredAt}} {
			if !step.at.IsZero() {
				events = append(events, audit.Event{ID: int64(id + 2), At: step.at, Kind: step.kind, Actor: by})
			}
		}
	}
	return events, f.err("Timeline")
}

func (f *fakeService) Groups() []policy.Group {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups
}

func (f *fakeService) OnCall(_ context.Context, schedule string) (emails []string, unknown string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shifts[schedule], f.pager
}

// secured ends a grant as the reaper and the drivers do.
func (f *fakeService) secured(request string) {
	_, _ = f.change("", request, func(c *approvals.Case) error {
		c.Grant.State, c.Grant.SecuredAt, c.Grant.EndedAt = grants.Revoked, time.Now(), time.Now()
		c.Grant.Receipt = &grants.Receipt{Login: c.Grant.Login, Killed: 2, SecuredAt: time.Now(), VerifiedAt: time.Now()}
		return nil
	})
}

func (f *fakeService) Me(_ context.Context, by string) (approvals.Me, error) {
	me := approvals.Me{
		Person: approvals.Person{ID: by, Name: "ana", Email: "ana@example.com"}, Groups: []string{"backend"},
		OnCall: []policy.Standing{{On: true, Schedule: "payments", Source: "pagerduty PABC123", Level: 1, End: time.Now().Add(time.Hour), AsOf: time.Now()}},
	}
	for _, t := range f.Targets() {
		for _, p := range f.Profiles(t.Name) {
			me.Offers = append(me.Offers, approvals.Offer{Target: t.Name, Profile: p.Name, Decision: f.policy(approvals.Filing{By: by, Target: t.Name, Profile: p.Name})})
		}
	}
	return me, f.err("Me")
}
