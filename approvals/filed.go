package approvals

import (
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/policy"
)

// wished is a request as it is before its answer, and the event that records it.
func (s *Service) wished(person Person, f Filing, d policy.Decision) (Request, audit.Event) {
	now := s.instant(f)
	r := Request{
		ID: grants.NewID(), State: Pending, Key: f.Key, Requester: person,
		Target: f.Target, Engine: s.targets[f.Target].Engine, Profile: f.Profile, Duration: d.Duration,
		Ticket: f.Ticket, Reason: f.Reason, Params: f.Params, StartsAt: f.StartsAt, Source: f.Source,
		Decision: d, FiledAt: now, LapsesAt: now.Add(patience(d.Waits.Answer, s.cfg.LapseAfter, d.Waits.OrSooner)),
	}
	event := s.event(audit.RequestFiled, r, actor(person), f.Source)
	event.Reason, event.Policy = f.Reason, d.Policy
	event.Detail = map[string]string{"duration": d.Duration.String(), "outcome": string(d.Outcome)}
	if !f.StartsAt.IsZero() {
		event.Detail["starts_at"] = f.StartsAt.UTC().Format(time.RFC3339)
	}
	if f.Ticket != "" {
		event.Detail["ticket"] = f.Ticket
	}
	return r, audit.Once(event, f.Delivery)
}

// filed is the change that keeps a new request, the answer to it, and what follows.
func (s *Service) filed(person Person, f Filing, d policy.Decision) Change {
	r, event := s.wished(person, f, d)
	switch d.Outcome {
	case policy.NeedsApproval:
		return Change{Request: r, Events: []audit.Event{event}, Jobs: waitJobs(Case{Request: r})}
	case policy.Approved:
		r = s.atOnce(r)
		answer := s.answered(audit.RequestApproved, r)
		answer.Detail = proof(d.Shift)
		return Change{Request: r, Events: []audit.Event{event, answer}, Jobs: append([]jobs.Job{draw(r.ID), lapseJob(r)}, startJob(r, r.FiledAt)...)}
	default:
		return s.turnedDown(r, event)
	}
}

// atOnce is a request approved when it is filed, by nobody.
func (s *Service) atOnce(r Request) Request {
	waits := r.Decision.Waits
	r.State, r.ApprovedAt = Approved, r.FiledAt
	r.LapsesAt = Case{Request: r}.takeUntil(r.takeFrom(r.FiledAt).Add(patience(waits.Take, s.cfg.TakeWithin, waits.OrSooner)))
	return r
}

// turnedDown keeps a request that the policy refuses. Nobody is asked and nothing is drawn: the reply to the requester
// says why.
func (s *Service) turnedDown(r Request, filed audit.Event) Change {
	r.State, r.EndedAt, r.Answer = Denied, r.FiledAt, r.Decision.Why
	return Change{Request: r, Events: []audit.Event{filed, s.answered(audit.RequestDenied, r)}}
}

// answered is the event of the policy's own answer.
func (s *Service) answered(kind audit.Kind, r Request) audit.Event {
	e := s.event(kind, r, audit.System("policy"), r.Source)
	e.Reason, e.Policy = r.Decision.Why, r.Decision.Policy
	return e
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
