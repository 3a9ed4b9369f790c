package grants

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestCredentialOfEachEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		engine, sslmode, url, command string
	}{
		{
			"postgres", "verify-full", "postgresql://pa_ana_1:s3cret@db.example.com:3306/shop?sslmode=verify-full",
			"PGPASSWORD='s3cret' psql 'host=db.example.com port=3306 dbname=shop user=pa_ana_1 sslmode=verify-full'",
		},
		{
			"mysql", "verify-full", "mysql://pa_ana_1:s3cret@db.example.com:3306/shop",
			"MYSQL_PWD='s3cret' mysql --host=db.example.com --port=3306 --user=pa_ana_1 --loose-ssl-mode=VERIFY_IDENTITY --loose-ssl-verify-server-cert shop",
		},
		{
			"mysql", "disable", "mysql://pa_ana_1:s3cret@db.example.com:3306/shop",
			"MYSQL_PWD='s3cret' mysql --host=db.example.com --port=3306 --user=pa_ana_1 shop",
		},
	} {
		cred := Credential{
			Engine: c.engine, Login: "pa_ana_1", Password: secret.New("s3cret"), Database: "shop",
			Endpoint: Endpoint{Host: "db.example.com", Port: 3306, SSLMode: c.sslmode},
		}
		if got := cred.URL().Reveal(); got != c.url {
			t.Errorf("%s: %s, want %s", c.engine, got, c.url)
		}
		if got := cred.Command().Reveal(); got != c.command {
			t.Errorf("%s: %s, want %s", c.engine, got, c.command)
		}
		if _, arguments, _ := strings.Cut(cred.Command().Reveal(), " "); strings.Contains(arguments, "s3cret") {
			t.Error("the password is where the process list shows it")
		}
	}
}
