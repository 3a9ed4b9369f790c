package acceptance

import (
	"strings"

	"github.com/jackc/pgx/v5"
)

// explained fails the test when the target has a login that no unfinished grant in the store explains. It holds at every
// instant, the bot dead or alive: the intent is written down first, and the end last.
func (m *mortal) explained() {
	m.t.Helper()
	logins := strings.Fields(m.target(`SELECT coalesce(string_agg(rolname, ' '), '') FROM pg_roles WHERE rolname ~ '^pa_.*_[a-z0-9]{10}$'`))
	for _, login := range logins {
		// A grant that ended since the target was read had its login then; one that is over for a while did not.
		if m.store(`SELECT count(*) FROM grants WHERE login = $1 AND (state <> 'revoked' OR ended_at > now() - interval '5 seconds')`, login) != "1" {
			m.t.Errorf("the login %s is on the target, and no grant in the store explains it", login)
		}
	}
}

// settles waits until every grant is active or over, and everything that follows from that is done.
func (m *mortal) settles() {
	m.t.Helper()
	// A grant whose bot died while making it is taken back a minute after its intent; a job whose worker died is given to
	// another one within 80 seconds.
	m.within(3*patience, "every grant is active or over, and what follows from it is done", func() (bool, error) {
		return m.store(`SELECT (SELECT count(*) FROM grants WHERE state IN ('provisioning', 'revoking', 'cleanup'))
			+ (SELECT count(*) FROM river_job WHERE finalized_at IS NULL AND args->>'work' IN ('draw', 'receipt', 'reopen', 'revoke', 'alarm', 'finding'))`) == "0", nil
	})
}

// agrees fails the test unless the target has exactly the logins that the store says are live.
func (m *mortal) agrees() {
	m.t.Helper()
	live := m.store(`SELECT coalesce(string_agg(format('%s=%s', login, login_oid), ' ' ORDER BY login COLLATE "C"), '')
		FROM grants WHERE state = 'active'`)
	there := m.target(`SELECT coalesce(string_agg(format('%s=%s', rolname, oid), ' ' ORDER BY rolname COLLATE "C"), '')
		FROM pg_roles WHERE rolname ~ '^pa_.*_[a-z0-9]{10}$'`)
	if live != there {
		m.t.Errorf("the store and the target disagree:\nstore:  %s\ntarget: %s", live, there)
	}
	if shut := m.target(`SELECT coalesce(string_agg(rolname, ' '), '') FROM pg_roles WHERE rolname ~ '^pa_.*_[a-z0-9]{10}$' AND NOT rolcanlogin`); shut != "" {
		m.t.Errorf("live, and cannot log in: %s", shut)
	}
}

// onceOnly fails the test when something that happens once in the life of a grant or of a request happened twice, or a
// state has no event that led to it, or the record does not verify.
func (m *mortal) onceOnly() {
	m.t.Helper()
	if twice := m.store(`SELECT string_agg(format('%s of %s: %s times', kind, id, times), ', ') FROM (
			SELECT kind, coalesce(nullif(grant_id, ''), request_id) AS id, count(*) AS times FROM audit_events
			WHERE NOT refused AND kind IN ('request.filed', 'grant.intended', 'grant.issued', 'grant.failed', 'grant.ending', 'grant.secured', 'grant.revoked')
			GROUP BY 1, 2 HAVING count(*) > 1) AS events`); twice != "<nil>" {
		m.t.Errorf("recorded more than once: %s", twice)
	}
	if double := m.store(`SELECT string_agg(request_id, ' ') FROM (
			SELECT request_id FROM grants WHERE state <> 'revoked' GROUP BY request_id HAVING count(*) > 1) AS doubles`); double != "<nil>" {
		m.t.Errorf("more than one grant at once for: %s", double)
	}
	if given := m.store(`SELECT string_agg(request_id, ' ') FROM (
			SELECT request_id FROM grants WHERE shown_at IS NOT NULL GROUP BY request_id HAVING count(*) > 1) AS given`); given != "<nil>" {
		m.t.Errorf("two grants were given out for: %s", given)
	}
	if silent := m.store(`SELECT string_agg(format('%s is %s', g.id, g.state), ', ') FROM grants AS g
			CROSS JOIN LATERAL unnest(CASE
				WHEN g.state = 'active' THEN ARRAY['grant.intended', 'grant.issued']
				WHEN g.issued_at IS NULL THEN ARRAY['grant.intended', 'grant.failed', 'grant.secured', 'grant.revoked']
				ELSE ARRAY['grant.intended', 'grant.issued', 'grant.secured', 'grant.revoked'] END) AS step
			WHERE NOT EXISTS (SELECT FROM audit_events AS e WHERE e.grant_id = g.id AND e.kind = step AND NOT e.refused)`); silent != "<nil>" {
		m.t.Errorf("not everything is recorded: %s", silent)
	}
	m.eventually("the audit log verifies, with nothing waiting for its seal", func() (bool, error) {
		out, err := m.Run(m.ctx, "audit", "verify")
		return err == nil && strings.Contains(out, "The chain is whole"), err
	})
}

// carded fails the test when a request does not have exactly one card.
func (m *mortal) carded(reason string) {
	m.t.Helper()
	cards := 0
	for _, message := range m.Slack.Messages() {
		if message.Channel == m.Conf.Approvals && !message.Deleted && strings.Contains(message.Text, reason) {
			cards++
		}
	}
	if cards != 1 {
		m.t.Errorf("%q has %d cards", reason, cards)
	}
}

// opens says whether a credential opens a session.
func (m *mortal) opens(url string) bool {
	m.t.Helper()
	conn, err := pgx.Connect(m.ctx, url)
	if err != nil {
		return false
	}
	_ = conn.Close(m.ctx)
	return true
}
