package acceptance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// The doctor tries everything for real, beside a running service, which does not take its throw-away login for a leak.
func TestTheDoctorFindsNothingWrongWithAWorldThatWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{Sweep: "@every 1s"})
	w.serve()
	out, err := w.Run(w.ctx, "doctor")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range []string{
		"Everything works.", "Slack accepts the bot token", "Slack accepts the app token", "the bot is in security_channel", "PagerDuty says who is on call",
		"its schema is this binary's", "a login can be made, a member of pa_", "it gets in where people are told to connect", "its session is dead",
		"it can be dropped, and the catalogs prove it",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("nothing is said about %q:\n%s", line, out)
		}
	}
	w.is("roles left on the target", w.trace(), "0")
	w.is("alarms in the security channel", w.saying(w.Conf.Security, "login"), 0)
}

// What is wrong is said at once, all of it, each with what mends it; and what was tried is taken back all the same.
func TestTheDoctorSaysEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	w.Slack.RemoveBot("approvals")
	w.PagerDuty.Down(true)
	if err := w.ExecTarget(w.ctx, "REVOKE pg_signal_backend FROM prodaccess_admin"); err != nil {
		t.Fatal(err)
	}
	store, err := pgx.Connect(w.ctx, w.Store.URL("prodaccess"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(w.ctx)
	if _, err := store.Exec(w.ctx, "GRANT UPDATE ON audit_events TO prodaccess_service"); err != nil {
		t.Fatal(err)
	}
	out, err := w.Run(w.ctx, "doctor", "--json")
	if err == nil {
		t.Fatalf("the doctor found nothing:\n%s", out)
	}
	var found []struct{ Part, What, Wrong, Mend string }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	wrong := func(part, words, mend string) {
		t.Helper()
		for _, f := range found {
			if strings.HasPrefix(f.Part, part) && f.Wrong != "" && strings.Contains(f.What+" "+f.Wrong, words) && strings.Contains(f.Mend, mend) {
				return
			}
		}
		t.Errorf("%s: nothing wrong about %q that is mended by %q", part, words, mend)
	}
	wrong("slack", "approvals_channel", "/invite")
	wrong("pagerduty", "on call", "pagerduty.token")
	wrong("store", "audit", "migrate up")
	wrong("target orders-prod", "sessions ended", "targets plan")
	wrong("target orders-prod", "end sessions", `GRANT pg_signal_backend TO "prodaccess_admin"`)
	if t.Failed() {
		t.Log(out)
	}
	w.is("roles left on the target", w.trace(), "0")
}
