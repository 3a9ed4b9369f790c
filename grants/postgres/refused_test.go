package postgres

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// Whoever does not get in is told what to look at: the administrator's login, or the URL that was given instead of it.
func TestWhoDoesNotGetInIsToldHow(t *testing.T) {
	t.Parallel()
	c := clusterOf(t, 15)
	says := func(change func(*Config), reason grants.Reason, words, never string) {
		t.Helper()
		_, err := c.open(t, change).Check(t.Context(), []grants.Profile{readOnly})
		if grants.ReasonOf(err) != reason {
			t.Fatalf("it is %s: %v", grants.ReasonOf(err), err)
		}
		for _, w := range strings.Split(words, "|") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not said: %v", w, err)
			}
		}
		if never != "" && strings.Contains(err.Error(), never) {
			t.Errorf("%q is said: %v", never, err)
		}
	}
	says(func(cfg *Config) {
		cfg.AdminURL = secret.New(c.srv.UserURL("prodaccess_admin", "wrong", "app"))
	}, grants.FailPrivilege, `check the password in admin_url|once, as a superuser: CREATE ROLE "prodaccess_admin" LOGIN`, "wrong")
	says(func(cfg *Config) {
		cfg.PrepareURL = secret.New(c.srv.UserURL("dba", "wrong", "app"))
	}, grants.FailPrivilege, `the login dba is refused|--as|pg_hba.conf`, "CREATE ROLE")
	url := c.admin.Reveal()
	if strings.Contains(url, "sslmode=disable") {
		url = strings.Replace(url, "sslmode=disable", "sslmode=require", 1)
	} else {
		url += "?sslmode=require"
	}
	says(func(cfg *Config) { cfg.AdminURL = secret.New(url) }, grants.FailUnreachable, "does not speak TLS|ssl = on|allow_plaintext", "connection could not be made")
}
