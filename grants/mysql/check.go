package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// Check reports what Plan would change, and what stands in the way, and what no statement of ours can put right: members
// of access roles that nobody issued, accounts that catch logins of ours, what everybody may do, routines that lend their
// owner's rights, a dead man's switch that is off, and nodes on which sessions could not be found or ended.
func (d *Driver) Check(ctx context.Context, profiles []grants.Profile) ([]grants.Finding, error) {
	s, err := d.survey(ctx, profiles)
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
	findings = append(findings, s.strangers()...)
	findings = append(findings, s.orphans(profiles)...)
	findings = append(findings, s.everybody()...)
	findings = append(findings, s.reach()...)
	findings = append(findings, s.leaks(d.cfg.Target.Databases)...)
	findings = append(findings, s.beltless()...)
	findings = append(findings, s.switchedOff()...)
	return append(findings, d.checkNodes(ctx, s.catalog)...), nil
}

// strangers are members of access roles that no grant made.
func (s survey) strangers() (findings []grants.Finding) {
	c := s.catalog
	for _, m := range c.members {
		if !strings.HasPrefix(m.role, grants.Prefix) || m.account == c.admin && m.host == "%" || c.stamped[m.account] {
			continue
		}
		who := literal(m.account)
		if m.host != "" {
			who += "@" + literal(m.host)
		}
		findings = append(findings, grants.Finding{
			What: fmt.Sprintf("%s is a member of %s, and no grant made it one", who, m.role),
			Mend: "REVOKE " + c.flavour.roleName(m.role) + " FROM " + who,
		})
	}
	return findings
}

// orphans are access roles whose profile is gone, and accounts that look like logins of ours and have no stamp.
func (s survey) orphans(profiles []grants.Profile) (findings []grants.Finding) {
	c := s.catalog
	for _, k := range c.accounts {
		if !strings.HasPrefix(k.name, grants.Prefix) || c.stamped[k.name] {
			continue
		}
		if !k.role {
			findings = append(findings, grants.Finding{
				What: fmt.Sprintf("the account %s@%s looks like a login of prodaccess and has no stamp", literal(k.name), literal(k.host)),
				Mend: "DROP USER " + literal(k.name) + "@" + literal(k.host) + ", if nobody needs it",
			})
			continue
		}
		if !slices.ContainsFunc(profiles, func(p grants.Profile) bool { return grants.AccessRole(p.Name) == k.name }) {
			findings = append(findings, grants.Finding{
				What: fmt.Sprintf("the role %s looks like an access role and belongs to no profile", k.name),
				Mend: "DROP ROLE " + c.flavour.roleName(k.name),
			})
		}
	}
	return findings
}

// everybody is what every login has, whatever its profile: accounts without a name, which also catch logins of ours that
// come from their host, and what was granted to PUBLIC (MariaDB), and mandatory roles (MySQL).
func (s survey) everybody() (findings []grants.Finding) {
	for _, k := range s.catalog.accounts {
		if k.name == "" {
			findings = append(findings, grants.Finding{
				What: fmt.Sprintf("there is an account without a name, ''@%s: whoever connects from there is it, and not the login given out", literal(k.host)),
				Mend: "DROP USER ''@" + literal(k.host),
			})
		}
	}
	for _, role := range s.catalog.mandatory {
		findings = append(findings, grants.Finding{
			What: "everybody has the role " + role + ", visitors included: the server's mandatory_roles names it",
			Mend: "take it out of mandatory_roles, or make sure that it may do no more than every visitor should",
		})
	}
	for _, p := range s.catalog.public {
		on := p.word + " ON " + s.catalog.object(p)
		findings = append(findings, grants.Finding{
			Database: unescape(p.database),
			What:     "everybody has " + on + ", visitors included",
			Mend:     "REVOKE " + on + " FROM PUBLIC",
		})
	}
	return findings
}

// reach is what a profile can do beyond its own privileges: by routines that run with their definer's rights, where it may
// execute whatever a database holds.
func (s survey) reach() (findings []grants.Finding) {
	c := s.catalog
	for _, p := range s.sound {
		role := grants.AccessRole(p.Name)
		for _, r := range c.definers {
			if c.has[privilege{account: role, word: "EXECUTE", database: escape(r.database)}] || c.has[privilege{account: role, word: "EXECUTE"}] ||
				c.has[privilege{account: role, word: "EXECUTE", database: escape(r.database), routine: r.kind + " " + r.name}] {
				findings = append(findings, grants.Finding{
					Database: r.database,
					What:     fmt.Sprintf("profile %s may execute the %s %s, which does whatever %s may", p.Name, r.kind, r.name, r.definer),
					Mend:     "ALTER " + strings.ToUpper(r.kind) + " " + ident(r.database) + "." + ident(r.name) + " SQL SECURITY INVOKER, or name the functions that the profile needs",
				})
			}
		}
	}
	return findings
}

// leaks are profiles that may write through a row limit: their views cannot have the barrier that reading ones have.
func (s survey) leaks(databases []string) (findings []grants.Finding) {
	for _, p := range s.sound {
		views, _ := viewsOf(p, s.catalog, databases)
		for _, v := range views {
			if v.limits && len(v.writes) > 0 {
				findings = append(findings, grants.Finding{
					Advice: true,
					What: fmt.Sprintf("profile %s may write through the row limit on %s.%s: by errors and timing its holders can find out"+
						" about rows outside the limit, which a profile that only reads cannot", p.Name, v.database, v.name),
					Mend: "nothing, if its holders may know; else a profile that only reads",
				})
			}
		}
	}
	return findings
}

// beltless are profiles with seat belts that this server has not for an account: whoever holds a login can undo a setting of
// the session, so that none is pretended.
func (s survey) beltless() (findings []grants.Finding) {
	for _, p := range s.sound {
		var missing []string
		if p.StatementTimeout > 0 && s.catalog.flavour == mysql {
			missing = append(missing, "statement_timeout")
		}
		if p.LockTimeout > 0 {
			missing = append(missing, "lock_timeout")
		}
		if p.IdleInTransactionTimeout > 0 {
			missing = append(missing, "idle_in_transaction_timeout")
		}
		if len(missing) > 0 {
			findings = append(findings, grants.Finding{
				Advice: true,
				What:   fmt.Sprintf("profile %s: nobody is held to its %s here: %s has no such limit for one account", p.Name, strings.Join(missing, " and "), s.catalog.flavour),
				Mend:   "nothing, or the server's own: max_execution_time (MySQL) or max_statement_time (MariaDB), innodb_lock_wait_timeout, wait_timeout",
			})
		}
	}
	return findings
}

// switchedOff says that the server would not end a grant by itself.
func (s survey) switchedOff() (findings []grants.Finding) {
	c := s.catalog
	if !c.scheduler {
		findings = append(findings, grants.Finding{
			Advice: true,
			What:   "the event scheduler is off: if prodaccess is gone at a deadline, the server does not lock the login by itself",
			Mend:   "SET GLOBAL event_scheduler = ON, and in the server's configuration",
		})
	}
	if is, ok := c.events["deadman"]; ok && is.status != "ENABLED" {
		findings = append(findings, grants.Finding{
			What: "the event " + deadman + " is " + strings.ToLower(is.status) + ": if prodaccess is gone at a deadline, the server does not lock the login by itself",
			Mend: "ALTER DEFINER = " + account(c.admin) + " EVENT " + deadman + " ENABLE, on the primary",
		})
	}
	if c.cluster == 1 && c.madeOn != c.host {
		findings = append(findings, grants.Finding{
			Advice: true,
			What:   fmt.Sprintf("the fingerprint was made on %s and this is %s: all is well after a failover; a copy must get a fingerprint of its own before prodaccess uses it", c.madeOn, c.host),
			Mend:   "after a failover: UPDATE prodaccess.cluster SET made_on = @@hostname; on a copy: UPDATE prodaccess.cluster SET id = UUID(), made_on = @@hostname",
		})
	}
	return findings
}
