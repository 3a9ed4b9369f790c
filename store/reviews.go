package store

import (
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/approvals"
)

// oneOpenReview is the index that keeps somebody from breaking glass again before others have looked.
const oneOpenReview = "reviews_one_open_per_person"

// openReview is approvals.ErrOpenReview where that is why a request could not be written, and err otherwise.
func openReview(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.ConstraintName == oneOpenReview {
		return approvals.ErrOpenReview
	}
	return err
}

// settleReview makes a review what a later read will give.
func settleReview(v approvals.Review) approvals.Review {
	cut(&v.OpenedAt, &v.DueAt, &v.EscalatedAt, &v.ClosedAt)
	for _, t := range []*string{&v.ClosedBy.Name, &v.ClosedBy.Email, &v.ClosedBy.Zone, &v.Note} {
		*t = text(*t)
	}
	return v
}

// queueNewReview opens the review of a new request. What only comes with time is not written.
func queueNewReview(b *pgx.Batch, r approvals.Request, v approvals.Review) *approvals.Review {
	v = settleReview(approvals.Review{OpenedAt: v.OpenedAt, DueAt: v.DueAt})
	b.Queue(`INSERT INTO reviews (request_id, requester_id, opened_at, due_at) VALUES ($1, $2, $3, $4)`,
		r.ID, r.Requester.ID, v.OpenedAt, v.DueAt)
	return &v
}

// queueReview writes what became of a review. All of it is written, so that the schema refuses what may not change.
func queueReview(b *pgx.Batch, request string, v approvals.Review) *approvals.Review {
	v = settleReview(v)
	by := []any{nil, nil, nil, nil}
	if v.ClosedBy.ID != "" {
		by = []any{v.ClosedBy.ID, v.ClosedBy.Name, v.ClosedBy.Email, v.ClosedBy.Zone}
	}
	args := []any{
		request, v.OpenedAt, v.DueAt, v.Reminders, moment(v.EscalatedAt), moment(v.ClosedAt), word(v.Verdict), v.Note,
	}
	b.Queue(`
		UPDATE reviews SET opened_at = $2, due_at = $3, reminders = $4, escalated_at = $5, closed_at = $6, verdict = $7,
			note = $8, closed_by_id = $9, closed_by_name = $10, closed_by_email = $11, closed_by_zone = $12
		WHERE request_id = $1
		RETURNING request_id`, append(args, by...)...,
	).QueryRow(onlyOne)
	return &v
}

func queueReviewsOf(b *pgx.Batch, ids []string, place map[string]*approvals.Case) {
	b.Queue(`
		SELECT v.request_id, v.opened_at, v.due_at, v.reminders, v.escalated_at, v.closed_at, v.closed_by_id, v.closed_by_name,
			v.closed_by_email, v.closed_by_zone, v.verdict, v.note
		FROM reviews AS v WHERE v.request_id = ANY ($1)`, ids,
	).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var request string
			var v approvals.Review
			err := rows.Scan(&request, (*moment)(&v.OpenedAt), (*moment)(&v.DueAt), &v.Reminders, (*moment)(&v.EscalatedAt),
				(*moment)(&v.ClosedAt), (*word)(&v.ClosedBy.ID), (*word)(&v.ClosedBy.Name), (*word)(&v.ClosedBy.Email),
				(*word)(&v.ClosedBy.Zone), (*word)(&v.Verdict), &v.Note)
			if err != nil {
				return err
			}
			place[request].Review = &v
		}
		return rows.Err()
	})
}
