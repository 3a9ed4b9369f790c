package approvals

import (
	"context"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// Alternative is access that somebody would be let ask for in place of what was refused.
type Alternative struct {
	Target, Profile string
	Duration        time.Duration
	// StartsAt is the start that was asked for, while it is still ahead; zero is at once.
	StartsAt time.Time
	// Decision is what the policy would say to it now.
	Decision policy.Decision
}

// mostAlternatives is how many are offered: a choice, not a catalogue.
const mostAlternatives = 3

// halved are the lengths to fall back to when somebody said no to a longer one.
var halved = []time.Duration{8 * time.Hour, 4 * time.Hour, 2 * time.Hour, time.Hour, 30 * time.Minute, 15 * time.Minute, 5 * time.Minute}

// Instead lists what the requester of a refused request would be let ask for instead, the nearest first: the same for a shorter
// time, then an access that can do less on the same database, then the same access elsewhere. The ticket, the reason, the
// parameters and a start that is still ahead stay as they are. It is a look: nothing is recorded and nothing is promised.
func (s *Service) Instead(ctx context.Context, r Request) ([]Alternative, error) {
	if r.State != Denied || r.BreakGlass {
		return nil, nil
	}
	person, err := s.cfg.Directory.Person(ctx, r.Requester.ID, false)
	if err != nil {
		return nil, err
	}
	p := s.cfg.Policy() // one throughout
	wishes := s.near(p, person, r)
	facts := s.facts(ctx, person, everything(p, wishes), false)
	var out []Alternative
	for _, wish := range wishes {
		d := p.Decide(wish, facts)
		if d.Outcome == policy.Denied && d.MaxDuration > 0 && d.MaxDuration < wish.Duration {
			wish.Duration = d.MaxDuration
			d = p.Decide(wish, facts)
		}
		if d.Outcome == policy.Denied {
			continue
		}
		out = append(out, Alternative{Target: wish.Target.Name, Profile: wish.Profile, Duration: wish.Duration, StartsAt: wish.StartsAt, Decision: d})
		if len(out) == mostAlternatives {
			break
		}
	}
	return out, nil
}

// near are the wishes like a refused one, the most like it first. What was refused is among them only when it was the policy
// that refused it: it may have been too long.
func (s *Service) near(p *policy.Policy, person Person, r Request) []policy.Request {
	var out []policy.Request
	add := func(target, profile string, length time.Duration) {
		wanted, ok := p.Profile(profile)
		same := func(q policy.Request) bool { return q.Target.Name == target && q.Profile == profile }
		if !ok || !fits(wanted, s.targets[target]) || slices.ContainsFunc(out, same) {
			return
		}
		params := map[string]string{}
		for _, parameter := range wanted.Parameters {
			if value, given := r.Params[parameter.Name]; given {
				params[parameter.Name] = value
			}
		}
		if wanted.CheckParams(params) != nil {
			return // it needs what the request did not say
		}
		out = append(out, s.asked(person, Filing{
			Target: target, Profile: profile, Duration: length, Ticket: r.Ticket, Reason: r.Reason, Params: params, StartsAt: r.StillAhead(s.cfg.Now()),
		}))
	}
	length := r.Duration
	if r.EndedBy.ID == "" {
		add(r.Target, r.Profile, length)
	} else if i := slices.IndexFunc(halved, func(d time.Duration) bool { return d <= length/2 }); i >= 0 {
		add(r.Target, r.Profile, halved[i])
	}
	for _, narrower := range p.Narrower(r.Profile, r.Engine) {
		add(r.Target, narrower.Name, length)
	}
	if r.EndedBy.ID != "" {
		return out // somebody looked at the database too, and said no
	}
	for _, other := range s.alike(r.Target) {
		add(other.Name, r.Profile, length)
	}
	return out
}

// alike are the other databases of the same engine, those of the same environment last: what is refused in production is
// had elsewhere.
func (s *Service) alike(target string) []grants.Target {
	wanted, ok := s.targets[target]
	var near, far []grants.Target
	for _, t := range s.cfg.Targets {
		switch {
		case !ok || t.Name == target || t.Engine != wanted.Engine:
		case t.Environment == wanted.Environment:
			far = append(far, t)
		default:
			near = append(near, t)
		}
	}
	return append(near, far...)
}
