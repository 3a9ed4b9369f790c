package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/jobs"
)

// ClaimDigest makes the digest that is due at an instant happen: the first call for that instant, on whichever replica,
// enqueues its job and says so; every other call does nothing.
func (s *Store) ClaimDigest(ctx context.Context, due time.Time) (created bool, err error) {
	due = audit.Cut(due)
	err = s.write(ctx, func(tx pgx.Tx) error {
		created = false
		done, err := tx.Exec(ctx, `INSERT INTO digests (due, claimed_at) VALUES ($1, $2) ON CONFLICT (due) DO NOTHING`, due, s.now())
		if err != nil || done.RowsAffected() == 0 {
			return err
		}
		created = true
		return s.insertJobs(ctx, tx, nil, []jobs.Job{{Kind: jobs.Digest, Subject: due.Format(time.RFC3339)}})
	})
	if err != nil {
		return false, fmt.Errorf("claiming the digest of %s: %w", due.Format(time.RFC3339), err)
	}
	return created, nil
}

// LastDigest is when the newest digest claimed for an instant before the given one was due, zero when there was none: where
// the next one begins.
func (s *Store) LastDigest(ctx context.Context, before time.Time) (time.Time, error) {
	var last time.Time
	err := s.pool.QueryRow(ctx, `SELECT max(due) FROM digests WHERE due < $1`, before).Scan((*moment)(&last))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading when the last digest was: %w", err)
	}
	return last, nil
}

// Digest reads what happened between from (inclusive) and to (exclusive), and what is open now, on one snapshot.
func (s *Store) Digest(ctx context.Context, from, to, now time.Time) (audit.Digest, error) {
	d := audit.Digest{From: from, To: to}
	err := s.read(ctx, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		queueRequestFigures(b, &d)
		queueLaterStarts(b, &d, now)
		queueGrantFigures(b, &d)
		queueLists(b, &d, now)
		queueReviewFigures(b, &d, now)
		queueStanding(b, &d)
		b.Queue(headQuery).QueryRow(func(row pgx.Row) error { return scanHead(row, &d.Head) })
		return send(ctx, tx, b)
	})
	if err != nil {
		return audit.Digest{}, fmt.Errorf("reading the digest: %w", err)
	}
	return d, nil
}

func queueRequestFigures(b *pgx.Batch, d *audit.Digest) {
	figures := func(sql string, targets ...any) {
		b.Queue(sql, d.From, d.To).QueryRow(func(row pgx.Row) error { return row.Scan(targets...) })
	}
	figures(`
		SELECT count(*), count(*) FILTER (WHERE r.outcome = 'approved' AND NOT r.break_glass), count(*) FILTER (WHERE r.outcome = 'denied'),
		       count(*) FILTER (WHERE r.outcome = 'approved' AND r.break_glass)
		FROM requests AS r WHERE r.filed_at >= $1 AND r.filed_at < $2`, &d.Asked, &d.ApprovedAtOnce, &d.DeniedByPolicy, &d.BrokenGlass)
	figures(`
		SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY r.approved_at - r.filed_at), interval '0')
		FROM requests AS r WHERE r.outcome = 'needs-approval' AND r.approved_at >= $1 AND r.approved_at < $2`,
		&d.ApprovedByPeople, &d.MedianAnswer)
	figures(`
		SELECT count(*) FILTER (WHERE r.state = 'denied' AND r.outcome <> 'denied'),
		       count(*) FILTER (WHERE r.state = 'cancelled'), count(*) FILTER (WHERE r.state = 'lapsed')
		FROM requests AS r WHERE r.ended_at >= $1 AND r.ended_at < $2`, &d.DeniedByPeople, &d.Cancelled, &d.Lapsed)
	figures(`
		SELECT count(*) FILTER (WHERE e.refused), count(*) FILTER (WHERE e.kind = 'login.orphaned')
		FROM audit_events AS e WHERE e.at >= $1 AND e.at < $2 AND (e.refused OR e.kind = 'login.orphaned')`, &d.Refused, &d.Orphans)
	b.Queue(`SELECT count(*) FROM requests AS r WHERE r.state = 'pending'`).QueryRow(func(row pgx.Row) error {
		return row.Scan(&d.Waiting)
	})
}

func queueLaterStarts(b *pgx.Batch, d *audit.Digest, now time.Time) {
	b.Queue(`SELECT count(*), min(r.starts_at) FROM requests AS r WHERE r.state = 'approved' AND r.starts_at > $1`, now).QueryRow(func(row pgx.Row) error {
		return row.Scan(&d.Later, (*moment)(&d.NextStart))
	})
}

func queueGrantFigures(b *pgx.Batch, d *audit.Digest) {
	figures := func(sql string, targets ...any) {
		b.Queue(sql, d.From, d.To).QueryRow(func(row pgx.Row) error { return row.Scan(targets...) })
	}
	figures(`SELECT count(*) FROM grants AS g WHERE g.issued_at >= $1 AND g.issued_at < $2`, &d.Issued)
	// A grant that failed before anybody could use it did not end; it was never issued.
	figures(`
		SELECT count(*) FILTER (WHERE g.issued_at IS NOT NULL),
		       count(*) FILTER (WHERE g.issued_at IS NOT NULL AND g.ending_at < g.deadline),
		       count(*) FILTER (WHERE g.cause = 'failed')
		FROM grants AS g WHERE g.ending_at >= $1 AND g.ending_at < $2`, &d.Ended, &d.EndedEarly, &d.FailedToIssue)
	b.Queue(`SELECT count(*) FROM grants AS g WHERE g.state IN ('provisioning', 'active')`).QueryRow(func(row pgx.Row) error {
		return row.Scan(&d.Live)
	})
}

func queueLists(b *pgx.Batch, d *audit.Digest, now time.Time) {
	counts := func(list *[]audit.Count, sql string) {
		b.Queue(sql, d.From, d.To).Query(func(rows pgx.Rows) (err error) {
			*list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[audit.Count])
			return err
		})
	}
	counts(&d.Approvers, `
		SELECT max(a.by_name), count(*) FROM approvals AS a WHERE a.at >= $1 AND a.at < $2 AND a.withdrawn_at IS NULL
		GROUP BY a.by_id ORDER BY count(*) DESC, max(a.by_name)`)
	counts(&d.Targets, `
		SELECT g.target, count(*) FROM grants AS g WHERE g.issued_at >= $1 AND g.issued_at < $2
		GROUP BY g.target ORDER BY count(*) DESC, g.target`)
	items := func(list *[]audit.OpenItem, sql string, args ...any) {
		b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
			*list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i audit.OpenItem, err error) {
				return i, row.Scan(&i.Request, &i.Grant, &i.Target, &i.Login, &i.Holder, &i.Since, &i.Why)
			})
			return err
		})
	}
	items(&d.Overdue, `
		SELECT g.request_id, g.id, g.target, g.login, g.holder_name, LEAST(g.deadline, g.ending_at), g.last_error
		FROM grants AS g
		WHERE g.state IN ('provisioning', 'active', 'revoking') AND LEAST(g.deadline, g.ending_at) < $1
		ORDER BY LEAST(g.deadline, g.ending_at)`, now)
	items(&d.WrittenOff, `
		SELECT g.request_id, g.id, g.target, g.login, g.holder_name, e.at, coalesce(g.receipt ->> 'written_off', e.reason)
		FROM audit_events AS e JOIN grants AS g ON g.id = e.grant_id
		WHERE e.at >= $1 AND e.at < $2 AND e.kind = 'grant.writtenoff' AND NOT e.refused
		ORDER BY e.id`, d.From, d.To)
	items(&d.Leftovers, `
		SELECT g.request_id, g.id, g.target, g.login, g.holder_name, g.secured_at, g.last_error
		FROM grants AS g WHERE g.state = 'cleanup' ORDER BY g.secured_at`)
}

func queueReviewFigures(b *pgx.Batch, d *audit.Digest, now time.Time) {
	figures := func(sql string, targets ...any) {
		b.Queue(sql, d.From, d.To).QueryRow(func(row pgx.Row) error { return row.Scan(targets...) })
	}
	figures(`
		SELECT count(*) FILTER (WHERE v.verdict = 'justified'), count(*) FILTER (WHERE v.verdict = 'not-justified'),
		       count(*) FILTER (WHERE v.verdict = 'unused')
		FROM reviews AS v WHERE v.closed_at >= $1 AND v.closed_at < $2`,
		&d.Reviewed.Justified, &d.Reviewed.NotJustified, &d.Reviewed.Unused)
	figures(`SELECT count(*) FROM approvals AS a WHERE a.withdrawn_at >= $1 AND a.withdrawn_at < $2`, &d.Withdrawn)
	figures(`
		SELECT count(*) FROM audit_events AS e
		WHERE e.at >= $1 AND e.at < $2 AND e.kind IN ('request.escalated', 'review.escalated') AND NOT e.refused`, &d.Escalated)
	// The latest try is the one whose login somebody may have used.
	b.Queue(`
		SELECT r.id, coalesce(g.id, ''), r.target, coalesce(g.login, ''), r.requester_name, v.opened_at, r.reason, v.due_at,
		       v.due_at <= $1
		FROM reviews AS v JOIN requests AS r ON r.id = v.request_id
		LEFT JOIN LATERAL (SELECT g.id, g.login FROM grants AS g WHERE g.request_id = r.id ORDER BY g.place DESC LIMIT 1) AS g ON true
		WHERE v.closed_at IS NULL ORDER BY v.due_at, r.id`, now,
	).Query(func(rows pgx.Rows) (err error) {
		d.OpenReviews, err = pgx.AppendRows(d.OpenReviews, rows, func(row pgx.CollectableRow) (i audit.OpenItem, err error) {
			return i, row.Scan(&i.Request, &i.Grant, &i.Target, &i.Login, &i.Holder, &i.Since, &i.Why, &i.Due, &i.Overdue)
		})
		return err
	})
}
