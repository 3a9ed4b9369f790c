package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// mostUsual is how many requests say what is usual: the newest, so that a busy month costs no more than a quiet one.
const mostUsual = 300

// Usual implements approvals.Store. Requests that their requester cancelled say nothing about those who were asked.
func (s *Store) Usual(ctx context.Context, asked []policy.Requirement, since time.Time) (approvals.Usual, error) {
	list, err := json.Marshal(asked)
	if err != nil {
		return approvals.Usual{}, fmt.Errorf("writing down who is asked: %w", err)
	}
	var out approvals.Usual
	err = s.pool.QueryRow(ctx, `
		SELECT count(answered), count(*) FILTER (WHERE state = 'lapsed' AND answered IS NULL),
			coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY answered - filed_at), interval '0')
		FROM (
			SELECT r.filed_at, r.state, coalesce(r.approved_at, CASE WHEN r.state = 'denied' THEN r.ended_at END) AS answered
			FROM requests AS r
			WHERE md5((r.decision -> 'approvals')::text) = md5($1::jsonb::text) AND r.filed_at >= $2 AND r.outcome = 'needs-approval'
			ORDER BY r.filed_at DESC LIMIT $3) AS asked`,
		string(list), since, mostUsual).Scan(&out.Answered, &out.Lapsed, &out.Median)
	if err != nil {
		return approvals.Usual{}, fmt.Errorf("reading how long answers take: %w", err)
	}
	return out, nil
}
