package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/migrations"
	"github.com/prodaccess/prodaccess/store"
)

func TestServiceCannotChangeTheRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(2)
	b.seal()
	for _, sql := range []string{
		`UPDATE audit_events SET reason = ''`, `DELETE FROM audit_events`, `TRUNCATE audit_events`,
		`UPDATE audit_seals SET hash = prev`, `DELETE FROM audit_seals`, `TRUNCATE audit_seals`,
		`ALTER TABLE audit_events DISABLE TRIGGER ALL`, `DROP TABLE audit_events`, `UPDATE audit_unsealed SET event_id = 0`,
		`DELETE FROM approvals`, `UPDATE approvals SET verdict = 'yes'`, `DELETE FROM reviews`, `DELETE FROM grants`, `DELETE FROM requests`,
		`UPDATE policies SET source = ''`, `UPDATE installation SET id = 'aaaaaaaaaaaa'`, `DELETE FROM digests`,
		`UPDATE schema_migrations SET version_id = 9`, `CREATE TABLE mine (n integer)`,
	} {
		err := execute(t.Context(), b.service, sql)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
			t.Errorf("as the service: %s: want a refusal, got %v", sql, err)
		}
	}
	for _, sql := range []string{
		`UPDATE audit_events SET reason = ''`, `DELETE FROM audit_events WHERE id = 1`, `TRUNCATE audit_events CASCADE`,
		`UPDATE audit_seals SET hash = prev`, `DELETE FROM audit_seals`, `TRUNCATE audit_seals`,
		`SET session_replication_role = replica; DELETE FROM audit_seals`,
	} {
		err := execute(t.Context(), b.owner, sql)
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("even as the owner: %s: want a refusal, got %v", sql, err)
		}
	}
	if report := b.verify(); !report.OK() || report.Seals != 2 {
		t.Errorf("report %+v", report)
	}
}

func TestPrivilegesAreJudged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.CheckPrivileges(t.Context()); err != nil {
		t.Fatalf("as the migration left them: %v", err)
	}
	if err := b.CheckSchema(t.Context()); err != nil {
		t.Fatalf("the schema of this binary: %v", err)
	}
	for name, tc := range map[string]struct{ sql, undo, want string }{
		"may delete":    {`GRANT DELETE ON audit_events TO ` + serviceLogin, `REVOKE DELETE ON audit_events FROM ` + serviceLogin, "may DELETE on table audit_events"},
		"through all":   {`GRANT UPDATE ON audit_seals TO PUBLIC`, `REVOKE UPDATE ON audit_seals FROM PUBLIC`, "may UPDATE on table audit_seals"},
		"cannot insert": {`REVOKE INSERT ON audit_events FROM ` + serviceLogin, `GRANT INSERT ON audit_events TO ` + serviceLogin, "lacks INSERT on table audit_events"},
		"owns":          {`ALTER TABLE digests OWNER TO ` + serviceLogin, `ALTER TABLE digests OWNER TO postgres; GRANT SELECT, INSERT ON digests TO ` + serviceLogin, "belongs to the owner of: digests;"},
		"one column":    {`GRANT UPDATE (verdict) ON approvals TO ` + serviceLogin, `REVOKE UPDATE (verdict) ON approvals FROM ` + serviceLogin, "may UPDATE (verdict) on table approvals"},
		"no column":     {`REVOKE UPDATE (withdrawn_at) ON approvals FROM ` + serviceLogin, `GRANT UPDATE (withdrawn_at) ON approvals TO ` + serviceLogin, "lacks UPDATE (withdrawn_at) on table approvals"},
		"every column":  {`GRANT UPDATE ON approvals TO ` + serviceLogin, `REVOKE UPDATE ON approvals FROM ` + serviceLogin + `; GRANT UPDATE (withdrawn_at) ON approvals TO ` + serviceLogin, "may UPDATE on table approvals"},
		"the schema":    {`ALTER SCHEMA public OWNER TO ` + serviceLogin, `ALTER SCHEMA public OWNER TO pg_database_owner`, "it can drop the audit log"},
		"as the owner":  {databaseTo(serviceLogin), databaseTo("postgres"), "it can drop the audit log"},
		"missing":       {`ALTER TABLE digests RENAME TO gone`, `ALTER TABLE gone RENAME TO digests`, "table digests is missing"},
	} {
		b.asOwner(tc.sql)
		if err := b.CheckPrivileges(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: want %q, got %v", name, tc.want, err)
		}
		b.asOwner(tc.undo)
	}
	if err := b.CheckPrivileges(t.Context()); err != nil {
		t.Fatalf("after all was undone: %v", err)
	}
	owner, err := store.Open(t.Context(), store.Config{URL: secret.New(b.owner), Log: zerolog.Nop(), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	if err := owner.CheckPrivileges(t.Context()); err == nil || !strings.Contains(err.Error(), "superuser") {
		t.Errorf("a superuser: %v", err)
	}
}

func TestSchemaVersionIsJudged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.asOwner(`INSERT INTO river_migration (line, version) VALUES ('main', 9999)`)
	if err := b.CheckSchema(t.Context()); err != nil {
		t.Errorf("newer tables of the job engine: %v", err)
	}
	for _, sql := range []string{`DELETE FROM river_migration WHERE version IN (9999, (SELECT max(version) FROM river_migration WHERE version < 9999))`, `DROP TABLE river_migration`} {
		b.asOwner(sql)
		if err := b.CheckSchema(t.Context()); !errors.Is(err, store.ErrSchemaOld) || !strings.Contains(err.Error(), "the job engine's tables are at version") {
			t.Errorf("older tables of the job engine: %v", err)
		}
	}
	b.asOwner(`INSERT INTO schema_migrations (version_id, is_applied) VALUES (9999, true)`)
	if err := b.CheckSchema(t.Context()); !errors.Is(err, store.ErrSchemaNew) {
		t.Errorf("a newer schema: %v", err)
	}
	b.asOwner(`DELETE FROM schema_migrations WHERE version_id IN (9999, ` + last() + `)`)
	if err := b.CheckSchema(t.Context()); !errors.Is(err, store.ErrSchemaOld) || !strings.Contains(err.Error(), "migrate up") {
		t.Errorf("an older schema: %v", err)
	}
	b.asOwner(`DROP TABLE schema_migrations`)
	if err := b.CheckSchema(t.Context()); !errors.Is(err, store.ErrSchemaOld) {
		t.Errorf("no schema: %v", err)
	}
}

// databaseTo gives the database one is connected to away.
func databaseTo(owner string) string {
	return `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO ` + owner + `', current_database()); END $$`
}

func last() string { return itoa(migrations.Latest()) }

// Whatever is wrong with a URL, no part of it is repeated.
func TestOpenKeepsTheURLToItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const canary = "hunter2canary"
	for name, url := range map[string]string{
		"wrong password": strings.Replace(b.service, servicePassword, canary, 1),
		"no such port":   "postgres://u:p@127.0.0.1:" + canary + "/db",
		"not a URL":      "postgres://u:" + canary + "@[bad/db",
		"bad option":     "postgres://u:" + canary + "@127.0.0.1:1/db?sslmode=" + canary,
		"nobody there":   "postgres://u:" + canary + "@127.0.0.1:1/db",
	} {
		var log strings.Builder
		_, err := store.Open(t.Context(), store.Config{URL: secret.New(url), Log: zerolog.New(&log)})
		if err == nil {
			t.Fatalf("%s: opened", name)
		}
		if strings.Contains(err.Error()+log.String(), canary) {
			t.Errorf("%s: the error repeats the URL: %v", name, err)
		}
		err = migrations.Up(t.Context(), secret.New(url), "", func(line string) { log.WriteString(line) })
		if err == nil || strings.Contains(err.Error()+log.String(), canary) {
			t.Errorf("%s: migrating: %v", name, err)
		}
	}
}
