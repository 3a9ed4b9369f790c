package approvals_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// racedPolicy needs two people and escalates; the one it is replaced by and back has other people in the groups.
const racedPolicy = `version: 1
groups:
  backend: { emails: [ana@example.com] }
  dba: { emails: [dora@example.com, dan@example.com] }
  security: { emails: [sam@example.com] }
  managers: { emails: [max@example.com] }
profiles:
  - { name: read-only, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }
  - { name: orders-only, risk: low, grants: [{ schema: public, tables: [orders], privileges: [select] }] }
rules:
  - name: two people
    who: [group:backend]
    profiles: [read-only]
    approvals: [{ from: [group:dba], count: 1 }, { from: [group:security], count: 1 }]
    max_duration: 2h
    remind_every: 10m
    lapse_after: 4h
    escalate: [{ after: 20m, to: [group:managers] }]
`

// racers is two replicas on one database, each with connections of its own, and two more whose clocks are hours ahead, so
// that time does to a request what people do at the same instant.
type racers struct {
	*office
	replicas, late [2]*approvals.Service
	inForce        atomic.Pointer[policy.Policy]
	policies       [2]*policy.Policy
	reloads        atomic.Int64
}

func race(t *testing.T) *racers {
	r := &racers{office: setup(t)}
	for i, source := range []string{racedPolicy, strings.Replace(racedPolicy, "dora@example.com, dan", "kim@example.com, dan", 1)} {
		r.rules(source) // which keeps it in the store
		r.policies[i] = r.policy.Load()
	}
	r.reload()
	for i := range r.replicas {
		st := r.open()
		r.replicas[i] = r.service(st, r.inForce.Load, r.now)
		later := []time.Duration{30 * time.Minute, 5 * time.Hour}[i]
		r.late[i] = r.service(st, r.inForce.Load, func() time.Time { return time.Now().Add(later) })
	}
	return r
}

func (r *racers) reload() { r.inForce.Store(r.policies[r.reloads.Add(1)%2]) }

// attempt is one act, by a person or by time; nobody remembers what it was once it is done.
type attempt func(c approvals.Case) error

// attempts are what can happen to a request at the same instant, each on some replica.
func (r *racers) attempts(random *rand.Rand) []attempt {
	ctx := r.t.Context()
	any := func() *approvals.Service { return r.replicas[random.IntN(2)] }
	var all []attempt
	add := func(times int, make func() attempt) {
		for range times {
			all = append(all, make())
		}
	}
	one := func(likely float64) int {
		if random.Float64() < likely {
			return 1
		}
		return 0
	}
	for i, who := range []string{"dora", "dan", "sam", "max"} {
		add(one([]float64{0.7, 0.4, 0.7, 0.3}[i])+one(0.1), func() attempt {
			s := any()
			return func(c approvals.Case) error { _, err := s.Approve(ctx, press(who, c)); return err }
		})
	}
	add(one(0.3), func() attempt {
		s := any()
		less := approvals.Less{Duration: 10 * time.Minute, Profile: []string{"", "orders-only"}[random.IntN(2)]}
		return func(c approvals.Case) error { _, err := s.ApproveLess(ctx, press("dan", c), less); return err }
	})
	for _, who := range []string{"dora", "sam"} {
		add(one(0.4), func() attempt {
			s := any()
			return func(c approvals.Case) error { _, err := s.Withdraw(ctx, press(who, c)); return err }
		})
	}
	add(one(0.15), func() attempt {
		s := any()
		return func(c approvals.Case) error { _, err := s.Deny(ctx, press("sam", c), "not today"); return err }
	})
	add(one(0.2), func() attempt {
		s := any()
		return func(c approvals.Case) error { _, err := s.Cancel(ctx, press("ana", c)); return err }
	})
	add(one(0.15), func() attempt {
		s := r.late[1]
		return func(c approvals.Case) error { return s.Lapse(ctx, c.Request.ID) }
	})
	add(one(0.3)+one(0.1), func() attempt {
		s := r.late[0]
		return func(c approvals.Case) error { return s.Escalate(ctx, c.Request.ID) }
	})
	add(one(0.2)+one(0.1), func() attempt {
		s := r.late[0]
		return func(c approvals.Case) error { return s.Remind(ctx, c.Request.ID) }
	})
	add(one(0.3), func() attempt { return func(approvals.Case) error { r.reload(); return nil } })
	add(one(0.1), func() attempt {
		s := any()
		return func(c approvals.Case) error { _, err := s.Activate(ctx, press("ana", c)); return err }
	})
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// afterApproval are what can happen to an approved request at the same instant.
func (r *racers) afterApproval(random *rand.Rand) []attempt {
	ctx, first := r.t.Context(), random.IntN(2)
	get := func(i int) attempt {
		return func(c approvals.Case) error { _, err := r.replicas[i].Activate(ctx, press("ana", c)); return err }
	}
	all := []attempt{
		get(first), get(1 - first),
		func(c approvals.Case) error { _, err := r.replicas[first].Cancel(ctx, press("ana", c)); return err },
		func(c approvals.Case) error { return r.late[1].Lapse(ctx, c.Request.ID) },
		func(c approvals.Case) error { _, err := r.replicas[first].Withdraw(ctx, press("sam", c)); return err },
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:random.IntN(len(all)+1)]
}

// Everything that can happen to a request happens at the same instant, on two replicas, thousands of times. Each time there
// is one outcome, every step to it is audited once, every refused attempt too, and carrying out the audit log step by step
// gives what the store has.
func TestRaces(t *testing.T) {
	t.Parallel()
	const rounds, atOnce = 1200, 8
	r := race(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	var outcomes sync.Map
	for worker := range atOnce {
		random := rand.New(rand.NewPCG(seed, uint64(worker)))
		wg.Go(func() {
			for range rounds / atOnce {
				if t.Failed() {
					return
				}
				r.round(random, &outcomes)
			}
		})
	}
	wg.Wait()
	for _, want := range []string{
		"races", "pending", "approved", "activated", "denied", "cancelled", "lapsed", "withdrawn", "escalated", "reminded", "less", "refused",
	} {
		n := 0
		if count, ok := outcomes.Load(want); ok {
			n = int(count.(*atomic.Int64).Load())
		}
		t.Logf("%s: %d", want, n)
		if n < rounds/400 || want == "races" && n < 2000 {
			t.Errorf("only %d of %d rounds ended with %s: the test shows nothing about it", n, rounds, want)
		}
	}
}

func (r *racers) round(random *rand.Rand, outcomes *sync.Map) {
	t := r.t
	c, err := r.replicas[random.IntN(2)].File(t.Context(), r.wish("ana", "read-only"))
	if err != nil || c.Request.State != approvals.Pending {
		t.Errorf("filing: %s, %v", c.Request.State, err)
		return
	}
	refusals, state := 0, approvals.Pending
	for range 2 {
		if state == approvals.Pending {
			acts := r.attempts(random)
			refusals += r.atOnce(c, acts[:min(4, len(acts))])
			count(outcomes, "races")
			state = r.reads(c).Request.State
		}
	}
	if state == approvals.Approved {
		refusals += r.atOnce(c, r.afterApproval(random))
		count(outcomes, "races")
	}
	if err := r.explain(c, refusals, outcomes); err != nil {
		events, _ := r.Timeline(t.Context(), c.Request.ID)
		var log strings.Builder
		for _, e := range events {
			fmt.Fprintf(&log, "%d %s %s refused=%t %v %s\n", e.ID, e.Kind, e.Actor.ID, e.Refused, e.Detail, e.Reason)
		}
		t.Errorf("request %s: %v\n%s", c.Request.ID, err, &log)
	}
}

// atOnce lets everything happen at the same instant, and says how much of it was refused.
func (r *racers) atOnce(c approvals.Case, acts []attempt) int {
	start := make(chan struct{})
	var done sync.WaitGroup
	var refusals atomic.Int64
	for _, act := range acts {
		done.Go(func() {
			<-start
			err := act(c)
			if _, refused := errors.AsType[*approvals.Refusal](err); refused {
				refusals.Add(1)
			} else if err != nil && !errors.Is(err, approvals.ErrEarly) {
				r.t.Errorf("neither done nor refused: %v", err)
			}
		})
	}
	close(start)
	done.Wait()
	return int(refusals.Load())
}

func count(outcomes *sync.Map, what string) {
	n, _ := outcomes.LoadOrStore(what, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// explain carries out the audit log of a request, which the store's row locks have put in one order, and compares.
func (r *racers) explain(c approvals.Case, refusals int, outcomes *sync.Map) error {
	stored, err := r.replicas[0].Case(r.t.Context(), c.Request.ID)
	if err != nil {
		return err
	}
	events, err := r.Timeline(r.t.Context(), c.Request.ID)
	if err != nil {
		return err
	}
	if len(events) == 0 || events[0].Kind != audit.RequestFiled {
		return errors.New("the log does not begin with the filing")
	}
	left := stored.Approvals // in the order in which they were given
	for _, e := range events[1:] {
		if e.Refused {
			refusals--
			count(outcomes, "refused")
			if err := refusedRightly(c, e); err != nil {
				return err
			}
			continue
		}
		act, err := actOf(e, &left)
		if err != nil {
			return err
		}
		if c, err = approvals.Next(c, act, e.At); err != nil {
			return fmt.Errorf("event %d (%s) cannot have happened: %w", e.ID, e.Kind, err)
		}
		if _, activated := act.(approvals.Activate); activated {
			c.Grant, c.Grants = &grants.Grant{State: grants.Provisioning}, c.Grants+1
		}
		c.Request.Version++
	}
	switch want, got := c.Request, stored.Request; {
	case refusals != 0:
		return fmt.Errorf("%d more attempts were refused than are recorded", refusals)
	case want.State != got.State || want.Version != got.Version || want.Escalated != got.Escalated || want.Reminders != got.Reminders:
		return fmt.Errorf("the log leads to %s (version %d, %d escalations, reminder %d), the store has %s (%d, %d, %d)",
			want.State, want.Version, want.Escalated, want.Reminders, got.State, got.Version, got.Escalated, got.Reminders)
	case want.Length() != got.Length() || want.Access() != got.Access():
		return fmt.Errorf("the log leads to %s of %s, the store has %s of %s", want.Length(), want.Access(), got.Length(), got.Access())
	case len(left) != 0 || len(c.Approvals) != len(stored.Approvals) || c.Grants != stored.Grants || stored.Grants > 1:
		return fmt.Errorf("%d answers and %d grants in the log, %d and %d in the store", len(c.Approvals), c.Grants, len(stored.Approvals), stored.Grants)
	}
	for i, a := range stored.Approvals {
		if b := c.Approvals[i]; a.By.ID != b.By.ID || a.Verdict != b.Verdict || a.WithdrawnAt.IsZero() != b.WithdrawnAt.IsZero() {
			return fmt.Errorf("answer %d is %+v in the store and %+v by the log", i, a, b)
		}
		if !a.WithdrawnAt.IsZero() {
			count(outcomes, "withdrawn")
		}
	}
	count(outcomes, string(stored.Request.State))
	for what, so := range map[string]bool{
		"escalated": stored.Request.Escalated > 0, "reminded": stored.Request.Reminders > 0, "less": stored.Request.Less != nil,
	} {
		if so {
			count(outcomes, what)
		}
	}
	return nil
}

// actOf is the act that an event records; answers are taken from the store, which has what they were entitled to.
func actOf(e audit.Event, left *[]approvals.Approval) (approvals.Act, error) {
	by := approvals.Person{ID: e.Actor.ID, Name: e.Actor.Name, Email: e.Actor.Email}
	switch e.Kind {
	case audit.RequestApproved, audit.RequestDenied:
		if len(*left) == 0 || (*left)[0].By.ID != by.ID {
			return nil, fmt.Errorf("event %d records an answer that the store does not have", e.ID)
		}
		a := (*left)[0]
		*left = (*left)[1:]
		if e.Kind == audit.RequestDenied {
			return approvals.Deny{By: by, Fills: a.Fills, Reason: a.Reason}, nil
		}
		return approvals.Approve{By: by, Fills: a.Fills, Less: a.Less, Above: []string{"read-only"}, TakeWithin: time.Hour}, nil
	case audit.RequestWithdrawn:
		return approvals.Withdraw{By: by}, nil
	case audit.RequestCanceled:
		return approvals.Cancel{By: by}, nil
	case audit.RequestLapsed:
		return approvals.Lapse{}, nil
	case audit.RequestReminded:
		return approvals.Remind{}, nil
	case audit.RequestEscalated:
		return approvals.Escalate{}, nil
	case audit.GrantIntended:
		return approvals.Activate{By: by}, nil
	}
	return nil, fmt.Errorf("nobody did %s", e.Kind)
}

// refusedRightly holds those refusals against the state at their place in the log that the state alone explains.
func refusedRightly(c approvals.Case, e audit.Event) error {
	answered := false
	for _, a := range c.Approvals {
		answered = answered || a.By.ID == e.Actor.ID && a.WithdrawnAt.IsZero()
	}
	switch code := approvals.Code(e.Detail["code"]); {
	case code == approvals.AlreadyVoted && !answered:
		return fmt.Errorf("event %d: %s has not answered", e.ID, e.Actor.ID)
	case code == approvals.AlreadyOver && c.Request.State == approvals.Pending:
		return fmt.Errorf("event %d: it is not over", e.ID)
	case e.Reason == "":
		return fmt.Errorf("event %d: refused without a word", e.ID)
	}
	return nil
}
