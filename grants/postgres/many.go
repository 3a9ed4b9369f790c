package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// Many logins are locked, looked for and dropped in one message. What stands in the way of one of them (it was dropped,
// it is not ours, somebody holds its row) refuses the message as a whole and changes nothing; then each half is tried by
// itself, side by side, until it stands alone and is dealt with as one login is. A target that does not answer is not
// asked again in pieces.

var _ grants.Many = (*Driver)(nil)

// impatient is how long a statement about many logins waits behind somebody's lock. Alone, each waits for lockTimeout.
const impatient = "SET LOCAL lock_timeout = '100ms'"

// SecureMany implements grants.Many.
func (d *Driver) SecureMany(ctx context.Context, logins []grants.Login, done func(int, grants.Secured, error)) {
	d.takeBackMany(ctx, logins, false, func(i int, s grants.Secured, _ *grants.Cleaned, err error) { done(i, s, err) })
}

// FinishMany implements grants.Many.
func (d *Driver) FinishMany(ctx context.Context, logins []grants.Login, done func(int, grants.Secured, *grants.Cleaned, error)) {
	d.takeBackMany(ctx, logins, true, done)
}

func (d *Driver) takeBackMany(ctx context.Context, logins []grants.Login, drop bool, done func(int, grants.Secured, *grants.Cleaned, error)) {
	alike, others := d.sorted(logins)
	through, err := d.through(ctx, d.security)
	if err != nil { // each is told by itself
		alike, others = nil, append(others, alike...)
	}
	var all sync.WaitGroup
	for _, i := range others {
		all.Go(func() {
			secured, err := d.Secure(ctx, logins[i])
			done(i, secured, nil, err)
		})
	}
	d.lockHalves(ctx, through, logins, alike, drop, done, &all)
	all.Wait()
}

// sorted puts those that can be dealt with together into the order of their names, so that two who do so cannot wait for
// each other. Left out: another cluster's, those whose OID is not known, those that make no sense.
func (d *Driver) sorted(logins []grants.Login) (alike, others []int) {
	for i, login := range logins {
		if login.OID == 0 || login.Fingerprint == "" || login.Fingerprint != logins[0].Fingerprint || checkLogin(login) != nil {
			others = append(others, i)
		} else {
			alike = append(alike, i)
		}
	}
	slices.SortFunc(alike, func(a, b int) int { return strings.Compare(logins[a].Name, logins[b].Name) })
	return alike, others
}

func (d *Driver) lockHalves(ctx context.Context, through door, logins []grants.Login, which []int, drop bool,
	done func(int, grants.Secured, *grants.Cleaned, error), all *sync.WaitGroup,
) {
	if len(which) == 0 {
		return
	}
	batch := pick(logins, which)
	statements := append(plain(begin, impatient), areOurs(batch))
	statements = append(statements, plain(append(through.lock(batch...), "COMMIT")...)...)
	if len(d.nodes) > 0 {
		statements = append(statements, plain(whereLogEnds)...)
	}
	locking := len(statements)
	statements = append(statements, look(through, targets(batch)...)...)
	looking := len(statements)
	if drop && len(d.nodes) == 0 { // on a node nobody has looked yet
		statements = append(statements, dropping(through, batch)...)
	}
	results, err := exchange(ctx, d.security, statements)
	if err != nil && len(results) < locking {
		if len(which) > 1 && stateOf(err) != "" && ctx.Err() == nil {
			half := len(which) / 2
			all.Go(func() { d.lockHalves(ctx, through, logins, which[:half], drop, done, all) })
			d.lockHalves(ctx, through, logins, which[half:], drop, done, all)
			return
		}
		for _, i := range which {
			if stateOf(err) == "" {
				done(i, grants.Secured{}, nil, failure(fmt.Sprintf("locking login %q out of %s", logins[i].Name, d.cfg.Target.Name), err))
				continue
			}
			secured, err := d.Secure(ctx, logins[i])
			done(i, secured, nil, err)
		}
		return
	}
	locked := d.cfg.Now()
	locks := make([]position, len(which))
	if len(d.nodes) > 0 {
		end, err := readPosition(results[locking-1])
		for n, i := range which {
			if err != nil {
				done(i, grants.Secured{}, nil, failure(fmt.Sprintf("locking login %q out of %s", logins[i].Name, d.cfg.Target.Name), err))
				continue
			}
			locks[n] = d.locks.first(logins[i], end)
		}
		if err != nil {
			return
		}
	}
	var seen []*pgconn.Result
	var proofs map[int]*grants.Cleaned
	if len(results) >= looking {
		seen = results[locking:looking]
	}
	if err == nil && len(statements) > looking {
		proofs = d.proofs(batch, results[len(results)-proving:], locked)
	}
	d.settle(ctx, through, logins, which, locked, locks, seen, func(n int, secured grants.Secured, err error) {
		done(which[n], secured, proofs[n], err)
	})
}

// settle terminates the sessions of locked logins on every node. done gets the place in which, as locks have it.
func (d *Driver) settle(ctx context.Context, through door, logins []grants.Login, which []int, at time.Time, locks []position, seen []*pgconn.Result,
	done func(n int, s grants.Secured, err error),
) {
	var (
		who   = targets(pick(logins, which))
		found = make([][]outcome, len(which))
		mu    sync.Mutex
		all   sync.WaitGroup
	)
	took := func(n int, o outcome) {
		mu.Lock()
		found[n] = append(found[n], o)
		whole := len(found[n]) == 1+len(d.nodes)
		mu.Unlock()
		if !whole {
			return
		}
		login := logins[which[n]]
		// In the order of the configuration, whichever answered first.
		slices.SortStableFunc(found[n], func(a, b outcome) int { return d.place(a.node) - d.place(b.node) })
		secured := grants.Secured{Existed: true, OID: login.OID, LockedAt: at}
		secured, err := d.concluded(ctx, through, login, secured, who[n], found[n])
		done(n, secured, failure(fmt.Sprintf("locking login %q out of %s", login.Name, d.cfg.Target.Name), err))
	}
	fingerprint := logins[which[0]].Fingerprint
	for _, n := range d.nodes {
		all.Go(func() { d.drainMany(ctx, through, n.pool, n.name, fingerprint, who, nil, locks, took) })
	}
	d.drainMany(ctx, through, d.security, d.cfg.Target.Name, fingerprint, who, seen, make([]position, len(which)), took)
	all.Wait()
}

// place is -1 for the primary, and for a node its place in the configuration.
func (d *Driver) place(name string) int {
	return slices.IndexFunc(d.nodes, func(n node) bool { return n.name == name })
}

// CleanMany implements grants.Many. Logins that own something are cleaned one by one, beside the others.
func (d *Driver) CleanMany(ctx context.Context, logins []grants.Login, done func(int, grants.Cleaned, error)) {
	alike, others := d.sorted(logins)
	through, err := d.through(ctx, d.everyday)
	if len(d.nodes) > 0 || err != nil {
		// Each drop is proven on every node.
		alike, others = nil, append(others, alike...)
	}
	var all sync.WaitGroup
	apart := make(limit, 4)
	alone := func(i int) {
		all.Go(func() {
			defer apart.take()()
			cleaned, err := d.Clean(ctx, logins[i])
			done(i, cleaned, err)
		})
	}
	for _, i := range others {
		alone(i)
	}
	d.dropHalves(ctx, through, logins, alike, done, alone)
	all.Wait()
}

type limit chan struct{}

func (l limit) take() (release func()) {
	l <- struct{}{}
	return func() { <-l }
}

func (d *Driver) dropHalves(ctx context.Context, through door, logins []grants.Login, which []int, done func(int, grants.Cleaned, error), alone func(int)) {
	if len(which) == 0 {
		return
	}
	batch := pick(logins, which)
	results, err := exchange(ctx, d.everyday, dropping(through, batch))
	if err != nil {
		// Few have anything that is in the way, and those are found by halving.
		if len(which) > 1 && stateOf(err) != "" && ctx.Err() == nil {
			half := len(which) / 2
			d.dropHalves(ctx, through, logins, which[:half], done, alone)
			d.dropHalves(ctx, through, logins, which[half:], done, alone)
			return
		}
		for _, i := range which {
			if stateOf(err) == "" {
				done(i, grants.Cleaned{}, failure(fmt.Sprintf("removing login %q from %s", logins[i].Name, d.cfg.Target.Name), err))
				continue
			}
			alone(i)
		}
		return
	}
	proofs := d.proofs(batch, results[len(results)-proving:], d.cfg.Now())
	for n, i := range which {
		if proofs[n] == nil {
			alone(i) // gone, and something is still to be seen of it
			continue
		}
		done(i, *proofs[n], nil)
	}
}

// proving is how many statements at the end of dropping look for traces.
const proving = looks + 1

// dropping removes logins that are ours, locked, without sessions and members, and own nothing, all of them or none, and
// looks for traces.
func dropping(through door, batch []grants.Login) []sentence {
	list := oids(targets(batch))
	out := append(plain(begin, impatient), areOurs(batch), sentence{sql: nothingInTheWay(through), args: []string{names(targets(batch)), list}})
	out = append(out, plain(append(through.drop(batch), "COMMIT")...)...)
	out = append(out, look(through, targets(batch)...)...)
	return append(out, sentence{sql: anyTrace, args: []string{names(targets(batch)), list, internal}})
}

// The guard of a drop, and the look for what it left, with names and OIDs as parameters.
func nothingInTheWay(through door) string {
	return guard("NOT EXISTS (SELECT FROM pg_roles WHERE rolcanlogin AND rolname = ANY ($1::name[]))" +
		" AND NOT EXISTS (SELECT FROM pg_stat_get_backend_idset() b WHERE pg_stat_get_backend_userid(b) = ANY ($2::oid[]))" +
		" AND NOT EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY ($2::oid[]))" +
		" AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = ANY ($2::oid[]) AND " + through.stranger() + ")" +
		" AND NOT EXISTS (SELECT FROM pg_prepared_xact() WHERE ownerid = ANY ($2::oid[]))")
}

const anyTrace = "SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::name[])" +
	" UNION ALL SELECT roleid::text FROM pg_auth_members WHERE roleid = ANY ($2::oid[])" +
	" UNION ALL SELECT member::text FROM pg_auth_members WHERE member = ANY ($2::oid[])" +
	" UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname = $3::name"

// proofs reads what dropping saw; a login of which anything was seen has none.
func (d *Driver) proofs(batch []grants.Login, seen []*pgconn.Result, at time.Time) map[int]*grants.Cleaned {
	sight, err := readLook(d.cfg.Target.Name, batch[0].Fingerprint, seen[:looks])
	if err != nil {
		return nil
	}
	traces := map[string]bool{}
	for _, row := range texts(seen[looks]) {
		traces[row[0]] = true
	}
	if traces[internal] {
		return nil // values of parameters may be kept for them, in any database: Clean looks
	}
	out := map[int]*grants.Cleaned{}
	for n, who := range targets(batch) {
		var members string
		open, sessions := sight.of(who, map[string]bool{}, &members)
		if open || sessions > 0 || traces[who.name] || traces[oidText(who.oid)] {
			continue
		}
		out[n] = &grants.Cleaned{DroppedAt: at, Checks: gone(who, []string{d.cfg.Target.Name})}
	}
	return out
}

// gone are the checks that hold after a drop.
func gone(who target, nodes []string) []grants.Check {
	checks := []grants.Check{{What: "no role is named " + who.name, OK: true}, {What: fmt.Sprintf("no membership of OID %d", who.oid), OK: true}}
	for _, node := range nodes {
		checks = append(checks, grants.Check{What: who.noSession(node), OK: true})
	}
	return checks
}

// areOurs is the guard that each login is there under its name, stamp and, where it is known, OID, on the right cluster.
func areOurs(batch []grants.Login) sentence {
	stamps, ids := make([]string, len(batch)), make([]string, len(batch))
	for i, login := range batch {
		stamps[i], ids[i] = login.Stamp.String(), oidText(login.OID)
	}
	return sentence{sql: allAreOurs, args: []string{names(targets(batch)), array(ids), array(stamps), strconv.Itoa(len(batch)), batch[0].Fingerprint}}
}

// An empty fingerprint is the sweep's, which names what it has just listed.
var allAreOurs = guard("(SELECT count(*) FROM unnest($1::name[], $2::oid[], $3::text[]) w (name, oid, stamp)" +
	" CROSS JOIN LATERAL (SELECT r.oid FROM pg_roles r WHERE r.rolname = w.name OFFSET 0) r" +
	" WHERE r.oid = coalesce(nullif(w.oid, 0), r.oid) AND " + commentOf("r.oid") + " = w.stamp) = $4::int" +
	" AND ($5::text = '' OR (SELECT system_identifier::text FROM pg_control_system()) = $5::text)")

func pick(logins []grants.Login, which []int) []grants.Login {
	out := make([]grants.Login, len(which))
	for n, i := range which {
		out[n] = logins[i]
	}
	return out
}

func targets(batch []grants.Login) []target {
	out := make([]target, len(batch))
	for i, login := range batch {
		out[i] = target{name: login.Name, oid: login.OID}
	}
	return out
}
