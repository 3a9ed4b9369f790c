package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// grantColumns are what scanGrant reads.
const grantColumns = `g.id, g.request_id, g.state, g.version, g.holder_id, g.holder_name, g.holder_email, g.target, g.engine,
	g.database, g.fingerprint, g.profile, g.profile_version, g.access_role, g.login, coalesce(g.login_oid, 0),
	g.connection_limit, g.statement_timeout_ms, g.intended_at, g.deadline, g.not_after, g.issued_at, g.shown_at, g.ending_at, g.secured_at,
	g.ended_at, g.cause, g.ended_by_kind, g.ended_by_id, g.ended_by_name, g.ended_by_email, g.note, g.attempts,
	g.last_error, g.alarmed_at, g.receipt, g.params, g.extensions`

// grantTargets are where the columns go; finish completes the grant afterwards.
func grantTargets(g *grants.Grant) (targets []any, finish func() error) {
	var oid, timeout int64
	var receipt, params []byte
	targets = []any{
		&g.ID, &g.Request, &g.State, &g.Version, &g.Holder.ID, &g.Holder.Name, &g.Holder.Email, &g.Target, &g.Engine,
		&g.Database, &g.Fingerprint, &g.Profile, &g.ProfileVersion, &g.AccessRole, &g.Login, &oid,
		&g.ConnectionLimit, &timeout, (*moment)(&g.Intended), (*moment)(&g.Deadline), (*moment)(&g.NotAfter), (*moment)(&g.IssuedAt),
		(*moment)(&g.ShownAt), (*moment)(&g.EndingAt), (*moment)(&g.SecuredAt), (*moment)(&g.EndedAt), (*word)(&g.Cause),
		(*word)(&g.EndedBy.Kind), (*word)(&g.EndedBy.ID), (*word)(&g.EndedBy.Name), (*word)(&g.EndedBy.Email), &g.Note,
		&g.Attempts, &g.LastError, (*moment)(&g.AlarmedAt), &receipt, &params,
		&g.Extensions,
	}
	return targets, func() error {
		g.StatementTimeout = time.Duration(timeout) * time.Millisecond
		g.OID = uint32(oid) // the schema keeps it within an OID's range
		if string(params) != "[]" {
			if err := json.Unmarshal(params, &g.Params); err != nil {
				return fmt.Errorf("decoding the parameters of grant %s: %w", g.ID, err)
			}
		}
		if receipt == nil {
			return nil
		}
		g.Receipt = new(grants.Receipt)
		if err := json.Unmarshal(receipt, g.Receipt); err != nil {
			return fmt.Errorf("decoding the receipt of grant %s: %w", g.ID, err)
		}
		return nil
	}
}

func scanGrant(row pgx.CollectableRow) (grants.Grant, error) {
	var g grants.Grant
	targets, finish := grantTargets(&g)
	if err := row.Scan(targets...); err != nil {
		return g, err
	}
	return g, finish()
}

// settleGrant makes a grant what a later read will give, and returns its receipt as JSON, nil for none.
func settleGrant(g *grants.Grant) (receipt *string, err error) {
	cut(&g.Intended, &g.Deadline, &g.NotAfter, &g.IssuedAt, &g.ShownAt, &g.EndingAt, &g.SecuredAt, &g.EndedAt, &g.AlarmedAt)
	for _, t := range []*string{
		&g.Holder.Name, &g.Holder.Email, &g.Note, &g.LastError, &g.EndedBy.Name, &g.EndedBy.Email, &g.EndedBy.ID,
	} {
		*t = text(*t)
	}
	if g.Receipt == nil {
		return nil, nil
	}
	settled, encoded, err := settle(*g.Receipt)
	if err != nil {
		return nil, fmt.Errorf("the receipt of grant %s: %w", g.ID, err)
	}
	g.Receipt = &settled
	return &encoded, nil
}

// oid is NULL until it was read back.
func oid(g grants.Grant) *int64 {
	if g.OID == 0 {
		return nil
	}
	n := int64(g.OID)
	return &n
}

// endedBy are the columns of who ended a grant, NULL together.
func endedBy(g grants.Grant) []any {
	if g.EndedBy.Kind == "" {
		return []any{nil, nil, nil, nil}
	}
	return []any{g.EndedBy.Kind, g.EndedBy.ID, g.EndedBy.Name, g.EndedBy.Email}
}

// settleParams makes a new grant's parameters what a later read will give, and returns them as JSON.
func settleParams(g *grants.Grant) (encoded string, err error) {
	if len(g.Params) == 0 {
		g.Params = nil
		return "[]", nil
	}
	if g.Params, encoded, err = settle(g.Params); err != nil {
		return "", fmt.Errorf("the parameters of grant %s: %w", g.ID, err)
	}
	return encoded, nil
}

const insertIntents = `
	INSERT INTO grants (id, request_id, state, version, holder_id, holder_name, holder_email, target, engine, database,
		fingerprint, profile, profile_version, access_role, login, login_oid, connection_limit, intended_at, deadline,
		not_after, note, attempts, last_error, statement_timeout_ms, params)
	SELECT id, request_id, state, version, holder_id, holder_name, holder_email, target, engine, database,
		fingerprint, profile, profile_version, access_role, login, login_oid, connection_limit, intended_at, deadline,
		not_after, note, attempts, last_error, statement_timeout_ms, params::jsonb
	FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::integer[],
		$18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::text[], $22::integer[], $23::text[], $24::bigint[],
		$25::text[])
		AS n (id, request_id, state, version, holder_id, holder_name, holder_email, target, engine, database,
			fingerprint, profile, profile_version, access_role, login, login_oid, connection_limit, intended_at, deadline,
			not_after, note, attempts, last_error, statement_timeout_ms, params)
	RETURNING id`

// intentRow is the row of a new grant. Nobody has extended it yet.
func intentRow(g *grants.Grant) ([]any, error) {
	g.Extensions = 0
	params, err := settleParams(g)
	if err != nil {
		return nil, err
	}
	return []any{
		g.ID, g.Request, string(g.State), g.Version, g.Holder.ID, g.Holder.Name, g.Holder.Email, g.Target, g.Engine,
		g.Database, g.Fingerprint, g.Profile, g.ProfileVersion, g.AccessRole, g.Login, oid(*g), g.ConnectionLimit,
		g.Intended, g.Deadline, moment(g.NotAfter), g.Note, g.Attempts, g.LastError, g.StatementTimeout.Milliseconds(), params,
	}, nil
}

// errStale means that a row was not at the version it was read at. Under the row's lock that cannot be.
var errStale = errors.New("the row changed under its lock")

const updateGrants = `
	UPDATE grants AS g SET version = n.version, state = n.state, login_oid = n.login_oid, deadline = n.deadline,
		not_after = n.not_after, issued_at = n.issued_at, shown_at = n.shown_at, ending_at = n.ending_at,
		secured_at = n.secured_at, ended_at = n.ended_at, cause = n.cause, note = n.note, attempts = n.attempts,
		last_error = n.last_error, alarmed_at = n.alarmed_at, receipt = n.receipt::jsonb, extensions = n.extensions,
		ended_by_kind = n.ended_by_kind, ended_by_id = n.ended_by_id, ended_by_name = n.ended_by_name,
		ended_by_email = n.ended_by_email
	FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
		$8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::integer[],
		$15::text[], $16::timestamptz[], $17::text[], $18::integer[], $19::text[], $20::text[], $21::text[], $22::text[])
		AS n (id, version, state, login_oid, deadline, not_after, issued_at, shown_at, ending_at, secured_at, ended_at, cause,
			note, attempts, last_error, alarmed_at, receipt, extensions, ended_by_kind, ended_by_id, ended_by_name, ended_by_email)
	WHERE g.id = n.id AND g.version = n.version - 1
	RETURNING g.id`

// grantRow is the row of a grant that changes, from the version before g.Version. What a grant froze when it was made is not
// in it; the schema refuses to change that.
func grantRow(g grants.Grant, receipt *string) []any {
	row := []any{
		g.ID, g.Version, string(g.State), oid(g), g.Deadline, moment(g.NotAfter), moment(g.IssuedAt), moment(g.ShownAt),
		moment(g.EndingAt), moment(g.SecuredAt), moment(g.EndedAt), word(g.Cause), g.Note, g.Attempts, g.LastError,
		moment(g.AlarmedAt), receipt, g.Extensions,
	}
	return append(row, endedBy(g)...)
}

// frozen compares what a grant may never change, so that a change function that tries is told instead of ignored.
func frozen(g grants.Grant) grants.Grant {
	return grants.Grant{
		ID: g.ID, Request: g.Request, Holder: g.Holder, Target: g.Target, Engine: g.Engine, Database: g.Database,
		Fingerprint: g.Fingerprint, Profile: g.Profile, ProfileVersion: g.ProfileVersion, AccessRole: g.AccessRole,
		Login: g.Login, ConnectionLimit: g.ConnectionLimit, StatementTimeout: g.StatementTimeout, Intended: g.Intended, Params: g.Params,
	}
}

// Grant implements grants.Store.
func (s *Store) Grant(ctx context.Context, id string) (grants.Grant, error) {
	found, err := s.grants(ctx, `WHERE g.id = $1`, id)
	if err != nil {
		return grants.Grant{}, fmt.Errorf("reading grant %s: %w", id, err)
	}
	if len(found) == 0 {
		return grants.Grant{}, grants.ErrNotFound
	}
	return found[0], nil
}

// Unfinished implements grants.Store.
func (s *Store) Unfinished(ctx context.Context, target string) ([]grants.Grant, error) {
	found, err := s.grants(ctx, `WHERE g.target = $1 AND g.state <> 'revoked' ORDER BY g.place`, target)
	if err != nil {
		return nil, fmt.Errorf("reading the unfinished grants of target %s: %w", target, err)
	}
	return found, nil
}

// Overdue implements grants.Store.
func (s *Store) Overdue(ctx context.Context, before time.Time) ([]grants.Grant, error) {
	found, err := s.grants(ctx, `
		WHERE g.state IN ('provisioning', 'active', 'revoking') AND LEAST(g.deadline, g.ending_at) < $1
		  AND g.alarmed_at IS NULL
		ORDER BY LEAST(g.deadline, g.ending_at)`, before)
	if err != nil {
		return nil, fmt.Errorf("reading overdue grants: %w", err)
	}
	return found, nil
}

// Upcoming implements grants.Store.
func (s *Store) Upcoming(ctx context.Context, before time.Time, limit int) ([]grants.Grant, error) {
	found, err := s.grants(ctx, `WHERE g.state IN ('provisioning', 'active') AND g.deadline < $1 ORDER BY g.deadline LIMIT `+strconv.Itoa(limit), before)
	if err != nil {
		return nil, fmt.Errorf("reading the next deadlines: %w", err)
	}
	return found, nil
}

// NextDeadline implements grants.Store.
func (s *Store) NextDeadline(ctx context.Context) (time.Time, error) {
	var next time.Time
	err := s.pool.QueryRow(ctx, `SELECT min(deadline) FROM grants WHERE state IN ('provisioning', 'active')`).Scan((*moment)(&next))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the next deadline: %w", err)
	}
	return next, nil
}

func (s *Store) grants(ctx context.Context, where string, arg any) ([]grants.Grant, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+grantColumns+` FROM grants AS g `+where, arg)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanGrant)
}
