package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// Secure implements grants.Driver. When nothing is left to kill and there are no nodes, it is one round trip.
//
// Up to version 15 a login is administrator of itself: its holder can make somebody else a member of it, who then reads
// with the holder's privileges. Such memberships are taken back here, and the receipt says so, because a session that
// used one may have run SET ROLE and cannot be found.
func (d *Driver) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	secured, err := d.secure(ctx, login)
	return secured, failure(fmt.Sprintf("locking login %q out of %s", login.Name, d.cfg.Target.Name), err)
}

func (d *Driver) secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	if err := checkLogin(login); err != nil {
		return grants.Secured{}, err
	}
	secured, seen, err := d.lock(ctx, login)
	if err != nil {
		return secured, err
	}
	var (
		who      = target{name: login.Name, oid: secured.OID}
		outcomes = make([]outcome, 1+len(d.nodes))
		all      sync.WaitGroup
	)
	for i, n := range d.nodes {
		all.Go(func() { outcomes[1+i] = drain(ctx, n.pool, n.name, login.Fingerprint, who, nil) })
	}
	outcomes[0] = drain(ctx, d.security, d.cfg.Target.Name, login.Fingerprint, who, seen)
	all.Wait()

	state := fmt.Sprintf("role %s cannot log in", login.Name)
	if !secured.Existed {
		state = fmt.Sprintf("no role is named %s", login.Name)
	}
	secured.Checks = append(secured.Checks, grants.Check{What: state, OK: true})
	var failures []error
	for _, o := range outcomes {
		secured.Killed += o.killed
		if o.err != nil {
			failures = append(failures, o.err)
			continue
		}
		secured.Nodes = append(secured.Nodes, o.node)
		secured.Checks = append(secured.Checks, grants.Check{What: who.noSession(o.node), OK: true})
	}
	delegated, err := d.takeBackMemberships(ctx, login, outcomes[0].members)
	secured.Checks = append(secured.Checks, delegated...)
	return secured, together(append(failures, err)...)
}

// lock makes the login useless for new sessions, unless it is not ours. seen is what the same message then saw and
// terminated, nil when there was no role to lock.
func (d *Driver) lock(ctx context.Context, login grants.Login) (secured grants.Secured, seen []*pgconn.Result, err error) {
	statements := []string{
		begin,
		factsAbout(login.Name, login.OID),
		guard(isOurs(login)),
		"ALTER ROLE " + ident(login.Name) + " NOLOGIN CONNECTION LIMIT 0 VALID UNTIL '-infinity'",
		"COMMIT",
	}
	locking := len(statements)
	results, err := send(ctx, d.security, append(statements, look(target{name: login.Name, oid: login.OID})...)...)
	if len(results) < 2 {
		return grants.Secured{}, nil, orLost(err)
	}
	f, ferr := parseFacts(results[1])
	if ferr != nil {
		return grants.Secured{}, nil, ferr
	}
	r, found, ferr := f.ours(login)
	if ferr != nil {
		return grants.Secured{}, nil, ferr
	}
	switch {
	case refused(err) && !found:
		// Not in the catalogs of the same cluster; sessions of a dropped role live on under its OID.
		return grants.Secured{OID: login.OID}, nil, nil
	case refused(err):
		return grants.Secured{}, nil, fail(grants.FailBusy, "", "the login changed at the same moment")
	case err != nil && len(results) < locking:
		return grants.Secured{}, nil, err
	}
	secured = grants.Secured{Existed: true, OID: r.oid, LockedAt: d.cfg.Now()}
	if err != nil {
		return secured, nil, nil // locked; drain runs into the same error and reports it
	}
	return secured, results[locking:], nil
}

// takeBackMemberships ends what a holder may have handed on.
func (d *Driver) takeBackMemberships(ctx context.Context, login grants.Login, members []string) ([]grants.Check, error) {
	if len(members) == 0 {
		return nil, nil
	}
	var statements []string
	for _, m := range members {
		statements = append(statements, "REVOKE "+ident(login.Name)+" FROM "+ident(m))
	}
	gone := "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = " +
		literal(login.Name) + " AND m.member <> (SELECT oid FROM pg_roles WHERE rolname = current_user)"
	results, err := send(ctx, d.security, append(statements, gone)...)
	if err != nil {
		return nil, err
	}
	left, err := number(results[len(results)-1])
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, fail(grants.FailPrivilege, "REVOKE "+ident(login.Name)+" FROM … as whoever granted it",
			"%s still has members: %s", login.Name, strings.Join(members, ", "))
	}
	return []grants.Check{{
		What: fmt.Sprintf("nobody was made a member of %s (%s was; that is taken back, but sessions open then may still hold what they reached by SET ROLE)",
			login.Name, strings.Join(members, ", ")),
	}}, nil
}

// together makes one failure of several: the reason of the first, the words of all.
func together(failures ...error) error {
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	var texts []string
	for _, err := range failures {
		texts = append(texts, err.Error())
	}
	mend := ""
	if f, ok := errors.AsType[*grants.Failure](failures[0]); ok {
		mend = f.Mend
	}
	return fail(grants.ReasonOf(failures[0]), mend, "%s", strings.Join(texts, "; "))
}

func orLost(err error) error {
	if err == nil {
		return errLost
	}
	return err
}
