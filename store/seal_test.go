package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/store"
)

func (b *bundle) record(events int) {
	b.t.Helper()
	list := make([]audit.Event, events)
	for i := range list {
		list[i] = event(audit.RequestFiled, "r1")
	}
	if err := b.Record(b.t.Context(), list, nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) seal() int {
	b.t.Helper()
	n, err := b.SealPending(b.t.Context(), noon)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *bundle) verify(heads ...audit.Head) audit.Report {
	b.t.Helper()
	report, err := audit.Verify(b.t.Context(), b, noon.Add(time.Hour), heads...)
	if err != nil {
		b.t.Fatal(err)
	}
	return report
}

func TestEveryEventIsSealedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(3)
	if n := b.seal(); n != 3 {
		t.Errorf("sealed %d of 3", n)
	}
	if n := b.seal(); n != 0 {
		t.Errorf("sealed %d again", n)
	}
	odd := event(audit.RequestDenied, "r1")
	odd.Reason, odd.Detail = "\x00 \xff \u2028 <b> \" \\ 🦆", nil
	odd.At = noon.Add(123456789 * time.Nanosecond).In(time.FixedZone("far", -3600))
	if err := b.Record(t.Context(), []audit.Event{odd}, nil); err != nil {
		t.Fatal(err)
	}
	b.record(2500)
	if n := b.seal(); n != 2501 {
		t.Errorf("sealed %d of 2501", n)
	}
	report := b.verify()
	if !report.OK() || report.Seals != 2504 || report.Events != 2504 || report.Head.Seq != 2504 {
		t.Errorf("report %+v", report)
	}
	head, err := b.Head(t.Context())
	if err != nil || head != report.Head {
		t.Errorf("head %+v, %v", head, err)
	}
}

func TestSealersDoNotFork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var sealers, writers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 3 {
		replica := b.open(2)
		sealers.Go(func() {
			for ctx.Err() == nil {
				if _, err := replica.SealPending(context.WithoutCancel(ctx), noon); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const writing, each = 8, 25
	for range writing {
		writers.Go(func() {
			for range each {
				if err := b.Record(t.Context(), []audit.Event{event(audit.RequestFiled, "r1")}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	stop()
	sealers.Wait()
	b.seal()
	if report := b.verify(); !report.OK() || report.Seals != writing*each {
		t.Errorf("report %+v", report)
	}
}

func TestSealerSealsWhatIsCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(2) // before it starts
	sealer := store.NewSealer(b.Store)
	sealer.Start(t.Context())
	defer sealer.Stop()
	wait := func(seq int64) {
		t.Helper()
		for {
			head, err := b.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if head.Seq == seq {
				return
			}
			time.Sleep(time.Millisecond) // t's own time limit bounds the wait
		}
	}
	wait(2)
	began := time.Now()
	for seq := int64(3); seq <= 6; seq++ {
		b.record(1)
		wait(seq)
	}
	b.file(pending())
	wait(7)
	// Five times the poll would be 25 s, less what was left of the first.
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("sealed after %v: nobody woke the sealer", took)
	}
	sealer.Stop()
}

// What was recorded last before everything stopped is sealed, or an honest log would look forged after a while.
func TestSealerThatStopsLeavesNothingUnsealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(3)
	sealer := store.NewSealer(b.Store)
	sealer.Start(t.Context())
	b.record(1)
	// Another sealer is at work, and looked before the next event was there.
	tx, err := b.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(x'70726f647365616c'::bigint)`); err != nil {
		t.Fatal(err)
	}
	b.record(1)
	time.AfterFunc(100*time.Millisecond, func() { _ = tx.Rollback(context.Background()) })
	sealer.Stop()
	report, err := audit.Verify(t.Context(), b, noon.Add(3*time.Minute))
	if err != nil || !report.OK() || report.Seals != 5 {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sql  string
		want audit.Fault
	}{
		"an event changed":               {`UPDATE audit_events SET reason = 'better' WHERE id = 5`, audit.EventChanged},
		"an actor changed":               {`UPDATE audit_events SET actor_id = 'U0BAD' WHERE id = 5`, audit.EventChanged},
		"an instant changed":             {`UPDATE audit_events SET at = at + interval '1 microsecond' WHERE id = 5`, audit.EventChanged},
		"a detail changed":               {`UPDATE audit_events SET detail = '{"duration":"31m"}' WHERE id = 5`, audit.EventChanged},
		"a refusal hidden":               {`UPDATE audit_events SET refused = NOT refused WHERE id = 5`, audit.EventChanged},
		"an event deleted":               {`DELETE FROM audit_events WHERE id = 5`, audit.EventMissing},
		"a seal deleted":                 {`DELETE FROM audit_seals WHERE seq = 5`, audit.SealGap},
		"event and seal deleted":         {`DELETE FROM audit_seals WHERE seq = 5; DELETE FROM audit_events WHERE id = 5`, audit.SealGap},
		"a seal's hash changed":          {`UPDATE audit_seals SET hash = repeat('a', 64) WHERE seq = 5`, audit.EventChanged},
		"a seal's link changed":          {`UPDATE audit_seals SET prev = repeat('a', 64) WHERE seq = 5`, audit.LinkBroken},
		"an event inserted unsealed":     {`INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT 1000, at, kind, refused, actor_kind, actor_id, actor_name, actor_email, source, request_id, grant_id, target, profile, reason, policy, rule, detail FROM audit_events WHERE id = 5`, audit.SealMissing},
		"the first event and seal cut":   {`DELETE FROM audit_seals WHERE seq = 1; DELETE FROM audit_events WHERE id = 1`, audit.SealGap},
		"two seals with one number":      {`ALTER TABLE audit_seals DROP CONSTRAINT audit_seals_pkey, DROP CONSTRAINT audit_seals_one_per_event, DROP CONSTRAINT audit_seals_never_fork; INSERT INTO audit_seals SELECT seq, 6, prev, hash, at FROM audit_seals WHERE seq = 5`, audit.Forked},
		"the end cut off":                {`DELETE FROM audit_seals WHERE seq > 8; DELETE FROM audit_events WHERE id > 8`, audit.HeadMismatch},
		"the end cut off and written on": {`DELETE FROM audit_seals WHERE seq > 8; UPDATE audit_events SET reason = 'better' WHERE id > 8; INSERT INTO audit_unsealed SELECT id FROM audit_events WHERE id > 8`, audit.HeadMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.record(10)
			b.seal()
			honest := b.verify()
			if !honest.OK() {
				t.Fatalf("an honest record: %+v", honest)
			}
			b.asOwner(`SET session_replication_role = replica;
				ALTER TABLE audit_events DISABLE TRIGGER USER; ALTER TABLE audit_seals DISABLE TRIGGER USER; ` + tc.sql)
			b.seal() // the service goes on as if nothing had happened
			report := b.verify(honest.Head)
			if !slices.ContainsFunc(report.Findings, func(f audit.Finding) bool { return f.Fault == tc.want && f.Words != "" }) {
				t.Errorf("want a finding %s, got %+v", tc.want, report.Findings)
			}
		})
	}
}

func TestYoungEventNeedsNoSealYet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(1)
	report, err := audit.Verify(t.Context(), b, noon.Add(audit.SealWithin))
	if err != nil || !report.OK() || report.Unsealed != 1 {
		t.Errorf("report %+v, %v", report, err)
	}
	if report := b.verify(); report.OK() {
		t.Error("an old event without a seal was not found")
	}
}

func TestExportCanBeCheckedWithoutUs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(3)
	b.seal()
	b.record(1)
	var out bytes.Buffer
	if err := audit.Export(t.Context(), b, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines of 4 events:\n%s", len(lines), out.String())
	}
	for i, line := range lines {
		var got struct {
			Seq   int64
			Prev  string
			Hash  string
			Event json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if sealed := i < 3; sealed != (got.Hash != "") || sealed && got.Hash != sha256hex(got.Prev+"\n"+string(got.Event)) {
			t.Errorf("line %d: its hash is not that of its event: %s", i+1, line)
		}
	}
}

func TestReaderMayBreakOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(5)
	b.seal()
	seen := 0
	for _, err := range b.Chain(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("read %d links", seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Verify(ctx, b, noon); err == nil {
		t.Error("a record that could not be read was verified")
	}
}

func TestEventsAreFiltered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := event(audit.RequestFiled, "r1"), event(audit.GrantIssued, "r2")
	two.Grant, two.At, two.Refused = "g2", noon.Add(time.Hour), true
	two.Actor = audit.System("reaper")
	if err := b.Record(t.Context(), []audit.Event{one, two}, nil); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		f    audit.Filter
		want []audit.Kind
	}{
		"all":         {audit.Filter{}, []audit.Kind{one.Kind, two.Kind}},
		"newest":      {audit.Filter{Limit: 1}, []audit.Kind{two.Kind}},
		"request":     {audit.Filter{Request: "r1"}, []audit.Kind{one.Kind}},
		"grant":       {audit.Filter{Grant: "g2"}, []audit.Kind{two.Kind}},
		"person":      {audit.Filter{Person: ana.ID}, []audit.Kind{one.Kind}},
		"address":     {audit.Filter{Person: "ANA@example.com"}, []audit.Kind{one.Kind}},
		"kind":        {audit.Filter{Kind: audit.GrantIssued}, []audit.Kind{two.Kind}},
		"refused":     {audit.Filter{Refused: true}, []audit.Kind{two.Kind}},
		"since":       {audit.Filter{Since: noon.Add(time.Minute)}, []audit.Kind{two.Kind}},
		"until":       {audit.Filter{Until: noon.Add(time.Hour)}, []audit.Kind{one.Kind}},
		"two at once": {audit.Filter{Request: "r1", Kind: audit.GrantIssued}, nil},
	} {
		events, err := b.Events(t.Context(), tc.f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []audit.Kind
		for _, e := range events {
			got = append(got, e.Kind)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}

// Whoever stops seals what is there, and does not stay for what the others go on recording.
func TestSealingEverythingEndsThoughOthersRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.record(1)
	defer b.lock(`SELECT pg_advisory_xact_lock($1)`, store.SealLock)() // another sealer
	stopping := b.open(1)
	sealed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { sealed <- stopping.SealAll(ctx) }()
	for b.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle' AND query LIKE '%FROM audit_unsealed'`) == 0 {
		time.Sleep(time.Millisecond) // t's own time limit bounds the wait
	}
	b.asOwner(`WITH sealed AS (DELETE FROM audit_unsealed) INSERT INTO audit_events OVERRIDING USER VALUE SELECT e.* FROM audit_events AS e`)
	if err := <-sealed; err != nil {
		t.Errorf("it waits for an event that came after it had begun: %v", err)
	}
}
