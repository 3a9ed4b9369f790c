package acceptance

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// TestTheStory is the main job, over both transports: asked, approved, used, ended at the deadline, proven.
func TestTheStory(t *testing.T) {
	t.Parallel()
	for name, http := range map[string]bool{"socket": false, "http": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, stage.Options{HTTP: http, Settings: map[string]string{"log_statement": "all"}, Digest: "@every 15s"})
			w.serve()

			// bo is not on call: somebody has to agree.
			said := w.ok(w.Person("bo").Command("/prodaccess orders-prod read-only 12s INC-123 checkout is failing"))
			w.says(said, "dba")
			w.sees("dora", "checkout is failing")
			w.clicks("dora", "Approve")
			w.clicks("bo", "Get credentials")
			url := w.credential("bo")

			session := w.connect(url)
			var stuck int
			if err := session.QueryRow(t.Context(), `SELECT count(*) FROM orders WHERE status LIKE 'stuck%'`).Scan(&stuck); err != nil || stuck != 2 {
				t.Fatalf("reading orders: %d, %v", stuck, err)
			}
			_, err := session.Exec(t.Context(), `UPDATE orders SET status = 'paid'`)
			if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "42501" {
				t.Fatalf("writing was not refused: %v", err)
			}
			w.sees("dora", "Access is active")

			w.eventually("the session is dead after the deadline", func() (bool, error) {
				_, err := session.Exec(t.Context(), `SELECT 1`)
				return err != nil, nil
			})
			w.eventually("no trace of the login is left", func() (bool, error) { return w.trace() == "0", nil })
			w.sees("dora", "the login is gone, 1 session was closed")
			w.sees("dora", "digest")

			secret := password(t, url)
			for where, text := range map[string]string{
				"the store": dump(w), "the bot's log": w.Logs(), "the target's log": w.Target.LogText(), "a Slack message": messages(w),
			} {
				if strings.Contains(text, secret) {
					t.Errorf("the password is in %s", where)
				}
				if len(text) < 200 {
					t.Errorf("%s is suspiciously short, so looking for the password there proves nothing: %q", where, text)
				}
			}
			out, err := w.Run(t.Context(), "audit", "verify")
			if err != nil || !strings.Contains(out, "The chain is whole") {
				t.Errorf("audit verify: %v\n%s", err, out)
			}
		})
	}
}

// dump is every row of every table of the store as text.
func dump(w *world) string {
	w.t.Helper()
	return w.store(`SELECT string_agg(query_to_xml(format('SELECT * FROM %I.%I', schemaname, tablename), true, true, '')::text, '')
		FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
}

func messages(w *world) string {
	var all strings.Builder
	for _, m := range w.Slack.Messages() {
		for _, raw := range m.Raw {
			all.WriteString(raw)
		}
		for _, v := range m.Versions {
			all.WriteString(v)
		}
	}
	return all.String()
}
