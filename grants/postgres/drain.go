package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/prodaccess/prodaccess/grants"
)

// target is whose sessions must go. Without an OID it is the name's, which is all that is known of a login that was
// never read back; a role that does not exist and whose OID nobody knows has no sessions one could find.
type target struct {
	name string
	oid  uint32
}

func (t target) usesysid() string {
	if t.oid != 0 {
		return oidText(t.oid)
	}
	return "(SELECT oid FROM pg_roles WHERE rolname = " + literal(t.name) + ")"
}

// noSession is the statement that a check makes.
func (t target) noSession(node string) string {
	if t.oid == 0 {
		return fmt.Sprintf("no session of %s on %s", t.name, node)
	}
	return fmt.Sprintf("no session with OID %d (%s) on %s", t.oid, t.name, node)
}

// looks is how many statements a look has.
const looks = 2

// look asks which cluster this is, whether the login is shut here and who its members are, and terminates its sessions.
// What it lists was still there: only an empty list says that nothing is left.
func look(t target) []string {
	return []string{
		"SELECT (SELECT system_identifier FROM pg_control_system())," +
			" (SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname = " + literal(t.name) + ")" +
			" + (SELECT count(*) FROM pg_roles WHERE rolcanlogin AND oid = " + oidText(t.oid) + ")," +
			// regrole's text form is a quoted name.
			" (SELECT coalesce(string_agg(member::regrole::text, ', '), '') FROM pg_auth_members" +
			" WHERE roleid = " + t.usesysid() + " AND member <> quote_ident(current_user)::regrole)",
		// What pg_stat_activity is made of, without its joins.
		"SELECT pid, pg_terminate_backend(pid) FROM (SELECT pg_stat_get_backend_pid(b) AS pid FROM pg_stat_get_backend_idset() b" +
			" WHERE pg_stat_get_backend_userid(b) = " + t.usesysid() + ") s",
	}
}

// outcome is what drain found on one node.
type outcome struct {
	node    string
	killed  int
	members string // as SQL takes them
	err     error
}

// drain terminates sessions until a look finds the login shut and no session left. already is a look taken before.
func (d *Driver) drain(ctx context.Context, pool *pgxpool.Pool, node, fingerprint string, who target, already []*pgconn.Result) outcome {
	ctx, cancel := context.WithTimeout(ctx, d.patience+connectTimeout)
	defer cancel()
	out := outcome{node: node}
	killed := map[string]bool{}
	seen := already
	start := time.Now() // measures how long we have been trying; nothing of it is stored
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if seen == nil {
			var err error
			if seen, err = send(ctx, pool, look(who)...); err != nil {
				out.err = failure("looking for sessions on "+node, err)
				return out
			}
		}
		done, open, err := out.take(seen, fingerprint, killed)
		out.killed = len(killed)
		if err != nil || done {
			out.err = err
			return out
		}
		if time.Since(start) > d.patience {
			if open {
				out.err = fail(grants.FailBusy, "", "%s does not show the lock yet", node)
			} else {
				out.err = fail(grants.FailBusy, "", "sessions on %s do not end", node)
			}
			return out
		}
		seen = nil
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			out.err = failure("waiting for sessions on "+node+" to end", ctx.Err())
			return out
		}
	}
}

// take reads one look. open says that the login is not shut on this node: a standby that has not replayed the lock.
func (o *outcome) take(seen []*pgconn.Result, fingerprint string, killed map[string]bool) (done, open bool, err error) {
	if len(seen) != looks || len(seen[0].Rows) != 1 {
		return false, false, errLost
	}
	row := texts(seen[0])[0]
	if fingerprint != "" && row[0] != fingerprint {
		return false, false, fail(grants.FailSwapped, "correct the node's address", "%s belongs to another cluster (system identifier %s)", o.node, row[0])
	}
	o.members = row[2]
	for _, session := range seen[1].Rows {
		if isTrue(session[1]) {
			killed[string(session[0])] = true
		}
	}
	open = row[1] != "0"
	return !open && len(seen[1].Rows) == 0, open, nil
}
