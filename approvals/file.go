package approvals

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// The longest texts a request may carry, in characters: what fits a card beside everything else.
const (
	LongestReason = 1000
	LongestTicket = 60
)

// File asks the policy about a wish and keeps both, committed when it returns. The case's state is the answer: denied,
// approved or pending. A wish that cannot be understood is a *Refusal with the field at fault.
func (s *Service) File(ctx context.Context, f Filing) (Case, error) {
	person, err := s.cfg.Directory.Person(ctx, f.By, false)
	if err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return Case{}, s.record(ctx, s.filingEvent(f, audit.Actor{Kind: "person", ID: f.By}), refusal)
		}
		return Case{}, err
	}
	if refusal := s.understand(f); refusal != nil {
		return Case{}, s.record(ctx, s.filingEvent(f, actor(person)), refusal)
	}
	p := s.cfg.Policy() // one throughout: a reload in between must not keep one policy under the other's hash
	question := s.question(ctx, p, person, f)
	decision := p.Decide(question.Request, question.Facts)
	change := s.filed(person, f, decision)
	change.Question = &question
	if err := s.cfg.Store.KeepPolicy(ctx, p.Hash(), p.Source(), s.cfg.Now()); err != nil {
		return Case{}, fmt.Errorf("keeping the policy that decided: %w", err)
	}
	c, _, err := s.cfg.Store.CreateRequest(ctx, change)
	if err != nil {
		return Case{}, fmt.Errorf("filing a request: %w", err)
	}
	return c, nil
}

// Preview says what would be decided, and changes and records nothing.
func (s *Service) Preview(ctx context.Context, f Filing) (policy.Decision, error) {
	person, err := s.cfg.Directory.Person(ctx, f.By, false)
	if err != nil {
		return policy.Decision{}, err
	}
	if refusal := s.place(f); refusal != nil {
		return policy.Decision{}, refusal
	}
	return s.decide(ctx, person, f), nil
}

func (s *Service) filingEvent(f Filing, by audit.Actor) audit.Event {
	return audit.Event{
		At: s.cfg.Now(), Kind: audit.RequestFiled, Actor: by, Source: f.Source,
		Target: cut(f.Target, LongestTicket), Profile: cut(f.Profile, LongestTicket), Policy: s.cfg.Policy().Hash(),
	}
}

// place checks that the target and the profile exist and fit each other.
func (s *Service) place(f Filing) *Refusal {
	target, ok := s.targets[f.Target]
	if !ok {
		names := make([]string, 0, len(s.cfg.Targets))
		for _, t := range s.cfg.Targets {
			names = append(names, t.Name)
		}
		return input("Database", "There is no database %q.%s", cut(f.Target, LongestTicket), suggest(f.Target, names))
	}
	profile, ok := s.cfg.Policy().Profile(f.Profile)
	var names []string
	for _, p := range s.Profiles(f.Target) {
		names = append(names, p.Name)
	}
	switch {
	case !ok:
		return input("Access", "There is no access %q.%s", cut(f.Profile, LongestTicket), suggest(f.Profile, names))
	case !fits(profile, target):
		return input("Access", "%s is not for %s databases.%s", profile.Name, target.Engine, suggest("", names))
	}
	return nil
}

// understand checks everything about a wish that does not need the policy.
func (s *Service) understand(f Filing) *Refusal {
	if refusal := s.place(f); refusal != nil {
		return refusal
	}
	switch {
	case f.Duration < 0 || f.Duration > 0 && f.Duration < time.Second:
		return input("Duration", "The shortest duration is 1s. Write one like 30m, 1h30m or 45s.")
	case strings.TrimSpace(f.Reason) == "":
		return input("Reason", "Say why you need it. Whoever approves, and whoever reads it in nine months, goes by this.")
	case len([]rune(f.Reason)) > LongestReason:
		return input("Reason", "The reason is %d characters long; at most %d fit.", len([]rune(f.Reason)), LongestReason)
	case len([]rune(f.Ticket)) > LongestTicket:
		return input("Ticket", "The ticket is %d characters long; at most %d fit.", len([]rune(f.Ticket)), LongestTicket)
	}
	return nil
}

func (s *Service) decide(ctx context.Context, person Person, f Filing) policy.Decision {
	p := s.cfg.Policy()
	question := s.question(ctx, p, person, f)
	return p.Decide(question.Request, question.Facts)
}

// question is a wish as a policy sees it, with the facts that this policy may need.
func (s *Service) question(ctx context.Context, p *policy.Policy, person Person, f Filing) policy.Question {
	target := s.targets[f.Target]
	request := policy.Request{
		User:    policy.Person{ID: person.ID, Email: person.Email},
		Target:  policy.Target{Name: target.Name, Engine: target.Engine, Environment: target.Environment},
		Profile: f.Profile, Duration: f.Duration, Ticket: f.Ticket, Reason: f.Reason, Params: f.Params, At: s.cfg.Now(),
	}
	return policy.Question{Request: request, Facts: s.facts(ctx, person, p.Lookups(request), false)}
}

// filed is the change that keeps a new request, the answer to it, and what follows.
func (s *Service) filed(person Person, f Filing, d policy.Decision) Change {
	now := s.cfg.Now()
	r := Request{
		ID: grants.NewID(), State: Pending, Key: f.Key, Requester: person,
		Target: f.Target, Engine: s.targets[f.Target].Engine, Profile: f.Profile, Duration: d.Duration,
		Ticket: f.Ticket, Reason: f.Reason, Params: f.Params, Source: f.Source,
		Decision: d, FiledAt: now, LapsesAt: now.Add(s.cfg.LapseAfter),
	}
	event := s.event(audit.RequestFiled, r, actor(person), f.Source)
	event.Reason, event.Policy = f.Reason, d.Policy
	event.Detail = map[string]string{"duration": d.Duration.String(), "outcome": string(d.Outcome)}
	if f.Ticket != "" {
		event.Detail["ticket"] = f.Ticket
	}
	events := []audit.Event{event}
	answer := s.event(audit.RequestDenied, r, audit.System("policy"), f.Source)
	answer.Reason, answer.Policy = d.Why, d.Policy
	switch d.Outcome {
	case policy.NeedsApproval:
		return Change{Request: r, Events: events, Jobs: []jobs.Job{{Kind: jobs.Draw, Subject: r.ID}, lapseJob(r)}}
	case policy.Approved:
		r.State, r.ApprovedAt = Approved, now
		r.LapsesAt = Case{Request: r}.takeUntil(now.Add(s.cfg.TakeWithin))
		answer.Kind = audit.RequestApproved
		answer.Detail = proof(d.Shift)
		return Change{Request: r, Events: append(events, answer), Jobs: []jobs.Job{{Kind: jobs.Draw, Subject: r.ID}, lapseJob(r)}}
	default:
		// Nobody is asked and nothing is drawn: the reply to the requester says why.
		r.State, r.EndedAt, r.Answer = Denied, now, d.Why
		return Change{Request: r, Events: append(events, answer)}
	}
}

// lapseJob ends the request when its time is over. Its version is that time, so that a later one is another job.
func lapseJob(r Request) jobs.Job {
	return jobs.Job{Kind: jobs.Lapse, Subject: r.ID, Version: r.LapsesAt.Unix(), At: r.LapsesAt}
}

// proof is the on-call proof an approval rests on, for the audit log.
func proof(shift *policy.Standing) map[string]string {
	if shift == nil {
		return nil
	}
	return map[string]string{
		"schedule": shift.Schedule, "source": shift.Source, "level": strconv.Itoa(shift.Level),
		"shift_end": shift.End.UTC().Format(time.RFC3339), "as_of": shift.AsOf.UTC().Format(time.RFC3339),
	}
}

func input(field, format string, args ...any) *Refusal {
	r := refuse(BadInput, format, args...)
	r.Field = field
	return r
}

// suggest names the nearest valid word, or all of them when there are few.
func suggest(word string, among []string) string {
	if near, ok := policy.Nearest(word, among); ok {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	if len(among) == 0 {
		return ""
	}
	const few = 12
	if len(among) > few {
		among = append(append([]string(nil), among[:few]...), "…")
	}
	return " There is " + strings.Join(among, ", ") + "."
}

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
