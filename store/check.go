package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/migrations"
)

// The ways in which the schema and this binary may differ.
var (
	// ErrSchemaOld: the schema lacks what this binary needs. Nothing works until it is migrated.
	ErrSchemaOld = errors.New("store: the schema is older than this binary")
	// ErrSchemaEmpty is an ErrSchemaOld: there is no schema at all.
	ErrSchemaEmpty = fmt.Errorf("%w: the database is empty; run `prodaccess migrate up`, which needs the owner's login", ErrSchemaOld)
	// ErrSchemaNew: a newer binary migrated the schema. This one works as long as it is the version before that.
	ErrSchemaNew = errors.New("store: the schema is newer than this binary")
)

// CheckSchema compares the schema's version with the one this binary was built for. The error says in words what to do;
// it is ErrSchemaOld (ErrSchemaEmpty among them), ErrSchemaNew, or a failure to find out.
func (s *Store) CheckSchema(ctx context.Context) error {
	want := migrations.Latest()
	var there bool
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, migrations.VersionTable).Scan(&there); err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if !there {
		return ErrSchemaEmpty
	}
	var have int64
	err := s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+migrations.VersionTable+` WHERE is_applied`).Scan(&have)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	switch {
	case have < want:
		return fmt.Errorf("%w: it is at version %d, this binary needs %d; run `prodaccess migrate up` as the database's owner",
			ErrSchemaOld, have, want)
	case have > want:
		return fmt.Errorf("%w: it is at version %d, this binary knows %d; install the newer prodaccess", ErrSchemaNew, have, want)
	}
	return s.checkEngine(ctx)
}

// checkEngine does so for the tables of the job engine, which have versions of their own. Newer ones are the next binary's.
func (s *Store) checkEngine(ctx context.Context) error {
	want, err := migrations.LatestOfEngine()
	if err != nil {
		return err
	}
	var have int
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM river_migration WHERE line = 'main'`).Scan(&have)
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if err != nil && (!ok || pgErr.Code != "42P01") { // undefined_table: the migration ended before it came to them
		return fmt.Errorf("reading the version of the job engine's tables: %w", err)
	}
	if have < want {
		return fmt.Errorf("%w: the job engine's tables are at version %d, this binary needs %d; run `prodaccess migrate up` as the database's owner",
			ErrSchemaOld, have, want)
	}
	return nil
}

// CheckPrivileges says everything that is wrong with what the service's login may do: too little to work, or so much that
// it could rewrite the audit log. Nil when it is as migrations.Up leaves it.
func (s *Store) CheckPrivileges(ctx context.Context) error {
	var who string
	var super, database, schema bool
	// Who may become a superuser is as good as one. From PostgreSQL 15 on the owner of a database owns its schema public.
	err := s.pool.QueryRow(ctx, `
		SELECT me.rolname::text, EXISTS (SELECT FROM pg_roles AS s WHERE s.rolsuper AND pg_has_role(s.oid, 'MEMBER')),
			pg_has_role(d.datdba, 'MEMBER'), coalesce((SELECT pg_has_role(n.nspowner, 'MEMBER') FROM pg_namespace AS n WHERE n.nspname = current_schema()), false)
		FROM pg_roles AS me, pg_database AS d WHERE me.rolname = current_user AND d.datname = current_database()`).Scan(&who, &super, &database, &schema)
	if err != nil {
		return fmt.Errorf("asking what the service's login may do: %w", err)
	}
	if super {
		return fmt.Errorf("login %q is a superuser, or may become one: it can rewrite the audit log; give the service a login of its own", who)
	}
	var wrong []error
	if database || schema {
		wrong = append(wrong, fmt.Errorf("login %q owns, or belongs to the owner of, the database or the schema of the tables: it can drop the audit log; give the service a login of its own", who))
	}
	tables := migrations.Tables()
	rows, err := s.pool.Query(ctx, `
		SELECT t.name, c.oid IS NOT NULL, coalesce(pg_has_role(c.relowner, 'MEMBER'), false),
			array(SELECT p.name FROM unnest($2::text[]) AS p (name) WHERE c.oid IS NOT NULL AND has_table_privilege(c.oid, p.name)
				UNION ALL
				SELECT p.name || ' (' || a.attname || ')' FROM pg_attribute AS a, unnest($3::text[]) AS p (name)
				WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
				  AND NOT has_table_privilege(c.oid, p.name) AND has_column_privilege(c.oid, a.attnum, p.name))
		FROM unnest($1::text[]) AS t (name) LEFT JOIN pg_class AS c ON c.oid = to_regclass(t.name)`,
		slices.Sorted(maps.Keys(tables)), []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"},
		[]string{"SELECT", "INSERT", "UPDATE"})
	if err != nil {
		return fmt.Errorf("asking what the service's login may do: %w", err)
	}
	var owned []string
	var table string
	var there, owner bool
	var has []string
	_, err = pgx.ForEachRow(rows, []any{&table, &there, &owner, &has}, func() error {
		switch {
		case !there:
			wrong = append(wrong, fmt.Errorf("table %s is missing; run `prodaccess migrate up`", table))
		case owner:
			owned = append(owned, table)
		default:
			wrong = append(wrong, judge(who, table, has, tables[table])...)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking what the service's login may do: %w", err)
	}
	if len(owned) > 0 {
		wrong = append(wrong, fmt.Errorf("login %q owns, or belongs to the owner of: %s; it can change anything there; give the service a login of its own",
			who, strings.Join(owned, ", ")))
	}
	return errors.Join(wrong...)
}

// judge compares what a login has on one table with what it should have.
func judge(who, table string, has, needs []string) []error {
	var out []error
	everywhere := slices.DeleteFunc(slices.Clone(needs), func(one string) bool { // on the whole table is on its columns too
		privilege, _, some := strings.Cut(one, " (")
		return some && slices.Contains(has, privilege)
	})
	if lacks := without(everywhere, has); len(lacks) > 0 {
		out = append(out, fmt.Errorf("login %q lacks %s on table %s; run `prodaccess migrate up`, or as its owner: GRANT %s ON %s TO %s",
			who, strings.Join(lacks, ", "), table, strings.Join(lacks, ", "), table, pgx.Identifier{who}.Sanitize()))
	}
	if more := without(has, needs); len(more) > 0 {
		out = append(out, fmt.Errorf("login %q may %s on table %s, which it never needs; run `prodaccess migrate up`, or as its owner: REVOKE %s ON %s FROM %s",
			who, strings.Join(more, ", "), table, strings.Join(more, ", "), table, pgx.Identifier{who}.Sanitize()))
	}
	return out
}

func without(list, remove []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(one string) bool { return slices.Contains(remove, one) })
}
