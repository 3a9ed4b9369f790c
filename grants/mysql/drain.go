package mysql

import (
	"context"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Sessions are found by the account's name: neither server has another identity for an account, a session keeps the name
// it came in with when the account is dropped, and names are never used twice.
//
// A connection that was in its handshake when the account was locked would get in afterwards, because the server compares
// the password, and the lock, with what it read before. On MariaDB such a connection has the account's name already, and is
// killed as a session. On MySQL it has none, so that all handshakes that were under way when a look first found the account
// locked are waited for, and those that stand still are killed, whoever's they are: nobody's takes that long, and whoever
// is cut off connects again. Handshakes begun later find the lock.
//
// A replica shows what it has replayed. That no account is there says nothing: it may be one that has yet to hear of the
// login, and everything that was done to it would still happen. So that a node counts as shut only once it shows the row
// that says so, which is written before the lock and replicated in its place, without a connection that may still be
// changing the account; and no account that is not locked.
//
// Whether nobody is left is asked by a look that begins after one that found the login shut: a look is not one moment, and
// reads the list of processes before the rest, or after it.

// handshakePatience is how long a handshake that began before the lock may take.
const handshakePatience = 300 * time.Millisecond

func noSession(login, node string) string { return fmt.Sprintf("no session of %s on %s", login, node) }

// outcome is what drain found on one node.
type outcome struct {
	node   string
	killed int
	// undone are prepared transactions of the login's that were rolled back.
	undone []string
	err    error
	// late says that the node answers, and did not show in time that the login is shut; cut that the end of the context, or
	// of the hope to connect, is all that is known.
	late, cut bool
}

// site is where sessions are looked for.
type site struct {
	pool     *pool
	name     string
	patience time.Duration
	// shut says that the login is known to be shut there before the first look.
	shut bool
}

// drain kills sessions until a look finds the login shut and no session left. It gives up connecting when reach ends.
func drain(ctx, reach context.Context, at site, login grants.Login) (out outcome) {
	out.node = at.name
	node := at.name
	within, cancel := context.WithTimeout(ctx, at.patience+connectTimeout)
	defer cancel()
	connecting, stop := context.WithCancel(within)
	defer stop()
	defer context.AfterFunc(reach, stop)()
	conn, f, err := at.pool.borrow(connecting)
	if err != nil {
		out.err, out.cut = failure("connecting to "+node, err), ctx.Err() != nil || reach.Err() != nil
		return out
	}
	// A session has the global privileges that its login had when it began: one that lacks some is no use any more.
	defer func() { giveBack(conn, grants.ReasonOf(out.err) == grants.FailPrivilege) }()
	e := emptying{
		on: conn, flavour: f, user: at.pool.connector.cfg.User, node: node, login: login, killer: at.pool.killer, killed: map[string]time.Time{}, shut: at.shut,
	}
	begun := time.Now() // measures how long we have been trying; nothing of it is stored
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		open, left, err := e.round(within)
		out.killed = e.count
		switch {
		case err != nil:
			out.err, out.cut = err, ctx.Err() != nil
			return out
		case left == 0 && !open:
			out.undone, out.err = e.undo(within)
			return out
		case time.Since(begun) > at.patience && e.unshut != nil:
			out.err, out.late = e.unshut, true
			return out
		case time.Since(begun) > at.patience && !open:
			out.err = fail(grants.FailBusy, "", "sessions on %s do not end", node)
			return out
		}
		select {
		case <-time.After(pause):
		case <-within.Done():
			out.err, out.cut = failure("waiting for sessions on "+node+" to end", within.Err()), true
			return out
		}
	}
}

// emptying is one node being emptied of a login's sessions.
type emptying struct {
	on      runner
	flavour flavour
	user    string // the one who looks
	node    string
	login   grants.Login
	killer  *killer
	// killed says when each was killed last, and count how many those are that nobody had killed before.
	killed map[string]time.Time
	count  int
	// shut says that the look before found the login shut, and unshut why the last one did not.
	shut   bool
	unshut error
	// before are the handshakes that were under way at lockSeen, when a look first found the account locked.
	before   map[string]bool
	lockSeen time.Time
	prepared []xid
}

// unseen fails without PROCESS, as information_schema.PROCESSLIST does not: it then shows one's own threads and no other.
const unseen = "(SELECT COUNT(*) FROM information_schema.INNODB_CMP)"

// round kills what there is, and says how many connections were left, and whether the login may have been open when the look
// began.
func (e *emptying) round(ctx context.Context) (open bool, left int, err error) {
	name := literal(e.login.Name)
	who := "p.USER = " + name
	if e.flavour == mysql {
		who += " OR p.USER = 'unauthenticated user'"
	}
	rows, err := send(ctx, e.on, "SELECT c.id, "+unseen+", COALESCE(l.state, ''), COALESCE(l.worker, 0),"+
		" (SELECT COALESCE(SUM(IF(a.locked, 1, 2)), 0) FROM "+e.flavour.accounts()+" a WHERE a.account = "+name+" AND a.host = '%'),"+
		" p.ID, p.USER = "+name+", p.COMMAND = 'Killed' FROM prodaccess.cluster c LEFT JOIN prodaccess.logins l ON l.login = "+name+
		" LEFT JOIN information_schema.PROCESSLIST p ON "+who+" WHERE c.one = 1")
	switch {
	case number(err) == errSpecificDenied:
		return false, 0, fail(grants.FailPrivilege, "GRANT PROCESS ON *.* TO "+account(e.user), "%s does not see other people's sessions on %s", e.user, e.node)
	case number(err) == errNoSuchTable:
		return false, 0, fail(grants.FailUnprepared, "replicate the schema prodaccess to it", "%s does not have the tables of the schema prodaccess", e.node)
	case err != nil:
		return false, 0, failure("looking for sessions on "+e.node, err)
	case len(rows) == 0:
		return false, 0, fail(grants.FailUnprepared, "replicate the schema prodaccess to it", "%s holds no fingerprint", e.node)
	case e.login.Fingerprint != "" && rows[0][0] != e.login.Fingerprint:
		return false, 0, fail(grants.FailSwapped, "correct the node's address", "%s belongs to another cluster (fingerprint %s)", e.node, rows[0][0])
	}
	known := e.shut
	e.unshut = e.open(state(rows[0][2]), rows[0][3] == "0", rows[0][4])
	e.shut = e.unshut == nil
	open = !known || !e.shut
	var kill []string
	handshakes := map[string]bool{}
	for _, row := range rows {
		switch {
		case row[5] == "":
		case row[6] == "1":
			left++
			at, known := e.killed[row[5]]
			if !known && row[7] != "1" {
				e.count++
			}
			if !known || e.flavour != mariadb || time.Since(at) > killAgain {
				kill = append(kill, row[5])
				e.killed[row[5]] = time.Now() // measures when to try again; nothing of it is stored
			}
		default:
			handshakes[row[5]] = true
		}
	}
	if len(kill) > 0 {
		e.lookForPrepared(ctx)
	}
	if open {
		e.before = nil // whoever begins now finds no lock: those count that are under way when it is back
	} else if e.before == nil {
		e.before, e.lockSeen = handshakes, time.Now()
	}
	for id := range e.before {
		if !handshakes[id] {
			delete(e.before, id)
			continue
		}
		left++
		if time.Since(e.lockSeen) > handshakePatience {
			kill = append(kill, id)
		}
	}
	for _, id := range kill {
		if err := e.killer.kill(ctx, e.on, e.flavour, id); err != nil && number(err) != errUnknownThread {
			return open, left, failure("killing a session on "+e.node, err)
		}
	}
	return open, left, nil
}

// open says why a node does not count as shut: its row is not, or somebody may still be changing the account, or there is an
// account that is not locked. account is 0 where there is none, 1 where it is locked.
func (e *emptying) open(row state, still bool, account string) error {
	over := row == shut || row == gone
	switch {
	case over && still && (account == "0" || account == "1"):
		return nil
	case over:
		return fail(grants.FailBusy, "", "%s does not show the lock yet", e.node)
	case row == "" && account != "0":
		// The row is older than the account: they do not come together.
		return fail(grants.FailUnprepared, "replicate the schema prodaccess to it, which holds a row for each login",
			"%s has the account and not the row that belongs to it", e.node)
	}
	return fail(grants.FailBusy, "look at its replication, which must not leave out the schema prodaccess; a node that is gone for good is taken out of nodes",
		"%s does not show yet that the login is over", e.node)
}
