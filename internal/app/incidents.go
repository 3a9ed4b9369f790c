package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/internal/jobs"
	"github.com/prodaccess/prodaccess/oncall"
	"github.com/prodaccess/prodaccess/policy"
)

// tellAgain is the least pause before PagerDuty is told again.
const tellAgain = 10 * time.Second

// notifyPagerDuty is how a policy asks for an incident.
const notifyPagerDuty = "pagerduty"

// newIncidents makes what opens incidents; nil without a routing key.
func newIncidents(cfg config.Config) (*oncall.Incidents, error) {
	if cfg.PagerDuty.RoutingKey.Empty() {
		return nil, nil
	}
	return oncall.NewIncidents(oncall.IncidentsConfig{
		RoutingKey: cfg.PagerDuty.RoutingKey, EventsURL: cfg.PagerDuty.EventsURL, AllowPlainText: cfg.PagerDuty.AllowPlaintext,
	})
}

// DeafPager says that a policy wants incidents and that nothing can open them; empty when all is well.
func DeafPager(cfg config.Config, p *policy.Policy) string {
	glass, ok := p.BreakGlass()
	if !ok || !slices.Contains(glass.Notify, notifyPagerDuty) || !cfg.PagerDuty.RoutingKey.Empty() {
		return ""
	}
	return "the policy's break_glass.notify lists pagerduty and pagerduty.routing_key is not configured: nobody would be woken"
}

// incident tells PagerDuty how it stands with broken glass: an incident is open for as long as the review is. It is the
// Incident job. What PagerDuty will not take is recorded, said in the security channel, and not tried again.
func (a *App) incident(ctx context.Context, request string) error {
	c, err := a.store.Case(ctx, request)
	if err != nil {
		return fmt.Errorf("reading request %s: %w", request, err)
	}
	switch {
	case c.Review == nil:
		return nil
	case c.Review.Open():
		return a.openIncident(ctx, c)
	default:
		return a.resolveIncident(ctx, c)
	}
}

const noRoutingKey = "pagerduty.routing_key is not configured"

func (a *App) openIncident(ctx context.Context, c approvals.Case) error {
	if a.incidents == nil {
		return a.untold(ctx, c, audit.IncidentOpened, noRoutingKey)
	}
	err := a.incidents.Open(ctx, incidentOf(c))
	if failure, ok := errors.AsType[*oncall.Failure](err); ok && !failure.Passing() {
		return a.untold(ctx, c, audit.IncidentOpened, failure.Error())
	}
	if err != nil {
		return err
	}
	if err := a.recordOnce(ctx, incidentEvent(c, audit.IncidentOpened, a.now())); err != nil {
		return err
	}
	// The review may have been closed, and its own job have found nothing to resolve, while this one was opening.
	if c, err = a.store.Case(ctx, c.Request.ID); err != nil {
		return fmt.Errorf("reading request %s again: %w", c.Request.ID, err)
	}
	if c.Review.Open() {
		return nil
	}
	return a.resolveIncident(ctx, c)
}

// resolveIncident ends the incident of a review that is closed, and records whether there was one. Where none is recorded, and
// PagerDuty has not refused to open it either, PagerDuty is told all the same: whoever was opening it may have died before
// saying so.
func (a *App) resolveIncident(ctx context.Context, c approvals.Case) error {
	opened, err := a.hasRecorded(ctx, c, audit.IncidentOpened)
	if err != nil {
		return err
	}
	refused, err := a.hasRecorded(ctx, c, audit.IncidentFailed)
	if err != nil {
		return err
	}
	none := incidentEvent(c, audit.IncidentNone, a.now())
	none.Reason = "the review was over before one was opened"
	switch {
	case opened && a.incidents == nil:
		return a.untold(ctx, c, audit.IncidentResolved, noRoutingKey)
	case !opened && refused:
		none.Reason = "opening it had failed"
		return a.recordOnce(ctx, none)
	case a.incidents == nil:
		none.Reason = noRoutingKey
		return a.recordOnce(ctx, none)
	}
	err = a.incidents.Resolve(ctx, c.Request.ID)
	failure, ok := errors.AsType[*oncall.Failure](err)
	final := ok && !failure.Passing()
	switch {
	case err != nil && !final:
		return err
	case !opened:
		return a.recordOnce(ctx, none)
	case final:
		return a.untold(ctx, c, audit.IncidentResolved, failure.Error())
	}
	return a.recordOnce(ctx, incidentEvent(c, audit.IncidentResolved, a.now()))
}

// untold records, once, that PagerDuty was not told of something; the record's finding goes to the security channel. The job
// runs again where its worker died before the end of it was written down.
func (a *App) untold(ctx context.Context, c approvals.Case, kind audit.Kind, why string) error {
	known, err := a.store.Events(ctx, audit.Filter{Request: c.Request.ID, Kind: audit.IncidentFailed})
	if err != nil {
		return fmt.Errorf("reading what became of the incident of request %s: %w", c.Request.ID, err)
	}
	if slices.ContainsFunc(known, func(e audit.Event) bool { return e.Detail["instead_of"] == string(kind) }) {
		return nil
	}
	e := incidentEvent(c, audit.IncidentFailed, a.now())
	e.Reason, e.Detail = why, map[string]string{"instead_of": string(kind)}
	a.log.Error().Str("request", c.Request.ID).Str("why", why).Msg("PagerDuty was not told about broken glass")
	return a.store.Record(ctx, []audit.Event{e}, []jobs.Job{{Kind: jobs.Finding}})
}

// recordOnce records an event unless the request has one of its kind: the job runs at least once.
func (a *App) recordOnce(ctx context.Context, e audit.Event) error {
	there, err := a.store.Events(ctx, audit.Filter{Request: e.Request, Kind: e.Kind, Limit: 1})
	if err != nil || len(there) > 0 {
		return err
	}
	return a.store.Record(ctx, []audit.Event{e}, nil)
}

func (a *App) hasRecorded(ctx context.Context, c approvals.Case, kind audit.Kind) (bool, error) {
	there, err := a.store.Events(ctx, audit.Filter{Request: c.Request.ID, Kind: kind, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("reading what became of the incident of request %s: %w", c.Request.ID, err)
	}
	return len(there) > 0, nil
}

func incidentEvent(c approvals.Case, kind audit.Kind, at time.Time) audit.Event {
	r := c.Request
	return audit.Event{
		At: at, Kind: kind, Actor: audit.System("pagerduty"), Request: r.ID, Target: r.Target, Profile: r.Profile,
		Policy: r.Decision.Policy, Rule: r.Decision.Rule,
	}
}

func incidentOf(c approvals.Case) oncall.Incident {
	r := c.Request
	out := oncall.Incident{
		Request: r.ID, Who: r.Requester.Name, Email: r.Requester.Email, Target: r.Target, Access: r.Access(), At: r.FiledAt,
		For: r.Length(), Reason: r.Reason, Ticket: r.Ticket, ReviewBy: c.Review.DueAt,
	}
	if c.Grant != nil {
		out.Until = c.Grant.Deadline
	}
	return out
}
