package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
)

// The server keeps the plan of a statement that it met while the tables were small, and counts their rows again a minute
// later at best. A store that fills up meanwhile must not read its tables from the beginning.
func TestNoStatementReadsATableFromItsBeginning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.asOwner(`ALTER TABLE requests SET (autovacuum_enabled = false); ALTER TABLE grants SET (autovacuum_enabled = false);
		ALTER TABLE audit_events SET (autovacuum_enabled = false); ALTER TABLE river_job SET (autovacuum_enabled = false);
		ALTER TABLE audit_seals SET (autovacuum_enabled = false); ALTER TABLE audit_unsealed SET (autovacuum_enabled = false)`)
	one := *b
	one.Store = b.open(1) // its only connection prepares each statement once
	one.live()
	const many = 3000
	b.asOwner(`
		INSERT INTO requests OVERRIDING USER VALUE SELECT n.* FROM (SELECT to_jsonb(r) AS row FROM requests AS r LIMIT 1) AS r, generate_series(1, 3000) AS i,
			LATERAL jsonb_populate_record(NULL::requests, r.row || jsonb_build_object('id', 'bulk' || i, 'key', 'bulk' || i)) AS n;
		INSERT INTO grants OVERRIDING USER VALUE SELECT n.* FROM (SELECT to_jsonb(g) AS row FROM grants AS g LIMIT 1) AS g, generate_series(1, 3000) AS i,
			LATERAL jsonb_populate_record(NULL::grants, g.row || jsonb_build_object('id', 'bulk' || i, 'login', 'pa_bulk_' || i)) AS n;
		INSERT INTO audit_events OVERRIDING USER VALUE SELECT e.* FROM (SELECT * FROM audit_events LIMIT 1) AS e, generate_series(1, 3000);
		INSERT INTO river_job (kind, args, max_attempts, state, finalized_at)
		SELECT 'prodaccess', '{}', 10, 'completed', now() FROM generate_series(1, 3000)`)
	const read = `SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname IN
		('requests', 'approvals', 'grants', 'audit_events', 'audit_seals', 'audit_unsealed', 'river_job')`
	before := b.count(read)
	for range 3 {
		one.live()
	}
	one.Close() // a connection that ends has told the server what it read
	if n := b.count(read) - before; n >= many {
		t.Errorf("%d rows were read from the beginning of a table: at least one statement has no index to go by, or does not use it", n)
	}
}

// What one person did is found by indexes, however long the log of the others is.
func TestTheEventsOfAPersonAreFoundByTheirIndexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(1)
	const many = 5000
	b.asOwner(`INSERT INTO audit_events OVERRIDING USER VALUE SELECT n.* FROM (SELECT to_jsonb(e) AS row FROM audit_events AS e LIMIT 1) AS e, generate_series(1, 5000) AS i,
		LATERAL jsonb_populate_record(NULL::audit_events, e.row || jsonb_build_object('actor_id', 'U' || i, 'actor_email', CASE i % 2 WHEN 0 THEN '' ELSE 'p' || i || '@example.com' END)) AS n;
		ANALYZE audit_events`)
	const read = `SELECT coalesce(sum(idx_tup_read), 0) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = 'audit_events')
		FROM pg_stat_user_indexes WHERE relname = 'audit_events'`
	one := b.open(1)
	before := b.count(read)
	for _, person := range []string{"p77@example.com", "U78", "nobody@example.com"} {
		if _, err := one.Events(t.Context(), audit.Filter{Person: person}); err != nil {
			t.Fatal(err)
		}
	}
	one.Close() // a connection that ends has told the server what it read
	if n := b.count(read) - before; n >= many {
		t.Errorf("%d events were read to find those of three", n)
	}
}

// live carries out what happens in the life of a request and of its grant, and what looks at both.
func (b *bundle) live() {
	b.t.Helper()
	ctx := b.t.Context()
	g := b.active(noon.Add(time.Hour))
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	change := func(do func(g *grants.Grant)) {
		b.t.Helper()
		_, err := b.ChangeGrant(ctx, g.ID, func(g grants.Grant) (grants.Change, error) {
			do(&g)
			return grants.Change{Grant: g}, nil
		})
		must(err)
	}
	_, err := b.ChangeGrant(ctx, g.ID, func(g grants.Grant) (grants.Change, error) { return end(g, noon, grants.Released), nil })
	must(err)
	change(func(g *grants.Grant) { g.State, g.SecuredAt = grants.Cleanup, noon.Add(time.Second) })
	change(func(g *grants.Grant) {
		g.State, g.EndedAt, g.Receipt = grants.Revoked, noon.Add(2*time.Second), &grants.Receipt{}
	})
	short := b.active(noon.Add(time.Minute))
	_, err = b.TakeDue(ctx, noon.Add(time.Minute), 10, func(g grants.Grant) grants.Change { return end(g, noon.Add(time.Minute), grants.Expired) })
	must(err)
	for _, look := range []func() error{
		func() error { _, err := b.Case(ctx, short.Request); return err },
		func() error { _, err := b.Cases(ctx, approvals.Query{Requester: "U0NOBODY"}); return err },
		func() error {
			_, err := b.Cases(ctx, approvals.Query{States: []approvals.State{approvals.Pending}, Limit: 10})
			return err
		},
		func() error { _, err := b.PendingOf(ctx, "U0NOBODY", noon); return err },
		func() error { _, err := b.Events(ctx, audit.Filter{Person: "nobody@example.com"}); return err },
		func() error { _, err := b.Grant(ctx, short.ID); return err },
		func() error { _, err := b.NextDeadline(ctx); return err },
		func() error { _, err := b.Head(ctx); return err },
		func() error {
			if _, err := b.Delivered(ctx, "command:none"); !errors.Is(err, approvals.ErrNotFound) {
				return err
			}
			return nil
		},
		func() error { _, err := b.SealPending(context.WithoutCancel(ctx), noon); return err },
	} {
		must(look())
	}
}
