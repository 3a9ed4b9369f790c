package mysql

import (
	"cmp"

	"github.com/prodaccess/prodaccess/grants"
)

// states is the type of the column that holds a state, as the server writes it. New ones come last, so that what is stored
// stays what it is.
const states = "enum('making','live','shut','gone','over')"

// schema are the statements that make the ledger. They may be run twice.
func schema() []grants.PreparationStep {
	return []grants.PreparationStep{
		{Why: "prodaccess keeps its own notes on the target in a schema of its own", SQL: "CREATE DATABASE IF NOT EXISTS prodaccess CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"},
		{Why: "what identifies this cluster, on its replicas too", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.cluster" +
			" (one TINYINT NOT NULL PRIMARY KEY CHECK (one = 1), id CHAR(36) NOT NULL, made_on VARCHAR(255) NOT NULL) ENGINE = InnoDB"},
		{Why: "it is made up once", SQL: "INSERT IGNORE INTO prodaccess.cluster (one, id, made_on) VALUES (1, UUID(), @@hostname)"},
		{Why: "one row for each login: its number, its stamp, how far it has come", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.logins" +
			" (login VARCHAR(32) NOT NULL PRIMARY KEY, id INT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE," +
			" stamp VARCHAR(190) NOT NULL, state " + states + " NOT NULL," +
			" made TINYINT NOT NULL, mark VARCHAR(64) NOT NULL," +
			" access_role VARCHAR(32) NOT NULL, valid_until DATETIME(6) NOT NULL," +
			" worker BIGINT UNSIGNED NOT NULL, changed DATETIME(6) NOT NULL, KEY (state, valid_until), KEY (state, changed)) ENGINE = InnoDB"},
		{Why: "where holders of a profile connect", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.profiles (access_role VARCHAR(32) NOT NULL PRIMARY KEY, home VARCHAR(64) NOT NULL) ENGINE = InnoDB"},
		{Why: "what a profile asks for", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.parameters (access_role VARCHAR(32) NOT NULL, name VARCHAR(64) NOT NULL," +
			" type VARCHAR(16) NOT NULL, required TINYINT NOT NULL, PRIMARY KEY (access_role, name)) ENGINE = InnoDB"},
		{Why: "the values of each request; views read them", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.bound_values (login VARCHAR(32) NOT NULL, name VARCHAR(64) NOT NULL," +
			" value VARCHAR(1000), PRIMARY KEY (login, name)) ENGINE = InnoDB"},
		{Why: "what views looked like when they were made", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.views (schema_name VARCHAR(64) NOT NULL, view_name VARCHAR(64) NOT NULL," +
			" ours CHAR(64) NOT NULL, theirs CHAR(64) NOT NULL, PRIMARY KEY (schema_name, view_name)) ENGINE = InnoDB"},
		{Why: "a line of text for each installation of prodaccess", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.memory (installation VARCHAR(64) NOT NULL PRIMARY KEY, line VARCHAR(255) NOT NULL) ENGINE = InnoDB"},
		{Why: "the key of hash masks; only views read it", SQL: "CREATE TABLE IF NOT EXISTS prodaccess.hash_key (one TINYINT NOT NULL PRIMARY KEY CHECK (one = 1), secret VARBINARY(32) NOT NULL) ENGINE = InnoDB"},
		{Why: "it is made up once, by the server", SQL: "INSERT IGNORE INTO prodaccess.hash_key (one, secret) VALUES (1, RANDOM_BYTES(32))"},
	}
}

// Bootstrap is what somebody with all privileges runs once to make the administrator login itself; Plan prints what of it
// is missing. It is made locked: give it a password and unlock it, so that the password is in no file.
func Bootstrap(f string, admin string) []grants.PreparationStep {
	return flavour(f).bootstrap(admin)
}

func (f flavour) bootstrap(admin string) (steps []grants.PreparationStep) {
	to := " TO " + account(admin)
	add := func(why, sql string) { steps = append(steps, grants.PreparationStep{Why: why, SQL: sql}) }
	add("the administrator login does not exist; then give it a password and unlock it: ALTER USER "+account(admin)+" IDENTIFIED BY '…' ACCOUNT UNLOCK",
		"CREATE USER IF NOT EXISTS "+account(admin)+" ACCOUNT LOCK")
	for _, p := range f.adminGlobal() {
		add(p.why, "GRANT "+p.privilege+" ON *.*"+to)
	}
	for _, p := range f.adminOn() {
		add(p.why, "GRANT "+p.privilege+" ON "+p.database+"."+cmp.Or(p.table, "*")+to)
	}
	return steps
}

// need is a privilege everywhere, in a database, or on one table of it.
type need struct{ privilege, database, table, why string }

// adminGlobal is what the administrator needs everywhere.
func (f flavour) adminGlobal() []need {
	if f == mariadb {
		return []need{
			{privilege: "CREATE USER", why: "it makes, locks and drops logins"},
			{privilege: "PROCESS", why: "it looks for sessions"},
			{privilege: f.mayKill(), why: "it ends sessions"},
		}
	}
	return []need{
		{privilege: "CREATE USER", why: "it makes, locks and drops logins"},
		{privilege: "PROCESS", why: "it looks for sessions"},
		{privilege: f.mayKill(), why: "it ends sessions"},
		{privilege: "ALLOW_NONEXISTENT_DEFINER", why: "it drops a login that made a view or a routine"},
		{privilege: "SHOW_ROUTINE", why: "it finds routines that a login made"},
		{privilege: "XA_RECOVER_ADMIN", why: "it finds prepared transactions, which outlive the session that made them"},
	}
}

// mayKill is the privilege to end other people's sessions.
func (f flavour) mayKill() string {
	if f == mariadb {
		return "CONNECTION ADMIN"
	}
	return "CONNECTION_ADMIN"
}

// adminOn is what the administrator needs on some databases.
func (f flavour) adminOn() []need {
	notes := need{privilege: "SELECT, INSERT, UPDATE, DELETE, EVENT", database: ledger, why: "it keeps its notes there, and its event runs with its rights"}
	read := need{privilege: "SELECT", database: "`mysql`", why: "it reads back what it did"}
	if f == mysql {
		const why = "it sees whose transactions are prepared"
		return []need{
			read, notes,
			{privilege: "SELECT", database: "`performance_schema`", table: "threads", why: why},
			{privilege: "SELECT", database: "`performance_schema`", table: "events_transactions_current", why: why},
		}
	}
	return []need{read, {privilege: "UPDATE", database: "`mysql`", why: "SET DEFAULT ROLE for somebody else asks for it"}, notes}
}
