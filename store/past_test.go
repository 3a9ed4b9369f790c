package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// question is what the policy was asked about a request.
func question(r approvals.Request) *policy.Question {
	return &policy.Question{
		Request: policy.Request{
			User: policy.Person{ID: r.Requester.ID, Email: r.Requester.Email}, Target: policy.Target{Name: r.Target, Engine: r.Engine, Environment: "production"},
			Profile: r.Profile, Ticket: r.Ticket, Reason: r.Reason, Params: r.Params, At: r.FiledAt,
		},
		Facts: policy.Facts{
			Usergroups: map[string]policy.Membership{"S0SEC": {Member: true}, "S0DBA": {Unknown: "Slack said \x00"}},
			Schedules: map[string]policy.Standing{"payments": {
				On: true, Schedule: "payments", Source: "pagerduty PABC123", Level: 1, Start: noon.Add(-time.Hour), End: noon.Add(time.Hour), AsOf: noon,
			}},
			History: &policy.History{Since: noon.Add(-time.Hour), Uses: []policy.Use{{Rule: "two people", At: noon}}},
		},
	}
}

// past collects what Past gives, page by page.
func (b *bundle) past(since time.Time) (all []policy.Past) {
	b.t.Helper()
	if err := b.Past(b.t.Context(), since, func(page []policy.Past) error { all = append(all, page...); return nil }); err != nil {
		b.t.Fatal(err)
	}
	return all
}

func TestPastIsReadAsItWasAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	early, r, bare := pending(), pending(), pending()
	early.FiledAt, bare.FiledAt = noon.Add(-time.Hour), noon.Add(time.Minute)
	for _, one := range []approvals.Change{{Request: early, Question: question(early)}, {Request: bare}, {Request: r, Question: question(r)}} {
		if _, _, err := b.CreateRequest(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	// Approved for less and by now over: none of it changes what was asked.
	if _, err := b.ChangeCase(t.Context(), r.ID, func(c approvals.Case) (approvals.Change, error) {
		c.Request.Profile, c.Request.Duration, c.Request.State, c.Request.EndedAt = "less", time.Minute, approvals.Lapsed, noon
		return approvals.Change{Request: c.Request}, nil
	}); err != nil {
		t.Fatal(err)
	}
	want := *question(r)
	want.Facts.History = nil
	want.Facts.Usergroups["S0DBA"] = policy.Membership{Unknown: "Slack said \uFFFD"}
	decision := r.Decision
	decision.Steps = nil
	unkept := policy.Question{Request: policy.Request{
		User: policy.Person{ID: ana.ID, Email: ana.Email}, Target: policy.Target{Name: "orders-prod", Engine: "postgres"}, Profile: "read-only", At: bare.FiledAt,
	}}
	got := b.past(noon)
	if diff := cmp.Diff([]policy.Past{
		{ID: r.ID, Question: want, Kept: true, Decision: decision}, {ID: bare.ID, Question: unkept, Decision: policy.Decision{Outcome: policy.NeedsApproval, Rule: "two people"}},
	}, got); diff != "" {
		t.Errorf("read otherwise than asked:\n%s", diff)
	}
	if n, err := b.CountPast(t.Context(), noon); n != 2 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	if len(b.past(noon.Add(-2*time.Hour))) != 3 {
		t.Error("the earlier one is missing")
	}
}

// many files a request again and again, a second apart, as if it had been asked by 500 people.
func (b *bundle) many(n int, q *policy.Question, r approvals.Request) {
	b.t.Helper()
	if _, _, err := b.CreateRequest(b.t.Context(), approvals.Change{Request: r, Question: q}); err != nil {
		b.t.Fatal(err)
	}
	b.asOwner(fmt.Sprintf(`
		INSERT INTO requests (id, key, state, version, requester_id, requester_name, requester_email, requester_zone, target, engine,
			profile, duration, ticket, reason, params, source, outcome, policy, decision, filed_at, lapses_at, approved_at, answer, replay)
		SELECT 'many' || n, 'many' || n, state, version, 'U' || n %% 500, requester_name, 'person' || n %% 500 || '@example.com', requester_zone,
			target, engine, profile, duration, ticket, reason, params, source, outcome, policy, decision,
			-- Two at each instant, so that a page can end between them.
			filed_at + (n / 2) * interval '1 second', lapses_at, approved_at, answer,
			jsonb_set(jsonb_set(replay, '{request,user}', jsonb_build_object('id', 'U' || n %% 500, 'email', 'person' || n %% 500 || '@example.com')),
				'{request,at}', to_jsonb(to_char((filed_at + (n / 2) * interval '1 second') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))
		FROM requests, generate_series(2, %d) AS n WHERE id = '%s'`, n, r.ID))
}

func TestPastGoesThroughEveryPageOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := pending()
	const many = 4500
	b.many(many, question(r), r)
	seen := map[string]bool{}
	var last time.Time
	for _, one := range b.past(noon) {
		if seen[one.ID] {
			t.Fatalf("%s came twice", one.ID)
		}
		seen[one.ID] = true
		if one.Question.Request.At.Before(last) {
			t.Fatal("out of order")
		}
		last = one.Question.Request.At
	}
	if len(seen) != many {
		t.Errorf("%d of %d", len(seen), many)
	}
	stop := errors.New("enough")
	pages := 0
	if err := b.Past(t.Context(), noon, func([]policy.Past) error { pages++; return stop }); !errors.Is(err, stop) || pages != 1 {
		t.Errorf("after %d pages: %v", pages, err)
	}
}

func TestWhatWasAskedIsFrozen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := pending()
	b.file(r)
	err := execute(t.Context(), b.service, `UPDATE requests SET version = version + 1, replay = '{}' WHERE id = '`+r.ID+`'`)
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.ConstraintName != "requests_replay_is_frozen" {
		t.Errorf("got %v", err)
	}
}
