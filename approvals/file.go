package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
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
	f = s.asOfNow(f)
	if refusal := s.understand(f); refusal != nil {
		return Case{}, s.record(ctx, s.filingEvent(f, actor(person)), refusal)
	}
	// Between the decision and the commit somebody else may take what is left of a budget; then it is decided again.
	for try := 1; ; try++ {
		c, err := s.keep(ctx, person, f, try == mostTries)
		if !errors.Is(err, ErrBudget) || try == mostTries {
			return s.once(ctx, f.Delivery, c, err)
		}
	}
}

// mostTries is how often a request is decided. The last try does not count on a budget any more, so that a person is asked.
const mostTries = 4

// keep decides a wish and commits both.
func (s *Service) keep(ctx context.Context, person Person, f Filing, last bool) (Case, error) {
	f = s.asOfNow(f)
	p := s.cfg.Policy() // one throughout: a reload in between must not keep one policy under the other's hash
	question := s.question(ctx, p, person, f)
	if last && question.Facts.History != nil {
		question.Facts.History = &policy.History{Unknown: "others draw on the same budget at this moment"}
	}
	change := s.filed(person, f, p.Decide(question.Request, question.Facts))
	change.Question, change.MostPending = &question, s.cfg.MostPending
	c, err := s.create(ctx, p, change)
	if errors.Is(err, ErrCrowded) {
		waiting, _ := s.cfg.Store.PendingOf(ctx, person.ID, s.cfg.Now())
		return Case{}, s.record(ctx, s.filingEvent(f, actor(person)), s.crowded(ctx, person, waiting))
	}
	return c, err
}

// create commits a new request together with the policy that decided it.
func (s *Service) create(ctx context.Context, p *policy.Policy, change Change) (Case, error) {
	if err := s.cfg.Store.KeepPolicy(ctx, p.Hash(), p.Source(), s.cfg.Now()); err != nil {
		return Case{}, fmt.Errorf("keeping the policy that decided: %w", err)
	}
	c, _, err := s.cfg.Store.CreateRequest(ctx, change)
	if err != nil {
		return Case{}, fmt.Errorf("filing a request: %w", err)
	}
	return c, nil
}

// Preview says what would be decided, and changes and records nothing. The refusals are File's; with TooMany comes what would be
// decided if there were room.
func (s *Service) Preview(ctx context.Context, f Filing) (policy.Decision, error) {
	person, err := s.cfg.Directory.Person(ctx, f.By, false)
	if err != nil {
		return policy.Decision{}, err
	}
	if refusal := s.place(f); refusal != nil {
		return policy.Decision{}, refusal
	}
	f = s.asOfNow(f)
	d := s.decide(ctx, s.cfg.Policy(), person, f)
	return d, s.full(ctx, person, d)
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
	case !f.StartsAt.IsZero() && !f.StartsAt.After(s.instant(f)):
		return input("Start", "That time is past. Choose a later one, or start now.")
	case strings.TrimSpace(f.Reason) == "":
		return input("Reason", "Say why you need it. Whoever approves, and whoever reads it in nine months, goes by this.")
	case len([]rune(f.Reason)) > LongestReason:
		return input("Reason", "The reason is %d characters long; at most %d fit.", len([]rune(f.Reason)), LongestReason)
	case len([]rune(f.Ticket)) > LongestTicket:
		return input("Ticket", "The ticket is %d characters long; at most %d fit.", len([]rune(f.Ticket)), LongestTicket)
	}
	return nil
}

func (s *Service) decide(ctx context.Context, p *policy.Policy, person Person, f Filing) policy.Decision {
	question := s.question(ctx, p, person, f)
	return p.Decide(question.Request, question.Facts)
}

// question is a wish as a policy sees it, with the facts that this policy may need.
func (s *Service) question(ctx context.Context, p *policy.Policy, person Person, f Filing) policy.Question {
	request := s.asked(person, f)
	return policy.Question{Request: request, Facts: s.facts(ctx, person, p.Lookups(request), false)}
}

// asOfNow fixes the instant of a wish; a start that has just passed is now.
func (s *Service) asOfNow(f Filing) Filing {
	f.now = s.cfg.Now()
	f.StartsAt = begins(f.StartsAt, f.now)
	return f
}

// instant is the one instant of a wish.
func (s *Service) instant(f Filing) time.Time {
	if f.now.IsZero() {
		return s.cfg.Now()
	}
	return f.now
}

// asked is a wish in the policy's terms.
func (s *Service) asked(person Person, f Filing) policy.Request {
	target := s.targets[f.Target]
	return policy.Request{
		User:    policy.Person{ID: person.ID, Email: person.Email},
		Target:  policy.Target{Name: target.Name, Engine: target.Engine, Environment: target.Environment},
		Profile: f.Profile, Duration: f.Duration, Ticket: f.Ticket, Reason: f.Reason, Params: f.Params, At: s.instant(f), StartsAt: f.StartsAt,
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
