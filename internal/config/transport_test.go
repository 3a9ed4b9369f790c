package config

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestPlaintextIsRefused is a table of URLs and whether they may be used without allow_plaintext.
func TestPlaintextIsRefused(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://u:p@db.example.com/d?sslmode=require":                      "",
		"postgresql://u:p@db.example.com:5432/d?sslmode=verify-ca":             "",
		"postgres://u:p@db.example.com/d?sslmode=verify-full&pool_max_conns=4": "",
		"postgres://u:p@127.0.0.1/d":                                           "",
		"postgres://u:p@127.8.8.8:1/d?sslmode=disable":                         "",
		"postgres://u:p@[::1]:5432/d":                                          "",
		"postgres://u:p@localhost/d?sslmode=prefer":                            "",
		"postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d":                           "",
		"postgres://u:p@/d?host=/var/run/postgresql":                           "",
		"postgres://u:p%40%2F@localhost,127.0.0.1:5433/d":                      "",
		"postgres://u:p@db.example.com/d":                                      "no sslmode",
		"postgres://u:p@db.example.com/d?sslmode=disable":                      "plain text",
		"postgres://u:p@db.example.com/d?sslmode=allow":                        "plain text",
		"postgres://u:p@db.example.com/d?sslmode=prefer":                       "plain text",
		"postgres://u:p@db.example.com/d?sslmode=Require":                      "does not exist",
		"postgres://u:p@localhost,db.example.com/d":                            "plain text",
		"postgres://u:p@localhost/d?host=db.example.com":                       "plain text",
		"postgres://u:p@localhost/d?host=localhost,db.example.com":             "plain text",
		"postgres://u:p@128.0.0.1/d":                                           "plain text",
		"postgres://u:p@0.0.0.0/d":                                             "plain text",
		"postgres://u:p@localhost.example.com/d":                               "plain text",
		"postgres://u:p@localhost%2Cdb.example.com/d":                          "names no host",
		"postgres://u:p@/d":                                                    "names no host",
		"postgres:///d":                                                        "names no host",
		"postgres://u:p@::1:5432/d":                                            "names no host",
		"postgres://u:p@db.example.com?sslmode=require":                        "ambiguous",
		"postgres://u:p@localhost@db.example.com/d":                            "ambiguous",
		"postgres://localhost?x=@db.example.com/d":                             "ambiguous",
		"postgres://u:p@db.example.com/d?sslmode=require&sslmode=disable":      "twice",
		"postgres://u:p@db.example.com/d?sslmode=require&ssl%6Dode=disable":    "twice",
		"postgres://u:p@db.example.com/d?sslmode=require&service=other":        "service",
		"postgres://u:p@db.example.com/d?sslmode=require&servicefile=/tmp/x":   "service",
		"postgres://u:p@db.example.com/d?ssl=true":                             "parameter ssl",
		"postgres://u:p@db.example.com/d?sslmode=require&hostaddr=10.0.0.1":    "hostaddr",
		"postgres://u:p @db.example.com/d?sslmode=require":                     "space",
		"host=db.example.com user=u password=p sslmode=require":                "not a URL",
		"mysql://u:p@db.example.com/d":                                         "postgres://",
	} {
		problem, fix := checkDatabaseURL(enginePostgres, url, "store.allow_plaintext", false)
		if want == "" && problem != "" || want != "" && !strings.Contains(problem, want) {
			t.Errorf("%s: %q, want %q", url, problem, want)
		}
		if problem != "" && fix == "" {
			t.Errorf("%s: no way to mend it", url)
		}
	}
	if problem, _ := checkDatabaseURL(enginePostgres, "postgres://u:p@db.example.com/d", "k", true); problem != "" {
		t.Errorf("allow_plaintext does not allow it: %s", problem)
	}
	for url, want := range map[string]bool{
		"mysql://u:p@db.example.com/?tls=true":      true,
		"mysql://u:p@db.example.com/?tls=preferred": false,
		"mysql://u:p@db.example.com/":               false,
		"mysql://u:p@127.0.0.1/":                    true,
		"postgres://u:p@127.0.0.1/":                 false,
	} {
		if problem, _ := checkDatabaseURL(engineMySQL, url, "k", false); (problem == "") != want {
			t.Errorf("%s: %q", url, problem)
		}
	}
	for url, want := range map[string]bool{
		"https://slack.com/api/":        true,
		"http://127.0.0.1:9999/api/":    true,
		"http://[::1]:9999/api/":        true,
		"http://slack.com/api/":         false,
		"https://u:p@slack.com/api/":    false,
		"https://slack.com/api/?x=1":    false,
		"ftp://slack.com/":              false,
		"slack.com":                     false,
		"http://localhost.example.com/": false,
	} {
		if problem, _ := checkAPIURL(url, "k", false); (problem == "") != want {
			t.Errorf("%s: %q", url, problem)
		}
	}
}

// TestEnvironmentCannotWeakenAnAcceptedURL asks pgx itself, with the variables that libpq reads set against us.
func TestEnvironmentCannotWeakenAnAcceptedURL(t *testing.T) {
	t.Setenv("PGSSLMODE", "disable")
	t.Setenv("PGHOST", "evil.example.com")
	cfg, err := pgconn.ParseConfig("postgres://u:p@db.example.com/d?sslmode=require")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLSConfig == nil || len(cfg.Fallbacks) != 0 || cfg.Host != "db.example.com" {
		t.Errorf("the connection is not what the URL says: TLS %v, %d fallbacks, host %s", cfg.TLSConfig != nil, len(cfg.Fallbacks), cfg.Host)
	}
}

// FuzzDatabaseURL holds the check against pgx: what it accepts must not leave the machine without TLS.
func FuzzDatabaseURL(f *testing.F) {
	for _, seed := range []string{
		"postgres://u:p@db.example.com:5432,other/d?sslmode=require",
		"postgres://u:p@/d?host=/run", "postgres://localhost/d", "postgres://u@[::1]:1/d?sslmode=disable&a=b%20c",
		"postgres://u:p@localhost,x/d?host=a%2Cb", "postgres://%2Ftmp:5/d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "sslcert") || strings.Contains(text, "sslrootcert") || strings.Contains(text, "sslkey") || strings.Contains(text, "passfile") {
			return // these read files
		}
		if problem, _ := checkDatabaseURL(enginePostgres, text, "k", false); problem != "" {
			return
		}
		cfg, err := pgconn.ParseConfig(text)
		if err != nil {
			return // pgx refuses it: nothing is sent
		}
		if cfg.TLSConfig == nil && !isLoopback(cfg.Host) {
			t.Errorf("%q connects to %q in plain text", text, cfg.Host)
		}
		for _, fallback := range cfg.Fallbacks {
			if fallback.TLSConfig == nil && !isLoopback(fallback.Host) {
				t.Errorf("%q falls back to %q in plain text", text, fallback.Host)
			}
		}
	})
}
