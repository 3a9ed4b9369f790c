package acceptance

import (
	"fmt"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// Slack sends a typed command again, to the other replica and at the same instant: what is typed once is done once.
func TestTypedCommandsThatComeTwiceAreDoneOnce(t *testing.T) {
	t.Parallel()
	w := twoReplicas(t, stage.Options{})
	typed := func(line string) {
		t.Helper()
		w.ok(w.Person("ana").Command("/prodaccess " + line))
		for range 2 {
			together(func() { _ = w.Slack.Redeliver() }, func() { _ = w.Slack.Redeliver() })
		}
	}
	// Ana is on call: nobody has to agree.
	first := w.asks("ana", "read-only", "30m", "typed twice")
	url := w.takes("ana", "typed twice")
	for round := range 2 {
		typed("extend 1m")
		w.is("extensions", w.store(`SELECT extensions FROM grants WHERE request_id = $1`, first), round+1)
		w.is("extensions in the audit log", w.audited(first, "grant.extended", false), round+1)
	}
	w.is("refused extensions", w.audited(first, "grant.extended", true), 0)
	w.connect(url)
	w.ok(w.Person("ana").Command("/prodaccess release"))
	again := w.Slack.Last()
	w.eventually("it is taken back", func() (bool, error) {
		state := w.store(`SELECT state FROM grants WHERE request_id = $1`, first)
		return state == "revoked", fmt.Errorf("it is %s", state)
	})
	// The same command comes again when ana has other access: it does not speak of that.
	second := w.asks("ana", "read-only", "30m", "taken after the release")
	url = w.takes("ana", "taken after the release")
	_, _ = again(), again()
	w.is("endings in the audit log", w.audited(second, "grant.ending", false), 0)
	w.connect(url)
	w.whole()
}
