package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
)

// Each statement breaks one promise of the schema, and the schema names the promise.
func TestSchemaRefusesImpossibleStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.file(pending()).Request
	if _, err := b.ChangeCase(t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) { return approve(c, bo), nil }); err != nil {
		t.Fatal(err)
	}
	lapsed := b.file(pending()).Request
	if _, err := b.ChangeCase(t.Context(), lapsed.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.State, c.Request.EndedAt = approvals.Lapsed, noon
		return approvals.Change{Request: c.Request}, nil
	}); err != nil {
		t.Fatal(err)
	}
	prov, live, gone := b.provisioned(noon.Add(time.Hour)), b.active(noon.Add(time.Hour)), b.active(noon.Add(time.Hour))
	if _, err := b.ChangeGrant(t.Context(), gone.ID, func(g grants.Grant) (grants.Change, error) { return end(g, noon, grants.Expired), nil }); err != nil {
		t.Fatal(err)
	}
	request := func(set, id string) string {
		return fmt.Sprintf(`UPDATE requests SET version = version + 1, %s WHERE id = '%s'`, set, id)
	}
	grant := func(set, id string) string {
		return fmt.Sprintf(`UPDATE grants SET version = version + 1, %s WHERE id = '%s'`, set, id)
	}
	answer := `INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills) VALUES ('` + r.ID + `', `
	b.refuses(map[string]string{
		"requests_state_is_known":               copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "state": "'granted'"}),
		"requests_states_follow":                request(`state = 'pending'`, lapsed.ID),
		"requests_version_counts":               `UPDATE requests SET answer = 'x' WHERE id = '` + r.ID + `'`,
		"requests_origin_is_frozen":             request(`requester_email = 'eve@example.com'`, r.ID),
		"requests_delivery_files_once":          copyRequest(r.ID, map[string]string{"id": "'another'"}),
		"requests_approved_say_when":            request(`state = 'approved'`, r.ID),
		"requests_open_ones_lapse":              request(`lapses_at = NULL`, r.ID),
		"requests_final_say_when":               request(`state = 'lapsed'`, r.ID),
		"requests_cancelled_say_by_whom":        request(`state = 'cancelled', ended_at = now()`, r.ID),
		"requests_nobody_denies_their_own":      request(`state = 'denied', ended_at = now(), ended_by_id = requester_id, ended_by_name = '', ended_by_email = '', ended_by_zone = ''`, r.ID),
		"requests_ended_by_is_whole":            request(`state = 'denied', ended_at = now(), ended_by_id = 'U1'`, r.ID),
		"requests_ended_by_needs_an_end":        request(`ended_by_id = 'U1', ended_by_name = '', ended_by_email = '', ended_by_zone = ''`, r.ID),
		"requests_lapsed_by_nobody":             request(`state = 'lapsed', ended_at = now(), ended_by_id = 'U1', ended_by_name = '', ended_by_email = '', ended_by_zone = ''`, r.ID),
		"requests_not_denied_last_some_time":    request(`duration = interval '0'`, r.ID),
		"requests_outcome_is_the_decision":      request(`decision = '{"outcome":"approved"}'`, r.ID),
		"requests_pending_need_approval":        copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "outcome": "'approved'", "decision": `'{"outcome":"approved"}'`}),
		"requests_denied_by_policy_stay_denied": copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "outcome": "'denied'", "decision": `'{"outcome":"denied"}'`}),
		"requests_policy_fkey":                  copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "policy": "'unheard of'"}),
		"requests_id_is_plain":                  copyRequest(r.ID, map[string]string{"id": "'; --'", "key": "'another'"}),

		"approvals_one_per_human":       answer + `'U0ANA', 'U00BO', 'Bo', 'other@example.com', '', 'yes', '', now(), '{0}')`,
		"approvals_one_per_address":     answer + `'U0ANA', 'U0BO2', 'Bo', 'BO@example.com', '', 'yes', '', now(), '{0}')`,
		"approvals_are_not_ones_own":    answer + `'U0ANA', 'U0ANA', 'Ana', 'x@example.com', '', 'yes', '', now(), '{0}')`,
		"approvals_belong_to_a_request": answer + `'U0EVE', 'U0ANA', 'Ana', 'x@example.com', '', 'yes', '', now(), '{0}')`,
		"approvals_verdict_is_known":    answer + `'U0ANA', 'U00CY', 'Cy', 'cy@example.com', '', 'maybe', '', now(), '{0}')`,

		"grants_state_is_known":                 copyGrant(live.ID, map[string]string{"id": "'g2'", "login": "'pa_x_g2'", "state": "'granted'"}),
		"grants_states_follow":                  grant(`state = 'active', ending_at = NULL, cause = NULL`, gone.ID),
		"grants_version_counts":                 `UPDATE grants SET note = 'x' WHERE id = '` + live.ID + `'`,
		"grants_origin_is_frozen":               grant(`fingerprint = 'another cluster'`, live.ID),
		"grants_active_were_issued":             grant(`state = 'active'`, prov.ID),
		"grants_provisioning_know_no_login":     grant(`shown_at = now()`, prov.ID),
		"grants_deadline_comes_after_intent":    grant(`deadline = intended_at`, live.ID),
		"grants_deadline_within_the_shift":      grant(`not_after = deadline - interval '1 second'`, live.ID),
		"grants_ending_say_when":                grant(`state = 'revoking', cause = 'expired'`, live.ID),
		"grants_ending_say_why":                 grant(`state = 'revoking', ending_at = now()`, live.ID),
		"grants_cause_is_known":                 grant(`state = 'revoking', ending_at = now(), cause = 'boredom'`, live.ID),
		"grants_secured_say_when":               grant(`state = 'cleanup'`, gone.ID),
		"grants_revoked_say_when":               grant(`state = 'revoked', secured_at = now(), receipt = '{}'`, gone.ID),
		"grants_revoked_have_a_receipt":         grant(`state = 'revoked', secured_at = now(), ended_at = now()`, gone.ID),
		"grants_live_have_no_receipt":           grant(`receipt = '{}'`, live.ID),
		"grants_attempts_are_counted":           grant(`attempts = -1`, live.ID),
		"grants_one_live_per_request":           copyGrant(live.ID, map[string]string{"id": "'g2'", "login": "'pa_x_g2'"}),
		"grants_login_is_never_used_again":      copyGrant(gone.ID, map[string]string{"id": "'g2'"}),
		"grants_login_is_plain":                 copyGrant(gone.ID, map[string]string{"id": "'g2'", "login": "'postgres'"}),
		"grants_go_to_the_requester":            copyGrant(gone.ID, map[string]string{"id": "'g2'", "login": "'pa_x_g2'", "holder_id": "'U0EVE'"}),
		"grants_id_fits_a_login":                copyGrant(gone.ID, map[string]string{"id": "'G\"'", "login": "'pa_x_g2'"}),
		"slack_messages_posted_have_an_address": `INSERT INTO slack_messages (key, channel, ts, version, first_tried_at, claims) VALUES ('k', '', '1.1', 0, now(), 1)`,
		"slack_messages_unposted_show_nothing":  `INSERT INTO slack_messages (key, channel, ts, version, first_tried_at, claims) VALUES ('k', '', '', 1, now(), 1)`,
		"slack_messages_claims_end":             `INSERT INTO slack_messages (key, channel, ts, version, first_tried_at, claims, claim) VALUES ('k', '', '', 0, now(), 1, 'c')`,
		"installation_has_one_row":              `INSERT INTO installation (only_row, id, made_at) VALUES (false, 'aaaaaaaaaa', now())`,
		"policies_hash_is_of_the_source":        `INSERT INTO policies (hash, source, first_used) VALUES (repeat('a', 64), 'x', now())`,
		"audit_seals_never_fork":                `INSERT INTO audit_seals (seq, event_id, prev, hash, at) SELECT 2, 1, repeat('1', 64), repeat('1', 64), now() UNION ALL SELECT 3, 2, repeat('1', 64), repeat('2', 64), now()`,
		"audit_seals_start_at_nothing":          `INSERT INTO audit_seals (seq, event_id, prev, hash, at) VALUES (1, 1, repeat('1', 64), repeat('1', 64), now())`,
		"audit_seals_event_id_fkey":             `INSERT INTO audit_seals (seq, event_id, prev, hash, at) VALUES (1, 99999, repeat('0', 64), repeat('1', 64), now())`,
		"audit_events_kind_is_a_word":           `INSERT INTO audit_events (at, kind, refused, actor_kind, actor_id, actor_name, actor_email, source, request_id, grant_id, target, profile, reason, policy, rule) VALUES (now(), 'oops', false, 'person', 'U', '', '', '', '', '', '', '', '', '', '')`,
		"audit_events_actor_is_known":           `INSERT INTO audit_events (at, kind, refused, actor_kind, actor_id, actor_name, actor_email, source, request_id, grant_id, target, profile, reason, policy, rule) VALUES (now(), 'a.b', false, 'person', '', '', '', '', '', '', '', '', '', '', '')`,
	})
}

// refuses runs statements each of which breaks the promise it is listed under.
func (b *bundle) refuses(statements map[string]string) {
	b.t.Helper()
	for want, sql := range statements {
		want, _, _ = strings.Cut(want, " ") // what follows says which of several ways
		err := execute(b.t.Context(), b.owner, sql)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.ConstraintName != want {
			b.t.Errorf("%s: got %v\n\tfrom %s", want, err, sql)
		}
	}
}

// copyRequest and copyGrant insert a row again with some columns changed.
func copyRequest(id string, change map[string]string) string {
	return copyRow("requests", `id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
		profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, answer,
		break_glass, reminders, escalated, escalated_at, approved_at`, id, change)
}

func copyGrant(id string, change map[string]string) string {
	return copyRow("grants", `id, request_id, state, version, holder_id, holder_name, holder_email, target, engine, database,
		fingerprint, profile, profile_version, access_role, login, login_oid, connection_limit, intended_at, deadline,
		issued_at, ending_at, cause, note, attempts, last_error, params, extensions`, id, change)
}

func copyRow(table, columns, id string, change map[string]string) string {
	var values []string
	for column := range strings.SplitSeq(columns, ",") {
		column = strings.TrimSpace(column)
		if value, ok := change[column]; ok {
			column = value
		}
		values = append(values, column)
	}
	return fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM %s WHERE id = '%s'`, table, columns, strings.Join(values, ", "), table, id)
}

// Every query of a running service must find an index; a table that grows for ever must never be read as a whole.
func TestGrowingTablesHaveIndexes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn, err := pgx.Connect(t.Context(), b.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `SET enable_seqscan = off`); err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{
		"next deadline":    `SELECT min(deadline) FROM grants WHERE state IN ('provisioning', 'active')`,
		"due":              `SELECT id FROM grants WHERE state IN ('provisioning', 'active') AND deadline <= now() ORDER BY deadline LIMIT 10 FOR UPDATE SKIP LOCKED`,
		"unfinished":       `SELECT id FROM grants WHERE target = 'x' AND state <> 'revoked' ORDER BY place`,
		"overdue":          `SELECT id FROM grants WHERE state IN ('provisioning', 'active', 'revoking') AND LEAST(deadline, ending_at) < now() AND alarmed_at IS NULL ORDER BY LEAST(deadline, ending_at)`,
		"grants of a case": `SELECT id FROM grants WHERE request_id = 'x' ORDER BY place DESC LIMIT 1`,
		"approvals":        `SELECT by_id FROM approvals WHERE request_id = ANY ('{x}')`,
		"withdrawn":        `SELECT by_id FROM approvals WHERE withdrawn_at >= now()`,
		"reviews":          `SELECT note FROM reviews WHERE request_id = ANY ('{x}')`,
		"open reviews":     `SELECT r.id FROM requests AS r JOIN reviews AS v ON v.request_id = r.id AND v.closed_at IS NULL ORDER BY v.due_at, r.id`,
		"closed reviews":   `SELECT verdict FROM reviews WHERE closed_at >= now()`,
		"opened reviews":   `SELECT verdict FROM reviews WHERE opened_at >= now()`,
		"budget":           `SELECT count(*) FROM requests AS r WHERE r.requester_id = 'x' AND r.filed_at >= now() - interval '31 days' AND GREATEST(r.filed_at, r.starts_at) >= now() AND r.outcome = 'approved' AND NOT r.break_glass AND r.decision ->> 'rule' = 'x' AND r.id <> 'x'`,
		"asked":            `SELECT count(*) FROM requests AS r WHERE md5((r.decision -> 'approvals')::text) = md5('[]'::jsonb::text) AND r.filed_at >= now() AND r.outcome = 'needs-approval'`,
		"old drafts":       `DELETE FROM drafts WHERE at < now()`,
		"newest cases":     `SELECT id FROM requests ORDER BY filed_at DESC, id DESC LIMIT 10`,
		"past cases":       `SELECT id FROM requests WHERE (filed_at, id) > (now(), 'x') ORDER BY filed_at, id LIMIT 10`,
		"cases of one":     `SELECT id FROM requests WHERE requester_id = 'x' ORDER BY filed_at DESC, id DESC LIMIT 10`,
		"events of one":    `SELECT id FROM audit_events WHERE request_id = 'x' ORDER BY id DESC LIMIT 10`,
		"events by kind":   `SELECT id FROM audit_events WHERE kind = 'x' ORDER BY id DESC LIMIT 10`,
		"head":             `SELECT seq, hash FROM audit_seals ORDER BY seq DESC LIMIT 1`,
	} {
		rows, err := conn.Query(t.Context(), `EXPLAIN `+query)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan") {
			t.Errorf("%s reads the whole table:\n%s", name, text)
		}
	}
}

// columns lists every text-like column of the store, for tests that look for what must not be there.
func (b *bundle) everything() string {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.owner)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(b.t.Context(), `SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`)
	if err != nil {
		b.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.t.Fatal(err)
	}
	content := map[string]string{}
	for _, table := range tables {
		var text string
		sql := `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM ` + pgx.Identifier{table}.Sanitize() + ` AS t`
		if err := conn.QueryRow(b.t.Context(), sql).Scan(&text); err != nil {
			b.t.Fatalf("%s: %v", table, err)
		}
		content[table] = text
	}
	var out strings.Builder
	for _, table := range slices.Sorted(maps.Keys(content)) {
		out.WriteString(table + ":\n" + content[table] + "\n")
	}
	return out.String()
}

// What the store is given for its own connection is nowhere in it, and what people wrote is, so that the search works.
func TestStoreHoldsNoSecretOfItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.active(noon.Add(time.Hour))
	b.seal()
	content := b.everything()
	if !strings.Contains(content, "checkout is failing") {
		t.Fatal("the search does not find what is there")
	}
	for _, secret := range []string{servicePassword, b.service} {
		if strings.Contains(content, secret) {
			t.Errorf("the store holds %q", secret)
		}
	}
}
