package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// Clean implements grants.Driver. A login that owns nothing is dropped in one round trip; what a login owned is dealt
// with on connections of its own, so that it delays nobody. With an error it still returns the leftovers it has already
// moved: a second try will not find them again.
func (d *Driver) Clean(ctx context.Context, login grants.Login) (grants.Cleaned, error) {
	var moved []grants.Leftover // by a try that another door had to finish
	cleaned, err := inDoor(ctx, d, func(through door) (grants.Cleaned, error) {
		cleaned, err := d.clean(ctx, through, login)
		moved = append(moved, cleaned.Leftovers...)
		cleaned.Leftovers = moved
		return cleaned, err
	})
	return cleaned, failure(fmt.Sprintf("removing login %q from %s", login.Name, d.cfg.Target.Name), err)
}

func (d *Driver) clean(ctx context.Context, through door, login grants.Login) (cleaned grants.Cleaned, err error) {
	if err := checkLogin(login); err != nil {
		return cleaned, err
	}
	if login.OID == 0 {
		// After the drop nobody could say any more whose sessions to look for.
		r, _, err := lookUp(ctx, d.everyday, login)
		if err != nil {
			return cleaned, err
		}
		login.OID = r.oid
	}
	owns, proof, err := d.drop(ctx, through, login)
	if err != nil {
		return cleaned, err
	}
	if owns {
		cleaned.Leftovers, err = d.disown(ctx, through, login, login.OID)
		if err != nil {
			return cleaned, err
		}
		if owns, proof, err = d.drop(ctx, through, login); err != nil {
			return cleaned, err
		}
		if owns {
			return cleaned, d.inTheWay(ctx, target{name: login.Name, oid: login.OID})
		}
	}
	cleaned.DroppedAt = d.cfg.Now()
	checks, values, err := d.prove(ctx, through, login, proof)
	cleaned.Checks = checks
	if err != nil || !values {
		return cleaned, err
	}
	unbound, err := d.unbind(ctx, login)
	cleaned.Checks = append(cleaned.Checks, unbound...)
	return cleaned, err
}

// dependencies counts what keeps a role from being dropped, and prepared transactions, which would survive it.
func dependencies(oid uint32) string {
	return "(SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = " + oidText(oid) + ")" +
		" + (SELECT count(*) FROM pg_prepared_xact() WHERE ownerid = " + oidText(oid) + ")"
}

// drop removes a login that is ours, locked and owns nothing, and looks for traces in the same message: proof is what it
// saw, nil when there was nothing to drop. owns says that something is in the way.
func (d *Driver) drop(ctx context.Context, through door, login grants.Login) (owns bool, proof []*pgconn.Result, err error) {
	statements := append(plain(begin), areOurs([]grants.Login{login}))
	statements = append(statements, plain(
		guard("NOT EXISTS (SELECT FROM pg_roles WHERE rolcanlogin AND rolname = "+literal(login.Name)+")"+
			" AND "+dependencies(login.OID)+" = 0"))...)
	statements = append(statements, plain(append(through.drop([]grants.Login{login}), "COMMIT")...)...)
	dropping := len(statements)
	results, err := exchange(ctx, d.everyday, append(statements, traces(through, login)...))
	switch {
	case err == nil:
		return false, results[dropping:], nil
	case refused(err), stateOf(err) == "2BP01": // dependent_objects_still_exist: something came in between
		r, found, err := lookUp(ctx, d.everyday, login)
		switch {
		case err != nil:
			return false, nil, err
		case found && r.canLogin:
			return false, nil, fail(grants.FailInternal, "", "the login was not locked first")
		}
		return found, nil, nil
	case len(results) >= dropping:
		return false, nil, nil // dropped; the look failed and is taken again
	}
	return false, nil, err
}

// traces are the looks that prove a drop: sessions, the role, memberships.
func traces(through door, login grants.Login) []sentence {
	oid := oidText(login.OID)
	return append(look(through, target{name: login.Name, oid: login.OID}), plain(
		"SELECT (SELECT count(*) FROM pg_roles WHERE rolname = "+literal(login.Name)+"),"+
			" (SELECT count(*) FROM pg_auth_members WHERE roleid = "+oid+") + (SELECT count(*) FROM pg_auth_members WHERE member = "+oid+"),"+
			" EXISTS (SELECT FROM pg_roles WHERE rolname = "+literal(internal)+")")...)
}

// prove looks for traces after the drop: the role, memberships, sessions on every node. A session that was just being
// opened when the login was locked is found and terminated here. proof is a look already taken. values says that there may
// be values of parameters somewhere: the cluster has a place for them.
func (d *Driver) prove(ctx context.Context, through door, login grants.Login, proof []*pgconn.Result) (checks []grants.Check, values bool, err error) {
	who := target{name: login.Name, oid: login.OID}
	if proof == nil {
		if proof, err = exchange(ctx, d.security, traces(through, login)); err != nil {
			return nil, false, err
		}
	}
	// The nodes had replayed the lock before there was a drop: Secure saw to it.
	outcomes := make([]outcome, 1+len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { outcomes[1+i] = d.drain(ctx, through, n.pool, n.name, login.Fingerprint, who, nil, 0) })
	}
	outcomes[0] = d.drain(ctx, through, d.security, d.cfg.Target.Name, login.Fingerprint, who, proof[:looks], 0)
	all.Wait()
	left := texts(proof[looks])
	if len(left) != 1 || len(left[0]) != 3 {
		return nil, false, errUnreadable
	}
	checks = []grants.Check{{What: "no role is named " + who.name, OK: left[0][0] == "0"}}
	if who.oid != 0 {
		checks = append(checks, grants.Check{What: fmt.Sprintf("no membership of OID %d", who.oid), OK: left[0][1] == "0"})
	}
	var failures []error
	for _, o := range outcomes {
		if o.err != nil {
			failures = append(failures, o.err)
			continue
		}
		checks = append(checks, grants.Check{What: who.noSession(o.node), OK: true})
	}
	for _, c := range checks {
		if !c.OK {
			failures = append(failures, fail(grants.FailInternal, "", "after the drop it is not true that: %s", c.What))
		}
	}
	return checks, left[0][2] == "t", together(failures...)
}
