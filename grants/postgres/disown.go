package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

// disown takes from a locked, sessionless login everything it owns: prepared transactions are rolled back, objects go to
// the quarantine role, privileges and default privileges go away. For this the administrator becomes a member of the
// login; the membership ends with the DROP ROLE that follows.
func (d *Driver) disown(ctx context.Context, through door, login grants.Login, oid uint32) ([]grants.Leftover, error) {
	select {
	case d.rooms <- struct{}{}:
		defer func() { <-d.rooms }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	home, err := pgx.ConnectConfig(ctx, d.admin)
	if err != nil {
		return nil, err
	}
	defer home.Close(ctx)
	if err := becomeMember(ctx, through, home, login); err != nil {
		return nil, err
	}
	places, err := d.places(ctx, home, login, oid)
	if err != nil {
		return nil, err
	}
	var (
		leftovers []grants.Leftover
		failures  []error
	)
	for _, p := range places {
		found, err := d.disownIn(ctx, through, p, login, oid)
		leftovers = append(leftovers, found...)
		if err != nil {
			failures = append(failures, failure("cleaning up in database "+p.database, err))
		}
	}
	return leftovers, together(failures...)
}

// becomeMember lets the administrator act for the login.
func becomeMember(ctx context.Context, through door, conn *pgx.Conn, login grants.Login) error {
	results, err := sendOn(ctx, conn, "SELECT current_setting('server_version_num')::int / 10000",
		"SELECT count(*) FROM pg_roles WHERE rolname = "+literal(grants.QuarantineRole))
	if err != nil {
		return err
	}
	version, err := number(results[0])
	if err != nil {
		return err
	}
	if n, err := number(results[1]); err != nil || n == 0 {
		return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the role %s is missing", grants.QuarantineRole)
	}
	statements := append([]string{begin, guard(isOurs(login))}, through.become(login, version)...)
	_, err = sendOn(ctx, conn, append(statements, "COMMIT")...)
	return err
}

// place is a database in which the login left something.
type place struct {
	database string
	enter    bool // the database allows connections
	prepared []string
}

// places lists the databases where pg_shdepend or pg_prepared_xacts name the login. Entries of shared objects (a
// privilege on a database) have no database and are dealt with from home.
func (d *Driver) places(ctx context.Context, home *pgx.Conn, login grants.Login, oid uint32) ([]place, error) {
	results, err := sendOn(ctx, home,
		"SELECT DISTINCT coalesce(b.datname, current_database()), coalesce(b.datallowconn, true) FROM pg_shdepend s"+
			" LEFT JOIN pg_database b ON b.oid = s.dbid WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = "+oidText(oid)+" ORDER BY 1",
		"SELECT database, gid FROM pg_prepared_xacts WHERE owner = "+literal(login.Name)+" ORDER BY 1, 2",
	)
	if err != nil {
		return nil, err
	}
	var places []place
	index := map[string]int{}
	at := func(database string) *place {
		i, ok := index[database]
		if !ok {
			i = len(places)
			index[database] = i
			places = append(places, place{database: database, enter: true})
		}
		return &places[i]
	}
	for _, row := range results[0].Rows {
		at(string(row[0])).enter = isTrue(row[1])
	}
	for _, row := range results[1].Rows {
		p := at(string(row[0]))
		p.prepared = append(p.prepared, string(row[1]))
	}
	return places, nil
}

func (d *Driver) disownIn(ctx context.Context, through door, p place, login grants.Login, oid uint32) ([]grants.Leftover, error) {
	if !p.enter {
		return nil, fail(grants.FailPrivilege, "ALTER DATABASE "+ident(p.database)+" ALLOW_CONNECTIONS true, until this is done",
			"the database allows no connections, and the login left something in it")
	}
	conn, err := pgx.ConnectConfig(ctx, in(d.admin, p.database))
	if err != nil {
		if stateOf(err) == "42501" {
			return nil, fail(grants.FailPrivilege, "GRANT CONNECT ON DATABASE "+ident(p.database)+" TO "+ident(d.admin.User),
				"the administrator may not enter it, and the login left something in it")
		}
		return nil, err
	}
	defer conn.Close(ctx)
	if err := rollBack(ctx, conn, login, p.prepared); err != nil {
		return nil, err
	}
	// A prepared transaction may have kept objects out of sight; they are counted after it is gone.
	statements := append([]string{begin, guard(isOurs(login)), owned(oid)}, through.disown(login)...)
	results, err := sendOn(ctx, conn, append(statements, "COMMIT")...)
	if stateOf(err) == "42501" && len(results) > 2 {
		return nil, fail(grants.FailPrivilege, mendReassign(p.database, results[2]), "%s", stateWords(err))
	}
	if reason, _ := reasonOfState(stateOf(err)); reason == grants.FailUnprepared && len(results) > 2 {
		return nil, functionsMissing(p.database)
	}
	if err != nil {
		return nil, err
	}
	var leftovers []grants.Leftover
	for _, row := range results[2].Rows {
		leftovers = append(leftovers, grants.Leftover{Database: p.database, What: string(row[0]), Owner: grants.QuarantineRole})
	}
	return leftovers, nil
}

// mendReassign says what lets REASSIGN OWNED through. For most kinds of objects it is refused unless the new owner could
// have made them, that is, has CREATE on their schema.
func mendReassign(database string, owned *pgconn.Result) string {
	var schemas []string
	for _, row := range owned.Rows {
		if s := ident(string(row[1])); len(row[1]) > 0 && !slices.Contains(schemas, s) {
			schemas = append(schemas, s)
		}
	}
	if len(schemas) == 0 {
		return "`prodaccess targets plan` prints the missing GRANT"
	}
	return fmt.Sprintf("in database %s: GRANT CREATE ON SCHEMA %s TO %s", database, strings.Join(schemas, ", "), ident(grants.QuarantineRole))
}

// inTheWay says what still depends on a login after everything it owned was dealt with: privileges that somebody else
// gave it straight, which only that somebody, the owner or a superuser can take back.
func (d *Driver) inTheWay(ctx context.Context, who target) error {
	results, err := send(ctx, d.everyday,
		"SELECT coalesce(b.datname, ''), CASE WHEN s.dbid = 0 OR b.datname = current_database()"+
			" THEN pg_describe_object(s.classid, s.objid, s.objsubid) ELSE 'an object' END"+
			" FROM pg_shdepend s LEFT JOIN pg_database b ON b.oid = s.dbid"+
			" WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = "+who.usesysid()+" ORDER BY 1, 2 LIMIT 20")
	if err != nil {
		return err
	}
	var things, databases []string
	for _, row := range results[0].Rows {
		database, thing := string(row[0]), string(row[1])
		if database != "" {
			thing += " in database " + database
			if !slices.Contains(databases, database) {
				databases = append(databases, database)
			}
		}
		things = append(things, thing)
	}
	if len(things) == 0 {
		return fail(grants.FailBusy, "", "something depended on the login a moment ago")
	}
	where := ""
	if len(databases) > 0 {
		where = " in " + strings.Join(databases, ", ")
	}
	return fail(grants.FailPrivilege, "as a superuser or the owner"+where+": DROP OWNED BY "+ident(who.name),
		"somebody gave the login privileges of its own, on %s", strings.Join(things, ", "))
}

// owned lists what REASSIGN OWNED will hand over in this database. Left out: what DROP OWNED removes instead (default
// privileges, user mappings), and temporary objects, which go with their session.
func owned(oid uint32) string {
	return "SELECT pg_describe_object(s.classid, s.objid, s.objsubid), coalesce(i.schema, '') FROM pg_shdepend s" +
		" CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, s.objsubid) i" +
		" WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = " + oidText(oid) + " AND s.deptype = 'o'" +
		" AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))" +
		" AND s.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)" +
		" AND coalesce(i.schema, '') NOT LIKE 'pg\\_temp%' AND coalesce(i.schema, '') NOT LIKE 'pg\\_toast\\_temp%' ORDER BY 1"
}

// rollBack ends prepared transactions. Only a superuser or the login itself may: the administrator becomes it for the
// length of one statement, on a connection that runs nothing of the visitor's making. ROLLBACK PREPARED refuses to run
// together with other statements.
func rollBack(ctx context.Context, conn *pgx.Conn, login grants.Login, prepared []string) error {
	for _, gid := range prepared {
		for _, statement := range []string{"SET ROLE " + ident(login.Name), "ROLLBACK PREPARED " + literal(gid)} {
			_, err := sendOn(ctx, conn, statement)
			if stateOf(err) == "42704" { // undefined_object: somebody else was quicker
				continue
			}
			if stateOf(err) == "42501" {
				return fail(grants.FailPrivilege, "as a superuser, in the same database: ROLLBACK PREPARED "+literal(printable(gid)),
					"the login's prepared transaction %q may not be rolled back", printable(gid))
			}
			if err != nil {
				return err
			}
		}
		if _, err := sendOn(ctx, conn, "RESET ROLE"); err != nil {
			return err
		}
	}
	return nil
}

// printable makes a visitor's text fit for a log line.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, fmt.Sprintf("%.100s", text)))
}
