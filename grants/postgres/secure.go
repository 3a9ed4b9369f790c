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
// Somebody may have made others members of the login, who then read with its privileges. Such memberships are taken
// back where the administrator may; DROP ROLE ends the rest. The receipt names them, because a session that used one may
// have run SET ROLE and cannot be found.
func (d *Driver) Secure(ctx context.Context, login grants.Login) (grants.Secured, error) {
	secured, err := inDoor(ctx, d, func(through door) (grants.Secured, error) { return d.secure(ctx, through, login) })
	return secured, failure(fmt.Sprintf("locking login %q out of %s", login.Name, d.cfg.Target.Name), err)
}

func (d *Driver) secure(ctx context.Context, through door, login grants.Login) (grants.Secured, error) {
	if err := checkLogin(login); err != nil {
		return grants.Secured{}, err
	}
	secured, seen, lock, err := d.lock(ctx, through, login)
	if err != nil {
		return secured, err
	}
	var (
		who      = target{name: login.Name, oid: secured.OID}
		outcomes = make([]outcome, 1+len(d.nodes))
		all      sync.WaitGroup
	)
	for i, n := range d.nodes {
		all.Go(func() { outcomes[1+i] = d.drain(ctx, through, n.pool, n.name, login.Fingerprint, who, nil, lock) })
	}
	outcomes[0] = d.drain(ctx, through, d.security, d.cfg.Target.Name, login.Fingerprint, who, seen, 0)
	all.Wait()

	return d.concluded(ctx, through, login, secured, who, outcomes)
}

// concluded makes of what was found on every node what there is to tell.
func (d *Driver) concluded(
	ctx context.Context, through door, login grants.Login, secured grants.Secured, who target, outcomes []outcome,
) (grants.Secured, error) {
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
	delegated, err := d.takeBackMemberships(ctx, through, login, outcomes[0].members)
	secured.Checks = append(secured.Checks, delegated...)
	if len(failures) == 0 {
		d.locks.forget(login)
	}
	return secured, together(append(failures, err)...)
}

// lock makes the login useless for new sessions, unless it is not ours. seen is what the same message then saw and
// terminated, nil when there was no role to lock. at is where in the log the lock stands, or, when there was no role, a
// place behind its end; 0 without nodes.
func (d *Driver) lock(ctx context.Context, through door, login grants.Login) (secured grants.Secured, seen []*pgconn.Result, at position, err error) {
	statements := append(plain(begin), areOurs([]grants.Login{login}))
	statements = append(statements, plain(append(through.lock(login), "COMMIT")...)...)
	if len(d.nodes) > 0 {
		statements = append(statements, plain(whereLogEnds)...)
	}
	locking := len(statements)
	results, err := exchange(ctx, d.security, append(statements, look(through, target{name: login.Name, oid: login.OID})...))
	switch {
	case refused(err):
		_, found, err := lookUp(ctx, d.security, login)
		if err != nil {
			return grants.Secured{}, nil, 0, err
		}
		if found {
			return grants.Secured{}, nil, 0, fail(grants.FailBusy, "", "the login came to be, or was restored, at this moment")
		}
		if len(d.nodes) > 0 {
			if at, err = logEnd(ctx, d.security); err != nil {
				return grants.Secured{}, nil, 0, err
			}
		}
		// Not in the catalogs of the same cluster; sessions of a dropped role live on under its OID.
		return grants.Secured{OID: login.OID}, nil, d.locks.first(login, at), nil
	case err != nil && len(results) < locking:
		return grants.Secured{}, nil, 0, err
	}
	if len(d.nodes) > 0 {
		if at, err = readPosition(results[locking-1]); err != nil {
			return grants.Secured{}, nil, 0, err
		}
		at = d.locks.first(login, at)
	}
	secured = grants.Secured{Existed: true, OID: login.OID, LockedAt: d.cfg.Now()}
	if err == nil {
		seen = results[locking:]
	}
	if secured.OID == 0 {
		r, _, err := lookUp(ctx, d.security, login)
		if err != nil {
			return secured, nil, 0, err
		}
		secured.OID = r.oid
	}
	return secured, seen, at, nil // after an error, drain runs into it again and reports it
}

// takeBackMemberships ends memberships in the login. From 16 on only their grantor can (others get a warning), so that
// what is left is no failure here.
func (d *Driver) takeBackMemberships(ctx context.Context, through door, login grants.Login, members string) ([]grants.Check, error) {
	if members == "" {
		return nil, nil
	}
	_, err := send(ctx, d.security, through.expel(login, members)...)
	if err != nil && grants.ReasonOf(failure("", err)) != grants.FailPrivilege {
		return nil, failure("taking back memberships", err)
	}
	return []grants.Check{{What: fmt.Sprintf(
		"nobody was made a member of %s (%s was; the membership ends with the login, but a session open then may still hold what it reached by SET ROLE)",
		login.Name, members)}}, nil
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
