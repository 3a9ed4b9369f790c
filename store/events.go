package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// ErrNoEvent means that no audit event has that id.
var ErrNoEvent = errors.New("store: no such audit event")

// Record writes events and jobs that change no row. A Finding job without subject gets the id of the first event.
func (s *Store) Record(ctx context.Context, events []audit.Event, follow []jobs.Job) error {
	if len(events)+len(follow) == 0 {
		return nil
	}
	err := s.write(ctx, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		var first int64
		queueEvents(b, events, &first)
		if err := send(ctx, tx, b); err != nil {
			return err
		}
		return s.insertJobs(ctx, tx, nil, about(follow, first))
	})
	if err != nil {
		return fmt.Errorf("recording audit events: %w", err)
	}
	if len(events) > 0 {
		s.kick()
	}
	return nil
}

// about gives Finding jobs without subject the event they are about.
func about(list []jobs.Job, event int64) []jobs.Job {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Kind == jobs.Finding && out[i].Subject == "" && event != 0 {
			out[i].Subject = strconv.FormatInt(event, 10)
		}
	}
	return out
}

// needsEvent says whether a job's subject is an event that is yet to be inserted.
func needsEvent(list []jobs.Job) bool {
	return slices.ContainsFunc(list, func(j jobs.Job) bool { return j.Kind == jobs.Finding && j.Subject == "" })
}

// queueEvents adds the insertion of events to a batch. The id of the first goes to first.
func queueEvents(b *pgx.Batch, events []audit.Event, first *int64) {
	queueEventsWith(b, events, func(ids []int64) { *first = ids[0] })
}

// queueEventsWith is queueEvents for whoever wants every id, in the order of the events. One statement takes all of them,
// however many; the trigger that queues them for the sealer runs once.
func queueEventsWith(b *pgx.Batch, events []audit.Event, got func(ids []int64)) {
	if len(events) == 0 {
		return
	}
	const columns = 16
	var c struct {
		at      []time.Time
		refused []bool
		texts   [columns - 3][]string
		detail  []*string
	}
	for _, e := range events {
		c.at = append(c.at, audit.Cut(e.At))
		c.refused = append(c.refused, e.Refused)
		for i, value := range []string{
			string(e.Kind), e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Actor.Email, e.Source, e.Request, e.Grant, e.Target,
			e.Profile, e.Reason, e.Policy, e.Rule,
		} {
			c.texts[i] = append(c.texts[i], text(value))
		}
		var detail *string
		if len(e.Detail) > 0 {
			encoded, err := document(e.Detail)
			if err != nil {
				panic(fmt.Sprintf("store: a map of strings does not encode: %v", err)) // it always does
			}
			detail = &encoded
		}
		c.detail = append(c.detail, detail)
	}
	args := []any{c.at, c.refused, c.detail}
	for _, column := range c.texts {
		args = append(args, column)
	}
	b.Queue(`
		INSERT INTO audit_events (at, refused, detail, kind, actor_kind, actor_id, actor_name, actor_email, source,
			request_id, grant_id, target, profile, reason, policy, rule)
		SELECT at, refused, detail::jsonb, kind, actor_kind, actor_id, actor_name, actor_email, source,
			request_id, grant_id, target, profile, reason, policy, rule
		FROM unnest($1::timestamptz[], $2::boolean[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
				$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
			WITH ORDINALITY AS e (at, refused, detail, kind, actor_kind, actor_id, actor_name, actor_email, source,
				request_id, grant_id, target, profile, reason, policy, rule, place)
		ORDER BY place
		RETURNING id`, args...,
	).Query(func(rows pgx.Rows) error {
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err == nil && len(ids) != len(events) {
			err = fmt.Errorf("inserting %d audit events gave %d ids", len(events), len(ids))
		}
		if err == nil {
			slices.Sort(ids) // they are given out in the order of the events
			got(ids)
		}
		return err
	})
}

// eventColumns are what eventTargets receive. An outer join that finds no event gives the id 0.
const eventColumns = `coalesce(e.id, 0), e.at, e.kind, coalesce(e.refused, false), e.actor_kind, e.actor_id, e.actor_name,
	e.actor_email, e.source, e.request_id, e.grant_id, e.target, e.profile, e.reason, e.policy, e.rule, e.detail`

// eventTargets are where the columns go; finish completes the event afterwards.
func eventTargets(e *audit.Event) (targets []any, finish func() error) {
	var detail []byte
	targets = []any{
		&e.ID, (*moment)(&e.At), (*word)(&e.Kind), &e.Refused, (*word)(&e.Actor.Kind), (*word)(&e.Actor.ID),
		(*word)(&e.Actor.Name), (*word)(&e.Actor.Email), (*word)(&e.Source), (*word)(&e.Request), (*word)(&e.Grant),
		(*word)(&e.Target), (*word)(&e.Profile), (*word)(&e.Reason), (*word)(&e.Policy), (*word)(&e.Rule), &detail,
	}
	return targets, func() error {
		if detail == nil {
			return nil
		}
		if err := json.Unmarshal(detail, &e.Detail); err != nil {
			return fmt.Errorf("decoding the detail of event %d: %w", e.ID, err)
		}
		return nil
	}
}

func scanEvent(row pgx.CollectableRow) (audit.Event, error) {
	var e audit.Event
	targets, finish := eventTargets(&e)
	if err := row.Scan(targets...); err != nil {
		return e, err
	}
	return e, finish()
}

// Event reads one audit event. ErrNoEvent when there is none.
func (s *Store) Event(ctx context.Context, id int64) (audit.Event, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+eventColumns+` FROM audit_events AS e WHERE e.id = $1`, id)
	if err != nil {
		return audit.Event{}, fmt.Errorf("reading audit event %d: %w", id, err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Event{}, ErrNoEvent
	}
	if err != nil {
		return audit.Event{}, fmt.Errorf("reading audit event %d: %w", id, err)
	}
	return e, nil
}

// Events reads the newest events that the filter selects, oldest first.
func (s *Store) Events(ctx context.Context, f audit.Filter) ([]audit.Event, error) {
	var where conditions
	where.add(f.Request != "", "e.request_id = $%d", f.Request)
	where.add(f.Grant != "", "e.grant_id = $%d", f.Grant)
	// Attempts that were refused before anybody was asked who this is carry the ID alone. They are the person's all the same.
	// The index of addresses leaves out events without one, and an array, unlike a subquery, is looked up in the index of IDs.
	where.add(f.Person != "", `(e.actor_id = $%[1]d OR (lower(e.actor_email) = lower($%[1]d) AND e.actor_email <> '') OR (e.actor_kind = 'person' AND e.actor_email = ''
		AND e.actor_id = ANY (ARRAY(SELECT DISTINCT known.actor_id FROM audit_events AS known WHERE known.actor_kind = 'person'
			AND lower(known.actor_email) = lower($%[1]d) AND known.actor_email <> ''))))`, f.Person)
	where.add(f.Kind != "", "e.kind = $%d", string(f.Kind))
	where.add(f.Refused, "e.refused = $%d", true)
	where.add(!f.Since.IsZero(), "e.at >= $%d", f.Since)
	where.add(!f.Until.IsZero(), "e.at < $%d", f.Until)
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	rows, err := s.pool.Query(ctx, `SELECT `+eventColumns+` FROM audit_events AS e`+where.clause()+
		` ORDER BY e.id DESC LIMIT `+strconv.Itoa(limit), where.args...)
	if err != nil {
		return nil, fmt.Errorf("reading audit events: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("reading audit events: %w", err)
	}
	slices.Reverse(out)
	return out, nil
}

// conditions are the parts of a WHERE that a filter asks for, each written here, with its value as a parameter.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(wanted bool, part string, arg any) {
	if !wanted {
		return
	}
	c.args = append(c.args, arg)
	c.parts = append(c.parts, fmt.Sprintf(part, len(c.args)))
}

func (c *conditions) clause() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

// send runs a batch and its callbacks in one round trip; the first error counts.
func send(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	if b == nil || b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}
