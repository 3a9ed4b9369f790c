package grants

import "time"

// Target is a database cluster people can be given logins on. It holds no secret.
type Target struct {
	Name        string
	Engine      string // "postgres" or "mysql"
	Environment string
	// Databases people may connect to; the first is the default.
	Databases []string
	// Connect is what people are told, which is not always where prodaccess itself connects.
	Connect Endpoint
}

// Endpoint is where people connect.
type Endpoint struct {
	Host    string
	Port    int
	SSLMode string
}

// Profile is a bundle of privileges, as a driver compiles it into an access role.
type Profile struct {
	Name string
	// Version is the hash of the definition.
	Version string
	// Engines it applies to; empty means all.
	Engines         []string
	ConnectionLimit int
	Privileges      []Privilege
	// StatementTimeout is a seat belt set on each login; zero leaves the server's own.
	StatementTimeout time.Duration
	// LockTimeout and IdleInTransactionTimeout are seat belts as well.
	LockTimeout              time.Duration
	IdleInTransactionTimeout time.Duration
	// MemberOf lists roles that the server brings along, such as pg_monitor.
	MemberOf []string
	// Longest is how long access with it may last from any moment on, whoever asks; zero where nobody says. It is the
	// server's own last bound, where it can keep one.
	Longest time.Duration
	// Parameters are what Rows of its privileges may refer to.
	Parameters []Parameter
}

// Parameter is a value each request for a profile carries, declared by the policy.
type Parameter struct {
	// Name is of [a-z0-9_] and begins with a letter.
	Name string
	// Type is bigint, integer, numeric, text, uuid, date, timestamptz or boolean.
	Type     string
	Required bool
}

// Param is the value of a parameter for one grant.
type Param struct {
	Name string `json:"name"`
	// Type as in Parameter; the value was found to be of it.
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Privilege is what a profile may do with some objects of one schema. A table that any privilege of the profile limits,
// by Rows or Mask, is reached only as that privilege says: "*" and patterns elsewhere in the profile do not cover it.
type Privilege struct {
	Schema string
	// Tables by name or pattern (orders_*), or "*" for all of the schema's, those to come included.
	Tables []string
	// Sequences and Functions by name or pattern; a function with its argument types, or all of that name.
	Sequences []string
	Functions []string
	// Columns limits select, insert and update; empty means all.
	Columns []string
	// Privileges are lower-case SQL words: select, insert, update, delete, usage, execute, create.
	Privileges []string
	// Rows and Mask narrow what is seen; a driver that cannot enforce them must refuse the profile. Rows is a condition of
	// the policy's, in which :name stands for a parameter. Mask says by column: hide, partial, hash, year, null or
	// constant:TEXT.
	Rows string
	Mask map[string]string
}

// AccessRole is the name of the NOLOGIN role that holds a profile's privileges: the prefix and the profile's name, with
// everything outside [a-z0-9_] as an underscore.
func AccessRole(profile string) string { return Prefix + identifier(profile) }

// QuarantineRole owns what visitors left behind and may do nothing.
const QuarantineRole = Prefix + "quarantine"

// LoginName derives a login's name from its holder and its grant: at most 32 characters of [a-z0-9_], which fits every
// engine, and unique because the grant's id is.
func LoginName(holder, grant string) string {
	const longest = 32
	who := identifier(holder)
	if most := longest - len(Prefix) - 1 - len(grant); len(who) > most {
		who = who[:most]
	}
	return Prefix + who + "_" + grant
}

// identifier maps text to the closed alphabet [a-z0-9_]; letters are lowered, anything else becomes an underscore.
func identifier(text string) string {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			out = append(out, byte(r))
		case r >= 'A' && r <= 'Z':
			out = append(out, byte(r-'A'+'a'))
		default:
			out = append(out, '_')
		}
	}
	return string(out)
}

// Preparation is what `targets plan` prints: SQL, one list for each database it must run in, and what stands in the way.
type Preparation struct {
	Target string
	// Steps in the order they must run.
	Steps []PreparationStep
	// Problems are what a person must decide or mend first.
	Problems []string
}

// PreparationStep is one statement with its reason. Statements are idempotent.
type PreparationStep struct {
	Database string
	Why      string
	SQL      string
}

// Finding is one thing `targets check` found wrong.
type Finding struct {
	Database string
	What     string
	// Mend is the statement or action that puts it right.
	Mend string
	// Advice is worth knowing and no drift: what the server allows everybody by default, or what a profile sees less of.
	Advice bool
}
