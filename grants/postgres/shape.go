package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// shape is what a login of a profile needs beyond membership in its access role. Settings of a role do not reach its
// members, so that each login gets them when it is issued. `targets apply` writes it into the comment of the access role,
// where Issue reads it: what a login gets is always what the target was prepared for.
type shape struct {
	// SearchPath lets the name of a limited table mean the profile's view.
	SearchPath []string `json:"search_path,omitempty"`
	// ActsAs is the durable owner of what the login makes.
	ActsAs string `json:"acts_as,omitempty"`
	// LockTimeout and IdleInTransactionTimeout are in milliseconds.
	LockTimeout              int64 `json:"lock_timeout,omitempty"`
	IdleInTransactionTimeout int64 `json:"idle_in_transaction_timeout,omitempty"`
	// Parameters are those that each login must be given values of.
	Parameters []shapeParameter `json:"parameters,omitempty"`
}

type shapeParameter struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required,omitempty"`
}

const shapeMark = "prodaccess profile "

// shapeOf compiles a profile.
func shapeOf(p grants.Profile) shape {
	s := shape{LockTimeout: p.LockTimeout.Milliseconds(), IdleInTransactionTimeout: p.IdleInTransactionTimeout.Milliseconds()}
	if hasViews(p) {
		s.SearchPath = []string{viewSchema(p)}
		for _, g := range p.Privileges {
			if g.Schema != everything && !slices.Contains(s.SearchPath, g.Schema) {
				s.SearchPath = append(s.SearchPath, g.Schema)
			}
		}
		if !slices.Contains(s.SearchPath, "public") {
			s.SearchPath = append(s.SearchPath, "public")
		}
	}
	if creates(p) {
		s.ActsAs = durableOwner(p)
	}
	for _, parameter := range p.Parameters {
		s.Parameters = append(s.Parameters, shapeParameter(parameter))
	}
	return s
}

// comment is the text for the access role; empty for a profile that needs nothing special.
func (s shape) comment() string {
	text, err := json.Marshal(s)
	if err != nil || string(text) == "{}" { // strings and numbers always encode
		return ""
	}
	return shapeMark + string(text)
}

// readShape reads an access role's comment. Anybody's own comment is no shape.
func readShape(comment string) (shape, error) {
	var s shape
	text, ok := strings.CutPrefix(comment, shapeMark)
	if !ok {
		return s, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil || s.comment() != comment {
		return s, fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the comment of the access role is not one of this version")
	}
	if s.ActsAs != "" {
		if err := checkName("durable owner", s.ActsAs); err != nil {
			return s, fail(grants.FailUnprepared, "run `prodaccess targets apply`", "%w", err)
		}
	}
	return s, nil
}

// prepared is a shape as a driver remembers it, with the text it was read from.
type prepared struct {
	shape
	text    string
	version int
}

// shapeFor returns the shape of an access role. It is remembered: Issue has the server compare the text, and asks again
// when it differs. again says to read it anew.
func (d *Driver) shapeFor(ctx context.Context, conn *pgx.Conn, accessRole string, again bool) (prepared, error) {
	if known, ok := d.shapes.Load(accessRole); ok && !again {
		return known.(prepared), nil
	}
	results, err := sendOn(ctx, conn, "SELECT "+shapeText(literal(accessRole)), "SELECT current_setting('server_version_num')::int / 10000")
	if err != nil {
		return prepared{}, err
	}
	var p prepared
	if p.text, err = first(results[0]); err != nil {
		return p, err
	}
	if p.version, err = number(results[1]); err != nil {
		return p, err
	}
	if p.shape, err = readShape(p.text); err != nil {
		return p, err
	}
	d.shapes.Store(accessRole, p)
	return p, nil
}

// shapeText is the expression of an access role's comment; the role is a literal or a parameter, as are those of unchanged.
func shapeText(accessRole string) string {
	return "coalesce((SELECT " + commentOf("r.oid") + " FROM pg_roles r WHERE r.rolname = " + accessRole + "), '')"
}

// unchanged is the condition that the shape is still what it was when its text was read.
func unchanged(accessRole, text string) string { return shapeText(accessRole) + " = " + text }

// statements make a login that was just created fit the shape.
func (p prepared) statements(through door, login grants.Login) (statements []string) {
	if len(p.SearchPath) > 0 {
		statements = append(statements, through.searchPath(login, p.SearchPath))
	}
	for setting, value := range map[string]int64{"lock_timeout": p.LockTimeout, "idle_in_transaction_session_timeout": p.IdleInTransactionTimeout} {
		if value > 0 {
			statements = append(statements, through.set(login, setting, value))
		}
	}
	slices.Sort(statements)
	if p.ActsAs != "" {
		statements = append(statements, through.actAs(login, p.ActsAs, p.version)...)
	}
	return statements
}

// memberOf is what the read-back must say of memberships.
func (p prepared) memberOf(accessRole string) string {
	roles := []string{accessRole}
	if p.ActsAs != "" {
		roles = append(roles, p.ActsAs)
	}
	slices.Sort(roles)
	return strings.Join(roles, ",")
}

// accepts refuses values the target is not prepared to enforce, and the lack of those it wants. A value that nothing looks
// at would be a limit in name only.
func (p prepared) accepts(params []grants.Param) error {
	for i, param := range params {
		if slices.ContainsFunc(params[:i], func(other grants.Param) bool { return other.Name == param.Name }) {
			return fail(grants.FailInternal, "", "the parameter %s is there twice", param.Name)
		}
		if !slices.ContainsFunc(p.Parameters, func(known shapeParameter) bool { return known.Name == param.Name && known.Type == param.Type }) {
			return fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the target does not enforce a parameter %s of type %s for this access", param.Name, param.Type)
		}
	}
	for _, known := range p.Parameters {
		if known.Required && !slices.ContainsFunc(params, func(param grants.Param) bool { return param.Name == known.Name }) {
			return fail(grants.FailUnprepared, "ask again, with "+known.Name+"=…", "this access needs a value of %s", known.Name)
		}
	}
	return nil
}

// shapeStep mends an access role's comment.
func shapeStep(p grants.Profile, now string) (grants.PreparationStep, bool) {
	want := shapeOf(p).comment()
	if now == want || want == "" && !strings.HasPrefix(now, shapeMark) {
		return grants.PreparationStep{}, false
	}
	text := "NULL"
	if want != "" {
		text = literal(want)
	}
	return grants.PreparationStep{
		Why: fmt.Sprintf("each login of profile %s gets these settings when it is issued", p.Name),
		SQL: "COMMENT ON ROLE " + ident(grants.AccessRole(p.Name)) + " IS " + text,
	}, true
}
