package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/outbox"
)

// ClaimMessage takes the message with this key for one worker until now+lease, and makes its row when there is none.
// The claim goes to RecordPosted, RecordGone or ReleaseMessage, one of which ends it. outbox.ErrBusy while another worker
// holds it. A message that is gone is returned without a claim: there is nothing left to do about it.
func (s *Store) ClaimMessage(ctx context.Context, key string, now time.Time, lease time.Duration) (outbox.Message, string, error) {
	claim := rand.Text()
	m := outbox.Message{Key: key}
	err := s.pool.QueryRow(ctx, `
		INSERT INTO slack_messages AS m (key, channel, ts, version, first_tried_at, claims, claim, claimed_until)
		VALUES ($1, '', '', 0, $2, 1, $3, $4)
		ON CONFLICT (key) DO UPDATE SET claims = m.claims + 1, claim = $3, claimed_until = $4
			WHERE m.gone_why IS NULL AND (m.claim IS NULL OR m.claimed_until <= $2)
		RETURNING m.channel, m.ts, m.version, m.first_tried_at, m.claims > 1`,
		key, now, claim, now.Add(lease),
	).Scan(&m.Channel, &m.TS, &m.Version, (*moment)(&m.FirstTriedAt), &m.Tried)
	if err == nil {
		// An earlier claim that left no timestamp may have posted nevertheless.
		m.Tried = m.Tried && m.TS == ""
		return m, claim, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return outbox.Message{}, "", fmt.Errorf("claiming message %s: %w", key, err)
	}
	m, err = s.Message(ctx, key)
	if err != nil {
		return outbox.Message{}, "", err
	}
	if !m.Gone {
		return outbox.Message{}, "", outbox.ErrBusy
	}
	return m, "", nil
}

// Message reads what is known about a message, claimed or not. outbox.ErrNoMessage when nobody ever claimed one with that key.
func (s *Store) Message(ctx context.Context, key string) (outbox.Message, error) {
	m := outbox.Message{Key: key}
	err := s.pool.QueryRow(ctx, `
		SELECT m.channel, m.ts, m.version, m.first_tried_at, m.gone_why IS NOT NULL, coalesce(m.gone_why, '')
		FROM slack_messages AS m WHERE m.key = $1`, key,
	).Scan(&m.Channel, &m.TS, &m.Version, (*moment)(&m.FirstTriedAt), &m.Gone, &m.Why)
	if errors.Is(err, pgx.ErrNoRows) {
		return outbox.Message{}, outbox.ErrNoMessage
	}
	if err != nil {
		return outbox.Message{}, fmt.Errorf("reading message %s: %w", key, err)
	}
	m.Tried = m.TS == ""
	return m, nil
}

// RecordPosted ends a claim: the message is at that address and shows that version. outbox.ErrBusy when the claim was lost
// to another worker, who looks for the message before posting it again.
func (s *Store) RecordPosted(ctx context.Context, key, claim, channel, ts string, version int64) error {
	return s.endClaim(ctx, "recording", key, `
		UPDATE slack_messages SET channel = $3, ts = $4, version = $5, claim = NULL, claimed_until = NULL
		WHERE key = $1 AND claim = $2`, key, claim, channel, ts, version)
}

// RecordGone ends a claim: the message can never be drawn again, for the reason given.
func (s *Store) RecordGone(ctx context.Context, key, claim, why string) error {
	return s.endClaim(ctx, "giving up", key, `
		UPDATE slack_messages SET gone_why = $3, claim = NULL, claimed_until = NULL
		WHERE key = $1 AND claim = $2`, key, claim, text(why))
}

// ReviveMessage lets a message be drawn again that is gone for the reason given. One that is gone for another, or is not gone,
// stays as it is.
func (s *Store) ReviveMessage(ctx context.Context, key, why string) error {
	if _, err := s.pool.Exec(ctx, `UPDATE slack_messages SET gone_why = NULL WHERE key = $1 AND gone_why = $2`, key, why); err != nil {
		return fmt.Errorf("reviving message %s: %w", key, err)
	}
	return nil
}

// ReleaseMessage ends a claim without a result, so that the next worker need not wait for the lease to end.
func (s *Store) ReleaseMessage(ctx context.Context, key, claim string) error {
	return s.endClaim(ctx, "releasing", key, `
		UPDATE slack_messages SET claim = NULL, claimed_until = NULL WHERE key = $1 AND claim = $2`, key, claim)
}

func (s *Store) endClaim(ctx context.Context, doing, key, sql string, args ...any) error {
	done, err := s.pool.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("%s message %s: %w", doing, key, err)
	}
	if done.RowsAffected() == 0 {
		return outbox.ErrBusy
	}
	return nil
}
