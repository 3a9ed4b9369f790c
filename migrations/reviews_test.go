package migrations_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/migrations"
)

// seedAnswers are answers that were taken back, or to less, and broken glass with its review.
const seedAnswers = `
	INSERT INTO policies (hash, source, first_used) VALUES (encode(sha256('p'), 'hex'), 'p', now());
	INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
		profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, approved_at, answer,
		break_glass, less_duration, less_profile, reminders, escalated, escalated_at)
	SELECT id, id, state, 1, 'U1', 'Ana', 'ana@example.com', '', 'orders-prod', 'postgres', 'data-fix', '2h', '', 'why', '{}', 'cli', outcome,
		encode(sha256('p'), 'hex'), jsonb_build_object('outcome', outcome), now(), now(), approved, '', glass, less, 'read-only', 2, 1, now()
	FROM (VALUES ('waits', 'pending', 'needs-approval', NULL, false, '1h'), ('agreed', 'approved', 'needs-approval', now(), false, '30m'),
		('glass', 'approved', 'approved', now(), true, NULL)) AS r (id, state, outcome, approved, glass, less_text),
		LATERAL (SELECT less_text::interval AS less) AS x;
	INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills, withdrawn_at, less_duration)
	VALUES ('waits', 'U1', 'U2', 'Bo', 'bo@example.com', '', 'yes', '', now(), '{0}', now(), NULL),
	       ('waits', 'U1', 'U2', 'Bo', 'bo@example.com', '', 'yes', '', now(), '{0}', NULL, NULL),
	       ('waits', 'U1', 'U3', 'Cy', 'cy@example.com', '', 'yes', '', now(), '{0}', NULL, '1h'),
	       ('agreed', 'U1', 'U2', 'Bo', 'bo@example.com', '', 'yes', '', now(), '{0}', NULL, '30m');
	INSERT INTO reviews (request_id, requester_id, opened_at, due_at) VALUES ('glass', 'U1', now(), now() + interval '1 day');`

// What the binary of before would misread is not there when it comes back: an answer that was taken back would count, one to
// less would be to everything, and more would be given than was agreed to.
func TestDownLeavesNothingToMisread(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	b.super(seedAnswers)
	if err := migrations.Down(t.Context(), b.url(b.owner), 4, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string][]string{
		`SELECT request_id || ' ' || by_name FROM approvals ORDER BY 1`: {"agreed Bo", "waits Bo"},
		`SELECT id || ' ' || profile || ' ' || duration FROM requests ORDER BY 1`: {
			"agreed read-only 00:30:00", "glass read-only 02:00:00", "waits data-fix 02:00:00",
		},
	} {
		if got := b.texts(what); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	b.mustUp()
	if got := b.texts(`SELECT count(*)::text FROM approvals WHERE withdrawn_at IS NULL`); got[0] != "2" {
		t.Errorf("up again: %v answers stand", got)
	}
	if err := migrations.Down(t.Context(), b.url(b.owner), 0, func(string) {}); err != nil {
		t.Fatal(err)
	}
}

// The binary of before files, answers, issues, extends and ends under the schema of this one, naming no column of it.
func TestStatementsOfTheBinaryBeforeStillWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	b.super(seed)
	b.super(`
		UPDATE grants SET version = 2, state = 'active', login_oid = 1, issued_at = now() WHERE id = 'g1';
		UPDATE grants SET version = 3, deadline = deadline + interval '1 hour' WHERE id = 'g1';
		UPDATE requests SET version = 2, answer = 'x' WHERE id = 'r1';
		INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
			profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, answer)
		VALUES ('r2', 'k2', 'pending', 1, 'U1', 'Ana', 'ana@example.com', '', 'orders-prod', 'postgres', 'read-only', '30m', '', 'why',
			'{}', 'cli', 'needs-approval', encode(sha256('p'), 'hex'), '{"outcome":"needs-approval","approvals":[{"from":["x"],"count":1}]}', now(), now(), '');
		BEGIN;
		UPDATE requests SET version = 2, state = 'approved', approved_at = now() WHERE id = 'r2';
		INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills)
		VALUES ('r2', 'U1', 'U2', 'Bo', 'bo@example.com', '', 'yes', '', now(), '{0}');
		COMMIT`)
	got := b.texts(`SELECT format('%s %s %s', break_glass, reminders, less_profile IS NULL) FROM requests WHERE id = 'r2'`)
	if !slices.Equal(got, []string{"f 0 t"}) {
		t.Errorf("filed by the binary before: %v", got)
	}
	if got := b.texts(`SELECT format('%s %s', params, extensions) FROM grants`); !slices.Equal(got, []string{"[] 0"}) {
		t.Errorf("issued by the binary before: %v", got)
	}
}

// A service at work locks rows of two tables in its order, a migration the tables in its own: one of them has to give way,
// and the migration begins again.
func TestMigrationOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	if err := migrations.Down(t.Context(), b.url(b.owner), 4, func(string) {}); err != nil {
		t.Fatal(err)
	}
	service, err := pgx.Connect(t.Context(), b.srv.URL(b.db))
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close(context.Background())
	// It must not be the service that is ended.
	if _, err := service.Exec(t.Context(), `SET deadlock_timeout = '1min'; BEGIN; LOCK TABLE approvals IN ROW EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var lines []string
	done := make(chan error)
	go func() { lines, err = b.up(); done <- err }()
	for waiting := false; !waiting; {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		waiting = b.texts(`SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'approvals'::regclass)::text`)[0] == "true"
	}
	if _, err := service.Exec(t.Context(), `LOCK TABLE requests IN ROW EXCLUSIVE MODE; COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(lines, "\n"); !strings.Contains(said, "begins again") || !strings.Contains(said, "applied 00005") {
		t.Errorf("said %s", said)
	}
}

// A backup holds every table for as long as it takes. A migration that waited for it would keep everybody else waiting behind
// it, those included who end access.
func TestMigrationKeepsNobodyWaitingBehindABackup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	b.super(seed)
	if err := migrations.Down(t.Context(), b.url(b.owner), 4, func(string) {}); err != nil {
		t.Fatal(err)
	}
	backup, err := pgx.Connect(t.Context(), b.srv.URL(b.db))
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Close(context.Background())
	if _, err := backup.Exec(t.Context(), `BEGIN; LOCK TABLE requests IN ACCESS SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- migrations.Up(t.Context(), b.url(b.owner), b.service, func(line string) { lines <- line })
	}()
	for waiting := false; !waiting; {
		waiting = b.texts(`SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'requests'::regclass)::text`)[0] == "true"
	}
	// The service writes behind the migration that waits, and goes on though the backup does as well.
	b.super(`SET statement_timeout = '30s'; UPDATE requests SET version = version + 1, answer = 'behind it'`)
	for said := ""; !strings.Contains(said, "pg_stat_activity"); {
		select {
		case said = <-lines:
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		}
	}
	if _, err := backup.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
