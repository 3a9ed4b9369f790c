package approvals

import (
	"context"
	"slices"

	"github.com/prodaccess/prodaccess/policy"
)

// Me is how the policy in force sees somebody now.
type Me struct {
	Person Person
	// Groups are the names of those they are in.
	Groups []string
	// OnCall lists the shifts they have now, as far as the policy names their schedules.
	OnCall []policy.Standing
	// Unknown are clauses that complete "because …": facts that could not be learned.
	Unknown []string
	// Offers are what they may ask for, in the order of the targets and of the file.
	Offers []Offer
}

// Offer is access that somebody may ask for.
type Offer struct {
	Target, Profile string
	// Decision is the policy's answer for its default duration. It is Denied where a ticket or a longer reason is required,
	// which a request still can bring.
	Decision policy.Decision
}

// Known is nil for somebody who may ask and answer at all, and otherwise the *Refusal that says why they may not, or that this is not
// known. It is a look, and nothing is recorded.
func (s *Service) Known(ctx context.Context, slackID string) error {
	_, err := s.cfg.Directory.Person(ctx, slackID, false)
	return err
}

// Me says how the policy sees somebody. It is a look: nothing is recorded, nothing is promised, and a request is decided by
// itself. Somebody who may not act at all is refused.
func (s *Service) Me(ctx context.Context, slackID string) (Me, error) {
	person, err := s.cfg.Directory.Person(ctx, slackID, false)
	if err != nil {
		return Me{}, err
	}
	p := s.cfg.Policy() // one throughout
	requests := s.wishes(person)
	facts := s.facts(ctx, person, everything(p, requests), false)
	out := Me{Person: person}
	who := policy.Person{ID: person.ID, Email: person.Email}
	for _, g := range p.Groups() {
		if p.MayApprove(policy.Requirement{From: []string{"group:" + g.Name}, Count: 1}, who, facts).OK {
			out.Groups = append(out.Groups, g.Name)
		}
	}
	for _, schedule := range p.Schedules() {
		if standing := facts.Schedules[schedule.Name]; standing.On {
			out.OnCall = append(out.OnCall, standing)
		} else if standing.Unknown != "" && !slices.Contains(out.Unknown, standing.Unknown) {
			out.Unknown = append(out.Unknown, standing.Unknown)
		}
	}
	for _, id := range p.Usergroups() {
		if why := facts.Usergroups[id].Unknown; why != "" && !slices.Contains(out.Unknown, why) {
			out.Unknown = append(out.Unknown, why)
		}
	}
	for _, r := range requests {
		// What a rule allows has a longest time, also where the wish still lacks a ticket.
		if d := p.Decide(r, facts); d.Outcome != policy.Denied || d.MaxDuration > 0 {
			out.Offers = append(out.Offers, Offer{Target: r.Target.Name, Profile: r.Profile, Decision: d})
		}
	}
	return out, nil
}

// wishes are everything a person could ask for, each with parameters that are of their types.
func (s *Service) wishes(person Person) []policy.Request {
	var out []policy.Request
	for _, t := range s.cfg.Targets {
		for _, profile := range s.Profiles(t.Name) {
			params := map[string]string{}
			for _, parameter := range profile.Parameters {
				if parameter.Required {
					params[parameter.Name] = specimens[parameter.Type]
				}
			}
			out = append(out, s.asked(person, Filing{Target: t.Name, Profile: profile.Name, Params: params}))
		}
	}
	return out
}

// specimens are a value of each type a parameter can have.
var specimens = map[string]string{
	"bigint": "1", "integer": "1", "numeric": "1", "text": "x", "uuid": "00000000-0000-0000-0000-000000000000", "date": "2000-01-01",
	"timestamptz": "2000-01-01T00:00:00Z", "boolean": "true",
}

// everything is what has to be looked up to decide all of these, and to say who somebody is.
func everything(p *policy.Policy, requests []policy.Request) policy.Lookups {
	out := policy.Lookups{Usergroups: p.Usergroups(), Schedules: p.Schedules()}
	for _, r := range requests {
		out.History = out.History || p.Lookups(r).History
	}
	return out
}
