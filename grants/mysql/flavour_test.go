package mysql

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestFlavourOf(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]flavour{
		"10.11.19-MariaDB-0+deb12u1": mariadb, "5.5.5-10.11.6-MariaDB-log": mariadb, "11.4.2-MariaDB": mariadb, "8.0.36": "", "8.4.3": mysql, "9.1.0-commercial": mysql,
		"10.6.16-MariaDB": "", "5.5.5-10.5.1-MariaDB": "", "5.7.44-log": "", "": "", "eight": "",
	} {
		f, err := flavourOf(version)
		if want == "" {
			if grants.ReasonOf(err) != grants.FailUnprepared {
				t.Errorf("%q: %s, %v", version, f, err)
			}
			continue
		}
		if err != nil || f != want {
			t.Errorf("%q: %s, %v", version, f, err)
		}
	}
}

// Nothing of MariaDB's is sent to a MySQL, in whatever order its tests run; and the account's statements read as intended.
func TestStatementsForMySQL(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	o := grants.Order{
		Login: "pa_ana_1", AccessRole: "pa_read_only", Stamp: grants.Stamp{Installation: "i", Grant: "1"}, Fingerprint: "f",
		ValidUntil: at.Add(time.Hour), NotAfter: at, ConnectionLimit: 4, StatementTimeout: time.Second,
	}
	made := mysql.make(o, cachingSHA2, secret.New("$A$005$salt"), true)
	want := []string{
		"CREATE USER 'pa_ana_1'@'%' IDENTIFIED WITH caching_sha2_password AS 0x24412430303524" + "73616C74 REQUIRE SSL WITH MAX_USER_CONNECTIONS 4 ACCOUNT LOCK",
		"UPDATE prodaccess.logins SET made = 1 WHERE login = 'pa_ana_1'",
		"GRANT 'pa_read_only'@'%' TO 'pa_ana_1'@'%'",
		"SET DEFAULT ROLE 'pa_read_only'@'%' TO 'pa_ana_1'@'%'",
	}
	for i, w := range want {
		if made[i] != w {
			t.Errorf("%s\nwant %s", made[i], w)
		}
	}
	opened := strings.Join(mysql.open(o), ";\n")
	for _, w := range []string{"PREPARE prodaccess FROM @prodaccess;\nEXECUTE prodaccess", "IF(@mine = 1 AND UTC_TIMESTAMP(6) <= TIMESTAMP'2026-03-02 12:00:00.000000'"} {
		if !strings.Contains(opened, w) {
			t.Errorf("%s\nlacks %s", opened, w)
		}
	}
	for _, text := range append(made, opened, mysql.about("pa_ana_1"), mysql.definedBy("pa_ana_1"), mysql.writeDown(o, secret.New("v"), at), settings) {
		for _, only := range []string{"global_priv", "roles_mapping", "JSON_VALUE", "EXECUTE IMMEDIATE", "IDENTIFIED VIA", "SIGNAL", "KILL USER", "MAX_STATEMENT_TIME"} {
			if strings.Contains(text, only) {
				t.Errorf("MariaDB's %s is in what MySQL is sent: %s", only, text)
			}
		}
	}
	for _, step := range append(mysql.bootstrap("prodaccess_admin"), grants.PreparationStep{SQL: mysql.event("prodaccess_admin")}) {
		for _, only := range []string{"CONNECTION ADMIN", "EXECUTE IMMEDIATE", "KILL USER"} {
			if strings.Contains(step.SQL, only) {
				t.Errorf("MariaDB's %s is in what MySQL is sent: %s", only, step.SQL)
			}
		}
	}
}
