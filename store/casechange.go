package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// CreateRequest implements approvals.Store.
func (s *Store) CreateRequest(ctx context.Context, change approvals.Change) (filed approvals.Case, created bool, err error) {
	err = s.write(ctx, func(tx pgx.Tx) error {
		filed, created = approvals.Case{}, false
		r := change.Request
		r.Version = 1
		r.Less, r.Reminders, r.Escalated, r.EscalatedAt = nil, 0, 0, time.Time{} // they come while it waits
		r.StartedAt = time.Time{}
		decision, params, err := settleRequest(&r)
		if err != nil {
			return err
		}
		replay, err := replayOf(change)
		if err != nil {
			return err
		}
		inserted, err := tx.Exec(ctx, `
			INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone,
				target, engine, profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at,
				lapses_at, approved_at, ended_at, ended_by_id, ended_by_name, ended_by_email, ended_by_zone, answer, replay,
				break_glass, starts_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
				$23, $24, $25, $26, $27, $28, $29, $30, $31)
			ON CONFLICT (key) DO NOTHING`,
			append([]any{
				r.ID, r.Key, string(r.State), r.Version, r.Requester.ID, r.Requester.Name, r.Requester.Email,
				r.Requester.Zone, r.Target, r.Engine, r.Profile, r.Duration, r.Ticket, r.Reason, params, r.Source,
				string(r.Decision.Outcome), word(r.Decision.Policy), decision, r.FiledAt, moment(r.LapsesAt),
				moment(r.ApprovedAt), moment(r.EndedAt),
			}, append(requestEndedBy(r), r.Answer, replay, r.BreakGlass, moment(r.StartsAt))...)...)
		if err != nil {
			return err
		}
		if inserted.RowsAffected() == 0 {
			found, err := loadCases(ctx, tx, `WHERE r.key = $1`, r.Key)
			if err == nil && len(found) == 0 {
				err = errors.New("the delivery is known, but not its request")
			}
			if err == nil {
				filed = found[0]
			}
			return err
		}
		if err := spend(ctx, tx, r); err != nil {
			return err
		}
		if err := room(ctx, tx, r, change.MostPending); err != nil {
			return err
		}
		created = true
		w, c := &caseRows{}, approvals.Case{Request: r}
		if change.Review != nil {
			c.Review = queueNewReview(&w.hanging, r, *change.Review)
		}
		if filed, err = addHangings(w, c, change); err != nil {
			return err
		}
		return s.writeCases(ctx, tx, w, []approvals.Case{filed}, []approvals.Change{change})
	})
	if err = openReview(err); err != nil {
		return approvals.Case{}, false, fmt.Errorf("filing request %s: %w", change.Request.ID, err)
	}
	if created && len(change.Events) > 0 {
		s.kick()
	}
	return filed, created, nil
}

const updateRequests = `
	UPDATE requests AS r SET version = n.version, state = n.state, profile = n.profile, duration = n.duration,
		lapses_at = n.lapses_at, approved_at = n.approved_at, ended_at = n.ended_at, answer = n.answer, reminders = n.reminders,
		escalated = n.escalated, escalated_at = n.escalated_at, less_duration = n.less_duration, less_profile = n.less_profile,
		ended_by_id = n.ended_by_id, ended_by_name = n.ended_by_name, ended_by_email = n.ended_by_email,
		ended_by_zone = n.ended_by_zone, started_at = n.started_at
	FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::interval[], $6::timestamptz[], $7::timestamptz[],
		$8::timestamptz[], $9::text[], $10::integer[], $11::integer[], $12::timestamptz[], $13::interval[], $14::text[],
		$15::text[], $16::text[], $17::text[], $18::text[], $19::timestamptz[])
		AS n (id, version, state, profile, duration, lapses_at, approved_at, ended_at, answer, reminders, escalated,
			escalated_at, less_duration, less_profile, ended_by_id, ended_by_name, ended_by_email, ended_by_zone, started_at)
	WHERE r.id = n.id AND r.version = n.version - 1
	RETURNING r.id`

// addCaseChange adds the writing of a change, but for its events and jobs.
func addCaseChange(w *caseRows, before approvals.Case, c approvals.Change) (approvals.Case, error) {
	r := c.Request
	if r.ID != before.Request.ID {
		return approvals.Case{}, fmt.Errorf("the change is about request %q", r.ID)
	}
	r.Version = before.Request.Version + 1
	if _, _, err := settleRequest(&r); err != nil {
		return approvals.Case{}, err
	}
	row := []any{
		r.ID, r.Version, string(r.State), r.Profile, r.Duration, moment(r.LapsesAt), moment(r.ApprovedAt), moment(r.EndedAt), r.Answer,
		r.Reminders, r.Escalated, moment(r.EscalatedAt),
	}
	w.requests = append(w.requests, append(append(append(row, lessColumns(r.Less)...), requestEndedBy(r)...), moment(r.StartedAt)))
	after := before
	after.Request = r
	if err := queueWithdrawals(&w.hanging, &after, c); err != nil {
		return approvals.Case{}, err
	}
	if c.Review != nil {
		if before.Review == nil {
			return approvals.Case{}, fmt.Errorf("request %s has no review to change", r.ID)
		}
		after.Review = queueReview(&w.hanging, r.ID, *c.Review)
	}
	return addHangings(w, after, c)
}

// addHangings adds what hangs on a request's row: answers, the intent of a grant.
func addHangings(w *caseRows, c approvals.Case, change approvals.Change) (approvals.Case, error) {
	c.Approvals = slices.Clone(c.Approvals)
	for _, a := range change.Approvals {
		a.At = audit.Cut(a.At)
		a.Reason, a.By.Name, a.By.Email, a.By.Zone = text(a.Reason), text(a.By.Name), text(a.By.Email), text(a.By.Zone)
		a.Less, a.WithdrawnAt = settleLess(a.Less), time.Time{}
		fills := a.Fills
		if fills == nil {
			fills = []int{}
		}
		w.hanging.Queue(`
			INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills,
				less_duration, less_profile)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			append([]any{
				c.Request.ID, c.Request.Requester.ID, a.By.ID, a.By.Name, a.By.Email, a.By.Zone, string(a.Verdict), a.Reason, a.At, fills,
			}, lessColumns(a.Less)...)...)
		c.Approvals = append(c.Approvals, a)
	}
	if change.Grant != nil {
		g := *change.Grant
		if g.State != grants.Provisioning {
			return c, fmt.Errorf("grant %s is %s before it was ever written", g.ID, g.State)
		}
		g.Request, g.Version = c.Request.ID, 1
		if _, err := settleGrant(&g); err != nil {
			return c, err
		}
		intent, err := intentRow(&g)
		if err != nil {
			return c, err
		}
		w.intents = append(w.intents, intent)
		c.Grant, c.Grants, c.Unsecured = &g, c.Grants+1, c.Unsecured+1
	}
	return c, nil
}

// settleRequest makes a request what a later read will give, and returns its decision and parameters as JSON.
func settleRequest(r *approvals.Request) (decision, params string, err error) {
	cut(&r.FiledAt, &r.LapsesAt, &r.ApprovedAt, &r.EndedAt, &r.EscalatedAt, &r.StartsAt, &r.StartedAt)
	r.Duration = r.Duration.Truncate(time.Microsecond)
	r.Less = settleLess(r.Less)
	for _, t := range []*string{
		&r.Key, &r.Requester.Name, &r.Requester.Email, &r.Requester.Zone, &r.Target, &r.Profile, &r.Ticket, &r.Reason,
		&r.EndedBy.Name, &r.EndedBy.Email, &r.EndedBy.Zone, &r.Answer,
	} {
		*t = text(*t)
	}
	if r.Decision, decision, err = settle(r.Decision); err != nil {
		return "", "", fmt.Errorf("the decision of request %s: %w", r.ID, err)
	}
	if len(r.Params) == 0 {
		r.Params = nil
		return decision, "{}", nil
	}
	if r.Params, params, err = settle(r.Params); err != nil {
		return "", "", fmt.Errorf("the parameters of request %s: %w", r.ID, err)
	}
	return decision, params, nil
}

// requestEndedBy are the columns of who ended a request, NULL together.
func requestEndedBy(r approvals.Request) []any {
	if r.EndedBy.ID == "" {
		return []any{nil, nil, nil, nil}
	}
	return []any{r.EndedBy.ID, r.EndedBy.Name, r.EndedBy.Email, r.EndedBy.Zone}
}

// copyCase keeps the store's own copy out of a change function's hands.
func copyCase(c approvals.Case) approvals.Case {
	c.Approvals = slices.Clone(c.Approvals)
	for i := range c.Approvals {
		c.Approvals[i].Less = clone(c.Approvals[i].Less)
	}
	c.Request.Less, c.Review = clone(c.Request.Less), clone(c.Review)
	if c.Grant != nil {
		g := copyGrant(*c.Grant)
		c.Grant = &g
	}
	return c
}

// KeepPolicy implements approvals.Store.
func (s *Store) KeepPolicy(ctx context.Context, hash string, source []byte, at time.Time) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO policies (hash, source, first_used) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING`,
		hash, source, at)
	if err != nil {
		return fmt.Errorf("keeping policy %s: %w", hash, err)
	}
	return nil
}

// ErrNoPolicy means that no policy with that hash ever decided.
var ErrNoPolicy = errors.New("store: no such policy")

// Policy reads back a policy's source by its hash.
func (s *Store) Policy(ctx context.Context, hash string) ([]byte, error) {
	var source []byte
	err := s.pool.QueryRow(ctx, `SELECT source FROM policies WHERE hash = $1`, hash).Scan(&source)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoPolicy
	}
	if err != nil {
		return nil, fmt.Errorf("reading policy %s: %w", hash, err)
	}
	return source, nil
}
