package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

// BenchmarkReplay is `prodaccess policy replay` over 100,000 requests, from the command line to the last line it prints.
// With more rules only deciding takes longer: the steps of the recorded decisions are not read.
func BenchmarkReplay(b *testing.B) {
	s, err := stage.Open(b.Context(), stage.Options{Binary: binary, Durable: true})
	fatal(b, err)
	b.Cleanup(s.Close)
	st, err := store.Open(b.Context(), store.Config{URL: secret.New(s.Conf.ServiceURL), Log: zerolog.Nop()})
	fatal(b, err)
	b.Cleanup(st.Close)
	for b.Loop() {
		for _, rules := range []int{100, 1000} {
			file := filepath.Join(s.Dir(), "bench.yaml")
			fatal(b, os.WriteFile(file, []byte(manyRules(rules)), 0o600))
			start := time.Now()
			p, _, err := policy.Load([]byte(manyRules(rules)), file)
			fatal(b, err)
			checked := time.Since(start)
			const many = 100_000
			past(b, st, s.Store.URL("prodaccess"), p, many)
			start = time.Now()
			out, err := s.Run(b.Context(), "policy", "replay", "--since", "30d", file)
			took := time.Since(start)
			if err != nil || !strings.Contains(out, "100,000 would have gone the same") {
				b.Fatalf("%v\n%s", err, out)
			}
			b.ReportMetric(took.Seconds(), fmt.Sprintf("s/replay-%d-rules", rules))
			report.add(fmt.Sprintf("100,000 requests replayed under %d rules", rules), fmt.Sprintf("%.1f s", took.Seconds()), "", "10 s", took < 10*time.Second)
			report.add(fmt.Sprintf("a policy of %d rules and 5,000 people checked", rules), ms(checked), "", "1 s", checked < time.Second)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// past fills the store with requests of 500 people, all decided by the last rule of p, and nothing else.
func past(b *testing.B, st *store.Store, owner string, p *policy.Policy, many int) {
	b.Helper()
	at := time.Now().Add(-28 * 24 * time.Hour).Truncate(time.Second)
	q := policy.Question{
		Request: policy.Request{
			User: policy.Person{ID: "U0", Email: "somebody@example.com"}, Profile: "p1", Duration: time.Hour, At: at, Reason: "checkout is failing",
			Target: policy.Target{Name: "t1-prod", Engine: "postgres", Environment: "e1"},
		},
		Facts: policy.Facts{Schedules: map[string]policy.Standing{}},
	}
	for _, schedule := range p.Lookups(q.Request).Schedules {
		q.Facts.Schedules[schedule.Name] = policy.Standing{Schedule: schedule.Name, Source: "pagerduty " + schedule.PagerDuty, AsOf: at}
	}
	decision := p.Decide(q.Request, q.Facts)
	if decision.Rule != "last" {
		b.Fatalf("decided by %q: %s", decision.Rule, decision.Why)
	}
	conn, err := pgx.Connect(b.Context(), owner)
	fatal(b, err)
	defer conn.Close(b.Context())
	_, err = conn.Exec(b.Context(), `DELETE FROM requests`)
	fatal(b, err)
	fatal(b, st.KeepPolicy(b.Context(), p.Hash(), p.Source(), at))
	_, _, err = st.CreateRequest(b.Context(), approvals.Change{Question: &q, Request: approvals.Request{
		ID: "first", Key: "first", State: approvals.Pending, Requester: approvals.Person{ID: "U0", Email: "somebody@example.com"},
		Target: "t1-prod", Engine: "postgres", Profile: "p1", Duration: time.Hour, Reason: q.Request.Reason, Decision: decision,
		FiledAt: at, LapsesAt: at.Add(time.Hour),
	}})
	fatal(b, err)
	_, err = conn.Exec(b.Context(), `
		INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
			profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, answer, replay)
		SELECT 'n' || n, 'n' || n, state, version, 'U' || n % 500, requester_name, requester_email, requester_zone, target, engine,
			profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at + n * interval '20 seconds', lapses_at, answer,
			jsonb_set(jsonb_set(replay, '{request,user,id}', to_jsonb('U' || n % 500)), '{request,at}',
				to_jsonb(to_char((filed_at + n * interval '20 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
		FROM requests, generate_series(1, $1::int - 1) AS n WHERE id = 'first'`, many)
	fatal(b, err)
	_, err = conn.Exec(b.Context(), `VACUUM ANALYZE requests`)
	fatal(b, err)
}
