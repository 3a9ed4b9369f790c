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
		created = true
		b, c := &pgx.Batch{}, approvals.Case{Request: r}
		if change.Review != nil {
			c.Review = queueNewReview(b, r, *change.Review)
		}
		if filed, err = queueHangings(b, c, change); err != nil {
			return err
		}
		return s.writeCases(ctx, tx, b, []approvals.Case{filed}, []approvals.Change{change})
	})
	if err = openReview(err); err != nil {
		return approvals.Case{}, false, fmt.Errorf("filing request %s: %w", change.Request.ID, err)
	}
	if created && len(change.Events) > 0 {
		s.kick()
	}
	return filed, created, nil
}

// queueCaseChange adds the writing of a change to a batch, but for its events and jobs.
func (s *Store) queueCaseChange(b *pgx.Batch, before approvals.Case, c approvals.Change) (approvals.Case, error) {
	r := c.Request
	if r.ID != before.Request.ID {
		return approvals.Case{}, fmt.Errorf("the change is about request %q", r.ID)
	}
	r.Version = before.Request.Version + 1
	if _, _, err := settleRequest(&r); err != nil {
		return approvals.Case{}, err
	}
	args := []any{
		r.ID, r.Version, string(r.State), r.Profile, r.Duration, moment(r.LapsesAt), moment(r.ApprovedAt), moment(r.EndedAt), r.Answer,
		r.Reminders, r.Escalated, moment(r.EscalatedAt),
	}
	args = append(append(append(args, lessColumns(r.Less)...), requestEndedBy(r)...), moment(r.StartedAt))
	b.Queue(`
		UPDATE requests SET version = $2, state = $3, profile = $4, duration = $5, lapses_at = $6, approved_at = $7,
			ended_at = $8, answer = $9, reminders = $10, escalated = $11, escalated_at = $12, less_duration = $13,
			less_profile = $14, ended_by_id = $15, ended_by_name = $16, ended_by_email = $17, ended_by_zone = $18, started_at = $19
		WHERE id = $1 AND version = $2 - 1
		RETURNING id`, args...,
	).QueryRow(func(row pgx.Row) error {
		return onlyOne(row)
	})
	after := before
	after.Request = r
	if err := queueWithdrawals(b, &after, c); err != nil {
		return approvals.Case{}, err
	}
	if c.Review != nil {
		if before.Review == nil {
			return approvals.Case{}, fmt.Errorf("request %s has no review to change", r.ID)
		}
		after.Review = queueReview(b, r.ID, *c.Review)
	}
	return queueHangings(b, after, c)
}

// queueHangings adds what hangs on a request's row to a batch: answers, the intent of a grant.
func queueHangings(b *pgx.Batch, c approvals.Case, change approvals.Change) (approvals.Case, error) {
	c.Approvals = slices.Clone(c.Approvals)
	for _, a := range change.Approvals {
		a.At = audit.Cut(a.At)
		a.Reason, a.By.Name, a.By.Email, a.By.Zone = text(a.Reason), text(a.By.Name), text(a.By.Email), text(a.By.Zone)
		a.Less, a.WithdrawnAt = settleLess(a.Less), time.Time{}
		fills := a.Fills
		if fills == nil {
			fills = []int{}
		}
		b.Queue(`
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
		if err := queueNewGrant(b, &g); err != nil {
			return c, err
		}
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
