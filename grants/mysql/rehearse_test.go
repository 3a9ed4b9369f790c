package mysql

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

func TestRehearse(t *testing.T) { onEach(t, rehearse) }

func rehearse(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	open := func() *Driver {
		return c.open(t, func(cfg *Config) {
			cfg.Installation = grants.DoctorInstallation
			cfg.Target.Connect = grants.Endpoint{Host: "127.0.0.1", Port: c.srv.Port()}
		})
	}
	if r := open().Rehearse(t.Context(), "pa_read_only"); !r.OK() || len(r.Steps) != 7 || !strings.HasPrefix(r.Server, c.choose("MariaDB 1", "MySQL ")) {
		t.Errorf("%+v", r)
	}
	if n := value[int](t, c, "SELECT COUNT(*) FROM "+c.choose("mysql.global_priv", "mysql.user")+" WHERE User LIKE 'pa|_doctor%' ESCAPE '|'"); n != 0 {
		t.Errorf("%d logins of the rehearsal are left", n)
	}
	// Each missing privilege is said with what mends it, whatever the step it is missing for.
	for _, c2 := range []struct{ take, give string }{
		{"REVOKE " + c.choose("CONNECTION ADMIN", "CONNECTION_ADMIN") + " ON *.* FROM prodaccess_admin", "GRANT " + c.choose("CONNECTION ADMIN", "CONNECTION_ADMIN") + " ON *.* TO prodaccess_admin"},
		{"REVOKE PROCESS ON *.* FROM prodaccess_admin", "GRANT PROCESS ON *.* TO prodaccess_admin"},
		{"REVOKE CREATE USER ON *.* FROM prodaccess_admin", "GRANT CREATE USER ON *.* TO prodaccess_admin"},
		{"REVOKE SELECT ON mysql.* FROM prodaccess_admin", "GRANT SELECT ON mysql.* TO prodaccess_admin"},
		{"REVOKE INSERT ON prodaccess.* FROM prodaccess_admin", "GRANT INSERT ON prodaccess.* TO prodaccess_admin"},
		// MySQL asks for no privilege on the schema mysql.
		{c.choose("REVOKE UPDATE ON mysql.* FROM prodaccess_admin", "DO 0"), c.choose("GRANT UPDATE ON mysql.* TO prodaccess_admin", "DO 0")},
	} {
		if c2.take == "DO 0" {
			continue
		}
		run(t, c, c2.take)
		r := open().Rehearse(t.Context(), "pa_read_only")
		if r.OK() || !slices.ContainsFunc(r.Steps, func(s grants.RehearsalStep) bool {
			return grants.ReasonOf(s.Err) == grants.FailPrivilege && (strings.Contains(s.Err.Error(), "targets plan") || strings.Contains(s.Err.Error(), "GRANT PROCESS ON"))
		}) {
			t.Errorf("%s: %+v", c2.take, r)
		}
		run(t, c, c2.give)
		if r := open().Rehearse(t.Context(), "pa_read_only"); !r.OK() {
			t.Errorf("after %s: %+v", c2.give, r)
		}
	}
	run(t, c, "SET GLOBAL event_scheduler = OFF")
	if r := open().Rehearse(t.Context(), "pa_read_only"); !slices.ContainsFunc(r.Warnings, func(f grants.Finding) bool { return strings.Contains(f.What, "event scheduler") }) {
		t.Errorf("%+v", r.Warnings)
	}
}

func TestStanding(t *testing.T) { onEach(t, standing) }

func standing(t *testing.T, on flavour) {
	c := prepare(t, on, nil)
	t.Cleanup(c.stop)
	run(t, c, "CREATE USER reader IDENTIFIED BY 'x'", "GRANT SELECT ON app.orders TO reader", "CREATE USER elsewhere", "GRANT SELECT ON other.* TO elsewhere",
		"CREATE USER pattern", "GRANT INSERT ON `a%`.* TO pattern", "CREATE ROLE team", "GRANT DELETE, DROP ON app.* TO team", "CREATE ROLE inner_team", "GRANT team TO inner_team",
		"CREATE USER 'member'@'10.%'", "GRANT inner_team TO 'member'@'10.%'", "CREATE USER gone ACCOUNT LOCK", "GRANT ALL ON *.* TO gone")
	d := c.open(t, func(cfg *Config) { cfg.AdminURL = c.admin })
	o := newOrder(t, d, "pa_read_only")
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	found, err := d.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]grants.Power{}
	for _, s := range found {
		got[s.Login] = s.Power
		if len(s.Why) == 0 {
			t.Errorf("%s: no reason", s.Login)
		}
	}
	want := map[string]grants.Power{
		"root": grants.Superuser, "prodaccess_admin": grants.Administrator, "reader": grants.Reader, "pattern": grants.Writer, "member@10.%": grants.Owner,
	}
	if !maps.Equal(got, want) {
		t.Errorf("%+v\nwant %v", found, want)
	}
}
