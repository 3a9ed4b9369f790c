package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/prodaccess/prodaccess/grants"
)

var _ grants.Surveyor = (*Driver)(nil)

// Standing implements grants.Surveyor. Logins that carry our prefix and this installation's stamp are left out: grants
// explain them, or the sweep takes them. Others with our prefix are listed, whatever they reach. What a login reaches is looked for in the target's own databases.
func (d *Driver) Standing(ctx context.Context) ([]grants.Standing, error) {
	found, err := d.standing(ctx)
	return found, failure("listing the standing logins of "+d.cfg.Target.Name, err)
}

func (d *Driver) standing(ctx context.Context) ([]grants.Standing, error) {
	results, err := send(ctx, d.everyday,
		"SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolreplication, r.rolbypassrls,"+
			" (extract(epoch FROM CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil END) * 1000000)::bigint,"+
			" (SELECT count(*) FROM pg_stat_activity s WHERE s.usesysid = r.oid), coalesce(shobj_description(r.oid, 'pg_authid'), '')"+
			" FROM pg_roles r WHERE r.rolcanlogin AND NOT "+d.explained()+" ORDER BY 1",
		"SELECT m.rolname, g.rolname FROM pg_auth_members x JOIN pg_roles m ON m.oid = x.member JOIN pg_roles g ON g.oid = x.roleid"+
			" WHERE m.rolcanlogin AND g.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')")
	if err != nil {
		return nil, err
	}
	logins := map[string]*grants.Standing{}
	for _, row := range results[0].Rows {
		s, err := attributes(row)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(s.Login, grants.Prefix) {
			because(s, grants.Reader, foreign(string(row[7])))
		}
		logins[s.Login] = s
	}
	for _, row := range texts(results[1]) {
		if s := logins[row[0]]; s != nil {
			power := grants.Reader
			if row[1] != "pg_read_all_data" {
				power = grants.Writer
			}
			because(s, power, "is a member of "+row[1])
		}
	}
	for _, database := range d.cfg.Target.Databases {
		_, err := d.visit(ctx, database, func(conn *pgx.Conn) error {
			reached, err := reach(ctx, conn, d.explained())
			if err != nil {
				return err
			}
			for _, row := range texts(reached) {
				if s := logins[row[0]]; s != nil {
					tell(s, database, row[1], row[2], row[3])
				}
			}
			return nil
		})
		if err != nil && stateOf(err) != "3D000" { // a database that is configured and not there is said by Check
			return nil, err
		}
	}
	var out []grants.Standing
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		if s := logins[name]; s.Power != "" {
			slices.Sort(s.Why)
			out = append(out, *s)
		}
	}
	slices.SortStableFunc(out, func(a, b grants.Standing) int {
		return cmp.Compare(slices.Index(grants.Powers, a.Power), slices.Index(grants.Powers, b.Power))
	})
	return out, nil
}

func attributes(row [][]byte) (*grants.Standing, error) {
	s := &grants.Standing{Login: string(row[0])}
	for i, attribute := range []struct {
		power grants.Power
		why   string
	}{
		{grants.Superuser, "is a superuser"},
		{grants.Administrator, "has CREATEROLE"},
		{grants.Reader, "has REPLICATION, which copies the whole cluster"},
		{grants.Reader, "has BYPASSRLS"},
	} {
		if isTrue(row[1+i]) {
			because(s, attribute.power, attribute.why)
		}
	}
	if row[5] != nil {
		micros, err := strconv.ParseInt(string(row[5]), 10, 64)
		if err != nil {
			return nil, errUnreadable
		}
		s.ValidUntil = time.UnixMicro(micros).UTC()
	}
	var err error
	if s.Sessions, err = strconv.Atoi(string(row[6])); err != nil {
		return nil, errUnreadable
	}
	return s, nil
}

// reach says, login by login and schema by schema, whether there are tables of people's that it owns, may write or may
// read, itself or by a role whose privileges it has. Grantees are few, so it does not matter how many tables there are.
func reach(ctx context.Context, conn *pgx.Conn, explained string) (*pgconn.Result, error) {
	results, err := sendOn(ctx, conn,
		"WITH held AS MATERIALIZED ("+
			"SELECT n.nspname, n.oid AS schema, c.relowner AS grantee, 'owner' AS what FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"+
			" WHERE "+peoplesTables+" GROUP BY 1, 2, 3"+
			" UNION ALL SELECT n.nspname, n.oid, a.grantee, CASE WHEN a.privilege_type = 'SELECT' THEN 'reader' ELSE 'writer' END"+
			" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a"+
			" WHERE "+peoplesTables+" AND a.grantee <> c.relowner AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') GROUP BY 1, 2, 3, 4)"+
			" SELECT DISTINCT r.rolname, h.nspname, h.what, CASE WHEN h.grantee = r.oid THEN '' WHEN h.grantee = 0 THEN 'PUBLIC' ELSE g.rolname END"+
			" FROM held h JOIN pg_roles r ON NOT r.rolsuper AND (h.grantee = 0 OR pg_has_role(r.oid, h.grantee, 'MEMBER'))"+
			" LEFT JOIN pg_roles g ON g.oid = h.grantee"+
			" WHERE r.rolcanlogin AND NOT "+explained+" AND has_database_privilege(r.oid, current_database(), 'CONNECT')"+
			" AND (has_schema_privilege(r.oid, h.schema, 'USAGE') OR h.grantee <> 0 AND has_schema_privilege(h.grantee, h.schema, 'USAGE'))"+
			" ORDER BY 1, 2, 3, 4")
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// peoplesTables are those that are not the server's own.
const peoplesTables = "c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(n.nspname, 'pg_toast')" +
	" AND NOT starts_with(n.nspname, 'pg_temp')"

func tell(s *grants.Standing, database, schema, what, through string) {
	power := grants.Power(what)
	words := map[grants.Power]string{grants.Owner: "owns tables in ", grants.Writer: "may write in ", grants.Reader: "may read in "}[power] + database + "." + schema
	if through != "" {
		words += ", through " + through
	}
	because(s, power, words)
}

func because(s *grants.Standing, power grants.Power, why string) {
	if s.Power == "" || slices.Index(grants.Powers, power) < slices.Index(grants.Powers, s.Power) {
		s.Power = power
	}
	if !slices.Contains(s.Why, why) {
		s.Why = append(s.Why, why)
	}
}
