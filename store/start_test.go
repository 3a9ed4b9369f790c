package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/store"
)

// later is a request that begins in an hour.
func later() approvals.Request {
	r := pending()
	r.StartsAt = r.FiledAt.Add(time.Hour + 1500*time.Nanosecond)
	return r
}

func TestALaterStartIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	filed := b.file(later()).Request
	if want := filed.FiledAt.Add(time.Hour + time.Microsecond); !filed.StartsAt.Equal(want) || !filed.StartedAt.IsZero() {
		t.Fatalf("starts %s, started %s", filed.StartsAt, filed.StartedAt)
	}
	changed, err := b.ChangeCase(t.Context(), filed.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.StartedAt = c.Request.StartsAt
		return approvals.Change{Request: c.Request}, nil
	})
	read, again := b.Case(t.Context(), filed.ID)
	if err != nil || again != nil || !changed.Request.StartedAt.Equal(filed.StartsAt) || !read.Request.StartedAt.Equal(filed.StartsAt) || !read.Request.StartsAt.Equal(filed.StartsAt) {
		t.Errorf("%v %v: %+v", err, again, read.Request)
	}
	if at := b.file(pending()).Request; !at.StartsAt.IsZero() {
		t.Errorf("at once is %s", at.StartsAt)
	}
}

// What the binary of before would do to a request it knows no start of is refused by the schema.
func TestSchemaHoldsTheStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.file(later()).Request
	set := func(what string) string {
		return `UPDATE requests SET version = version + 1, ` + what + ` WHERE id = '` + r.ID + `'`
	}
	b.refuses(map[string]string{
		"requests_start_after_they_are_filed":         copyRow("requests", allOfRequest, r.ID, map[string]string{"id": "'x'", "key": "'x'", "starts_at": "filed_at"}),
		"requests_started_when_they_should":           set(`started_at = starts_at - interval '1 second'`),
		"requests_started_when_they_should (at once)": `UPDATE requests SET version = version + 1, started_at = now() WHERE id = '` + b.file(pending()).Request.ID + `'`,
		"requests_approved_outlast_their_start":       set(`state = 'approved', approved_at = now(), lapses_at = starts_at`),
		"requests_start_is_frozen":                    set(`starts_at = NULL`),
		"requests_broken_glass_starts_at_once": copyRow("requests", allOfRequest, r.ID, map[string]string{
			"id": "'x'", "key": "'x'", "break_glass": "true", "state": "'approved'", "outcome": "'approved'", "approved_at": "now()", "lapses_at": "starts_at + interval '1 hour'",
			"decision": `'{"outcome":"approved"}'`,
		}),
		"grants_wait_for_the_start": `INSERT INTO grants (id, request_id, state, version, holder_id, holder_name, holder_email, target, engine, database, fingerprint,
			profile, profile_version, access_role, login, connection_limit, intended_at, deadline, note, attempts, last_error)
			SELECT 'g', id, 'provisioning', 1, requester_id, '', '', target, engine, 'd', '1', profile, '', '', 'pa_x', 1, starts_at - interval '1 second',
				starts_at + interval '1 hour', '', 0, '' FROM requests WHERE id = '` + r.ID + `'`,
		"drafts_are_small":       `INSERT INTO drafts (person_id, view, at, content) VALUES ('U1', 'V1', now(), repeat('x', 32769))`,
		"drafts_person_is_given": `INSERT INTO drafts (person_id, view, at, content) VALUES ('', 'V1', now(), 'x')`,
	})
}

const allOfRequest = `id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
		profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, answer,
		break_glass, reminders, escalated, escalated_at, approved_at, starts_at`

func TestDrafts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	save := func(view string, second int, content string) {
		t.Helper()
		if err := b.SaveDraft(ctx, "U1", view, noon.Add(time.Duration(second)*time.Second), content); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want string) {
		t.Helper()
		got, ok, err := b.Draft(ctx, "U1", noon)
		if err != nil || got != want || ok != (want != "") {
			t.Errorf("%q %v %v, want %q", got, ok, err, want)
		}
	}
	has("")
	save("V1", 1, "a")
	has("a")
	save("V1", 3, "c")
	save("V1", 2, "b")
	has("c") // a change that arrives late is not the last one
	if got, ok, err := b.Draft(ctx, "U1", noon.Add(time.Hour)); ok || err != nil {
		t.Errorf("too old: %q %v", got, err)
	}
	if _, ok, _ := b.Draft(ctx, "U2", noon); ok {
		t.Error("somebody else has it")
	}
	if err := b.SentDraft(ctx, "U1", "V1", noon.Add(4*time.Second)); err != nil {
		t.Fatal(err)
	}
	has("")
	save("V1", 5, "what was under way when it was sent")
	has("")
	save("V2", 6, "d\x00")
	has("d\ufffd")
	if err := b.ClearDraft(ctx, "U1", noon.Add(8*time.Second)); err != nil {
		t.Fatal(err)
	}
	has("")
	save("V2", 7, "what was under way when it was cleared")
	has("")
	save("V2", 9, "begun again")
	has("begun again")
	const canary = "hunter2canary"
	err := b.SaveDraft(ctx, "U1", "V2", noon.Add(time.Minute), strings.Repeat(canary, 4000))
	if !errors.Is(err, store.ErrDraftTooLong) || strings.Contains(err.Error(), canary) {
		t.Errorf("too long: %v", err)
	}
	has("begun again")
	if err := b.SaveDraft(ctx, "U2", "V3", noon.Add(time.Hour), "kept"); err != nil {
		t.Fatal(err)
	}
	if n, err := b.PruneDrafts(ctx, noon.Add(time.Minute)); n != 1 || err != nil {
		t.Errorf("%d old ones thrown away: %v", n, err)
	}
	if n := b.count(`SELECT count(*) FROM drafts`); n != 1 {
		t.Errorf("%d are left", n)
	}
}
