package mysql

import (
	"context"
	"strconv"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// nobody owns what a visitor left: it carries the name of an account that does not exist and never will again, so that
// the servers refuse to run it.
const nobody = "nobody: it carries the dropped login's name and cannot run"

// orphan finds what carries the login's name as its definer, and drops its events, which would otherwise be tried, and
// fail, for ever. Everything else is reported and stays: it is code, which somebody may want to keep under another name.
func (d *Driver) orphan(ctx context.Context, on runner, f flavour, login grants.Login, accessRole string) (left []grants.Leftover, err error) {
	rows, err := send(ctx, on, f.definedBy(login.Name))
	if err != nil {
		return nil, err
	}
	if f == mariadb {
		files, err := inFiles(ctx, on, login.Name, accessRole)
		if err != nil {
			return nil, err
		}
		rows = append(rows, files...)
	}
	for _, row := range rows {
		database, kind, name := row[0], row[1], row[2]
		l := grants.Leftover{Database: database, What: kind + " " + database + "." + name, Owner: nobody}
		if kind == "event" {
			if _, err := change(ctx, on, "DROP EVENT IF EXISTS "+ident(database)+"."+ident(name)); err == nil {
				l.Owner = "nobody: it was dropped"
			} else if reason, _ := reasonOf(number(err)); reason != grants.FailPrivilege {
				return left, err
			}
		}
		left = append(left, l)
	}
	return left, nil
}

// definedBy lists what an account is the definer of: database, kind, name.
func (f flavour) definedBy(login string) string {
	definer := literal(login + "@%")
	if f == mysql {
		return "SELECT ROUTINE_SCHEMA, LOWER(ROUTINE_TYPE), ROUTINE_NAME FROM information_schema.ROUTINES WHERE DEFINER = " + definer +
			" UNION ALL SELECT EVENT_SCHEMA, 'event', EVENT_NAME FROM information_schema.EVENTS WHERE DEFINER = " + definer +
			" UNION ALL SELECT TABLE_SCHEMA, 'view', TABLE_NAME FROM information_schema.VIEWS WHERE DEFINER = " + definer +
			" UNION ALL SELECT TRIGGER_SCHEMA, 'trigger', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE DEFINER = " + definer
	}
	return "SELECT db, LOWER(type), name FROM mysql.proc WHERE definer = " + definer +
		" UNION ALL SELECT db, 'event', name FROM mysql.event WHERE definer = " + definer
}

// inFiles lists the views and triggers that a login of MariaDB's defined. They are in no table: asking for them makes the
// server open every table it has, so that it is asked only where the role could have made some, and only about those
// databases.
func inFiles(ctx context.Context, on runner, login, accessRole string) (all [][]string, err error) {
	role, definer := literal(accessRole), literal(login+"@%")
	for _, kind := range []struct {
		privilege string
		bit       int // of the access mask: sql/privilege.h
		query     string
	}{
		{"Create_view", 21, "SELECT TABLE_SCHEMA, 'view', TABLE_NAME FROM information_schema.VIEWS WHERE DEFINER = " + definer},
		{"Trigger", 27, "SELECT TRIGGER_SCHEMA, 'trigger', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE DEFINER = " + definer},
	} {
		column := "TABLE_SCHEMA"
		if kind.privilege == "Trigger" {
			column = "TRIGGER_SCHEMA"
		}
		databases, err := send(ctx, on, "SELECT '' FROM mysql.global_priv WHERE User = "+role+" AND CAST(COALESCE(JSON_VALUE(Priv, '$.access'), '0') AS UNSIGNED) >> "+strconv.Itoa(kind.bit)+" & 1"+
			" UNION SELECT Db FROM mysql.db WHERE User = "+role+" AND "+kind.privilege+"_priv = 'Y'"+
			" UNION SELECT Db FROM mysql.tables_priv WHERE User = "+role+" AND Table_priv LIKE '%"+strings.ReplaceAll(kind.privilege, "_", " ")+"%'")
		if err != nil {
			return nil, err
		}
		for _, row := range databases {
			query := kind.query
			if row[0] != "" {
				query += " AND " + column + " = " + text(unescape(row[0]))
			}
			found, err := send(ctx, on, query)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}
