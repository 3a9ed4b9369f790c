package approvals

import (
	"fmt"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// notifyPagerDuty is how the policy asks for an incident.
const notifyPagerDuty = "pagerduty"

// change is what one step of the state machine writes: what became different, its event, and what follows from it. Every
// job of time is filed again whenever its time moves; the one filed before comes again as well, and one of them finds
// nothing to do.
func (s *Service) change(before, after Case, event audit.Event) Change {
	r := after.Request
	out := Change{Request: r, Events: []audit.Event{event}, Jobs: []jobs.Job{draw(r.ID)}}
	out.Approvals = after.Approvals[len(before.Approvals):]
	for i, a := range before.Approvals {
		if a.stands() && !after.Approvals[i].stands() {
			out.Withdrawn = append(out.Withdrawn, a.By.ID)
			out.WithdrawnAt = after.Approvals[i].WithdrawnAt
		}
	}
	if !r.LapsesAt.Equal(before.Request.LapsesAt) || r.State == Approved && before.Request.State == Activated {
		out.Jobs = append(out.Jobs, lapseJob(r))
	}
	if before.Request.State != Approved {
		out.Jobs = append(out.Jobs, startJob(r, event.At)...)
	}
	if _, was, _ := before.nextEscalation(); r.State == Pending {
		if _, at, ok := after.nextEscalation(); ok && !at.Equal(was) {
			out.Jobs = append(out.Jobs, jobs.Job{Kind: jobs.Escalate, Subject: r.ID, At: at})
		}
	}
	if after.Review != before.Review {
		out.Review = after.Review
	}
	if before.Review.Open() && !after.Review.Open() {
		out.Jobs = append(out.Jobs, incident(r)...)
		if after.Review.Verdict == Unused {
			closed := s.event(audit.ReviewClosed, r, audit.System("approvals"), "")
			closed.Detail = map[string]string{"verdict": string(Unused)}
			out.Events = append(out.Events, closed)
		}
	}
	return out
}

func draw(id string) jobs.Job { return jobs.Job{Kind: jobs.Draw, Subject: id} }

// lapseJob ends the request when its time is over.
func lapseJob(r Request) jobs.Job { return jobs.Job{Kind: jobs.Lapse, Subject: r.ID, At: r.LapsesAt} }

// waitJobs are what follows from filing a request that waits for people.
func waitJobs(c Case) []jobs.Job {
	out := []jobs.Job{draw(c.Request.ID), lapseJob(c.Request)}
	if at, ok := c.Request.nextReminder(c.Request.FiledAt); ok {
		out = append(out, jobs.Job{Kind: jobs.Remind, Subject: c.Request.ID, At: at})
	}
	if _, at, ok := c.nextEscalation(); ok {
		out = append(out, jobs.Job{Kind: jobs.Escalate, Subject: c.Request.ID, At: at})
	}
	return out
}

// reviewJob looks at an open review for the first time after an instant.
func reviewJob(c Case, after time.Time) jobs.Job {
	return jobs.Job{Kind: jobs.Review, Subject: c.Request.ID, At: c.looks().after(after)}
}

// incident opens, or when the review is closed resolves, the incident, where the policy wants one.
func incident(r Request) []jobs.Job {
	if terms := r.Decision.Review; terms != nil && slices.Contains(terms.Notify, notifyPagerDuty) {
		return []jobs.Job{{Kind: jobs.Incident, Subject: r.ID}}
	}
	return nil
}

// nudge posts one reminder or escalation.
func nudge(what string, n int, id string) jobs.Job {
	return jobs.Job{Kind: jobs.Nudge, Subject: fmt.Sprintf("%s/%d/%s", what, n, id)}
}
