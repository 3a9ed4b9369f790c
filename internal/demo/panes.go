package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// What the buttons of the panes say; the tour names them.
const (
	readOrders  = "Read two orders"
	writeOrders = "Try to change one"
	auditList   = "Show the record"
	auditVerify = "Verify the chain"
)

// panes are what the page shows beside the workspace.
func panes(s *stage.Stage, v *visits) []sandbox.Pane {
	look := &onlooker{url: s.Target.URL("orders")}
	return []sandbox.Pane{
		{
			Title: "The database orders-prod",
			About: "The buttons use the newest credential that the person at the screen was shown.",
			Read:  look.read,
			Actions: []sandbox.PaneAction{
				{Label: readOrders, Run: func(ctx context.Context, who string) sandbox.Output {
					return v.query(ctx, who, "SELECT id, item, status FROM orders WHERE customer_id = 2")
				}},
				{Label: writeOrders, Run: func(ctx context.Context, who string) sandbox.Output {
					return v.query(ctx, who, "UPDATE orders SET status = 'paid' WHERE id = 102")
				}},
			},
		},
		{
			Title:  "The audit log",
			About:  "What `prodaccess audit` prints. Every line holds the hash of the one before it.",
			Folded: true,
			Actions: []sandbox.PaneAction{
				{Label: auditList, Run: audit(s, "audit", "list")},
				{Label: auditVerify, Run: audit(s, "audit", "verify")},
			},
		},
	}
}

func audit(s *stage.Stage, args ...string) func(context.Context, string) sandbox.Output {
	return func(ctx context.Context, _ string) sandbox.Output {
		out, err := s.Run(ctx, args...)
		return sandbox.Output{Text: strings.TrimRight(out, "\n"), Failed: err != nil}
	}
}

// onlooker reads prodaccess's roles and sessions as the superuser of the target.
type onlooker struct{ url string }

func (o *onlooker) read(ctx context.Context) ([]sandbox.Table, error) {
	conn, err := pgx.Connect(ctx, o.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	logins, err := tableOf(ctx, conn, `SELECT r.rolname AS login, CASE WHEN r.rolcanlogin THEN 'yes' ELSE 'locked' END AS "logs in",
			to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'HH24:MI:SS"Z"') AS "until",
			(SELECT string_agg(p.rolname, ' ') FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.roleid WHERE m.member = r.oid) AS "role"
		FROM pg_roles r WHERE r.rolname ~ '^pa_.*_[a-z0-9]{10}$' ORDER BY r.oid`)
	if err != nil {
		return nil, err
	}
	logins.Caption, logins.Empty = "Logins that prodaccess made", "None. A login exists only while somebody has access."
	sessions, err := tableOf(ctx, conn, `SELECT usename AS login, state, to_char(backend_start AT TIME ZONE 'UTC', 'HH24:MI:SS"Z"') AS since, query AS "last statement"
		FROM pg_stat_activity WHERE usename ~ '^pa_.*_[a-z0-9]{10}$' ORDER BY backend_start`)
	if err != nil {
		return nil, err
	}
	sessions.Caption, sessions.Empty = "Their sessions", "None."
	roles, err := tableOf(ctx, conn, `SELECT r.rolname, (SELECT count(*) FROM pg_auth_members m JOIN pg_roles l ON l.oid = m.member
			WHERE m.roleid = r.oid AND l.rolname ~ '^pa_.*_[a-z0-9]{10}$') 
		FROM pg_roles r WHERE r.rolname LIKE 'pa\_%' AND r.rolname !~ '^pa_(quarantine|mark_.*)$' AND r.rolname !~ '^pa_.*_[a-z0-9]{10}$' ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return []sandbox.Table{logins, sessions, turned(roles, "Access roles, which nobody can log in as")}, nil
}

// turned makes one row of a table of two columns.
func turned(t sandbox.Table, caption string) sandbox.Table {
	out := sandbox.Table{Caption: caption, Rows: [][]string{{}}}
	for _, row := range t.Rows {
		out.Columns = append(out.Columns, row[0])
		count := row[1] + " logins"
		if row[1] == "1" {
			count = "1 login"
		}
		out.Rows[0] = append(out.Rows[0], count)
	}
	return out
}

func tableOf(ctx context.Context, conn *pgx.Conn, sql string) (sandbox.Table, error) {
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return sandbox.Table{}, err
	}
	defer rows.Close()
	return tableFrom(rows)
}

// visits are the sessions that people opened with their credentials, one for each.
type visits struct {
	stage *stage.Stage
	mu    sync.Mutex
	open  map[string]*visit
}

type visit struct {
	url  string
	conn *pgx.Conn
}

func newVisits(s *stage.Stage) *visits { return &visits{stage: s, open: map[string]*visit{}} }

func (v *visits) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, one := range v.open {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = one.conn.Close(ctx)
		cancel()
	}
	clear(v.open)
}

// query runs SQL in a person's session, which is opened with the newest credential they were shown and stays open, so
// that its end can be seen.
func (v *visits) query(ctx context.Context, who, sql string) sandbox.Output {
	v.mu.Lock()
	defer v.mu.Unlock()
	url := v.credential(who)
	if url == "" {
		return sandbox.Output{Text: who + " has not been shown a credential yet. Ask for access, and press Get credentials.", Failed: true}
	}
	one := v.open[who]
	var said strings.Builder
	if one == nil || one.url != url {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return sandbox.Output{Text: "$ psql postgresql://" + loginOf(url) + ":…\n" + pgText(err), Failed: true}
		}
		if one != nil {
			_ = one.conn.Close(ctx)
		}
		one = &visit{url: url, conn: conn}
		v.open[who] = one
		fmt.Fprintf(&said, "$ psql postgresql://%s:…\n", loginOf(url))
	}
	fmt.Fprintf(&said, "orders=> %s;\n", sql)
	t, err := tableOf(ctx, one.conn, sql)
	if err != nil {
		said.WriteString(pgText(err))
		if one.conn.IsClosed() {
			delete(v.open, who)
			said.WriteString("\nThe session is over.")
		}
		return sandbox.Output{Text: said.String(), Failed: true}
	}
	said.WriteString(aligned(t))
	return sandbox.Output{Text: said.String()}
}

// credential is the newest one that was on somebody's screen.
func (v *visits) credential(who string) string {
	found := ""
	for _, view := range v.stage.Slack.Views() {
		if view.Owner != who {
			continue
		}
		for _, text := range view.Versions {
			if url := credentialURL.FindString(text); url != "" {
				found = url
			}
		}
	}
	return found
}

func loginOf(url string) string {
	login, _, _ := strings.Cut(strings.TrimPrefix(url, "postgresql://"), ":")
	return login
}
