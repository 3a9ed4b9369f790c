package mysql

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Whoever does not get in is told what to look at: the administrator's login, or the URL that was given instead of it.
func TestWhoDoesNotGetInIsToldHow(t *testing.T) { onEach(t, whoDoesNotGetInIsToldHow) }

func whoDoesNotGetInIsToldHow(t *testing.T, on flavour) {
	c := shared(t, on)
	says := func(err error, reason grants.Reason, words ...string) {
		t.Helper()
		if grants.ReasonOf(err) != reason {
			t.Fatalf("it is %s: %v", grants.ReasonOf(err), err)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not said: %v", w, err)
			}
		}
		if strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "[verifier]") {
			t.Error(err)
		}
	}
	wrong := c.open(t, func(cfg *Config) { cfg.AdminURL = secret.New(c.srv.URL("prodaccess_admin", "wrong")) })
	_, err := wrong.Check(t.Context(), checked)
	says(err, grants.FailPrivilege, "check the password in admin_url", "`prodaccess targets plan orders-prod --as-file FILE`", "ALTER USER 'prodaccess_admin'@'%' IDENTIFIED BY '…' ACCOUNT UNLOCK")
	_, err = wrong.Fingerprint(t.Context())
	says(err, grants.FailPrivilege, "Access denied for user 'prodaccess_admin'@", "(error 1045)")
	other := c.open(t, func(cfg *Config) { cfg.PrepareURL = secret.New(c.srv.URL("dba", "wrong")) })
	_, err = other.Check(t.Context(), checked)
	says(err, grants.FailPrivilege, "the login dba is refused", "--as")
	if strings.Contains(err.Error(), "prodaccess_admin") {
		t.Errorf("it speaks of the administrator: %v", err)
	}
	// MySQL makes itself a certificate that nobody signed; MariaDB has none.
	tls := c.open(t, func(cfg *Config) { cfg.AdminURL = secret.New(c.admin.Reveal() + "?tls=true") })
	_, err = tls.Check(t.Context(), checked)
	says(err, grants.FailUnreachable, c.choose("does not speak TLS", "certificate is not accepted"), c.choose("tls=false", "tls=skip-verify"))
}
