package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// budgetLock is the first half of the advisory lock under which somebody's automatic approvals are counted; the second half
// is a hash of who it is. The number means nothing but must stay.
const budgetLock = 0x62756467

// spend lets a request that is written already, and not committed, draw on its budget. Where the policy's answer rests on one,
// the same person's approvals are counted under a lock, so that of two at the same instant only one gets the last part: the
// policy saw neither. It is approvals.ErrBudget when nothing is left.
func spend(ctx context.Context, tx pgx.Tx, r approvals.Request) error {
	budget := r.Decision.Budget
	if budget == nil || r.Decision.Outcome != policy.Approved {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, hashtext($2))`, int32(budgetLock), r.Requester.ID); err != nil {
		return fmt.Errorf("waiting for other requests of the same person: %w", err)
	}
	// A statement of its own, so that it sees what the last holder of the lock committed. Broken glass draws on no budget. Access
	// that starts later counts at its start, which is at most 30 days after it was filed: the first bound is for the index.
	var used int
	err := tx.QueryRow(ctx, `
		SELECT count(*) FROM requests AS r
		WHERE r.requester_id = $1 AND r.filed_at >= $2::timestamptz - interval '31 days' AND GREATEST(r.filed_at, r.starts_at) >= $2 AND r.outcome = 'approved' AND NOT r.break_glass
		  AND r.decision ->> 'rule' = $3 AND r.id <> $4`,
		r.Requester.ID, budget.Since, r.Decision.Rule, r.ID).Scan(&used)
	if err != nil {
		return fmt.Errorf("counting what a budget was spent on: %w", err)
	}
	if used >= budget.Grants {
		return approvals.ErrBudget
	}
	return nil
}
