package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
)

// requestColumns are what scanRequest reads.
const requestColumns = `r.id, r.state, r.version, r.key, r.requester_id, r.requester_name, r.requester_email, r.requester_zone,
	r.target, r.engine, r.profile, r.duration, r.ticket, r.reason, r.params, r.source, r.decision, r.filed_at, r.lapses_at,
	r.approved_at, r.ended_at, r.ended_by_id, r.ended_by_name, r.ended_by_email, r.ended_by_zone, r.answer, r.break_glass,
	coalesce(r.less_duration, interval '0'), coalesce(r.less_profile, ''), r.reminders, r.escalated, r.escalated_at,
	r.starts_at, r.started_at`

func scanRequest(row pgx.CollectableRow) (approvals.Request, error) {
	var r approvals.Request
	var params, decision []byte
	var less approvals.Less
	err := row.Scan(&r.ID, &r.State, &r.Version, &r.Key, &r.Requester.ID, &r.Requester.Name, &r.Requester.Email,
		&r.Requester.Zone, &r.Target, &r.Engine, &r.Profile, &r.Duration, &r.Ticket, &r.Reason, &params, &r.Source, &decision,
		(*moment)(&r.FiledAt), (*moment)(&r.LapsesAt), (*moment)(&r.ApprovedAt), (*moment)(&r.EndedAt),
		(*word)(&r.EndedBy.ID), (*word)(&r.EndedBy.Name), (*word)(&r.EndedBy.Email), (*word)(&r.EndedBy.Zone), &r.Answer, &r.BreakGlass,
		&less.Duration, &less.Profile, &r.Reminders, &r.Escalated, (*moment)(&r.EscalatedAt),
		(*moment)(&r.StartsAt), (*moment)(&r.StartedAt))
	if err != nil {
		return r, err
	}
	r.Less = settleLess(&less)
	if string(params) != "{}" {
		if err := json.Unmarshal(params, &r.Params); err != nil {
			return r, fmt.Errorf("decoding the parameters of request %s: %w", r.ID, err)
		}
	}
	if err := json.Unmarshal(decision, &r.Decision); err != nil {
		return r, fmt.Errorf("decoding the decision of request %s: %w", r.ID, err)
	}
	return r, nil
}

// Case implements approvals.Store.
func (s *Store) Case(ctx context.Context, id string) (approvals.Case, error) {
	var found []approvals.Case
	if err := s.readAtOnce(ctx, func(b *pgx.Batch) { queueCase(b, id, false, &found) }); err != nil {
		return approvals.Case{}, fmt.Errorf("reading request %s: %w", id, err)
	}
	if len(found) == 0 {
		return approvals.Case{}, approvals.ErrNotFound
	}
	return found[0], nil
}

// mostCases is the most that one query gives.
const mostCases = 200

// Cases implements approvals.Store. Open reviews come in the order in which they are due, everything else newest first.
func (s *Store) Cases(ctx context.Context, q approvals.Query) ([]approvals.Case, error) {
	states := make([]string, len(q.States))
	for i, state := range q.States {
		states[i] = string(state)
	}
	var where conditions
	where.add(q.Requester != "", "r.requester_id = $%d", q.Requester)
	where.add(q.Target != "", "r.target = $%d", q.Target)
	where.add(q.Profile != "", "r.profile = $%d", q.Profile)
	where.add(len(states) > 0, "r.state = ANY ($%d)", states)
	// The first condition finds the few by an index, the second keeps those whose latest try it is.
	where.add(q.LiveGrants, `r.id IN (SELECT g.request_id FROM grants AS g WHERE g.state <> 'revoked') AND (
		SELECT g.state FROM grants AS g WHERE g.request_id = r.id ORDER BY g.place DESC LIMIT 1) <> $%d`, string(grants.Revoked))
	where.add(!q.Since.IsZero(), "r.filed_at >= $%d", q.Since)
	join, order := ``, ` ORDER BY r.filed_at DESC, r.id DESC LIMIT `
	if q.OpenReviews {
		join, order = `JOIN reviews AS v ON v.request_id = r.id AND v.closed_at IS NULL`, ` ORDER BY v.due_at, r.id LIMIT `
	}
	limit := q.Limit
	if limit <= 0 || limit > mostCases {
		limit = mostCases
	}
	var found []approvals.Case
	err := s.read(ctx, func(tx pgx.Tx) (err error) {
		found, err = loadCases(ctx, tx, join+where.clause()+order+strconv.Itoa(limit), where.args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading requests: %w", err)
	}
	return found, nil
}

// loadCases reads requests and what belongs to them. The transaction sees one snapshot, or holds the requests' locks.
func loadCases(ctx context.Context, tx pgx.Tx, where string, args ...any) ([]approvals.Case, error) {
	rows, err := tx.Query(ctx, `SELECT `+requestColumns+` FROM requests AS r `+where, args...)
	if err != nil {
		return nil, err
	}
	requests, err := pgx.CollectRows(rows, scanRequest)
	if err != nil || len(requests) == 0 {
		return nil, err
	}
	cases := make([]approvals.Case, len(requests))
	ids := make([]string, len(requests))
	place := make(map[string]*approvals.Case, len(requests))
	for i, r := range requests {
		cases[i].Request, ids[i], place[r.ID] = r, r.ID, &cases[i]
	}
	b := &pgx.Batch{}
	queueApprovalsOf(b, ids, place)
	queueGrantsOf(b, ids, place)
	queueReviewsOf(b, ids, place)
	return cases, send(ctx, tx, b)
}

func queueApprovalsOf(b *pgx.Batch, ids []string, place map[string]*approvals.Case) {
	b.Queue(`
		SELECT a.request_id, a.by_id, a.by_name, a.by_email, a.by_zone, a.verdict, a.reason, a.at, a.fills,
			coalesce(a.less_duration, interval '0'), coalesce(a.less_profile, ''), a.withdrawn_at
		FROM approvals AS a WHERE a.request_id = ANY ($1) ORDER BY a.place`, ids,
	).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var request string
			var a approvals.Approval
			var less approvals.Less
			err := rows.Scan(&request, &a.By.ID, &a.By.Name, &a.By.Email, &a.By.Zone, &a.Verdict, &a.Reason, (*moment)(&a.At), &a.Fills,
				&less.Duration, &less.Profile, (*moment)(&a.WithdrawnAt))
			if err != nil {
				return err
			}
			a.Less = settleLess(&less)
			c := place[request]
			c.Approvals = append(c.Approvals, a)
		}
		return rows.Err()
	})
}

func queueGrantsOf(b *pgx.Batch, ids []string, place map[string]*approvals.Case) {
	b.Queue(`
		SELECT DISTINCT ON (g.request_id) count(*) OVER w, count(*) FILTER (WHERE g.state NOT IN ('cleanup', 'revoked')) OVER w, `+grantColumns+`
		FROM grants AS g WHERE g.request_id = ANY ($1) WINDOW w AS (PARTITION BY g.request_id) ORDER BY g.request_id, g.place DESC`, ids,
	).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var g grants.Grant
			var count, unsecured int
			targets, finish := grantTargets(&g)
			if err := rows.Scan(append([]any{&count, &unsecured}, targets...)...); err != nil {
				return err
			}
			if err := finish(); err != nil {
				return err
			}
			c := place[g.Request]
			c.Grant, c.Grants, c.Unsecured = &g, count, unsecured
		}
		return rows.Err()
	})
}

// queueCase reads one case, if there is one, and locks its request if asked to. No grant of a locked request can change,
// because that takes the same lock; each of these statements sees what was committed when the one before it ended.
func queueCase(b *pgx.Batch, id string, lock bool, found *[]approvals.Case) {
	query := `SELECT ` + requestColumns + ` FROM requests AS r WHERE r.id = $1`
	if lock {
		query += ` FOR UPDATE`
	}
	place := map[string]*approvals.Case{}
	b.Queue(query, id).Query(func(rows pgx.Rows) error {
		requests, err := pgx.CollectRows(rows, scanRequest)
		for _, r := range requests {
			*found = append(*found, approvals.Case{Request: r})
			place[r.ID] = &(*found)[0]
		}
		return err
	})
	queueApprovalsOf(b, []string{id}, place)
	queueGrantsOf(b, []string{id}, place)
	queueReviewsOf(b, []string{id}, place)
}
