package crowd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Account is what the books and the store say of each other.
type Account struct {
	Acts []Act
	// Requests is how many are stored, Presses how many the audit log must answer.
	Requests, Presses int
	// Turned were told that it did not work and to try again: Slack did not say who they are, or the store took too long.
	Turned int
	// Events counts what the audit log says happened; refusals have an "!" before them.
	Events map[string]int
	// Lost are acknowledged and not there, Doubled are there more often than they were done.
	Lost, Doubled []string
	// Messages is how many must exist, Drawn how many do, True how many show what is stored.
	Messages, Drawn, True int
	// Posts and Edits are calls of Slack for cards and the requesters' copies. Stale are drawings of a state that had passed
	// before they were begun.
	Posts, Edits int
	Stale        []string
}

// Settle holds the books against the store, whose URL must be one that may read everything. What was drawn is stale when its state
// had passed for longer than behind: drawing takes time itself.
func (c *Crowd) Settle(ctx context.Context, store string, behind time.Duration) (Account, error) {
	conn, err := pgx.Connect(ctx, store)
	if err != nil {
		return Account{}, fmt.Errorf("settling: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	requests, err := stored(ctx, conn)
	if err != nil {
		return Account{}, fmt.Errorf("settling: reading the requests: %w", err)
	}
	counts, err := answered(ctx, conn)
	if err != nil {
		return Account{}, fmt.Errorf("settling: reading the audit log: %w", err)
	}
	events, err := happened(ctx, conn)
	if err != nil {
		return Account{}, fmt.Errorf("settling: counting the audit log: %w", err)
	}
	told := c.books.told() // asks the workspace, which must not wait for the books
	b := c.books
	b.mu.Lock()
	defer b.mu.Unlock()
	a := Account{Acts: append([]Act(nil), b.acts...), Requests: len(requests), Events: events}
	byNumber := map[string]int{}
	for _, r := range requests {
		byNumber[r.reason]++
	}
	for n, asked := range b.asked {
		reason := fmt.Sprintf("load %06d", n)
		switch there := byNumber[reason]; {
		case asked.files && asked.ok && there == 0 && turned(asked.said):
			a.Turned++
		case asked.files && asked.ok && there == 0:
			a.Lost = append(a.Lost, reason+", acknowledged with "+asked.said)
		case there > 1, !asked.files && there > 0:
			a.Doubled = append(a.Doubled, fmt.Sprintf("%s is stored %d times", reason, there))
		}
	}
	for p, times := range b.presses {
		a.Presses += times
		switch there := counts[p]; {
		case there == 0 && told[p]:
			a.Turned++
		case there == 0: // a press that is there twice is answered once, when it changed nothing the second time
			a.Lost = append(a.Lost, fmt.Sprintf("%s of request %s by %s: pressed %d times, answered %d times", p.kind, p.request, p.who, times, there))
		case there > times+b.doubtful[p]:
			a.Doubled = append(a.Doubled, fmt.Sprintf("%s of request %s by %s: pressed %d times, answered %d times", p.kind, p.request, p.who, times, there))
		}
	}
	for key := range b.twice {
		a.Doubled = append(a.Doubled, "two messages are "+key)
	}
	for _, r := range requests {
		if r.effects > 1 {
			a.Doubled = append(a.Doubled, fmt.Sprintf("request %s took effect %d times in one way", r.id, r.effects))
		}
		a.draws(b, r, behind)
	}
	return a, nil
}

// request is one that is stored, with what its messages must say.
type request struct {
	id, reason, outcome string
	heads               []since // what its messages had to say from when on
	effects             int     // the most often that one thing happened that happens once
}

type since struct {
	at   time.Time
	head string
}

func (a *Account) draws(b *books, r request, behind time.Duration) {
	if r.outcome == "denied" {
		return // its requester was told in the acknowledgement, and nobody else is
	}
	for _, key := range []string{"notice:" + r.id, "card:" + r.id} {
		a.Messages++
		shown := b.shown[key]
		if len(shown) == 0 {
			continue
		}
		a.Drawn++
		if strings.Contains(shown[len(shown)-1].head, r.heads[len(r.heads)-1].head) {
			a.True++
		}
		for _, d := range shown {
			if d.edit {
				a.Edits++
			} else {
				a.Posts++
			}
			if late := r.late(d); late > behind {
				a.Stale = append(a.Stale, fmt.Sprintf("%s said %q %s after that had passed", key, d.head, late.Round(time.Millisecond)))
			}
		}
	}
}

// late is for how long a state had passed when it was drawn.
func (r request) late(d drawing) time.Duration {
	late := time.Duration(-1)
	for i, h := range r.heads {
		if !strings.Contains(d.head, h.head) {
			continue
		}
		if i == len(r.heads)-1 {
			return 0
		}
		if passed := d.at.Sub(r.heads[i+1].at); late < 0 || passed < late {
			late = passed
		}
	}
	return late
}

// heads are what the beginning of a message says after each event of the audit log.
var heads = map[string]string{
	"request.approved": "Approved", "request.denied": "Denied", "request.cancelled": "Cancelled", "request.lapsed": "Lapsed",
	"request.reopened": "Approved",
	"grant.intended":   "Being prepared", "grant.issued": "Access is active", "grant.failed": "", "grant.ending": "Access is being taken back",
	"grant.secured": "Locked out", "grant.revoked": "",
}

func stored(ctx context.Context, conn *pgx.Conn) ([]request, error) {
	rows, err := conn.Query(ctx, `
		SELECT r.id, r.reason, r.outcome, r.filed_at,
			coalesce(array_agg(e.kind ORDER BY e.id) FILTER (WHERE e.id IS NOT NULL), '{}'),
			coalesce(array_agg(e.at ORDER BY e.id) FILTER (WHERE e.id IS NOT NULL), '{}')
		FROM requests AS r LEFT JOIN audit_events AS e ON e.request_id = r.id AND NOT e.refused
		GROUP BY r.id ORDER BY r.filed_at`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r request, err error) {
		var filed time.Time
		var kinds []string
		var times []time.Time
		if err := row.Scan(&r.id, &r.reason, &r.outcome, &filed, &kinds, &times); err != nil {
			return r, err
		}
		r.heads = []since{{filed, map[string]string{"denied": "Denied", "approved": "Approved", "needs-approval": "Waiting for approval"}[r.outcome]}}
		often := map[string]int{}
		for i, kind := range kinds {
			often[kind]++
			if head, known := heads[kind]; known {
				r.heads = append(r.heads, since{times[i], head})
			}
		}
		for _, kind := range []string{"request.filed", "request.approved", "request.denied", "request.cancelled"} {
			r.effects = max(r.effects, often[kind])
		}
		return r, nil
	})
}

// answered counts the audit log's answers to presses, refusals included.
func answered(ctx context.Context, conn *pgx.Conn) (map[press]int, error) {
	rows, err := conn.Query(ctx, `
		SELECT actor_id, request_id, kind, count(*) FROM audit_events
		WHERE kind IN ('request.approved', 'request.cancelled', 'grant.intended') AND request_id <> ''
		GROUP BY actor_id, request_id, kind`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[press]int{}
	for rows.Next() {
		var p press
		var n int
		if err := rows.Scan(&p.who, &p.request, &p.kind, &n); err != nil {
			return nil, err
		}
		out[p] = n
	}
	return out, rows.Err()
}

func happened(ctx context.Context, conn *pgx.Conn) (map[string]int, error) {
	rows, err := conn.Query(ctx, `SELECT CASE WHEN refused THEN '!' ELSE '' END || kind, count(*) FROM audit_events GROUP BY 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var kind string
		var n int
		if err := rows.Scan(&kind, &n); err != nil {
			return nil, err
		}
		out[kind] = n
	}
	return out, rows.Err()
}
