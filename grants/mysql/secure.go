package mysql

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Secure implements grants.Driver: the row says that there is no way back, the account is locked, its role is taken
// away, and its sessions are killed, everywhere, until none is left. Whoever may still be at work on the account (an
// Issue or an Extend whose client is gone) is ended before the lock counts.
func (d *Driver) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	secured, err := d.secure(ctx, login)
	return secured, failure(fmt.Sprintf("locking login %q out of %s", login.Name, d.cfg.Target.Name), err)
}

func (d *Driver) secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	if err := checkLogin(login); err != nil {
		return grants.Secured{}, err
	}
	fs, did, err := d.shutOut(ctx, login)
	if err != nil {
		return did, err
	}
	secured := grants.Secured{Existed: fs.account != nil, OID: login.OID, Killed: did.Killed}
	state := fmt.Sprintf("no account is named %s", login.Name)
	if secured.Existed {
		secured.OID, secured.LockedAt = fs.row.oid, d.cfg.Now()
		state = fmt.Sprintf("account %s is locked and has no role", login.Name)
	}
	secured.Checks = append(secured.Checks, grants.Check{What: state, OK: true})
	failures := []error{fs.alone(login)}
	for _, o := range d.drainAll(ctx, login) {
		secured.Killed += o.killed
		if o.err != nil {
			failures = append(failures, o.err)
			continue
		}
		secured.Nodes = append(secured.Nodes, o.node)
		secured.Checks = append(secured.Checks, grants.Check{What: noSession(login.Name, o.node), OK: true})
		for _, id := range o.undone {
			secured.Checks = append(secured.Checks, grants.Check{What: "rolled back on " + o.node + ": the prepared transaction " + id, OK: true})
		}
	}
	return secured, together(failures...)
}

// shutOut makes the login useless for new sessions, unless it is not ours. Somebody else's account of the same name at
// another host does not keep ours open; that there is one is said when ours is shut. did is what was done, which is done also
// where an error follows: the next try does not find the sessions, and finds the account locked.
func (d *Driver) shutOut(ctx context.Context, login grants.Login) (fs facts, did grants.Secured, err error) {
	conn, f, err := d.security.borrow(ctx)
	if err != nil {
		return fs, did, err
	}
	defer conn.Close()
	if fs, err = lookUp(ctx, conn, f, login.Name); err != nil {
		return fs, did, err
	}
	if err := fs.shuttable(login); err != nil {
		return fs, did, err
	}
	look := func() error {
		if fs, err = lookUp(ctx, conn, f, login.Name); err == nil && fs.account != nil && !fs.account.locked {
			did.LockedAt = time.Time{} // somebody was still at it
		}
		return err
	}
	// A few rounds: an order that is just being carried out may make the row or the account between two looks.
	for range 5 {
		if fs.row == nil {
			if err := d.bury(ctx, conn, login); err != nil {
				return fs, did, err
			}
		}
		existed := fs.account != nil
		if existed && fs.row != nil {
			did.OID = fs.row.oid
		}
		if err := d.shut(ctx, conn, f, login, existed, &did); err != nil {
			return fs, did, err
		}
		if err := look(); err != nil {
			return fs, did, err
		}
		if err := fs.shuttable(login); err != nil {
			return fs, did, err
		}
		if fs.row == nil || fs.row.state != shut && fs.row.state != gone {
			continue
		}
		if fs.row.worker != 0 {
			if err := d.endWorker(ctx, conn, login, fs.row.worker); err != nil {
				return fs, did, err
			}
			if err := look(); err != nil {
				return fs, did, err
			}
		}
		if fs.account == nil {
			return fs, did, nil
		}
		if fs.account.locked && existed {
			return fs, did, d.takeRole(ctx, conn, f, login)
		}
	}
	return fs, did, fail(grants.FailBusy, "", "the login changes as fast as it is locked")
}

// shuttable says whether there may be something of ours to shut.
func (fs facts) shuttable(login grants.Login) error {
	if err := fs.meant(login); err != nil || fs.row != nil {
		return err
	}
	return fs.alone(login)
}

// bury writes a row for a login that never came to be, so that it cannot: an order that is late on the network finds it.
func (d *Driver) bury(ctx context.Context, on runner, login grants.Login) error {
	guard := ""
	if login.Fingerprint != "" {
		guard = " AND c.id = " + literal(login.Fingerprint)
	}
	_, err := change(ctx, on, "INSERT IGNORE INTO prodaccess.logins (login, stamp, state, made, mark, access_role, valid_until, worker, changed)"+
		" SELECT "+literal(login.Name)+", "+literal(login.Stamp.String())+", '"+string(shut)+"', 0, '', '', UTC_TIMESTAMP(6), 0, UTC_TIMESTAMP(6)"+
		" FROM prodaccess.cluster c WHERE c.one = 1"+guard)
	return err
}

// shut is the lock. On MariaDB the sessions that there are are killed at once. What was done is taken down in did.
func (d *Driver) shut(ctx context.Context, on runner, f flavour, login grants.Login, exists bool, did *grants.Secured) error {
	// A row that says gone stays so, and is kept: it is removed when nobody has asked for it for a day.
	if _, err := change(ctx, on, "UPDATE prodaccess.logins SET state = IF(state = '"+string(gone)+"', '"+string(gone)+"', '"+string(shut)+"'),"+
		" changed = UTC_TIMESTAMP(6) WHERE login = "+literal(login.Name)+" AND stamp = "+literal(login.Stamp.String())); err != nil {
		return err
	}
	if !exists {
		return nil
	}
	switch _, err := change(ctx, on, lock(login.Name)); {
	case err == nil:
		did.Existed = true
		if did.LockedAt.IsZero() {
			did.LockedAt = d.cfg.Now()
		}
	case number(err) != errCannotUser:
		return err
	}
	if f == mariadb {
		return d.security.killer.all(ctx, on, f, login.Name, &did.Killed)
	}
	return nil
}

// takeRole ends the login's membership. On MySQL that ends what its sessions may do at once; on MariaDB they keep it
// until they are killed. A membership that the administrator may not end goes with the account.
func (d *Driver) takeRole(ctx context.Context, on runner, f flavour, login grants.Login) error {
	rows, err := send(ctx, on, "SELECT m.role FROM "+f.memberships()+" m WHERE m.account = "+literal(login.Name)+" AND m.host = '%'")
	if err != nil {
		return err
	}
	for _, row := range rows {
		role := ident(row[0])
		if f == mysql {
			role += "@'%'"
		}
		if _, err := change(ctx, on, "REVOKE "+role+" FROM "+account(login.Name)); err != nil {
			if reason, _ := reasonOf(number(err)); reason == grants.FailPrivilege || number(err) == errCannotUser || number(err) == errInvalidRole {
				continue
			}
			return err
		}
	}
	return nil
}

// endWorker kills the connection that may still be changing the account, and waits until it is gone. Connections of
// anybody but the administrator are left alone: after a restart the same number is somebody else's.
func (d *Driver) endWorker(ctx context.Context, on runner, login grants.Login, worker uint64) error {
	id := strconv.FormatUint(worker, 10)
	begun := time.Now() // measures how long we have been waiting; nothing of it is stored
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		rows, err := send(ctx, on, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = "+id+
			" AND USER = "+text(d.everyday.connector.cfg.User)+" AND ID <> CONNECTION_ID()")
		if err != nil {
			return err
		}
		if len(rows) == 1 && rows[0][0] == "0" {
			_, err := change(ctx, on, "UPDATE prodaccess.logins SET worker = 0 WHERE login = "+literal(login.Name)+" AND worker = "+id)
			return err
		}
		if time.Since(begun) > d.patience {
			return fail(grants.FailBusy, "", "the connection that was making the login does not end")
		}
		if _, err := change(ctx, on, "KILL "+id); err != nil && number(err) != errUnknownThread {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drainAll empties every node at once. On the primary the login is shut already, by the one who calls.
func (d *Driver) drainAll(ctx context.Context, login grants.Login) []outcome {
	outcomes := make([]outcome, 1+len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { outcomes[1+i] = n.drain(ctx, login, d.patience) })
	}
	outcomes[0] = drain(ctx, context.Background(), site{pool: d.security, name: d.cfg.Target.Name, patience: d.patience, shut: true}, login)
	all.Wait()
	return outcomes
}
