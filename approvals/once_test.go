package approvals_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// replicas are two services on one store, each with connections of its own.
func (o *office) replicas() [2]*approvals.Service {
	o.t.Helper()
	return [2]*approvals.Service{o.service(o.open(), o.policy.Load, o.now), o.service(o.open(), o.policy.Load, o.now)}
}

// holds is access of ana's that may be extended three times.
func (o *office) holds() approvals.Case {
	o.t.Helper()
	c := o.asks("ana", "read-only")
	o.approves("dora", c)
	o.approves("bo", c)
	return o.takes("ana", c)
}

// ends ends access as the holder would, as far as its security.
func (o *office) ends(c approvals.Case) approvals.Case {
	o.t.Helper()
	if _, err := o.Release(o.t.Context(), press("ana", c)); err != nil {
		o.t.Fatal(err)
	}
	o.secured(c)
	return c
}

// Slack sends the same thing to two replicas, at the same instant and again later: one effect, one record, and the same answer.
func TestWhatIsDeliveredTwiceIsDoneOnce(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]struct {
		kind   audit.Kind
		before func(o *office) approvals.Case
		do     func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error
	}{
		"approve": {audit.RequestApproved, func(o *office) approvals.Case { return o.asks("ana", "read-only") }, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.Approve(ctx, by("dora"))
			return err
		}},
		"withdraw": {audit.RequestWithdrawn, func(o *office) approvals.Case {
			c := o.asks("ana", "read-only")
			return o.approves("dora", c)
		}, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.Withdraw(ctx, by("dora"))
			return err
		}},
		"get": {audit.GrantIntended, func(o *office) approvals.Case {
			return o.approves("bo", o.approves("dora", o.asks("ana", "read-only")))
		}, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.Activate(ctx, by("ana"))
			return err
		}},
		"show again": {audit.GrantRotated, (*office).holds, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.ShowAgain(ctx, by("ana"))
			return err
		}},
		"extend": {audit.GrantExtended, (*office).holds, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.Extend(ctx, by("ana"), 10*time.Minute)
			return err
		}},
		"release": {audit.GrantEnding, (*office).holds, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.Release(ctx, by("ana"))
			return err
		}},
		"revoke": {audit.GrantEnding, (*office).holds, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.Revoke(ctx, by("dora"), "wrong database")
			return err
		}},
		"review": {audit.ReviewClosed, func(o *office) approvals.Case { return o.ends(o.takes("ana", o.breaks("ana"))) }, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.CloseReview(ctx, by("dora"), approvals.Justified, "looked")
			return err
		}},
		"revoke again": {audit.GrantRetried, func(o *office) approvals.Case { return o.ends(o.holds()) }, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.RevokeAgain(ctx, by("dora"), c.Grant.ID)
			return err
		}},
		"file": {audit.RequestFiled, func(*office) approvals.Case { return approvals.Case{} }, func(ctx context.Context, s *approvals.Service, c approvals.Case, by func(string) approvals.Press) error {
			_, err := s.File(ctx, approvals.Filing{
				By: "ana", Target: "orders-prod", Profile: "read-only", Duration: time.Hour, Reason: "again", Delivery: by("ana").Delivery, Source: "slack:socket",
				Key: time.Now().String(), // another each time, as for somebody whose last request was denied
			})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := setup(t)
			o.rules(twoAgree() + "operators: [user:dora@example.com]\n")
			two, c := o.replicas(), act.before(o)
			deliver := func(s *approvals.Service) {
				err := act.do(t.Context(), s, c, func(who string) approvals.Press {
					p := press(who, c)
					p.Delivery = "press:the one"
					return p
				})
				// Of two at the very same instant the second may be told that it has happened.
				refusal, ok := errors.AsType[*approvals.Refusal](err)
				if err != nil && (!ok || refusal.Code != approvals.InProgress && refusal.Code != approvals.AlreadyVoted) {
					t.Error(err)
				}
			}
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() { deliver(two[i%2]) })
			}
			all.Wait()
			o.sleeps(time.Minute) // longer than a press is taken for the one before
			if act.kind == audit.RequestWithdrawn {
				o.approves("dora", c)
			}
			refused := o.count(act.kind, true)
			deliver(two[0])
			deliver(two[1])
			if n := o.count(act.kind, false); n != 1 {
				t.Errorf("done %d times", n)
			}
			if n := o.count(act.kind, true) - refused; n > 0 {
				t.Errorf("what was done is refused, and recorded so, %d times", n)
			}
		})
	}
}

// count is how often something is on record by a person.
func (o *office) count(kind audit.Kind, refused bool) int {
	o.t.Helper()
	return query[int](o, `SELECT count(*) FROM audit_events WHERE kind = $1 AND refused = $2 AND detail ->> 'delivery' IS NOT NULL = NOT $2`, string(kind), refused)[0]
}

// What a command asks for is over by the time that it comes again, and something else is in its place.
func TestADeliveryThatComesLateEndsNothingElse(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(twoAgree())
	first := o.holds()
	release := press("ana", first)
	release.Delivery = "command:release"
	if _, err := o.Release(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	second := o.holds()
	release.Request = second.Request.ID // "release" without an ID means what there is
	c, err := o.Release(t.Context(), release)
	if err != nil || c.Request.ID != first.Request.ID {
		t.Errorf("answered with %s: %v", c.Request.ID, err)
	}
	if c, err := o.Case(t.Context(), second.Request.ID); err != nil || !c.Grant.Live() {
		t.Errorf("the other access is %s: %v", c.Grant.State, err)
	}
}

// A yes that was taken back is not put back by the press that gave it, nor is the next press waited for.
func TestAYesThatWasTakenBackStaysSoWhenItsPressComesAgain(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(twoAgree())
	c := o.asks("ana", "read-only")
	yes := press("dora", c)
	yes.Delivery = "press:yes"
	if _, err := o.Approve(t.Context(), yes); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Withdraw(t.Context(), press("dora", c)); err != nil {
		t.Fatal(err)
	}
	stand := func(c approvals.Case) (n int) {
		for _, given := range c.Approvals {
			if given.WithdrawnAt.IsZero() {
				n++
			}
		}
		return n
	}
	for _, s := range o.replicas() {
		if got, err := s.Approve(t.Context(), yes); err != nil || stand(got) != 0 {
			t.Errorf("delivered again: %d stand, %v", stand(got), err)
		}
	}
	yes.Delivery = "press:yes again"
	if got, err := o.Approve(t.Context(), yes); err != nil || stand(got) != 1 {
		t.Errorf("pressed again: %d stand, %v", stand(got), err)
	}
}

// The login could not be made, and the request waits for another press: not for the same one again.
func TestAPressThatFailedIsNotMadeAgainByADelivery(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(twoAgree())
	c := o.asks("ana", "read-only")
	o.approves("dora", c)
	o.approves("bo", c)
	get := press("ana", c)
	get.Delivery = "press:get"
	got, err := o.Activate(t.Context(), get)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Abandon(t.Context(), got.Grant.ID, "the window did not open"); err != nil {
		t.Fatal(err)
	}
	if err := o.Reopen(t.Context(), c.Request.ID); err != nil {
		t.Fatal(err)
	}
	_, err = o.Activate(t.Context(), get)
	refusedWith(t, err, approvals.InProgress)
	get.Delivery = "press:get again"
	if _, err := o.Activate(t.Context(), get); err != nil {
		t.Errorf("another press: %v", err)
	}
}

// Two operators say at the same instant that they tidied up: the first one's name stands.
func TestRemainsAreSettledOnce(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.rules(twoAgree() + "operators: [user:dora@example.com, user:eve@example.com]\n")
	c := o.ends(o.holds())
	if _, err := o.grants.change(t.Context(), c.Grant.ID, func(g *grants.Grant) {
		g.State, g.EndedAt = grants.Revoked, o.now()
		g.Receipt = &grants.Receipt{Login: g.Login, Leftovers: []grants.Leftover{{Database: "orders", What: "table public.scratch", Owner: "pa_quarantine"}}}
	}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i, s := range append(o.all(), o.all()...) {
		all.Go(func() {
			_, err := s.Settle(t.Context(), approvals.Press{By: []string{"dora", "eve"}[i%2], Source: "slack:socket"}, c.Grant.ID)
			if refusal, ok := errors.AsType[*approvals.Refusal](err); err != nil && (!ok || refusal.Code != approvals.AlreadyOver) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := o.records(audit.LeftoversSettled, c.Request.ID, false); n != 1 {
		t.Errorf("recorded %d times", n)
	}
}

func (o *office) all() []*approvals.Service { two := o.replicas(); return two[:] }
