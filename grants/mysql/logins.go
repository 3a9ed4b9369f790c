package mysql

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prodaccess/prodaccess/grants"
)

// Fingerprint implements grants.Driver: what `targets apply` wrote down once. See doc.go for what it means after a
// failover, a restore and a copy.
func (d *Driver) Fingerprint(ctx context.Context) (string, error) {
	doing := "asking " + d.cfg.Target.Name + " for its fingerprint"
	rows, err := send(ctx, d.everyday.db, "SELECT id FROM prodaccess.cluster WHERE one = 1")
	if err != nil {
		return "", failure(doing, err)
	}
	if len(rows) != 1 || rows[0][0] == "" {
		return "", failure(doing, fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the schema %s holds none", ledger))
	}
	return rows[0][0], nil
}

var _ grants.Instanced = (*Driver)(nil)

// Instance implements grants.Instanced: which machine, which port, and when the server was started, to the second. Uptime is
// counted to the time at which the statement began, so that the difference is the same in every one. A copy may be called
// like the original, where both are containers, and has seldom been started in the same second.
func (d *Driver) Instance(ctx context.Context) (string, error) {
	doing := "asking " + d.cfg.Target.Name + " since when it runs"
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return "", failure(doing, err)
	}
	defer conn.Close()
	status := "information_schema.GLOBAL_STATUS"
	if f == mysql {
		status = "performance_schema.global_status"
	}
	rows, err := send(ctx, conn, "SELECT CONCAT_WS(' ', @@hostname, @@port, CAST(UNIX_TIMESTAMP() AS SIGNED) - CAST(VARIABLE_VALUE AS SIGNED)) FROM "+status+
		" WHERE VARIABLE_NAME = 'Uptime'")
	if err != nil {
		return "", failure(doing, err)
	}
	if len(rows) != 1 || rows[0][0] == "" {
		return "", failure(doing, errUnreadable)
	}
	return rows[0][0], nil
}

// Logins implements grants.Driver.
func (d *Driver) Logins(ctx context.Context) ([]grants.Login, error) {
	doing := fmt.Sprintf("listing the logins on %s", d.cfg.Target.Name)
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return nil, failure(doing, err)
	}
	defer conn.Close()
	rows, err := send(ctx, conn, "SELECT l.login, l.id, l.stamp, a.locked, l.valid_until FROM prodaccess.logins l JOIN "+f.accounts()+
		" a ON a.account = l.login AND a.host = '%' WHERE (l.made = 1 OR SHA2(a.auth, 256) = l.mark) ORDER BY 1")
	if err != nil {
		return nil, failure(doing, err)
	}
	var logins []grants.Login
	for _, row := range rows {
		stamp, ok := grants.ParseStamp(row[2])
		if !ok || stamp.Installation != d.cfg.Installation {
			continue
		}
		oid, err := strconv.ParseUint(row[1], 10, 32)
		if err != nil {
			return nil, failure(doing, errUnreadable)
		}
		until, err := time.Parse(clockForm, row[4])
		if err != nil {
			return nil, failure(doing, errUnreadable)
		}
		logins = append(logins, grants.Login{Name: row[0], OID: uint32(oid), Stamp: stamp, CanLogin: row[3] == "0", ValidUntil: until})
	}
	return logins, nil
}
