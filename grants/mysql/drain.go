package mysql

import (
	"context"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Sessions are found by the account's name: neither server has another identity for an account, a session keeps the name
// it came in with when the account is dropped, and names are never used twice. A connection that is still in its
// handshake has the name too; without being killed it would get in after the lock, because the server compares the
// password with what it read before.

func noSession(login, node string) string { return fmt.Sprintf("no session of %s on %s", login, node) }

// outcome is what drain found on one node.
type outcome struct {
	node   string
	killed int
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
	killed := map[string]bool{}
	begun := time.Now() // measures how long we have been trying; nothing of it is stored
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		rows, err := send(ctx, conn, "SELECT c.id, (SELECT COUNT(*) FROM "+f.accounts()+" a WHERE a.account = "+literal(login.Name)+" AND NOT a.locked),"+
			" p.ID FROM prodaccess.cluster c LEFT JOIN information_schema.PROCESSLIST p ON p.USER = "+literal(login.Name)+" WHERE c.one = 1")
		if err != nil {
			out.err = failure("looking for sessions on "+node, err)
			return out
		}
		if len(rows) == 0 {
			out.err = fail(grants.FailUnprepared, "replicate the schema prodaccess to it", "%s holds no fingerprint", node)
			return out
		}
		if login.Fingerprint != "" && rows[0][0] != login.Fingerprint {
			out.err = fail(grants.FailSwapped, "correct the node's address", "%s belongs to another cluster (fingerprint %s)", node, rows[0][0])
			return out
		}
		open, left := rows[0][1] != "0", 0
		for _, row := range rows {
			if row[2] == "" {
				continue
			}
			left++
			killed[row[2]] = true
			if _, err := change(ctx, conn, "KILL "+row[2]); err != nil && number(err) != errUnknownThread {
				out.err = failure("killing a session on "+node, err)
				return out
			}
		}
		out.killed = len(killed)
		switch {
		case left == 0 && !open:
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
