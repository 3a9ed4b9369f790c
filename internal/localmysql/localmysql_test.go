package localmysql

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func onEach(t *testing.T, test func(t *testing.T, product Product)) {
	for _, product := range Products {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			test(t, product)
		})
	}
}

func TestAServerStartsCrashesAndComesBack(t *testing.T) { onEach(t, startsCrashesAndComesBack) }

func startsCrashesAndComesBack(t *testing.T, product Product) {
	s, err := Start(t.Context(), Options{Product: product})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	run := func(statement string) {
		t.Helper()
		db, err := open(s.Root(""))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run("CREATE DATABASE app")
	run("CREATE TABLE app.t (a int) ENGINE=InnoDB")
	s.Kill()
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	run("INSERT INTO app.t VALUES (4711)")
	if log := s.GeneralLog(); !strings.Contains(log, "4711") {
		t.Error("the general log lacks what was run")
	}
	if s.ErrorLog() == "" {
		t.Error("the error log is empty")
	}
	s.Stop()
}

func TestNobodyComesInWithoutAPassword(t *testing.T) { onEach(t, nobodyComesInWithoutAPassword) }

func nobodyComesInWithoutAPassword(t *testing.T, product Product) {
	s, err := Start(t.Context(), Options{Product: product})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	for _, user := range []string{"root", "", "mysql"} {
		db, err := open(s.Config(user, "", ""))
		if err != nil {
			t.Fatal(err)
		}
		if db.PingContext(t.Context()) == nil {
			t.Errorf("user %q came in", user)
		}
		db.Close()
	}
}
