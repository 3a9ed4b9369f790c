package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// longestDraft is what the schema keeps of a draft, in bytes.
const longestDraft = 32 << 10

// ErrDraftTooLong means that a draft is more than is kept. It is looked at here, so that no error and no log of the database
// holds what somebody typed.
var ErrDraftTooLong = errors.New("store: the draft is too long to be kept")

// SaveDraft keeps what somebody typed into a window, as of an instant of Slack's clock. What is older than what is kept already
// changes nothing, and neither does what comes late from a window that was sent.
func (s *Store) SaveDraft(ctx context.Context, person, view string, at time.Time, content string) error {
	if content = text(content); len(content) > longestDraft {
		return ErrDraftTooLong
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO drafts AS d (person_id, view, at, content) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person_id) DO UPDATE SET view = $2, at = $3, content = $4
			WHERE d.at <= $3 AND (d.view <> $2 OR d.content IS NOT NULL)`, person, view, at, content)
	if err != nil {
		return fmt.Errorf("keeping a draft of %s: %w", person, err)
	}
	return nil
}

// Draft is what somebody typed since an instant and did not send; false when there is nothing.
func (s *Store) Draft(ctx context.Context, person string, since time.Time) (content string, ok bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT d.content FROM drafts AS d WHERE d.person_id = $1 AND d.at >= $2 AND d.content IS NOT NULL`, person, since).Scan(&content)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("reading the draft of %s: %w", person, err)
	}
	return content, true, nil
}

// SentDraft forgets somebody's draft because a window was sent; nothing is kept of that window any more.
func (s *Store) SentDraft(ctx context.Context, person, view string, at time.Time) error {
	return s.forgetDraft(ctx, person, view, at)
}

// ClearDraft forgets somebody's draft; the window it came from may begin another.
func (s *Store) ClearDraft(ctx context.Context, person string, at time.Time) error {
	return s.forgetDraft(ctx, person, "", at)
}

// forgetDraft leaves the row, without what was typed, so that a change that was under way does not bring it back.
func (s *Store) forgetDraft(ctx context.Context, person, view string, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO drafts AS d (person_id, view, at) VALUES ($1, $2, $3)
		ON CONFLICT (person_id) DO UPDATE SET view = $2, at = greatest(d.at, $3), content = NULL`, person, view, at)
	if err != nil {
		return fmt.Errorf("forgetting the draft of %s: %w", person, err)
	}
	return nil
}

// PruneDrafts forgets every draft from before an instant and says how many rows that were.
func (s *Store) PruneDrafts(ctx context.Context, before time.Time) (int64, error) {
	done, err := s.pool.Exec(ctx, `DELETE FROM drafts WHERE at < $1`, before)
	if err != nil {
		return 0, fmt.Errorf("forgetting old drafts: %w", err)
	}
	return done.RowsAffected(), nil
}
