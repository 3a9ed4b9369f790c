package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// pastPage is how many requests one statement reads: few enough for the statement timeout, however slow the machine.
const pastPage = 2000

// CountPast is how many requests were filed since an instant.
func (s *Store) CountPast(ctx context.Context, since time.Time) (int, error) {
	var n int
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM requests WHERE filed_at >= $1`, since).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting requests: %w", err)
	}
	return n, nil
}

// Past gives the requests filed since an instant as they were recorded, oldest first, a page at a time. While each runs,
// the next page is read. An error of each ends it.
func (s *Store) Past(ctx context.Context, since time.Time, each func([]policy.Past) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type page struct {
		requests []policy.Past
		err      error
	}
	pages := make(chan page)
	go func() {
		defer close(pages)
		at, id := since, ""
		for {
			requests, err := s.pastPage(ctx, at, id)
			if n := len(requests); n > 0 {
				at, id = requests[n-1].filed, requests[n-1].ID
			} else if err == nil {
				return
			}
			out := make([]policy.Past, len(requests))
			for i := range requests {
				out[i] = requests[i].Past
			}
			select {
			case pages <- page{out, err}:
			case <-ctx.Done():
				return
			}
			if err != nil || len(requests) < pastPage {
				return
			}
		}
	}()
	var failed error
	for p := range pages { // to its end, so that no statement is left running
		if failed == nil {
			failed = p.err
		}
		if failed == nil {
			failed = each(p.requests)
		}
		if failed != nil {
			cancel()
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	if failed != nil {
		return fmt.Errorf("reading past requests: %w", failed)
	}
	return nil
}

// pastRequest is a request with the instant that orders it.
type pastRequest struct {
	policy.Past
	filed time.Time
}

// replayed is what the column replay holds.
type replayed struct {
	policy.Question
	// Answer is the decision without its steps: with a thousand rules they are many times the rest.
	Answer policy.Decision `json:"answer"`
}

// replayOf is what a new request's column replay holds; nil where nobody says what the policy was asked.
func replayOf(change approvals.Change) (*string, error) {
	if change.Question == nil {
		return nil, nil
	}
	kept := replayed{*change.Question, change.Request.Decision}
	kept.Facts.History = nil // it follows from the requests before
	kept.Answer.Steps = nil
	encoded, err := document(kept)
	if err != nil {
		return nil, fmt.Errorf("what a replay of request %s needs: %w", change.Request.ID, err)
	}
	return &encoded, nil
}

// pastPage reads on from an instant and an id. The whole decision is read only where a replay can say nothing anyway.
func (s *Store) pastPage(ctx context.Context, at time.Time, id string) ([]pastRequest, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT r.id, r.filed_at, r.requester_id, r.requester_email, r.target, r.engine, r.profile, r.outcome, r.replay,
			CASE WHEN r.replay IS NULL THEN coalesce(r.decision ->> 'rule', '') ELSE '' END
		FROM requests AS r WHERE (r.filed_at, r.id) > ($1, $2) ORDER BY r.filed_at, r.id LIMIT $3`, at, id, pastPage)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (pastRequest, error) {
		var out pastRequest
		var kept []byte
		asked := &out.Question.Request
		err := row.Scan(&out.ID, &out.filed, &asked.User.ID, &asked.User.Email, &asked.Target.Name, &asked.Target.Engine, &asked.Profile,
			&out.Decision.Outcome, &kept, &out.Decision.Rule)
		if err != nil {
			return out, err
		}
		asked.At = out.filed
		if kept == nil {
			return out, nil
		}
		var r replayed
		if err := json.Unmarshal(kept, &r); err != nil {
			return out, fmt.Errorf("decoding what a replay of request %s needs: %w", out.ID, err)
		}
		out.Kept, out.Question, out.Decision = true, r.Question, r.Answer
		return out, nil
	})
}
