package mysql

import (
	"context"
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// ledger is the schema of ours on every target. MariaDB keeps no comment on an account, and neither server has anything
// that identifies a cluster across a failover, so both are written down here, where they are replicated with the
// accounts themselves:
//
//	cluster  one row: the fingerprint.
//	logins   one row for each login: its number (our OID), its stamp, and how far it has come.
//
// A row is written before its account is made, and outlives it by a day, so that an order which was under way on the
// network when its login was taken back finds that it is over.
const ledger = "prodaccess"

// state is how far a login has come. The values are stored.
type state string

const (
	// making: the account may or may not exist, and is locked but for the last moment.
	making state = "making"
	// live: issued, or extended.
	live state = "live"
	// over: live, and its end had come: the server's own event locked it. An extension opens it again.
	over state = "over"
	// shut: being taken back. There is no way out but gone.
	shut state = "shut"
	// gone: dropped and looked for. Nothing of that name may be made again.
	gone state = "gone"
)

// facts are what a server says about a name.
type facts struct {
	cluster string
	clock   time.Time
	row     *row
	account *entry
	// elsewhere counts accounts and roles of the same name that are not name@'%'.
	elsewhere int
}

// row is a login's row in the ledger.
type row struct {
	oid   uint32
	stamp string
	state state
	// made says that CREATE USER was seen to succeed. Until then an account is ours only if it has the verifier that was
	// written down beforehand, as a hash: somebody else's account of the same name has not.
	made       bool
	mark       string
	accessRole string
	// worker is the connection that is changing the account at this moment, 0 if none is.
	worker uint64
}

// entry is an account as the server's own tables have it.
type entry struct {
	locked bool
	mark   string
}

// about asks for the facts of a name.
func (f flavour) about(name string) string {
	return "SELECT c.id, UTC_TIMESTAMP(6), l.id, l.stamp, l.state, l.made, l.mark, l.access_role, l.worker, a.locked, SHA2(a.auth, 256)," +
		" (SELECT COUNT(*) FROM " + f.accounts() + " x WHERE x.account = " + literal(name) + " AND x.host <> '%')" +
		" FROM prodaccess.cluster c LEFT JOIN prodaccess.logins l ON l.login = " + literal(name) +
		" LEFT JOIN " + f.accounts() + " a ON a.account = " + literal(name) + " AND a.host = '%' WHERE c.one = 1"
}

func readFacts(rows [][]string) (facts, error) {
	if len(rows) == 0 {
		return facts{}, fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the schema %s holds no fingerprint", ledger)
	}
	if len(rows) != 1 || len(rows[0]) != 12 {
		return facts{}, errUnreadable
	}
	r := rows[0]
	fs := facts{cluster: r[0]}
	var err error
	if fs.clock, err = time.Parse(clockForm, r[1]); err != nil {
		return facts{}, errUnreadable
	}
	if r[2] != "" {
		oid, err1 := strconv.ParseUint(r[2], 10, 32)
		worker, err2 := strconv.ParseUint(r[8], 10, 64)
		if err1 != nil || err2 != nil {
			return facts{}, errUnreadable
		}
		fs.row = &row{
			oid: uint32(oid), stamp: r[3], state: state(r[4]), made: r[5] == "1", mark: r[6], accessRole: r[7], worker: worker,
		}
	}
	if r[9] != "" {
		fs.account = &entry{locked: r[9] == "1", mark: r[10]}
	}
	fs.elsewhere, err = strconv.Atoi(r[11])
	if err != nil {
		return facts{}, errUnreadable
	}
	return fs, nil
}

// clockForm is how the server writes a time, which is in UTC in every session of ours.
const clockForm = "2006-01-02 15:04:05.999999"

func lookUp(ctx context.Context, on runner, f flavour, name string) (facts, error) {
	rows, err := send(ctx, on, f.about(name))
	if err != nil {
		return facts{}, err
	}
	return readFacts(rows)
}

// ours says whether the name is the login that is meant, or nobody's. Anything else is refused: another cluster, an
// account without a row, a row with another stamp or number, an account that is not the one the row speaks of, and one of
// the same name at another host.
func (fs facts) ours(login grants.Login) error {
	if err := fs.meant(login); err != nil {
		return err
	}
	return fs.alone(login)
}

// meant is ours without regard to other hosts.
func (fs facts) meant(login grants.Login) error {
	if login.Fingerprint != "" && fs.cluster != login.Fingerprint {
		return fail(grants.FailSwapped, "correct the target's address", "another cluster answers: its fingerprint is %s, not %s", fs.cluster, login.Fingerprint)
	}
	switch {
	case fs.row != nil && fs.row.stamp != login.Stamp.String():
		return fail(grants.FailForeign, "", "the login is stamped %q", fs.row.stamp)
	case fs.row != nil && login.OID != 0 && fs.row.oid != login.OID && (fs.account != nil || !fs.row.tombstone()):
		return fail(grants.FailForeign, "", "the login has number %d, not %d", fs.row.oid, login.OID)
	case fs.account == nil:
		return nil
	case fs.row == nil:
		return fail(grants.FailForeign, "", "an account of that name exists without a stamp")
	case !fs.row.made && fs.account.mark != fs.row.mark:
		return fail(grants.FailForeign, "", "an account of that name exists that prodaccess did not make")
	}
	return nil
}

// alone says whether nobody else has the name.
func (fs facts) alone(login grants.Login) error {
	if fs.elsewhere == 0 {
		return nil
	}
	return fail(grants.FailForeign, "drop it, or give it another name: whoever comes from its host is it, with a password that is not prodaccess's to take back",
		"there is an account or a role named %s that prodaccess did not make, at another host than '%%'", login.Name)
}

// tombstone says that the row was written by bury, for a login whose row was not there. Its number is its own: that of the
// login, if it had any, went with the row.
func (r *row) tombstone() bool { return !r.made && r.mark == "" }

// set is the statement that moves a login's row.
func set(login grants.Login, to state) string {
	return "UPDATE prodaccess.logins SET state = '" + string(to) + "', changed = UTC_TIMESTAMP(6)" +
		" WHERE login = " + literal(login.Name) + " AND stamp = " + literal(login.Stamp.String())
}
