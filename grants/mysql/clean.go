package mysql

import (
	"context"
	"fmt"

	"github.com/prodaccess/prodaccess/grants"
)

// keepGone is how long the row of a login that is gone keeps an order that was late on the network from being carried out.
const keepGone = "INTERVAL 1 DAY"

// Clean implements grants.Driver.
func (d *Driver) Clean(ctx context.Context, login grants.Login) (grants.Cleaned, error) {
	cleaned, err := d.clean(ctx, login)
	return cleaned, failure(fmt.Sprintf("removing login %q from %s", login.Name, d.cfg.Target.Name), err)
}

func (d *Driver) clean(ctx context.Context, login grants.Login) (cleaned grants.Cleaned, err error) {
	if err := checkLogin(login); err != nil {
		return cleaned, err
	}
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return cleaned, err
	}
	defer conn.Close()
	fs, err := lookUp(ctx, conn, f, login.Name)
	if err != nil {
		return cleaned, err
	}
	if err := fs.ours(login); err != nil {
		return cleaned, err
	}
	if fs.row == nil {
		// It was removed, or is not in the copy that was restored: without it a late order would be carried out, and no node
		// could show that the login is over.
		if err := d.bury(ctx, conn, login); err != nil {
			return cleaned, err
		}
	}
	if fs.account != nil {
		if !fs.account.locked || fs.row.state != shut && fs.row.state != gone {
			return cleaned, fail(grants.FailInternal, "", "the login was not locked first")
		}
		if cleaned.Leftovers, err = d.orphan(ctx, conn, f, login, fs.row.accessRole); err != nil {
			return cleaned, err
		}
		if _, err := change(ctx, conn, "DROP USER IF EXISTS "+account(login.Name)); err != nil {
			return cleaned, err
		}
	}
	prepared, err := f.abandoned(ctx, conn)
	if reason := grants.ReasonOf(failure("", err)); err != nil && reason != grants.FailPrivilege {
		return cleaned, err // without the privilege to ask, the login goes all the same
	}
	cleaned.Leftovers = append(cleaned.Leftovers, prepared...)
	if _, err := change(ctx, conn, "DELETE FROM prodaccess.bound_values WHERE login = "+literal(login.Name)); err != nil {
		return cleaned, err
	}
	if _, err := change(ctx, conn, set(login, gone)); err != nil {
		return cleaned, err
	}
	cleaned.DroppedAt = d.cfg.Now()
	if _, err := change(ctx, conn, "DELETE FROM prodaccess.logins WHERE state = '"+string(gone)+"' AND changed < UTC_TIMESTAMP(6) - "+keepGone+" LIMIT 100"); err != nil {
		return cleaned, err
	}
	cleaned.Checks, err = d.prove(ctx, conn, f, login)
	return cleaned, err
}

// prove looks for traces after the drop: the account, memberships, privileges that a later account of the same name would
// inherit, sessions on every node.
func (d *Driver) prove(ctx context.Context, on runner, f flavour, login grants.Login) (checks []grants.Check, err error) {
	name := literal(login.Name)
	rows, err := send(ctx, on, "SELECT (SELECT COUNT(*) FROM "+f.accounts()+" a WHERE a.account = "+name+"), (SELECT COUNT(*) FROM "+f.memberships()+" m WHERE m.account = "+name+"), "+
		"(SELECT COUNT(*) FROM mysql.db WHERE User = "+name+") + (SELECT COUNT(*) FROM mysql.tables_priv WHERE User = "+name+")"+
		" + (SELECT COUNT(*) FROM mysql.columns_priv WHERE User = "+name+") + (SELECT COUNT(*) FROM mysql.procs_priv WHERE User = "+name+"), (SELECT COUNT(*) FROM prodaccess.bound_values WHERE login = "+name+")")
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) != 4 {
		return nil, errUnreadable
	}
	checks = []grants.Check{
		{What: "no account is named " + login.Name, OK: rows[0][0] == "0"},
		{What: "no membership of " + login.Name, OK: rows[0][1] == "0"},
		{What: "no privilege of " + login.Name, OK: rows[0][2] == "0"},
		{What: "no value of a request is kept for " + login.Name, OK: rows[0][3] == "0"},
	}
	var failures []error
	for _, o := range d.drainAll(ctx, login) {
		if o.err != nil {
			failures = append(failures, o.err)
			continue
		}
		checks = append(checks, grants.Check{What: noSession(login.Name, o.node), OK: true})
	}
	for _, c := range checks {
		if !c.OK {
			failures = append(failures, fail(grants.FailInternal, "", "after the drop it is not true that: %s", c.What))
		}
	}
	return checks, together(failures...)
}
