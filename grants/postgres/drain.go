package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// names, oids and unknown are lists of the targets' names, of the OIDs that are known, and of the names of the others, as
// texts. A server's own processes have the OID 0, which is never among them.
func names(who []target) string {
	out := make([]string, len(who))
	for i, t := range who {
		out[i] = t.name
	}
	return array(out)
}

func oids(who []target) string {
	var out []string
	for _, t := range who {
		if t.oid != 0 {
			out = append(out, oidText(t.oid))
		}
	}
	return array(out)
}

func unknown(who []target) string {
	return names(slices.DeleteFunc(slices.Clone(who), func(t target) bool { return t.oid != 0 }))
}

// looks is how many statements a look has.
const looks = 2

// The two statements of a look, with the names, the OIDs and the unknown as parameters. What stands between their parts is
// the door's.
const (
	lookAtRoles = "SELECT 'cluster', 0::oid, '', system_identifier::text FROM pg_control_system()" +
		" UNION ALL SELECT 'open', oid, rolname, '' FROM pg_roles WHERE rolcanlogin AND rolname = ANY ($1::name[])" +
		" UNION ALL SELECT 'open', oid, rolname, '' FROM pg_roles WHERE rolcanlogin AND oid = ANY ($2::oid[])" +
		// regrole's text form is a quoted name.
		" UNION ALL SELECT 'member', m.roleid, r.rolname, m.member::regrole::text FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid" +
		" WHERE m.roleid = ANY ($2::oid[] || " + oidsOfNames + ") AND "
	// On a node, also how far it is. One that was promoted replays nothing any more, and shows what it will ever have.
	lookAtReplay = " UNION ALL SELECT 'replayed', 0::oid, '', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END"
	// What pg_stat_activity is made of, without its joins. In order, so that the list is whole before anything is ended.
	lookAtSessions = "SELECT s.oid, coalesce((SELECT rolname FROM pg_roles r WHERE r.oid = s.oid), ''), s.pid, "
	openSessions   = " FROM (SELECT pg_stat_get_backend_userid(b) AS oid, pg_stat_get_backend_pid(b) AS pid FROM pg_stat_get_backend_idset() b ORDER BY 2) s," +
		" (SELECT $2::oid[] || " + oidsOfNames + " AS list, $1::name[] AS unused) w WHERE s.oid <> 0 AND s.oid = ANY (w.list)"
	oidsOfNames = "ARRAY(SELECT oid FROM pg_roles WHERE rolname = ANY ($3::name[]))"
)

// look asks which cluster this is, which of the logins are not shut here and who is a member of them, and terminates their
// sessions. What it lists was still there: only an empty list says that nothing is left.
func look(through door, who ...target) []sentence { return lookAnd("", through, who...) }

// lookOnNode also asks how far the node is. It does so before it looks for sessions, so that a session which came before
// the lock was replayed is seen.
func lookOnNode(through door, who ...target) []sentence {
	return lookAnd(lookAtReplay, through, who...)
}

func lookAnd(more string, through door, who ...target) []sentence {
	args := []string{names(who), oids(who), unknown(who)}
	return []sentence{{sql: lookAtRoles + through.stranger() + more + through.mayTerminate(), args: args}, {sql: lookAtSessions + through.terminate() + openSessions, args: args}}
}

// outcome is what drain found of one login on one node.
type outcome struct {
	node    string
	killed  int
	members string // as SQL takes them
	err     error
}

// is says whether a row of a look is about the target.
func (t target) is(oid, name string) bool {
	if t.oid == 0 {
		return name == t.name
	}
	return oid == oidText(t.oid)
}

// drain is drainMany for one login.
func (d *Driver) drain(
	ctx context.Context, through door, pool *pgxpool.Pool, node, fingerprint string, who target, already []*pgconn.Result, lock position,
) (out outcome) {
	d.drainMany(ctx, through, pool, node, fingerprint, []target{who}, already, []position{lock}, func(_ int, o outcome) { out = o })
	return out
}

// drainMany terminates sessions until a look finds every login shut and no session left. already is a look taken before.
// locks are, on a node, where in the log each lock stands: a node that is not there yet may not know the login, and would
// let it in once it does. done is called once for each login, as soon as its outcome is known.
func (d *Driver) drainMany(ctx context.Context, through door, pool *pgxpool.Pool, node, fingerprint string, who []target,
	already []*pgconn.Result, locks []position, done func(i int, o outcome),
) {
	ctx, cancel := context.WithTimeout(ctx, d.patience+connectTimeout)
	defer cancel()
	left := make([]int, len(who)) // indexes of those without an outcome
	killed := make([]map[string]bool, len(who))
	members := make([]string, len(who))
	for i := range who {
		left[i], killed[i] = i, map[string]bool{}
	}
	end := func(i int, err error) {
		done(i, outcome{node: node, killed: len(killed[i]), members: members[i], err: err})
	}
	endAll := func(err error) {
		for _, i := range left {
			end(i, err)
		}
	}
	ask := look
	if slices.ContainsFunc(locks, func(p position) bool { return p != 0 }) {
		ask = lookOnNode
	}
	seen := already
	start := time.Now() // measures how long we have been trying; nothing of it is stored
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if seen == nil {
			wanted := make([]target, len(left))
			for n, i := range left {
				wanted[n] = who[i]
			}
			var err error
			if seen, err = exchange(ctx, pool, ask(through, wanted...)); err != nil {
				endAll(failure("looking for sessions on "+node, err))
				return
			}
		}
		sight, err := readLook(node, fingerprint, seen)
		if err != nil {
			endAll(err)
			return
		}
		late := time.Since(start) > d.patience
		left = slices.DeleteFunc(left, func(i int) bool {
			open, sessions := sight.of(who[i], killed[i], &members[i])
			behind := sight.replayed < locks[i]
			switch {
			case !open && !behind && sessions == 0:
				end(i, nil)
			case late && behind:
				end(i, fail(grants.FailBusy, "see why its replay stands still or lags; a node that is gone for good is taken out of nodes",
					"%s does not show the lock yet: it has not replayed the target's log that far", node))
			case late && open:
				end(i, fail(grants.FailBusy, "", "%s does not show the lock yet", node))
			case late:
				end(i, fail(grants.FailBusy, "", "sessions on %s do not end", node))
			default:
				return false
			}
			return true
		})
		if len(left) == 0 {
			return
		}
		seen = nil
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			endAll(failure("waiting for sessions on "+node+" to end", ctx.Err()))
			return
		}
	}
}

// sight is a look that was read.
type sight struct {
	open, members [][]string // kind, OID, name and, of a member, the member's name
	sessions      [][]string // OID, name, process, whether it could be signalled
	replayed      position   // of a node; allReplayed where nothing is
}

func readLook(node, fingerprint string, seen []*pgconn.Result) (s sight, err error) {
	if len(seen) != looks {
		return s, errLost
	}
	cluster := ""
	s.replayed = allReplayed
	for _, row := range texts(seen[0]) {
		switch row[0] {
		case "cluster":
			cluster = row[3]
		case "open":
			s.open = append(s.open, row)
		case "member":
			s.members = append(s.members, row)
		case "replayed":
			if row[3] == "" {
				continue
			}
			if s.replayed, err = parsePosition(row[3]); err != nil {
				return s, err
			}
		}
	}
	if cluster == "" {
		return s, errLost
	}
	if fingerprint != "" && cluster != fingerprint {
		return s, fail(grants.FailSwapped, "correct the node's address", "%s belongs to another cluster (system identifier %s)", node, cluster)
	}
	s.sessions = texts(seen[1])
	return s, nil
}

// of is what was seen of one login. open says that it is not shut: a standby that has not replayed the lock.
func (s sight) of(who target, killed map[string]bool, members *string) (open bool, sessions int) {
	open = slices.ContainsFunc(s.open, func(row []string) bool { return row[2] == who.name || who.is(row[1], row[2]) })
	var found []string
	for _, row := range s.members {
		if who.is(row[1], row[2]) {
			found = append(found, row[3])
		}
	}
	*members = strings.Join(found, ", ")
	for _, row := range s.sessions {
		if !who.is(row[0], row[1]) {
			continue
		}
		sessions++
		if row[3] == "t" {
			killed[row[2]] = true
		}
	}
	return open, sessions
}
