package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Profile is a named bundle of privileges.
type Profile struct {
	Name string
	// Description is one line for the form; may be empty.
	Description string
	// Risk is low, medium, high or critical.
	Risk string
	// Engines it applies to; empty means every engine.
	Engines []string
	// MaxDuration is 0 when the file does not say; then the rule's counts, and failing that the risk tier's.
	MaxDuration time.Duration
	// Parameters are asked for with the request, in this order.
	Parameters []Parameter
	Grants     []ProfileGrant
	// ConnectionLimit is how many sessions a login may have at once; 0 leaves it to the driver.
	ConnectionLimit int
	// StatementTimeout ends a statement that runs longer; 0 leaves the server's own.
	StatementTimeout time.Duration
	// LockTimeout ends a statement that waits longer for a lock, IdleInTransactionTimeout a session that does nothing for
	// longer inside a transaction; 0 leaves the server's own.
	LockTimeout              time.Duration
	IdleInTransactionTimeout time.Duration
	// MemberOf lists roles that the server brings along, such as pg_monitor.
	MemberOf []string
}

// Parameter is a value the request must carry, enforced by the database for that login only.
type Parameter struct {
	Name string
	// Type is bigint, integer, numeric, text, uuid, date, timestamptz or boolean.
	Type        string
	Required    bool
	Description string
}

// ProfileGrant is what a profile may do with some tables of one schema.
type ProfileGrant struct {
	Schema string `json:"schema"`
	// Tables by name or pattern (orders_*), or "*" alone for all of the schema's.
	Tables []string `json:"tables"`
	// Sequences and Functions by name or pattern; a function may be given with its argument types, and means all functions
	// of that name without them.
	Sequences []string `json:"sequences,omitempty"`
	Functions []string `json:"functions,omitempty"`
	// Columns narrows select, insert and update; empty means all.
	Columns []string `json:"columns,omitempty"`
	// Privileges are lower-case SQL words.
	Privileges []string `json:"privileges"`
	// Rows is a condition written by the policy's reviewers, in which :name stands for a parameter.
	Rows string `json:"rows,omitempty"`
	// Mask says by column how its values are hidden.
	Mask map[string]string `json:"mask,omitempty"`
}

// Version is the SHA-256, in hexadecimal, of what a database would see of the profile. The order of names in a list,
// the description, the risk and the maximum duration do not change it: they do not change the access role.
func (p Profile) Version() string {
	canonical := struct {
		Name             string         `json:"name"`
		Engines          []string       `json:"engines"`
		Parameters       []Parameter    `json:"parameters"`
		Grants           []ProfileGrant `json:"grants"`
		ConnectionLimit  int            `json:"connection_limit"`
		StatementTimeout time.Duration  `json:"statement_timeout"`
		LockTimeout      time.Duration  `json:"lock_timeout,omitempty"`
		IdleTimeout      time.Duration  `json:"idle_in_transaction_timeout,omitempty"`
		MemberOf         []string       `json:"member_of,omitempty"`
	}{
		p.Name, sorted(p.Engines), slices.Clone(p.Parameters), nil, p.ConnectionLimit, p.StatementTimeout,
		p.LockTimeout, p.IdleInTransactionTimeout, sorted(p.MemberOf),
	}
	for i := range canonical.Parameters {
		canonical.Parameters[i].Description = ""
	}
	slices.SortFunc(canonical.Parameters, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	texts := make([]string, 0, len(p.Grants))
	for _, grant := range p.Grants {
		grant.Tables, grant.Columns, grant.Privileges = sorted(grant.Tables), sorted(grant.Columns), sorted(grant.Privileges)
		grant.Sequences, grant.Functions = sorted(grant.Sequences), sorted(grant.Functions)
		canonical.Grants = append(canonical.Grants, grant)
	}
	// Grants add up, so their order says nothing either; sorting their texts is the simplest canonical order.
	for _, grant := range canonical.Grants {
		texts = append(texts, encode(grant))
	}
	slices.Sort(texts)
	canonical.Grants = nil
	sum := sha256.Sum256([]byte(encode(canonical) + encode(texts)))
	return hex.EncodeToString(sum[:])
}

func (p Profile) clone() Profile {
	p.Engines, p.Parameters, p.Grants = slices.Clone(p.Engines), slices.Clone(p.Parameters), slices.Clone(p.Grants)
	p.MemberOf = slices.Clone(p.MemberOf)
	for i, grant := range p.Grants {
		grant.Tables, grant.Columns = slices.Clone(grant.Tables), slices.Clone(grant.Columns)
		grant.Sequences, grant.Functions = slices.Clone(grant.Sequences), slices.Clone(grant.Functions)
		grant.Privileges, grant.Mask = slices.Clone(grant.Privileges), maps.Clone(grant.Mask)
		p.Grants[i] = grant
	}
	return p
}

// Tier is what a risk carries: how strict a rule for it is expected to be.
type Tier struct {
	// Approvals that a rule should ask for, by people other than the requester.
	Approvals int
	// MaxDuration holds where neither profile nor rule says.
	MaxDuration time.Duration
}

var tierNames = []string{"low", "medium", "high", "critical"}

var tiers = map[string]Tier{
	"low":      {Approvals: 0, MaxDuration: 12 * time.Hour},
	"medium":   {Approvals: 1, MaxDuration: 8 * time.Hour},
	"high":     {Approvals: 1, MaxDuration: 4 * time.Hour},
	"critical": {Approvals: 2, MaxDuration: time.Hour},
}

func encode(value any) string {
	// Structs of strings, numbers and lists always encode; maps are written with sorted keys.
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
