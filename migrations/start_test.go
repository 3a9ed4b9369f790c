package migrations_test

import (
	"slices"
	"testing"

	"github.com/prodaccess/prodaccess/migrations"
)

// The binary of before knows no start, so it must not find a request that waits for one: it would give the access at once.
func TestDownGivesNothingBeforeItsStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustUp()
	b.super(`
		INSERT INTO policies (hash, source, first_used) VALUES (encode(sha256('p'), 'hex'), 'p', now());
		INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
			profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, approved_at, answer, starts_at)
		SELECT id, id, state, 1, 'U1', 'Ana', 'ana@example.com', '', 'orders-prod', 'postgres', 'data-fix', '2h', '', 'why', '{}', 'cli', 'needs-approval',
			encode(sha256('p'), 'hex'), '{"outcome":"needs-approval"}', now() - interval '2 hours', now() + interval '3 hours', approved, '', starts
		FROM (VALUES ('waits', 'pending', NULL, now() + interval '1 hour'), ('agreed', 'approved', now(), now() + interval '1 hour'),
			('begun', 'approved', now(), now() - interval '1 hour'), ('at-once', 'approved', now(), NULL)) AS r (id, state, approved, starts)`)
	if err := migrations.Down(t.Context(), b.url(b.owner), 8, func(string) {}); err != nil {
		t.Fatal(err)
	}
	want := []string{"agreed lapsed", "at-once approved", "begun approved", "waits lapsed"}
	if got := b.texts(`SELECT id || ' ' || state FROM requests ORDER BY 1`); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	b.mustUp()
}
