package migrations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Tables says, table by table, which privileges the service's login has. It has no others. A privilege on some columns
// only is written as in a GRANT, with one column: "UPDATE (withdrawn_at)".
func Tables() map[string][]string {
	read, add := []string{"SELECT"}, []string{"SELECT", "INSERT"}
	change := []string{"SELECT", "INSERT", "UPDATE"}
	everything := []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	return map[string][]string{
		"installation":   read,
		"policies":       add,
		"requests":       change,
		"approvals":      {"SELECT", "INSERT", "UPDATE (withdrawn_at)"}, // an answer is never changed, only taken back
		"reviews":        change,
		"grants":         change,
		"audit_events":   add,
		"audit_seals":    add,
		"audit_unsealed": {"SELECT", "INSERT", "DELETE"},
		"slack_messages": change,
		"digests":        add,
		"slack_homes":    everything, // one row a person, forgotten when they have not looked for long
		"drafts":         everything, // one row a person, written over and thrown away

		"standing_logins":   change,
		"target_identities": change,

		VersionTable:         read,
		"river_migration":    read,
		"river_job":          everything,
		"river_leader":       everything,
		"river_queue":        everything,
		"river_notification": everything,
	}
}

// grantRights makes the login's rights what Tables says, in one transaction, so that a running service notices nothing.
func (m *migrator) grantRights(ctx context.Context, login string, log func(string)) error {
	if login == "" {
		return nil
	}
	var owner, schema string
	if err := m.conn.QueryRow(ctx, `SELECT current_user::text, current_schema()::text`).Scan(&owner, &schema); err != nil {
		return fmt.Errorf("asking who migrates: %w", err)
	}
	if owner == login {
		log("the service's login " + login + " owns the tables: it can rewrite the audit log. Use a login of its own for the service")
		return nil
	}
	err := patiently(ctx, log, func() error {
		return pgx.BeginFunc(ctx, m.conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, strings.Join(rightStatements(login, schema), ";\n")); err != nil {
				return err
			}
			return grantSequences(ctx, tx, login)
		})
	})
	if err != nil {
		return fmt.Errorf("granting login %q its rights: %w", login, err)
	}
	log("login " + login + " has the service's rights")
	return nil
}

func rightStatements(login, schema string) []string {
	to := pgx.Identifier{login}.Sanitize()
	out := []string{"GRANT USAGE ON SCHEMA " + pgx.Identifier{schema}.Sanitize() + " TO " + to}
	tables := Tables()
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		name := pgx.Identifier{table}.Sanitize()
		out = append(out,
			"REVOKE ALL ON TABLE "+name+" FROM PUBLIC, "+to,
			"GRANT "+strings.Join(tables[table], ", ")+" ON TABLE "+name+" TO "+to)
	}
	return out
}

// grantSequences covers the job engine's serial columns; our own identity columns need no right.
func grantSequences(ctx context.Context, tx pgx.Tx, login string) error {
	rows, err := tx.Query(ctx, `
		SELECT sequence.relname
		FROM pg_class AS sequence
		JOIN pg_depend AS owned ON owned.objid = sequence.oid AND owned.deptype = 'a'
		JOIN pg_class AS of_table ON of_table.oid = owned.refobjid
		WHERE sequence.relkind = 'S' AND of_table.relname = ANY ($1) AND of_table.relnamespace = current_schema()::regnamespace`,
		slices.Collect(maps.Keys(Tables())))
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		statement := "GRANT USAGE, SELECT ON SEQUENCE " + pgx.Identifier{name}.Sanitize() + " TO " + pgx.Identifier{login}.Sanitize()
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// mayMigrate says beforehand what would fail half way, in words somebody can act on.
func (m *migrator) mayMigrate(ctx context.Context) error {
	var who, database string
	var schema *string
	var create bool
	err := m.conn.QueryRow(ctx, `
		SELECT current_user::text, current_database()::text, current_schema()::text,
		       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`).Scan(&who, &database, &schema, &create)
	if err != nil {
		return fmt.Errorf("asking what the migrating login may do: %w", err)
	}
	quoted := pgx.Identifier{who}.Sanitize()
	if schema == nil || !create {
		name := "public"
		if schema != nil {
			name = *schema
		}
		return fmt.Errorf("login %q may not create tables in schema %q of database %q; the database's owner has to run: GRANT USAGE, CREATE ON SCHEMA %s TO %s",
			who, name, database, pgx.Identifier{name}.Sanitize(), quoted)
	}
	rows, err := m.conn.Query(ctx, `
		SELECT relname::text FROM pg_class
		WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname = ANY ($1)
		  AND NOT pg_has_role(relowner, 'USAGE')
		ORDER BY relname`, slices.Collect(maps.Keys(Tables())))
	if err != nil {
		return fmt.Errorf("asking who owns the tables: %w", err)
	}
	foreign, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("asking who owns the tables: %w", err)
	}
	if len(foreign) > 0 {
		var statements []string
		for _, table := range foreign {
			statements = append(statements, "ALTER TABLE "+pgx.Identifier{table}.Sanitize()+" OWNER TO "+quoted)
		}
		return fmt.Errorf("login %q does not own every table of the store; migrate as their owner, or a superuser has to run: %s",
			who, strings.Join(statements, "; "))
	}
	return nil
}

func (m *migrator) loginExists(ctx context.Context, login string) error {
	if login == "" {
		return nil
	}
	var canLogin bool
	err := m.conn.QueryRow(ctx, `SELECT rolcanlogin FROM pg_roles WHERE rolname = $1`, login).Scan(&canLogin)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("the service's login %q does not exist; somebody who may create roles has to run: CREATE ROLE %s LOGIN PASSWORD '…'",
			login, pgx.Identifier{login}.Sanitize())
	case err != nil:
		return fmt.Errorf("looking for the service's login %q: %w", login, err)
	case !canLogin:
		return fmt.Errorf("the service's login %q may not log in; somebody who may alter roles has to run: ALTER ROLE %s LOGIN",
			login, pgx.Identifier{login}.Sanitize())
	}
	return nil
}
