package mysql

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// privilege is one that a role, or the administrator, holds or should hold. It is comparable, so that what is
// wanted and what is there are sets.
type privilege struct {
	account string
	// database is a pattern as GRANT keeps it, _ and % escaped; "" is everywhere.
	database string
	table    string
	column   string
	// routine is "procedure name" or "function name".
	routine string
	word    string // upper-case SQL
}

// catalog is what a server holds, as far as the one who asks may see.
type catalog struct {
	flavour flavour
	admin   string
	me      string // CURRENT_USER() of the one who asks
	host    string // @@hostname
	// literalNames says that _ and % in GRANT … ON name.* mean themselves: MySQL with partial_revokes.
	literalNames bool
	// mandatory are MySQL's roles that every account has.
	mandatory []string
	// viewsRole says that sessions of the views' owner begin with a role: see viewsRole in viewplan.go.
	viewsRole bool
	// schemas are the databases there are.
	schemas map[string]bool
	// tables by database, then by name, with their columns. Views of ours are apart.
	tables map[string]map[string][]column
	// views are those of tables that are none: database, then name.
	views map[string]map[string]viewState
	// remembered is what was written down of views of ours, when they were made: ours and theirs, by schema.view.
	recorded   map[string][2]string
	profiles   map[string]string            // home by access role
	parameters map[string]map[string]string // "type required" by access role and name
	hashKey    bool
	has        map[privilege]bool
	// grantable are those of has that may be passed on.
	grantable map[privilege]bool
	accounts  []known
	// members of roles: role, member, host, and whether it may pass the role on.
	members []member
	// events of the ledger.
	events    map[string]event
	scheduler bool
	ledger    map[string]bool // tables of the schema prodaccess
	states    string          // the type of the column logins.state
	cluster   int             // rows of prodaccess.cluster
	madeOn    string
	id        string          // the fingerprint
	stamped   map[string]bool // accounts with a row in the ledger
	definers  []definer
	// public is what MariaDB's PUBLIC has.
	public []privilege
}

type known struct {
	name, host   string
	locked, role bool
}

type member struct {
	role, account, host string
	admin               bool
}

// definer is a routine, or a view, that runs with somebody else's rights.
type definer struct {
	database, kind, name, definer string
}

func readCatalog(ctx context.Context, p *pool, admin string) (*catalog, error) {
	conn, f, err := p.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c := &catalog{
		flavour: f, admin: admin, schemas: map[string]bool{}, tables: map[string]map[string][]column{},
		views: map[string]map[string]viewState{}, recorded: map[string][2]string{}, profiles: map[string]string{}, parameters: map[string]map[string]string{}, has: map[privilege]bool{},
		grantable: map[privilege]bool{}, events: map[string]event{}, ledger: map[string]bool{}, stamped: map[string]bool{},
	}
	read := func(query string, take func(row []string)) {
		if err != nil {
			return
		}
		var rows [][]string
		if rows, err = send(ctx, conn, query); err == nil {
			for _, row := range rows {
				take(row)
			}
		}
	}
	read("SELECT CURRENT_USER(), @@hostname, @@GLOBAL.event_scheduler", func(r []string) {
		c.me, c.host, c.scheduler = r[0], r[1], strings.EqualFold(r[2], "ON")
	})
	if f == mysql {
		read("SELECT @@GLOBAL.partial_revokes, @@GLOBAL.mandatory_roles", func(r []string) { c.literalNames, c.mandatory = r[0] == "1", roleNames(r[1]) })
		read("SELECT COUNT(*) FROM mysql.default_roles WHERE USER = "+literal(viewOwner)+" AND DEFAULT_ROLE_USER = "+literal(viewsRole), func(r []string) { c.viewsRole = r[0] != "0" })
	}
	read("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA", func(r []string) { c.schemas[r[0]] = true })
	read("SELECT account, host, locked, role FROM "+f.accounts()+" a ORDER BY 1, 2", func(r []string) {
		c.accounts = append(c.accounts, known{name: r[0], host: r[1], locked: r[2] == "1", role: r[3] == "1"})
	})
	read("SELECT role, account, host, admin FROM "+f.memberships()+" m ORDER BY 1, 2, 3", func(r []string) {
		c.members = append(c.members, member{role: r[0], account: r[1], host: r[2], admin: r[3] == "Y"})
	})
	c.readPrivileges(read)
	if f == mariadb {
		// What a role has everywhere is not in information_schema there.
		read("SELECT User FROM mysql.global_priv WHERE User LIKE 'pa|_%' ESCAPE '|' AND Host = '' AND COALESCE(JSON_VALUE(Priv, '$.access'), '0') <> '0'", func(r []string) {
			c.has[privilege{account: r[0], word: "ALL PRIVILEGES"}] = true
		})
		c.readPublic(read)
	}
	c.readTables(read)
	for name := range c.tables[ledger] {
		c.ledger[name] = true
	}
	if c.ledger["cluster"] {
		read("SELECT made_on, id FROM prodaccess.cluster WHERE one = 1", func(r []string) { c.cluster++; c.madeOn, c.id = r[0], r[1] })
	}
	if c.ledger["logins"] {
		read("SELECT login FROM prodaccess.logins", func(r []string) { c.stamped[r[0]] = true })
	}
	if c.ledger["views"] {
		read("SELECT schema_name, view_name, ours, theirs FROM prodaccess.views", func(r []string) { c.recorded[r[0]+"."+r[1]] = [2]string{r[2], r[3]} })
	}
	if c.ledger["profiles"] {
		read("SELECT access_role, home FROM prodaccess.profiles", func(r []string) { c.profiles[r[0]] = r[1] })
	}
	if c.ledger["parameters"] {
		read("SELECT access_role, name, type, required FROM prodaccess.parameters", func(r []string) {
			if c.parameters[r[0]] == nil {
				c.parameters[r[0]] = map[string]string{}
			}
			c.parameters[r[0]][r[1]] = r[2] + " " + r[3]
		})
	}
	if c.ledger["hash_key"] {
		read("SELECT COUNT(*) FROM prodaccess.hash_key", func(r []string) { c.hashKey = r[0] == "1" })
	}
	read("SELECT EVENT_NAME, STATUS, DEFINER, CONCAT_WS(' ', INTERVAL_VALUE, INTERVAL_FIELD), EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '"+ledger+"'", func(r []string) {
		c.events[r[0]] = event{status: r[1], definer: r[2], interval: r[3], body: r[4]}
	})
	read("SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+ledger+"' AND TABLE_NAME = 'logins' AND COLUMN_NAME = 'state'", func(r []string) { c.states = r[0] })
	routines := "SELECT ROUTINE_SCHEMA, LOWER(ROUTINE_TYPE), ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES WHERE SECURITY_TYPE = 'DEFINER'" +
		" AND ROUTINE_SCHEMA NOT IN ('mysql', 'sys')"
	if f == mariadb {
		routines = "SELECT db, LOWER(type), name, definer FROM mysql.proc WHERE security_type = 'DEFINER' AND db NOT IN ('mysql', 'sys')"
	}
	read(routines, func(r []string) {
		c.definers = append(c.definers, definer{database: r[0], kind: r[1], name: r[2], definer: r[3]})
	})
	return c, err
}

// viewState is a view as the server has it.
type viewState struct {
	digest, definer, security string
}

func (c *catalog) readTables(read func(string, func([]string))) {
	const system = " NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
	read("SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, LOWER(DATA_TYPE), COALESCE(CHARACTER_MAXIMUM_LENGTH, 0) FROM information_schema.COLUMNS"+
		" WHERE TABLE_SCHEMA"+system+" ORDER BY 1, 2, ORDINAL_POSITION", func(r []string) {
		if c.tables[r[0]] == nil {
			c.tables[r[0]] = map[string][]column{}
		}
		length, _ := strconv.Atoi(r[4])
		c.tables[r[0]][r[1]] = append(c.tables[r[0]][r[1]], column{name: r[2], kind: r[3], length: length})
	})
	// Ours alone: asking for a view's text makes the server open it.
	read("SELECT TABLE_SCHEMA, TABLE_NAME, SHA2(VIEW_DEFINITION, 256), DEFINER, SECURITY_TYPE FROM information_schema.VIEWS WHERE TABLE_SCHEMA LIKE 'pa|_%' ESCAPE '|'",
		func(r []string) {
			if c.views[r[0]] == nil {
				c.views[r[0]] = map[string]viewState{}
			}
			c.views[r[0]][r[1]] = viewState{digest: r[2], definer: r[3], security: r[4]}
		})
}

// readPrivileges reads what accounts with our prefix and the administrator hold.
func (c *catalog) readPrivileges(read func(string, func([]string))) {
	ours := " WHERE GRANTEE LIKE '''pa|_%' ESCAPE '|' OR GRANTEE IN (" + literal("'"+c.admin+"'@'%'") + ", " + literal("'"+viewOwner+"'@'localhost'") + ")"
	take := func(r []string, p privilege) {
		if p.word == "USAGE" {
			return
		}
		p.account = strings.Trim(strings.SplitN(r[0], "@", 2)[0], "'")
		c.has[p] = true
		if r[1] == "YES" {
			c.grantable[p] = true
		}
	}
	read("SELECT GRANTEE, IS_GRANTABLE, PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"+ours, func(r []string) {
		take(r, privilege{word: r[2]})
	})
	read("SELECT GRANTEE, IS_GRANTABLE, PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES"+ours, func(r []string) {
		if c.literalNames {
			r[3] = escape(r[3])
		}
		take(r, privilege{word: r[2], database: r[3]})
	})
	read("SELECT GRANTEE, IS_GRANTABLE, PRIVILEGE_TYPE, TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLE_PRIVILEGES"+ours, func(r []string) {
		take(r, privilege{word: r[2], database: escape(r[3]), table: r[4]})
	})
	read("SELECT GRANTEE, IS_GRANTABLE, PRIVILEGE_TYPE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMN_PRIVILEGES"+ours, func(r []string) {
		take(r, privilege{word: r[2], database: escape(r[3]), table: r[4], column: r[5]})
	})
	read("SELECT User, Proc_priv, Db, LOWER(Routine_type), Routine_name FROM mysql.procs_priv WHERE User LIKE 'pa|_%' ESCAPE '|'", func(r []string) {
		for word := range strings.SplitSeq(strings.ToUpper(r[1]), ",") {
			c.has[privilege{account: r[0], database: escape(r[2]), routine: r[3] + " " + r[4], word: word}] = true
		}
	})
}

// account finds one by name, at any host.
func (c *catalog) account(name string) (known, bool) {
	i := slices.IndexFunc(c.accounts, func(k known) bool { return k.name == name })
	if i < 0 {
		return known{}, false
	}
	return c.accounts[i], true
}

func (c *catalog) hasMember(role, account string, admin bool) bool {
	return slices.ContainsFunc(c.members, func(m member) bool {
		return m.role == role && m.account == account && (m.admin || !admin)
	})
}

// readPublic reads what was granted to everybody (MariaDB 10.11 and later).
func (c *catalog) readPublic(read func(string, func([]string))) {
	const is = " WHERE GRANTEE = '''PUBLIC''@'''''"
	add := func(p privilege) {
		if p.word != "USAGE" {
			c.public = append(c.public, p)
		}
	}
	read("SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"+is, func(r []string) { add(privilege{word: r[0]}) })
	read("SELECT PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES"+is, func(r []string) {
		add(privilege{word: r[0], database: r[1]})
	})
	read("SELECT PRIVILEGE_TYPE, TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLE_PRIVILEGES"+is, func(r []string) {
		add(privilege{word: r[0], database: escape(r[1]), table: r[2]})
	})
}
