package acceptance

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// policyText is the policy of the stage, changed.
func (w *world) policyText(change ...string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir(), "policy.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.NewReplacer(change...).Replace(string(text))
}

// saves writes a file as most editors do: another one, renamed over it.
func (w *world) saves(name, text string) string {
	w.t.Helper()
	file := filepath.Join(w.Dir(), name)
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// events waits until so many events of a kind are recorded.
func (w *world) events(kind, want string) {
	w.t.Helper()
	w.eventually("there are "+want+" events "+kind, func() (bool, error) {
		return w.store(`SELECT count(*)::text FROM audit_events WHERE kind = $1`, kind) == want, nil
	})
}

// A changed policy is in force within seconds on every replica, without a signal; one that does not load changes nothing
// and is said once.
func TestAChangedPolicyIsTakenUpByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	replicas := []*stage.Bot{w.serve(), w.serve()}
	w.events("policy.loaded", "2")
	w.is("a request under the first policy", w.request(w.asks("bo", "read-only", "1h", "before the change")), "pending")

	good := w.policyText()
	w.saves("policy.yaml", strings.Replace(good, "rules:", "rulse:", 1))
	m := w.sees("sam", "does not load")
	if !hasAll(m.Text, []string{"policy.yaml:", "rulse", "stays in force", "prodaccess policy check"}) {
		t.Errorf("the finding does not say what is wrong and what to do:\n%s", m.Text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, replica := range replicas {
		if err := replica.WaitsForLog(ctx, "the policy does not load; the old one stays in force"); err != nil {
			t.Fatal(err)
		}
	}
	w.is("a request while the file is broken", w.request(w.asks("bo", "read-only", "1h", "while it is broken")), "pending")
	w.events("policy.rejected", "1")
	w.is("messages about it", w.saying(w.Conf.Security, "does not load"), 1)

	// The mended file is a symbolic link that is swapped, as Kubernetes does it.
	atOnce := strings.Replace(good, "who: [group:backend, group:contractors, group:dba]\n    profiles: [read-only]\n    approvals: [{ from: [group:dba], count: 1 }]",
		"who: [group:backend, group:contractors, group:dba]\n    profiles: [read-only]\n    approve: automatically", 1)
	w.saves("mended.yaml", atOnce)
	link := filepath.Join(w.Dir(), "link")
	if err := os.Symlink("mended.yaml", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(w.Dir(), "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	w.events("policy.loaded", "4")
	w.is("a request under the new policy", w.request(w.asks("bo", "read-only", "1h", "after the change")), "approved")
	w.events("policy.rejected", "1")
	w.whole()
}

// What was really asked, decided again with the facts of then.
func TestReplayAsksAnotherPolicyWhatWasReallyAsked(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	onCall := w.asks("ana", "read-only", "30m", "on call then")
	asked := w.asks("bo", "read-only", "1h", "somebody has to agree")
	w.clicksOn("dora", "Approve", "somebody has to agree")
	w.eventually("it is approved", func() (bool, error) { return w.request(asked) == "approved", nil })
	w.asks("cy", "data-fix", "1h", "a contractor writes")

	out, err := w.Run(t.Context(), "policy", "replay", filepath.Join(w.Dir(), "policy.yaml"), "--fail-on-widening")
	if err != nil || !strings.Contains(out, "3 requests since") || !strings.Contains(out, "3 would have gone the same, 0 got more, 0 got less, 0 cannot be said") {
		t.Fatalf("the policy in force decides otherwise now: %v\n%s", err, out)
	}

	// Nobody is on call any more; the shift of then still counts. Ana now gets less, bo needs nobody, cy stays refused.
	next := w.saves("next.yaml", w.policyText("max_duration: 2h\n    default_duration: 30m", "max_duration: 20m\n    default_duration: 10m",
		"profiles: [read-only]\n    approvals: [{ from: [group:dba], count: 1 }]", "profiles: [read-only]\n    approve: automatically"))
	w.PagerDuty.Fail(sandbox.Fault{Drop: true})
	out, err = w.Run(t.Context(), "policy", "replay", "--since", "1h", next, "--json")
	var report struct {
		Requests, Same, Wider, Narrower, Unsure int
		Changes                                 []struct {
			ID, Old, New    string
			Wider, Narrower bool
		}
	}
	if err != nil || json.Unmarshal([]byte(out), &report) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report.Requests != 3 || report.Same != 1 || report.Wider != 1 || report.Narrower != 1 || report.Unsure != 0 || len(report.Changes) != 2 {
		t.Fatalf("got %s", out)
	}
	for _, c := range report.Changes {
		if c.Narrower != (c.ID == onCall) || c.Wider != (c.ID == asked) {
			t.Errorf("got %+v", c)
		}
	}
	out, err = w.Run(t.Context(), "policy", "replay", next, "--fail-on-widening")
	if err == nil || !strings.Contains(out, "WIDER     1 request") || !strings.Contains(out, "NARROWER  1 request") {
		t.Errorf("%v\n%s", err, out)
	}
}
