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

// look asks whether the login is shut here, who its members are, and terminates its sessions. What it lists was still
// there: only an empty list says that nothing is left.
func look(t target) []string {
	return []string{
		"SELECT system_identifier FROM pg_control_system()",
		"SELECT (SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname = " + literal(t.name) + ")" +
			" + (SELECT count(*) FROM pg_roles WHERE rolcanlogin AND oid = " + oidText(t.oid) + ")",
		"SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.roleid = " + t.usesysid() +
			" AND r.rolname <> current_user",
		"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = " + t.usesysid(),
	}
}

// outcome is what drain found on one node.
type outcome struct {
	node    string
	killed  int
	members []string
	err     error
}

// drain terminates sessions until a look finds the login shut and no session left. already is a look taken before.
func drain(ctx context.Context, pool *pgxpool.Pool, node, fingerprint string, who target, already []*pgconn.Result) outcome {
	ctx, cancel := context.WithTimeout(ctx, drainPatience+connectTimeout)
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
		if time.Since(start) > drainPatience {
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
	if len(seen) != 4 {
		return false, false, errLost
	}
	here, err := first(seen[0])
	if err != nil {
		return false, false, err
	}
	if fingerprint != "" && here != fingerprint {
		return false, false, fail(grants.FailSwapped, "correct the node's address", "%s belongs to another cluster (system identifier %s)", o.node, here)
	}
	shut, err := number(seen[1])
	if err != nil {
		return false, false, err
	}
	o.members = nil
	for _, row := range seen[2].Rows {
		o.members = append(o.members, string(row[0]))
	}
	for _, row := range seen[3].Rows {
		if isTrue(row[1]) {
			killed[string(row[0])] = true
		}
	}
	return shut == 0 && len(seen[3].Rows) == 0, shut > 0, nil
}
