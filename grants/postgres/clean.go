package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prodaccess/prodaccess/grants"
)

// Clean implements grants.Driver. A login that owns nothing is dropped in one round trip; what a login owned is dealt
// with on connections of its own, so that it delays nobody. With an error it still returns the leftovers it has already
// moved: a second try will not find them again.
func (d *Driver) Clean(ctx context.Context, login grants.Login) (grants.Cleaned, error) {
	cleaned, err := d.clean(ctx, login)
	return cleaned, failure(fmt.Sprintf("removing login %q from %s", login.Name, d.cfg.Target.Name), err)
}

func (d *Driver) clean(ctx context.Context, login grants.Login) (cleaned grants.Cleaned, err error) {
	if err := checkLogin(login); err != nil {
		return cleaned, err
	}
	oid, owns, err := d.drop(ctx, login)
	if err != nil {
		return cleaned, err
	}
	if owns {
		cleaned.Leftovers, err = d.disown(ctx, login, oid)
		if err != nil {
			return cleaned, err
		}
		if oid, owns, err = d.drop(ctx, login); err != nil {
			return cleaned, err
		}
		if owns {
			return cleaned, d.inTheWay(ctx, target{name: login.Name, oid: oid})
		}
	}
	cleaned.DroppedAt = d.cfg.Now()
	cleaned.Checks, err = d.prove(ctx, target{name: login.Name, oid: oid}, login.Fingerprint)
	return cleaned, err
}

// dependencies counts what keeps a role from being dropped, and prepared transactions, which would survive it.
func dependencies(t target) string {
	return "(SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = " + t.usesysid() + ")" +
		" + (SELECT count(*) FROM pg_prepared_xacts WHERE owner = " + literal(t.name) + ")"
}

// drop removes a login that is ours, locked and owns nothing. A login that does not exist is dropped already; owns says
// that something is in the way.
func (d *Driver) drop(ctx context.Context, login grants.Login) (oid uint32, owns bool, err error) {
	who := target{name: login.Name, oid: login.OID}
	results, err := send(ctx, d.everyday,
		begin,
		factsAbout(login.Name, login.OID),
		guard(isOurs(login)+" AND NOT EXISTS (SELECT FROM pg_roles WHERE rolcanlogin AND rolname = "+literal(login.Name)+")"+
			" AND "+dependencies(who)+" = 0"),
		"DROP ROLE "+ident(login.Name),
		"COMMIT",
	)
	if len(results) < 2 {
		return 0, false, orLost(err)
	}
	f, ferr := parseFacts(results[1])
	if ferr != nil {
		return 0, false, ferr
	}
	r, found, ferr := f.ours(login)
	switch {
	case ferr != nil:
		return 0, false, ferr
	case !found:
		return login.OID, false, nil
	case r.canLogin:
		return 0, false, fail(grants.FailInternal, "", "the login was not locked first")
	case err == nil:
		return r.oid, false, nil
	case refused(err), stateOf(err) == "2BP01": // dependent_objects_still_exist: something came in between
		return r.oid, true, nil
	}
	return 0, false, err
}

// prove looks for traces after the drop: the role, memberships, sessions on every node. A session that was just being
// opened when the login was locked is found and terminated here.
func (d *Driver) prove(ctx context.Context, who target, fingerprint string) ([]grants.Check, error) {
	outcomes := make([]outcome, 1+len(d.nodes))
	var all sync.WaitGroup
	for i, n := range d.nodes {
		all.Go(func() { outcomes[1+i] = drain(ctx, n.pool, n.name, fingerprint, who, nil) })
	}
	statements := append(look(who),
		"SELECT count(*) FROM pg_roles WHERE rolname = "+literal(who.name),
		"SELECT count(*) FROM pg_auth_members WHERE roleid = "+oidText(who.oid)+" OR member = "+oidText(who.oid),
	)
	results, err := send(ctx, d.security, statements...)
	if err == nil {
		outcomes[0] = drain(ctx, d.security, d.cfg.Target.Name, fingerprint, who, results[:4])
	}
	all.Wait()
	if err != nil {
		return nil, err
	}
	checks := []grants.Check{{What: "no role is named " + who.name}}
	roles, err1 := number(results[4])
	memberships, err2 := number(results[5])
	if err := errors.Join(err1, err2); err != nil {
		return nil, errUnreadable
	}
	checks[0].OK = roles == 0
	if who.oid != 0 {
		checks = append(checks, grants.Check{What: fmt.Sprintf("no membership of OID %d", who.oid), OK: memberships == 0})
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
	return checks, together(failures...)
}
