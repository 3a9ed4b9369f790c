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
}

// drain kills sessions until a look finds the login shut and no session left.
func (d *Driver) drain(ctx context.Context, p *pool, node string, login grants.Login) outcome {
	ctx, cancel := context.WithTimeout(ctx, d.patience+connectTimeout)
	defer cancel()
	out := outcome{node: node}
	conn, f, err := p.borrow(ctx)
	if err != nil {
		out.err = failure("connecting to "+node, err)
		return out
	}
	defer conn.Close()
	e := emptying{on: conn, flavour: f, node: node, login: login, killed: map[string]bool{}}
	begun := time.Now() // measures how long we have been trying; nothing of it is stored
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		open, left, err := e.round(ctx)
		out.killed = len(e.killed)
		switch {
		case err != nil:
			out.err = err
			return out
		case left == 0 && !open:
			out.undone, out.err = e.undo(ctx)
			return out
		case time.Since(begun) > d.patience && open:
			out.err = fail(grants.FailBusy, "", "%s does not show the lock yet", node)
			return out
		case time.Since(begun) > d.patience:
			out.err = fail(grants.FailBusy, "", "sessions on %s do not end", node)
			return out
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			out.err = failure("waiting for sessions on "+node+" to end", ctx.Err())
			return out
		}
	}
}

// emptying is one node being emptied of a login's sessions.
type emptying struct {
	on      runner
	flavour flavour
	node    string
	login   grants.Login
	killed  map[string]bool
	// before are the handshakes that were under way at lockSeen, when a look first found the account locked.
	before   map[string]bool
	lockSeen time.Time
	prepared []xid
}

// round kills what there is, and says whether the account is open and how many connections were left.
func (e *emptying) round(ctx context.Context) (open bool, left int, err error) {
	who := "p.USER = " + literal(e.login.Name)
	if e.flavour == mysql {
		who += " OR p.USER = 'unauthenticated user'"
	}
	rows, err := send(ctx, e.on, "SELECT c.id, (SELECT COUNT(*) FROM "+e.flavour.accounts()+" a WHERE a.account = "+literal(e.login.Name)+" AND NOT a.locked),"+
		" p.ID, p.USER = "+literal(e.login.Name)+" FROM prodaccess.cluster c LEFT JOIN information_schema.PROCESSLIST p ON "+who+" WHERE c.one = 1")
	if err != nil {
		return false, 0, failure("looking for sessions on "+e.node, err)
	}
	if len(rows) == 0 {
		return false, 0, fail(grants.FailUnprepared, "replicate the schema prodaccess to it", "%s holds no fingerprint", e.node)
	}
	if e.login.Fingerprint != "" && rows[0][0] != e.login.Fingerprint {
		return false, 0, fail(grants.FailSwapped, "correct the node's address", "%s belongs to another cluster (fingerprint %s)", e.node, rows[0][0])
	}
	open = rows[0][1] != "0"
	var kill []string
	handshakes := map[string]bool{}
	for _, row := range rows {
		switch {
		case row[2] == "":
		case row[3] == "1":
			kill = append(kill, row[2])
			e.killed[row[2]] = true
		default:
			handshakes[row[2]] = true
		}
	}
	if len(kill) > 0 {
		e.lookForPrepared(ctx)
	}
	left = len(kill)
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
		if _, err := change(ctx, e.on, "KILL "+id); err != nil && number(err) != errUnknownThread {
			return open, left, failure("killing a session on "+e.node, err)
		}
	}
	return open, left, nil
}
