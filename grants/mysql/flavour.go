package mysql

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// flavour is which of the two servers this is. They agree on SQL and differ in everything about accounts.
type flavour string

const (
	mariadb flavour = "MariaDB"
	mysql   flavour = "MySQL"
)

var versionNumber = regexp.MustCompile(`^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)`)

// flavourOf reads VERSION(): "10.11.19-MariaDB-0+deb12u1", "8.4.3", "9.1.0-commercial". Versions older than what this
// package was written for are refused: their accounts cannot be locked, or have no roles.
func flavourOf(version string) (flavour, error) {
	f, major, minor := mysql, 8, 4
	if strings.Contains(strings.ToLower(version), "mariadb") {
		f, major, minor = mariadb, 10, 11
	}
	m := versionNumber.FindStringSubmatch(version)
	if m == nil {
		return f, fail("unprepared", "", "the server says that its version is %.40q", version)
	}
	is := func(i int) int { n, _ := strconv.Atoi(m[i]); return n }
	if is(1) < major || is(1) == major && is(2) < minor {
		return f, fail("unprepared", fmt.Sprintf("use %s %d.%d or later", f, major, minor),
			"%s %s is too old to give out logins safely", f, m[0])
	}
	return f, nil
}

// accounts is a derived table of everybody who can log in, and of roles: account, host, locked, auth (what the password
// is compared with), role (1 for a role of MariaDB's).
func (f flavour) accounts() string {
	if f == mariadb {
		return "(SELECT User AS account, Host AS host, COALESCE(JSON_VALUE(Priv, '$.account_locked'), '0') IN ('1', 'true') AS locked," +
			" COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') AS auth," +
			" COALESCE(JSON_VALUE(Priv, '$.is_role'), '0') IN ('1', 'true') AS role FROM mysql.global_priv)"
	}
	// A role of MySQL's is an account that is locked and has no password.
	return "(SELECT User AS account, Host AS host, account_locked = 'Y' AS locked, authentication_string AS auth," +
		" account_locked = 'Y' AND authentication_string = '' AS role FROM mysql.user)"
}

// memberships is a derived table: account, host, role, admin ('Y' or 'N').
func (f flavour) memberships() string {
	if f == mariadb {
		return "(SELECT User AS account, Host AS host, Role AS role, Admin_option AS admin FROM mysql.roles_mapping)"
	}
	return "(SELECT TO_USER AS account, TO_HOST AS host, FROM_USER AS role, WITH_ADMIN_OPTION AS admin FROM mysql.role_edges)"
}

// defaultRole is the role that a session of the account begins with.
func (f flavour) defaultRole(account string) string {
	if f == mariadb {
		return "(SELECT COALESCE(JSON_VALUE(Priv, '$.default_role'), '') FROM mysql.global_priv WHERE User = " + literal(account) + " AND Host = '%')"
	}
	return "(SELECT COALESCE(GROUP_CONCAT(DEFAULT_ROLE_USER), '') FROM mysql.default_roles WHERE USER = " + literal(account) + " AND HOST = '%')"
}

// limit is MAX_USER_CONNECTIONS as the catalogs have it.
func (f flavour) limit(account string) string {
	if f == mariadb {
		return "(SELECT COALESCE(JSON_VALUE(Priv, '$.max_user_connections'), '0') FROM mysql.global_priv WHERE User = " + literal(account) + " AND Host = '%')"
	}
	return "(SELECT max_user_connections FROM mysql.user WHERE User = " + literal(account) + " AND Host = '%')"
}

// global is 1 when the account itself, and not its role, has a global privilege.
func (f flavour) global(account string) string {
	if f == mariadb {
		return "(SELECT COALESCE(JSON_VALUE(Priv, '$.access'), '0') <> '0' FROM mysql.global_priv WHERE User = " + literal(account) + " AND Host = '%')"
	}
	return "(SELECT COUNT(*) FROM mysql.global_grants WHERE USER = " + literal(account) + ") + (SELECT Select_priv = 'Y' OR Insert_priv = 'Y' OR Update_priv = 'Y'" +
		" OR Delete_priv = 'Y' OR Create_priv = 'Y' OR Drop_priv = 'Y' OR Super_priv = 'Y' OR Create_user_priv = 'Y' OR Grant_priv = 'Y' OR File_priv = 'Y'" +
		" OR Process_priv = 'Y' OR Execute_priv = 'Y' FROM mysql.user WHERE User = " + literal(account) + " AND Host = '%')"
}

// private counts what was granted to the account itself. It is 0: all a login can do comes from its role.
func (f flavour) private(account string) string {
	where := " WHERE User = " + literal(account) + ")"
	return "(" + f.global(account) + " + (SELECT COUNT(*) FROM mysql.db" + where + " + (SELECT COUNT(*) FROM mysql.tables_priv" + where +
		" + (SELECT COUNT(*) FROM mysql.columns_priv" + where + " + (SELECT COUNT(*) FROM mysql.procs_priv" + where +
		" + (SELECT COUNT(*) FROM mysql.proxies_priv" + where + ")"
}

// roleName is a role as GRANT takes it.
func (f flavour) roleName(name string) string {
	if f == mariadb {
		return ident(name)
	}
	return account(name)
}

// setDefaultRole makes sessions of the account begin with the role.
func (f flavour) setDefaultRole(role, login string) string {
	if f == mariadb {
		return "SET DEFAULT ROLE " + ident(role) + " FOR " + account(login)
	}
	return "SET DEFAULT ROLE " + account(role) + " TO " + account(login)
}

// refuse is a statement that fails and that both servers can prepare.
func (f flavour) refuse() string {
	if f == mariadb {
		return "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'prodaccess: refused'"
	}
	return "SELECT 1 FROM prodaccess.refused" // MySQL prepares no SIGNAL; a table that does not exist stops the message as well
}

// choose is an expression of two statements by a condition without a subquery.
func choose(condition, then, otherwise string) string {
	return "IF(" + condition + ", " + then + ", " + otherwise + ")"
}

// run carries out the statement that an expression chooses when the server comes to it. It is one message: no pause of
// ours or of the network's is between the choice and the statement.
func (f flavour) run(choice string) []string {
	if f == mariadb {
		return []string{"EXECUTE IMMEDIATE " + choice}
	}
	return []string{"SET @prodaccess = " + choice, "PREPARE prodaccess FROM @prodaccess", "EXECUTE prodaccess", "DEALLOCATE PREPARE prodaccess"}
}
