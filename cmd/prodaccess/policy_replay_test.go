package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// fileAs records a request as the service does, decided by p.
func fileAs(t *testing.T, p place, id, user string, by *policy.Policy, at time.Time, kept bool) {
	t.Helper()
	c := &command{configFile: p.config}
	st, err := c.openStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.KeepPolicy(t.Context(), by.Hash(), by.Source(), at); err != nil {
		t.Fatal(err)
	}
	q := policy.Question{Request: policy.Request{
		User: policy.Person{ID: "U" + strings.ToUpper(user), Email: user + "@example.com"}, Profile: "read-only", At: at,
		Target: policy.Target{Name: "orders-prod", Engine: "postgres", Environment: "production"}, Duration: time.Hour,
	}}
	decision := by.Decide(q.Request, q.Facts)
	r := approvals.Request{
		ID: id, Key: id, State: approvals.Denied, Requester: approvals.Person{ID: q.Request.User.ID, Email: q.Request.User.Email},
		Target: "orders-prod", Engine: "postgres", Profile: "read-only", Duration: time.Hour, Reason: "why", Decision: decision,
		FiledAt: at, EndedAt: at,
	}
	switch decision.Outcome {
	case policy.Approved:
		r.State, r.ApprovedAt, r.LapsesAt, r.EndedAt = approvals.Approved, at, at.Add(time.Hour), time.Time{}
	case policy.NeedsApproval:
		r.State, r.LapsesAt, r.EndedAt = approvals.Pending, at.Add(time.Hour), time.Time{}
	}
	change := approvals.Change{Request: r}
	if kept {
		change.Question = &q
	}
	if _, _, err := st.CreateRequest(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyReplay(t *testing.T) {
	t.Parallel()
	p := setup(t)
	prodaccess(t, "migrate", "up", "--config", p.config).wants(t, exitOK)
	file := filepath.Join(p.dir, "policy.yaml")
	replay := func(args ...string) said {
		return prodaccess(t, append([]string{"policy", "replay", file, "--config", p.config}, args...)...)
	}
	replay().wants(t, exitOK, "Nobody asked for anything since")

	old, _, err := policy.Load([]byte(testPolicy), "then.yaml")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	fileAs(t, p, "long-ago", "ana", old, now.AddDate(0, 0, -40), true)
	for i := range 5 {
		fileAs(t, p, fmt.Sprint("ana", i), "ana", old, now.Add(-time.Hour), true)
	}
	fileAs(t, p, "eve1", "eve", old, now.Add(-time.Hour), true)
	fileAs(t, p, "unkept", "ana", old, now.Add(-time.Hour), false)

	replay("--since", "30d", "--fail-on-widening").wants(t, exitOK,
		"6 requests since ", ": 6 would have gone the same, 0 got more, 0 got less, 0 cannot be said.\n",
		"1 more request from before facts were kept, which cannot be replayed.")
	replay("--since", "90d").wants(t, exitOK, "7 requests since ")

	// Ana has to ask, and everybody may.
	write(t, file, strings.Replace(testPolicy, "who: [group:backend], profiles: [read-only], approve: automatically",
		"profiles: [read-only], approvals: [{ from: [group:backend] }]", 1))
	replay("--since", "30d").wants(t, exitOK,
		"WIDER     1 request\n          was  denied  (no rule)\n          now  with approval by 1 from group backend, for 1h  (rule \"backend reads\")\n",
		"eve@example.com  read-only on orders-prod  (request eve1)",
		"NARROWER  5 requests\n          was  at once, for 1h  (rule \"backend reads\")\n          now  with approval by 1 from group backend, for 1h",
		"… and 2 more; --all lists them", "6 requests since ", ": 0 would have gone the same, 1 got more, 5 got less, 0 cannot be said.")
	replay("--since", "30d", "--all").wants(t, exitOK, "(request ana4)")
	replay("--since", "30d", "--fail-on-widening").wants(t, exitFindings)
	if got := replay("--json"); got.code != exitOK || decoded(t, got)["narrower"] != 6.0 || len(decoded(t, got)["changes"].([]any)) != 7 || got.err != "" {
		t.Errorf("got %s", got)
	}

	// Whether somebody was in a user group that nobody looked at then is not known now.
	write(t, file, strings.Replace(testPolicy, "{ emails: [ana@example.com] }", "{ slack_usergroup: S0BACKEND }", 1))
	replay("--since", "30d").wants(t, exitOK, "UNSURE    5 requests\n          was  at once, for 1h", "now  perhaps denied  (no rule)",
		"because nobody looked it up then", "6 cannot be said")
	replay("--since", "30d", "--fail-on-widening").wants(t, exitFindings)

	replay("--since", "yesterday").wants(t, exitFailed, "reading --since")
	write(t, file, "version: 2\n")
	replay().wants(t, exitFailed, "version")
}

func TestProgress(t *testing.T) {
	t.Parallel()
	read, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	newProgress(writing, 10).show(5) // a pipe is no terminal
	bar := &progress{out: writing, total: 4000, began: time.Now().Add(-time.Hour)}
	bar.show(1000)
	bar.close()
	writing.Close()
	var text strings.Builder
	buffer := make([]byte, 1000)
	n, _ := read.Read(buffer)
	text.Write(buffer[:n])
	if want := "\r[" + strings.Repeat("#", 10) + strings.Repeat("-", 30) + "] 1,000 of 4,000 requests\r\x1b[K"; text.String() != want {
		t.Errorf("got %q", text.String())
	}
}
