package migrations_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(localpg.Around(m, localpg.Options{})) }

const password = "a-password-for-tests"

// bundle is a database whose owner is no superuser, as in most installations.
type bundle struct {
	t              *testing.T
	srv            *localpg.Server
	db             string
	owner, service string // logins
}

func setup(t *testing.T) *bundle {
	t.Helper()
	srv := localpg.Shared(t)
	db := localpg.NewDatabase(t, srv, "")
	b := &bundle{t: t, srv: srv, db: db, owner: "own_" + db, service: "svc_" + db}
	b.super(fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD '%[3]s'; CREATE ROLE %[2]s LOGIN PASSWORD '%[3]s';
		ALTER DATABASE %[4]s OWNER TO %[1]s`, b.owner, b.service, password, db))
	t.Cleanup(func() { // before the database goes, whose objects hold the roles
		for _, sql := range []string{"DROP OWNED BY %[1]s, %[2]s CASCADE", "ALTER DATABASE %[3]s OWNER TO postgres", "DROP ROLE %[1]s, %[2]s"} {
			if err := execute(context.Background(), srv.URL(db), fmt.Sprintf(sql, b.owner, b.service, db)); err != nil {
				t.Errorf("cleaning up: %v", err)
			}
		}
	})
	return b
}

func (b *bundle) url(login string) secret.String {
	return secret.New(b.srv.UserURL(login, password, b.db))
}

func (b *bundle) up() (lines []string, err error) {
	return lines, migrations.Up(b.t.Context(), b.url(b.owner), b.service, func(line string) { lines = append(lines, line) })
}

func (b *bundle) mustUp() []string {
	b.t.Helper()
	var lines []string
	err := migrations.Up(b.t.Context(), b.url(b.owner), b.service, func(line string) { lines = append(lines, line) })
	if err != nil {
		b.t.Fatal(err)
	}
	return lines
}

func (b *bundle) super(sql string) {
	b.t.Helper()
	if err := execute(b.t.Context(), b.srv.URL(b.db), sql); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bundle) texts(sql string) []string {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.srv.URL(b.db))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(b.t.Context(), sql)
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

const seed = `
	INSERT INTO policies (hash, source, first_used) VALUES (encode(sha256('p'), 'hex'), 'p', now());
	INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
		profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, approved_at, answer)
	VALUES ('r1', 'k1', 'activated', 1, 'U1', 'Ana', 'ana@example.com', '', 'orders-prod', 'postgres', 'read-only', '30m', '', 'why',
		'{}', 'cli', 'needs-approval', encode(sha256('p'), 'hex'), '{"outcome":"needs-approval"}', now(), now(), '');
	INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills)
	VALUES ('r1', 'U1', 'U2', 'Bo', 'bo@example.com', '', 'yes', '', now(), '{0}');
	INSERT INTO grants (id, request_id, state, version, holder_id, holder_name, holder_email, target, engine, database, fingerprint,
		profile, profile_version, access_role, login, connection_limit, intended_at, deadline, note, attempts, last_error)
	VALUES ('g1', 'r1', 'provisioning', 1, 'U1', 'Ana', 'ana@example.com', 'orders-prod', 'postgres', 'orders', '1', 'read-only', 'v1',
		'pa_read_only', 'pa_ana_g1', 3, now(), now() + interval '1 hour', '', 0, '');
	INSERT INTO audit_events (at, kind, refused, actor_kind, actor_id, actor_name, actor_email, source, request_id, grant_id, target,
		profile, reason, policy, rule)
	VALUES (now(), 'request.filed', false, 'person', 'U1', '', '', '', 'r1', '', '', '', '', '', '');
	INSERT INTO audit_seals (seq, event_id, prev, hash, at) VALUES (1, 1, repeat('0', 64), repeat('1', 64), now());
	INSERT INTO slack_messages (key, channel, ts, version, first_tried_at, claims) VALUES ('card:r1', 'C1', '1.1', 1, now(), 1);
	INSERT INTO digests (due, claimed_at) VALUES (now(), now());
	INSERT INTO drafts (person_id, view, at, content) VALUES ('U1', 'V1', now(), '{}');
	INSERT INTO standing_logins (target, login, power, why, since, surveyed, changed) VALUES ('orders-prod', 'app', 'owner', '{x}', now(), now(), now());
	INSERT INTO river_job (kind, args, max_attempts) VALUES ('prodaccess', '{}', 10);`

const tables = `SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'v', 'S') AND relnamespace = 'public'::regnamespace ORDER BY 1`

func TestUpDownUpWithRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	if left := b.texts(`SELECT relname::text FROM pg_class WHERE relname IN ('river_job_args_index', 'river_job_metadata_index')`); len(left) > 0 {
		t.Errorf("indexes that nothing uses: %v", left)
	}
	first, identity := b.texts(tables), b.texts(`SELECT id FROM installation`)
	b.super(seed)
	lines := b.mustUp() // again, with rows: nothing to do
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, "up to date") }) {
		t.Errorf("the second Up says %q", lines)
	}
	if again := b.texts(`SELECT id FROM installation`); !slices.Equal(identity, again) {
		t.Errorf("the installation's identity changed from %v to %v", identity, again)
	}
	for to := migrations.Latest() - 1; to >= 0; to-- { // every step back must cope with rows
		if err := migrations.Down(t.Context(), b.url(b.owner), to, func(string) {}); err != nil {
			t.Fatalf("down to %d: %v", to, err)
		}
	}
	for _, left := range b.texts(tables) {
		if !strings.HasPrefix(left, migrations.VersionTable) {
			t.Errorf("%s is left after everything was taken back", left)
		}
	}
	b.mustUp()
	if second := b.texts(tables); !slices.Equal(first, second) {
		t.Errorf("up, down, up gives other tables:\n%v\n%v", first, second)
	}
	b.super(seed)
}

func TestStatusChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	check := func(applied bool) {
		t.Helper()
		all, err := migrations.Status(t.Context(), b.url(b.owner))
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(all)) != migrations.Latest() {
			t.Errorf("%d migrations up to number %d", len(all), migrations.Latest())
		}
		for _, one := range all {
			if one.At.IsZero() == applied {
				t.Errorf("%s: applied at %v, want applied %v", one.Name, one.At, applied)
			}
		}
	}
	check(false)
	if left := b.texts(tables); len(left) != 0 {
		t.Errorf("looking made %v", left)
	}
	b.mustUp()
	check(true)
}

func TestManyAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	for range 4 {
		wg.Go(func() {
			lines, err := b.up()
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, line := range lines {
				if strings.HasPrefix(line, "applied 0") {
					applied++
				}
			}
		})
	}
	wg.Wait()
	if int64(applied) != migrations.Latest() {
		t.Errorf("%d migrations were applied of %d", applied, migrations.Latest())
	}
}

func TestServiceHasExactlyItsRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	// What somebody granted by hand goes away, what somebody took comes back.
	b.super(`GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC, ` + b.service + `; REVOKE SELECT ON requests FROM ` + b.service +
		`; GRANT UPDATE (verdict) ON approvals TO ` + b.service + `, PUBLIC; REVOKE UPDATE (withdrawn_at) ON approvals FROM ` + b.service)
	b.mustUp()
	got := b.texts(`
		SELECT c.relname || ' ' || p.name FROM pg_class AS c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p (name)
		WHERE c.relkind IN ('r', 'v', 'p') AND c.relnamespace = 'public'::regnamespace
		  AND has_table_privilege('` + b.service + `', c.oid, p.name)
		UNION ALL
		SELECT c.relname || ' ' || p.name || ' (' || a.attname || ')'
		FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped,
			unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p (name)
		WHERE c.relkind IN ('r', 'v', 'p') AND c.relnamespace = 'public'::regnamespace
		  AND NOT has_table_privilege('` + b.service + `', c.oid, p.name)
		  AND has_column_privilege('` + b.service + `', c.oid, a.attnum, p.name)`)
	var want []string
	for table, privileges := range migrations.Tables() {
		for _, privilege := range privileges {
			want = append(want, table+" "+privilege)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the service has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if may := b.texts(`SELECT has_schema_privilege('` + b.service + `', 'public', 'CREATE')::text`); may[0] != "false" {
		t.Error("the service may create tables")
	}
}

func TestUpSaysWhatSomebodyHasToRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lines := func(string) {}
	tell := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	tell(migrations.Up(t.Context(), b.url(b.owner), "no_such_login", lines), `CREATE ROLE "no_such_login" LOGIN`)
	tell(migrations.Up(t.Context(), b.url(b.service), b.service, lines), fmt.Sprintf(`GRANT USAGE, CREATE ON SCHEMA "public" TO "%s"`, b.service))
	b.super(`ALTER ROLE ` + b.service + ` NOLOGIN`)
	tell(migrations.Up(t.Context(), b.url(b.owner), b.service, lines), fmt.Sprintf(`ALTER ROLE "%s" LOGIN`, b.service))
	b.super(`ALTER ROLE ` + b.service + ` LOGIN`)
	if left := b.texts(tables); len(left) != 0 {
		t.Errorf("refused, and yet made %v", left)
	}
	b.mustUp()
	b.super(`ALTER TABLE grants OWNER TO postgres`)
	_, err := b.up()
	tell(err, fmt.Sprintf(`ALTER TABLE "grants" OWNER TO "%s"`, b.owner))
	b.super(`ALTER TABLE grants OWNER TO ` + b.owner)
	var said []string
	err = migrations.Up(t.Context(), b.url(b.owner), b.owner, func(line string) { said = append(said, line) })
	if err != nil || !strings.Contains(strings.Join(said, "\n"), "can rewrite the audit log") {
		t.Errorf("one login for both: %v, %q", err, said)
	}
}

// The files follow each other without a gap, each has both directions, and none selects what it does not name.
func TestFilesAreInOrder(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS("sql"), "*.sql")
	if err != nil || int64(len(files)) != migrations.Latest() {
		t.Fatalf("%d files up to number %d, %v", len(files), migrations.Latest(), err)
	}
	for i, name := range files {
		if !strings.HasPrefix(name, fmt.Sprintf("%05d_", i+1)) {
			t.Errorf("file %d is %s", i+1, name)
		}
		text, err := os.ReadFile("sql/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"-- +goose Up\n", "-- +goose Down\n"} {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s has no %q", name, strings.TrimSpace(part))
			}
		}
		if strings.Contains(strings.ToUpper(string(text)), "SELECT *") {
			t.Errorf("%s selects what it does not name", name)
		}
	}
}
