package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Trap 13: PASSWORD EXPIRE is no lock.
func TestAnExpiredPasswordIsNoLock(t *testing.T) { onEach(t, anExpiredPasswordIsNoLock) }

func anExpiredPasswordIsNoLock(t *testing.T, on flavour) {
	c := prepare(t, on, map[string]string{"disconnect-on-expired-password": "OFF"}) // or the client must say that it can handle it
	t.Cleanup(c.stop)
	guest(t, c, "expires", "", "GRANT SELECT ON app.orders TO expires")
	run(t, c, "ALTER USER expires PASSWORD EXPIRE")
	s := guestAgain(t, c, "expires", "")
	if s.can(t, "SELECT * FROM app.orders") {
		t.Error("an expired password is good for reading")
	}
	s.run(t, c.choose("SET PASSWORD = PASSWORD('new')", "SET PASSWORD = 'new'"))
	if !s.can(t, "SELECT * FROM app.orders") {
		t.Error("setting another password does not let the user in: the trap is gone")
	}
}

// Trap 24: a role does nothing until it is the default, or is set.
func TestARoleDoesNothingUntilItIsDefault(t *testing.T) { onEach(t, aRoleDoesNothingUntilItIsDefault) }

func aRoleDoesNothingUntilItIsDefault(t *testing.T, on flavour) {
	c := shared(t, on)
	s := guest(t, c, "not_default", "", "CREATE ROLE not_yet", "GRANT SELECT ON app.orders TO not_yet", "GRANT not_yet TO not_default")
	t.Cleanup(func() { run(t, c, "DROP ROLE not_yet") })
	if err := s.Read(t.Context()); err == nil {
		t.Error("a role that is not the default works: the trap is gone")
	}
	run(t, c, on.setDefaultRole("not_yet", "not_default"))
	if err := guestAgain(t, c, "not_default", "").Read(t.Context()); err != nil {
		t.Error(err)
	}
}

// Trap 25: IF NOT EXISTS keeps the old password without a word.
func TestIfNotExistsKeepsTheOldPassword(t *testing.T) { onEach(t, ifNotExistsKeepsTheOldPassword) }

func ifNotExistsKeepsTheOldPassword(t *testing.T, on flavour) {
	c := shared(t, on)
	guest(t, c, "was_there", "")
	run(t, c, "CREATE USER IF NOT EXISTS was_there IDENTIFIED BY 'another'")
	guestAgain(t, c, "was_there", "") // with the old one
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	run(t, c, "CREATE USER '"+o.Login+"'@'%' IDENTIFIED BY 'theirs'")
	t.Cleanup(func() { run(t, c, "DROP USER '"+o.Login+"'@'%'") })
	if _, err := d.Issue(t.Context(), o); grants.ReasonOf(err) != grants.FailForeign {
		t.Errorf("issued over an account that was there: %v", err)
	}
	theirs := o
	theirs.Password = secret.New("theirs")
	if !c.canLogin(theirs) || c.canLogin(o) {
		t.Error("somebody else's password was changed")
	}
}

// Verifiers are what the server itself would make of a password, in every form that it takes; and with any salt.
func TestVerifiersOpenSessions(t *testing.T) { onEach(t, verifiersOpenSessions) }

func verifiersOpenSessions(t *testing.T, on flavour) {
	c := shared(t, on)
	plugin := map[flavour]plugin{mariadb: nativePassword, mysql: cachingSHA2}[on]
	for i, password := range []string{"a", strings.Repeat("long ", 40), `quo'te"back\slash$dollar`, "0123456789ABCDEF0123456789ABCDEF", "0123456789ABCDEF0123456789ABCDE"} {
		verifier, err := plugin.verifier(secret.New(password))
		if err != nil {
			t.Fatal(err)
		}
		name := "verified_" + string(rune('a'+i))
		run(t, c, "CREATE USER "+account(name)+plugin.identified(verifier))
		t.Cleanup(func() { run(t, c, "DROP USER "+account(name)) })
		s, err := openSession(t.Context(), c.srv.Config(name, password, ""))
		if err != nil {
			t.Errorf("%q does not open a session: %v", password, err)
			continue
		}
		s.Close()
	}
	if on == mariadb {
		return
	}
	// The server's own salts have any byte; a verifier that is read back as hexadecimal and set again still opens.
	guest(t, c, "binary_salt", "")
	for range 20 {
		run(t, c, "ALTER USER binary_salt IDENTIFIED BY 'theirs'")
		hex := value[string](t, c, "SELECT HEX(authentication_string) FROM mysql.user WHERE User = 'binary_salt'")
		run(t, c, "ALTER USER binary_salt IDENTIFIED WITH caching_sha2_password AS 0x"+hex)
		guestAgain(t, c, "binary_salt", "").Close()
	}
}

// A name may have 32 characters, and no more.
func TestTheLongestName(t *testing.T) { onEach(t, theLongestName) }

func theLongestName(t *testing.T, on flavour) {
	c := shared(t, on)
	d := c.open(t, nil)
	o := newOrder(t, d, "pa_read_only")
	o.Login += strings.Repeat("x", longestName-len(o.Login))
	if _, err := d.Issue(t.Context(), o); err != nil {
		t.Error(err)
	}
	takeBack(t, c, d, o)
	o.Login += "x"
	if _, err := d.Issue(t.Context(), o); err == nil || c.exists(t, o.Login) {
		t.Errorf("33 characters: %v", err)
	}
}

// A role that everybody has, and roles that are all active, do not make a login of ours more than it is said to be without
// being told.
func TestMandatoryRoles(t *testing.T) {
	t.Parallel()
	c := prepare(t, mysql, map[string]string{"activate-all-roles-on-login": "ON"})
	t.Cleanup(c.stop)
	run(t, c, "CREATE ROLE everyone", "GRANT DELETE ON app.orders TO everyone", "SET GLOBAL mandatory_roles = 'everyone'")
	d := c.open(t, nil)
	o, s := visitor(t, c, d, "pa_read_only", "app")
	if err := s.Read(t.Context()); err != nil {
		t.Error(err)
	}
	if !s.can(t, "DELETE FROM orders") {
		t.Error("a mandatory role does nothing: the trap is gone")
	}
	found, err := d.Check(t.Context(), []grants.Profile{readOnly})
	if err != nil || !slices.ContainsFunc(found, func(f grants.Finding) bool { return strings.Contains(f.What, "role everyone") && !f.Advice }) {
		t.Errorf("check does not speak of it: %+v, %v", found, err)
	}
	run(t, c, "CREATE USER bystander IDENTIFIED BY 'x'")
	standing, err := d.Standing(t.Context())
	if err != nil || !slices.ContainsFunc(standing, func(s grants.Standing) bool { return s.Login == "bystander" && s.Power == grants.Writer }) {
		t.Errorf("what everybody has is not in the inventory: %+v, %v", standing, err)
	}
	takeBack(t, c, d, o)
}
