package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

// Check reports what Plan would change, and what stands in the way, and what no statement of ours can put right: members
// of access roles that nobody issued, schemas in which everybody can create, access roles without a profile, and what
// holders of a profile can reach beyond it, whoever gave it to them; and, as advice, logins with our prefix that no sweep of
// this installation looks at.
func (d *Driver) Check(ctx context.Context, profiles []grants.Profile) ([]grants.Finding, error) {
	s, err := d.survey(ctx, profiles, false)
	if err != nil {
		return nil, failure("checking "+d.cfg.Target.Name, err)
	}
	var findings []grants.Finding
	for _, p := range s.prepared.Problems {
		findings = append(findings, grants.Finding{What: p})
	}
	for _, step := range s.prepared.Steps {
		findings = append(findings, grants.Finding{Database: step.Database, What: step.Why, Mend: step.SQL})
	}
	for _, f := range s.foreigners {
		findings = append(findings, f.finding())
	}
	strangers := s.shared.strangers
	if s.least != nil {
		strangers = s.least.owner.strangers
		findings = append(findings, s.least.registrationFindings(d.cfg.Installation)...)
		for _, database := range s.least.databases {
			findings = append(findings, s.functions[database].findings(database)...)
		}
	}
	for _, m := range strangers {
		if m[1] == m[0]+"__owner" {
			continue // a durable owner is a member of its access role; memberships says when it should not be
		}
		findings = append(findings, grants.Finding{
			What: fmt.Sprintf("%s is a member of %s, and no grant made it one", m[1], m[0]),
			Mend: "REVOKE " + ident(m[0]) + " FROM " + ident(m[1]),
		})
	}
	for i, c := range s.catalogs {
		var r *reached
		_, err := d.visit(ctx, c.database, func(conn *pgx.Conn) (err error) {
			r, err = readReach(ctx, conn, s.sound)
			return err
		})
		if err != nil {
			return nil, failure("reading what can be reached in database "+c.database, err)
		}
		want := map[entry]bool{}
		for _, p := range s.sound {
			w, _ := wanted(p, c, s.views[i])
			maps.Copy(want, w)
		}
		findings = append(findings, r.findings(c, s.sound, want)...)
		findings = append(findings, c.unseen(s.sound)...)
		for _, schema := range c.publicCreates {
			findings = append(findings, grants.Finding{
				Database: c.database,
				What:     fmt.Sprintf("everybody can create objects in schema %s, visitors included", schema),
				Mend:     "REVOKE CREATE ON SCHEMA " + ident(schema) + " FROM PUBLIC",
			})
		}
	}
	return append(findings, s.orphans(profiles)...), nil
}

// orphans are access roles whose profile is gone, or is none of this engine's.
func (s *survey) orphans(profiles []grants.Profile) []grants.Finding {
	var findings []grants.Finding
	for name, r := range s.shared.roles {
		if !strings.HasPrefix(name, grants.Prefix) || name == grants.QuarantineRole || r.canLogin {
			continue
		}
		if name == internal || slices.ContainsFunc(profiles, func(p grants.Profile) bool { return slices.Contains(rolesOf(p), name) }) {
			continue
		}
		finding := grants.Finding{
			What: fmt.Sprintf("the role %s looks like an access role and belongs to no profile", name),
			Mend: "DROP OWNED BY " + ident(name) + " in each database, then DROP ROLE " + ident(name),
		}
		if strings.HasSuffix(name, "__owner") { // DROP OWNED would drop tables that are in use
			finding.What = fmt.Sprintf("the role %s belongs to no profile; it may own tables that holders of one made", name)
			finding.Mend = "REASSIGN OWNED BY " + ident(name) + " TO their owner in each database, then DROP OWNED and DROP ROLE " + ident(name)
		}
		findings = append(findings, finding)
	}
	slices.SortFunc(findings, func(a, b grants.Finding) int { return strings.Compare(a.What, b.What) })
	return findings
}
