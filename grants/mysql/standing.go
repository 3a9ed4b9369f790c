package mysql

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

var _ grants.Surveyor = (*Driver)(nil)

// Standing implements grants.Surveyor. Logins with a row in the ledger are left out: grants explain them, or the sweep
// takes them. What an account has through its roles counts as what it has itself.
func (d *Driver) Standing(ctx context.Context) ([]grants.Standing, error) {
	found, err := d.standing(ctx)
	return found, failure("listing the standing logins of "+d.cfg.Target.Name, err)
}

// powers says what a privilege makes of its holder; what is not listed reaches no data.
var powers = map[string]grants.Power{
	"SUPER": grants.Superuser, "SYSTEM_USER": grants.Superuser, "FILE": grants.Superuser, "ALL PRIVILEGES": grants.Superuser, "SET USER": grants.Superuser,
	"SET_ANY_DEFINER": grants.Superuser, "SET_USER_ID": grants.Superuser, "ROLE_ADMIN": grants.Administrator, "CREATE USER": grants.Administrator,
	"REPLICATION SLAVE": grants.Reader, "REPLICATION SLAVE ADMIN": grants.Reader, "BINLOG MONITOR": grants.Reader,
	"ALTER": grants.Owner, "DROP": grants.Owner, "CREATE VIEW": grants.Owner, "TRIGGER": grants.Owner, "EVENT": grants.Owner, "ALTER ROUTINE": grants.Owner,
	"INSERT": grants.Writer, "UPDATE": grants.Writer, "DELETE": grants.Writer, "EXECUTE": grants.Writer, "SELECT": grants.Reader, "SHOW VIEW": "",
}

func (d *Driver) standing(ctx context.Context) ([]grants.Standing, error) {
	conn, f, err := d.everyday.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	accounts, err := send(ctx, conn, "SELECT a.account, a.host, (SELECT COUNT(*) FROM information_schema.PROCESSLIST p WHERE p.USER = a.account) FROM "+f.accounts()+" a"+
		" WHERE NOT a.role AND NOT a.locked AND NOT EXISTS (SELECT 1 FROM prodaccess.logins l WHERE l.login = a.account) ORDER BY 1, 2")
	if err != nil {
		return nil, err
	}
	// Roles' global privileges are in no view of MariaDB's; a role that has any is told as such.
	held, err := send(ctx, conn, "SELECT GRANTEE, PRIVILEGE_TYPE, '' FROM information_schema.USER_PRIVILEGES"+
		" UNION ALL SELECT GRANTEE, PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES"+
		" UNION ALL SELECT DISTINCT GRANTEE, PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.TABLE_PRIVILEGES"+
		" UNION ALL SELECT DISTINCT GRANTEE, PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.COLUMN_PRIVILEGES"+f.globalOfRoles())
	if err != nil {
		return nil, err
	}
	memberships, err := send(ctx, conn, "SELECT role, account, host FROM "+f.memberships()+" m")
	if err != nil {
		return nil, err
	}
	var everybody []string
	if f == mysql {
		rows, err := send(ctx, conn, "SELECT @@GLOBAL.mandatory_roles")
		if err != nil || len(rows) != 1 {
			return nil, cmp.Or(err, errUnreadable)
		}
		everybody = roleNames(rows[0][0])
	}
	var out []grants.Standing
	for _, a := range accounts {
		s := grants.Standing{Login: a[0]}
		if a[1] != "%" {
			s.Login += "@" + a[1]
		}
		s.Sessions, _ = strconv.Atoi(a[2])
		d.weigh(&s, held, "'"+a[0]+"'@'"+a[1]+"'", "")
		roles := rolesOf(memberships, a[0], a[1])
		for _, role := range everybody {
			roles = append(append(roles, role), rolesOf(memberships, role, "")...)
		}
		for _, role := range roles {
			for _, suffix := range []string{"@''", "@'%'"} {
				d.weigh(&s, held, "'"+role+"'"+suffix, " through "+role)
			}
		}
		if s.Power != "" {
			slices.Sort(s.Why)
			s.Why = slices.Compact(s.Why)
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b grants.Standing) int {
		return cmp.Compare(slices.Index(grants.Powers, a.Power), slices.Index(grants.Powers, b.Power))
	})
	return out, nil
}

// weigh adds what a grantee holds, everywhere or in the target's databases.
func (d *Driver) weigh(s *grants.Standing, held [][]string, grantee, through string) {
	words := map[string][]string{}
	for _, row := range held {
		if row[0] != grantee || powers[row[1]] == "" {
			continue
		}
		where := "everywhere"
		if row[2] != "" {
			if where = unescape(row[2]); !slices.ContainsFunc(d.cfg.Target.Databases, func(name string) bool { return covers(row[2], name) }) && where != "mysql" {
				continue
			}
			where = "in " + where
		}
		if power := powers[row[1]]; s.Power == "" || slices.Index(grants.Powers, power) < slices.Index(grants.Powers, s.Power) {
			s.Power = power
		}
		if !slices.Contains(words[where], row[1]) {
			words[where] = append(words[where], row[1])
		}
	}
	for where, all := range words {
		slices.Sort(all)
		if len(all) > 6 {
			all = append(all[:6], "more")
		}
		s.Why = append(s.Why, "has "+strings.Join(all, ", ")+" "+where+through)
	}
}

// roleNames reads MySQL's mandatory_roles: 'name'@'host' or name@host or name, by commas.
func roleNames(list string) (names []string) {
	for role := range strings.SplitSeq(list, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(role), "@")
		if name = strings.Trim(name, "`'\" "); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// covers says whether a database's pattern in a grant covers a name: _ is any character, % any text.
func covers(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch pattern[0] {
	case '%':
		return covers(pattern[1:], name) || name != "" && covers(pattern, name[1:])
	case '\\':
		if len(pattern) > 1 {
			return name != "" && name[0] == pattern[1] && covers(pattern[2:], name[1:])
		}
	case '_':
		return name != "" && covers(pattern[1:], name[1:])
	}
	return name != "" && name[0] == pattern[0] && covers(pattern[1:], name[1:])
}

// rolesOf are all roles an account is in, directly or through others.
func rolesOf(memberships [][]string, account, host string) (roles []string) {
	type holder struct{ name, host string }
	next := []holder{{account, host}}
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		for _, m := range memberships {
			if m[1] == at.name && (m[2] == at.host || at.host == "") && !slices.Contains(roles, m[0]) {
				roles = append(roles, m[0])
				next = append(next, holder{m[0], ""})
			}
		}
	}
	return roles
}

// globalOfRoles adds to a query what MariaDB's roles have everywhere.
func (f flavour) globalOfRoles() string {
	if f != mariadb {
		return ""
	}
	return " UNION ALL SELECT CONCAT('''', User, '''@'''''), 'ALL PRIVILEGES', '' FROM mysql.global_priv WHERE Host = '' AND User <> 'PUBLIC'" +
		" AND COALESCE(JSON_VALUE(Priv, '$.access'), '0') <> '0'"
}
