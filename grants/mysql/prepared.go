package mysql

import (
	"cmp"
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// A transaction that was prepared (XA PREPARE) outlives its session and its account, and goes on holding its locks; even one
// that only read keeps its tables from being altered. Everybody can prepare one: there is no privilege for it. Only MySQL
// says whose it is, in performance_schema, and only while its session lives, so that it is asked before sessions are killed.
// What is found then is rolled back. What was left behind before is nobody's, and reported.

// xid names a prepared transaction as XA ROLLBACK takes it.
type xid string

// lookForPrepared notes what the login's living sessions have prepared. A server that does not say (MariaDB, a MySQL without
// performance_schema or without the privilege) is no reason not to kill them.
func (e *emptying) lookForPrepared(ctx context.Context) {
	if e.flavour != mysql {
		return
	}
	rows, err := send(ctx, e.on, "SELECT HEX(t.XID_GTRID), HEX(t.XID_BQUAL), t.XID_FORMAT_ID FROM performance_schema.threads s"+
		" JOIN performance_schema.events_transactions_current t ON t.THREAD_ID = s.THREAD_ID"+
		" WHERE s.PROCESSLIST_USER = "+literal(e.login.Name)+" AND t.XA_STATE = 'PREPARED' AND t.STATE = 'ACTIVE'")
	if err != nil {
		return
	}
	for _, row := range rows {
		e.prepared = append(e.prepared, hexXID(row[0], row[1], row[2]))
	}
}

func hexXID(global, branch, format string) xid {
	return xid("X'" + global + "',X'" + branch + "'," + format)
}

// undo rolls back what was noted, now that no session holds it. What cannot be rolled back stays for Clean to report.
func (e *emptying) undo(ctx context.Context) (undone []string, err error) {
	for _, id := range e.prepared {
		if _, err := change(ctx, e.on, "XA ROLLBACK "+string(id)); err == nil {
			undone = append(undone, string(id))
		}
	}
	return undone, ctx.Err()
}

// abandoned lists the prepared transactions that no session holds, whoever prepared them.
func (f flavour) abandoned(ctx context.Context, on runner) (left []grants.Leftover, err error) {
	loose, err := send(ctx, on, "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = 0 AND trx_state <> 'COMMITTING'")
	if f == mysql {
		loose, err = [][]string{{"1"}}, nil // one that only read is in no list of InnoDB's
	}
	if err != nil {
		return nil, err
	}
	if len(loose) != 1 || loose[0][0] == "0" {
		return nil, nil
	}
	recover := "XA RECOVER"
	if f == mysql {
		recover = "XA RECOVER CONVERT XID" // the bytes as hexadecimal; MariaDB sends them as they are
	}
	rows, err := send(ctx, on, recover)
	if number(err) == errXA {
		return nil, fail(grants.FailPrivilege, "`prodaccess targets plan` prints the missing GRANT", "the server does not say which transactions are prepared")
	}
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	held := map[xid]bool{}
	if f == mysql {
		sessions, err := send(ctx, on, "SELECT HEX(XID_GTRID), HEX(XID_BQUAL), XID_FORMAT_ID FROM performance_schema.events_transactions_current"+
			" WHERE XA_STATE = 'PREPARED' AND STATE = 'ACTIVE'")
		if err != nil {
			return nil, err
		}
		for _, row := range sessions {
			held[hexXID(row[0], row[1], row[2])] = true
		}
	}
	for _, row := range rows {
		if f == mariadb {
			row[3] = hex.EncodeToString([]byte(row[3]))
		}
		id, err := recovered(row)
		if err != nil {
			return nil, err
		}
		if !held[id] {
			left = append(left, grants.Leftover{
				Database: everything,
				What:     "a prepared transaction, " + string(id),
				Owner:    "unknown, for the server does not say who left it: XA ROLLBACK " + string(id) + ", unless a transaction manager will end it",
			})
		}
	}
	return left, nil
}

// recovered reads a row of XA RECOVER: format, two lengths in bytes, and both parts in one, in hexadecimal.
func recovered(row []string) (xid, error) {
	global, err1 := strconv.Atoi(row[1])
	branch, err2 := strconv.Atoi(row[2])
	if err := cmp.Or(err1, err2); err != nil {
		return "", errUnreadable
	}
	both := strings.ToUpper(strings.TrimPrefix(row[3], "0x"))
	if global < 0 || branch < 0 || len(both) != 2*(global+branch) {
		return "", errUnreadable
	}
	return hexXID(both[:2*global], both[2*global:], row[0]), nil
}
