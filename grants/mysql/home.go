package mysql

import (
	"context"

	"github.com/prodaccess/prodaccess/grants"
)

var (
	_ grants.Homing      = (*Driver)(nil)
	_ grants.Remembering = (*Driver)(nil)
)

// Home implements grants.Homing: the database of the profile's views, where it has any. A server of this kind has no
// search path: the database that a session begins in is what a table's plain name is looked up in.
func (d *Driver) Home(ctx context.Context, login grants.Login) (string, error) {
	rows, err := send(ctx, d.everyday.db, "SELECT COALESCE(p.home, '') FROM prodaccess.logins l LEFT JOIN prodaccess.profiles p ON p.access_role = l.access_role WHERE l.login = "+literal(login.Name))
	if err != nil {
		return "", failure("asking "+d.cfg.Target.Name+" where "+login.Name+" connects", err)
	}
	if len(rows) != 1 {
		return "", nil
	}
	return rows[0][0], nil
}

// Remembered implements grants.Remembering.
func (d *Driver) Remembered(ctx context.Context) (string, error) {
	rows, err := send(ctx, d.everyday.db, "SELECT line FROM prodaccess.memory WHERE installation = "+text(d.cfg.Installation))
	if err != nil || len(rows) == 0 {
		return "", failure("reading what "+d.cfg.Target.Name+" remembers", err)
	}
	return rows[0][0], nil
}

// Remember implements grants.Remembering.
func (d *Driver) Remember(ctx context.Context, line string) error {
	_, err := change(ctx, d.everyday.db, "REPLACE INTO prodaccess.memory (installation, line) VALUES ("+text(d.cfg.Installation)+", "+text(line)+")")
	return failure("writing what "+d.cfg.Target.Name+" is to remember", err)
}
