package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// Directory says who people are. Errors are *Refusal with NotEligible or NotKnown.
type Directory interface {
	// Person looks a Slack user up; fresh asks Slack again however recently it was asked.
	Person(ctx context.Context, slackID string, fresh bool) (Person, error)
	// Membership says whether somebody is in a Slack user group. What cannot be learned is Unknown, never an error.
	Membership(ctx context.Context, usergroup, slackID string, fresh bool) policy.Membership
}

// Roster says who is on call. What cannot be learned is Unknown, never an error.
type Roster interface {
	Standing(ctx context.Context, schedule policy.Schedule, email string) policy.Standing
	// Rota names those on call now by their addresses; unknown completes "because …" where they cannot all be named.
	Rota(ctx context.Context, schedule policy.Schedule) (emails []string, unknown string)
}

// Grants issues and ends logins; *grants.Service does.
type Grants interface {
	Intend(ctx context.Context, in grants.Intent) (grants.Grant, error)
	Issue(ctx context.Context, id string) (grants.Credential, error)
	// Rotate, Extend and End do what a delivery asks for once; audit.ErrDelivered says that they did so before.
	Rotate(ctx context.Context, id string, by audit.Actor, source, delivery string) (grants.Credential, error)
	Shown(ctx context.Context, id string, by audit.Actor, source string) error
	Extend(ctx context.Context, id string, extensions int, deadline, notAfter time.Time, by audit.Actor, source, delivery string) (grants.Grant, error)
	End(ctx context.Context, id string, e grants.Ending) (grants.Grant, error)
	// Revoke carries a revocation as far as it goes, and returns grants.ErrPursued while somebody else is at it.
	Revoke(ctx context.Context, id string) error
}

// Config is what a Service needs. Every field is required.
type Config struct {
	Store     Store
	Grants    Grants
	Directory Directory
	Roster    Roster
	// Policy returns the policy in force.
	Policy  func() *policy.Policy
	Targets []grants.Target
	Now     func() time.Time
	// LapseAfter is how long a request waits for an answer, TakeWithin how long approved access waits for its requester.
	LapseAfter time.Duration
	TakeWithin time.Duration
	// MostPending is how many requests of one person may wait for an answer at a time. Broken glass waits for nobody.
	MostPending int
	// FactsWithin bounds how long filing waits for Slack and PagerDuty; what is not known by then is unknown.
	FactsWithin time.Duration
}

// Service is the choke point: it authorises every act of a person, audits it, and writes it down with what follows.
type Service struct {
	cfg     Config
	targets map[string]grants.Target
	usual   usuals
}

// New refuses a configuration with a hole in it.
func New(cfg Config) (*Service, error) {
	var missing []string
	for name, absent := range map[string]bool{
		"Store": cfg.Store == nil, "Grants": cfg.Grants == nil, "Directory": cfg.Directory == nil,
		"Roster": cfg.Roster == nil, "Policy": cfg.Policy == nil, "Now": cfg.Now == nil,
		"LapseAfter": cfg.LapseAfter <= 0, "TakeWithin": cfg.TakeWithin <= 0, "MostPending": cfg.MostPending <= 0, "FactsWithin": cfg.FactsWithin <= 0,
	} {
		if absent {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("making the approval service: missing %s", strings.Join(missing, ", "))
	}
	s := &Service{cfg: cfg, targets: map[string]grants.Target{}}
	for _, t := range cfg.Targets {
		s.targets[t.Name] = t
	}
	return s, nil
}

// Targets lists what may be asked for, in the order of the configuration.
func (s *Service) Targets() []grants.Target { return s.cfg.Targets }

// Profiles lists the profiles that fit a target's engine; nil for an unknown target.
func (s *Service) Profiles(target string) []policy.Profile {
	t, ok := s.targets[target]
	if !ok {
		return nil
	}
	var out []policy.Profile
	for _, p := range s.cfg.Policy().Profiles() {
		if fits(p, t) {
			out = append(out, p)
		}
	}
	return out
}

func fits(p policy.Profile, t grants.Target) bool {
	if len(p.Engines) == 0 {
		return true
	}
	for _, engine := range p.Engines {
		if engine == t.Engine {
			return true
		}
	}
	return false
}

// Case returns one case; a *Refusal with NotFound when there is none.
func (s *Service) Case(ctx context.Context, id string) (Case, error) {
	c, err := s.cfg.Store.Case(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Case{}, refuse(NotFound, "There is no request %q.", id)
	}
	return s.eligible(c), err
}

// Cases lists cases, newest first.
func (s *Service) Cases(ctx context.Context, q Query) ([]Case, error) {
	cases, err := s.cfg.Store.Cases(ctx, q)
	for i, c := range cases {
		cases[i] = s.eligible(c)
	}
	return cases, err
}

// actor is a person in the audit log's terms.
func actor(p Person) audit.Actor {
	return audit.Actor{Kind: "person", ID: p.ID, Name: p.Name, Email: p.Email}
}

// event starts an audit event about a request.
func (s *Service) event(kind audit.Kind, r Request, by audit.Actor, source string) audit.Event {
	return audit.Event{
		At: s.cfg.Now(), Kind: kind, Actor: by, Source: source,
		Request: r.ID, Target: r.Target, Profile: r.Profile, Policy: s.cfg.Policy().Hash(), Rule: r.Decision.Rule,
	}
}

// refused turns an event into the record of an attempt that was refused.
func refused(e audit.Event, why *Refusal) audit.Event {
	e.Refused = true
	e.Reason = why.Words
	e.Detail = map[string]string{"code": string(why.Code)}
	return e
}

// presser looks up, afresh, who pressed; an ineligible presser's attempt is recorded.
func (s *Service) presser(ctx context.Context, press Press, kind audit.Kind) (Person, Case, error) {
	c, err := s.Case(ctx, press.Request)
	if err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Person{}, c, s.record(ctx, audit.Event{
				At: s.cfg.Now(), Kind: kind, Actor: audit.Actor{Kind: "person", ID: press.By}, Source: press.Source,
				Policy: s.cfg.Policy().Hash(), Request: press.Request,
			}, refusal)
		}
		return Person{}, c, err
	}
	person, err := s.cfg.Directory.Person(ctx, press.By, true)
	if err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Person{}, c, s.record(ctx, s.event(kind, c.Request, audit.Actor{Kind: "person", ID: press.By}, press.Source), refusal)
		}
		return Person{}, c, err
	}
	return person, c, nil
}

// record writes the event of a refused attempt and returns the refusal; an attempt that cannot be recorded is an error,
// because nothing may happen unrecorded.
func (s *Service) record(ctx context.Context, e audit.Event, why *Refusal) error {
	if err := s.cfg.Store.Record(ctx, []audit.Event{refused(e, why)}, nil); err != nil {
		return fmt.Errorf("recording a refused attempt: %w", err)
	}
	return why
}
