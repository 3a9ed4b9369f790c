package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// ErrEarly is what an [Early] is: time was asked to act before its time.
var ErrEarly = errors.New("approvals: too early")

// Early is returned by what time does when it is asked before its time: because clocks differ, or because its time has moved.
// Try again when it has come; nobody else may.
type Early struct {
	// After is how long that is.
	After time.Duration
}

// Error implements error.
func (e *Early) Error() string { return fmt.Sprintf("%s, by %s", ErrEarly, e.After.Round(time.Second)) }

// Unwrap returns ErrEarly.
func (e *Early) Unwrap() error { return ErrEarly }

// ahead are the happenings that an act of time brings about.
func ahead(a Act) []Happening {
	switch a.(type) {
	case Lapse:
		return []Happening{Lapses}
	case Begin:
		return []Happening{Starts}
	case Remind:
		return []Happening{Reminds}
	case Escalate:
		return []Happening{Escalates}
	case LookAtReview:
		return []Happening{RemindsReview, EscalatesReview, ReviewDue}
	default:
		return nil
	}
}

// early says how long it is until an act of time has something to do; nil when it never will.
func (c Case) early(a Act, now time.Time) *Early {
	for _, next := range c.Upcoming(now) {
		if slices.Contains(ahead(a), next.What) && next.At.After(now) {
			return &Early{After: next.At.Sub(now)}
		}
	}
	return nil
}

// Lapse ends a request whose time is over. It is the Lapse job.
func (s *Service) Lapse(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestLapsed, Lapse{}, nil)
}

// Reopen gives a request back after its grant failed before anybody saw a password. It is the Reopen job.
func (s *Service) Reopen(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestReopened, Reopen{}, nil)
}

// Remind reminds those who may answer a pending request, and files the next reminder. It is the Remind job.
func (s *Service) Remind(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestReminded, Remind{}, func(_, after Case, out *Change, now time.Time) {
		n := after.Request.Reminders
		out.Events[0].Detail = map[string]string{"number": strconv.Itoa(n), "needs": after.Needs()}
		out.Jobs = append(out.Jobs, nudge("remind", n, id))
		if at, ok := after.Request.nextReminder(now); ok {
			out.Jobs = append(out.Jobs, jobs.Job{Kind: jobs.Remind, Subject: id, At: at})
		}
	})
}

// Escalate lets those the policy names answer a pending request as well. It is the Escalate job.
func (s *Service) Escalate(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.RequestEscalated, Escalate{}, func(_, after Case, out *Change, _ time.Time) {
		n := after.Request.Escalated
		to := after.Request.Decision.Escalations[n-1].To
		out.Events[0].Detail = map[string]string{"number": strconv.Itoa(n), "to": strings.Join(to, " ")}
		out.Jobs = append(out.Jobs, nudge("escalate", n, id))
	})
}

// Review reminds of an open review, lets others close it as well when it has been open for long, and files the next look.
// It is the Review job.
func (s *Service) Review(ctx context.Context, id string) error {
	return s.byTime(ctx, id, audit.ReviewReminded, LookAtReview{}, func(before, after Case, out *Change, now time.Time) {
		if !after.Review.Open() {
			out.Events = out.Events[1:] // nobody is reminded of what closed by itself
			return
		}
		what, n := "review", after.Review.Reminders
		reminded := &out.Events[0]
		reminded.Detail = map[string]string{"number": strconv.Itoa(n), "due": after.Review.DueAt.UTC().Format(time.RFC3339)}
		if after.Review.Overdue(now) {
			what = "overdue"
			reminded.Detail["overdue"] = "yes"
		}
		if escalatesReview(before, after) {
			escalated := s.event(audit.ReviewEscalated, after.Request, audit.System("approvals"), "")
			escalated.Detail = map[string]string{"to": strings.Join(after.Request.Decision.Review.Escalate.To, " ")}
			out.Events = append(out.Events, escalated)
		}
		out.Jobs = append(out.Jobs, nudge(what, n, id), reviewJob(after, now))
	})
}

// byTime carries out what time does to a request; more adds what is particular to it.
func (s *Service) byTime(ctx context.Context, id string, kind audit.Kind, a Act, more func(before, after Case, out *Change, now time.Time)) error {
	var early *Early
	_, err := s.cfg.Store.ChangeCase(ctx, id, func(c Case) (Change, error) {
		now := s.cfg.Now()
		next, err := Next(c, a, now)
		if err != nil {
			if early = nil; errors.Is(err, ErrNoChange) {
				early = c.early(a, now)
			}
			return Change{}, err
		}
		early = nil
		out := s.change(c, next, s.event(kind, next.Request, audit.System("approvals"), ""))
		if more != nil {
			more(c, next, &out, now)
		}
		return out, nil
	})
	if err == nil && early != nil {
		err = early
	}
	if err != nil {
		return fmt.Errorf("%s of request %s: %w", kind, id, err)
	}
	return nil
}
