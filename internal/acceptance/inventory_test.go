package acceptance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// Standing access is listed by one command, without the logins that grants explain, and counted in the digest.
func TestInventoryListsWhatNoGrantExplains(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{Digest: "@every 2s"}, nil)
	_, url := w.gets("bo", "10m", "is not standing access")
	w.connect(url)
	if err := w.ExecTarget(w.ctx, "CREATE ROLE forgotten LOGIN; GRANT CONNECT ON DATABASE orders TO forgotten; GRANT SELECT ON customers TO forgotten; GRANT USAGE ON SCHEMA public TO forgotten"); err != nil {
		t.Fatal(err)
	}
	out, err := w.Run(w.ctx, "targets", "inventory", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var found []struct{ Login, Power string }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	powers := map[string]string{}
	for _, f := range found {
		powers[f.Login] = f.Power
	}
	for login, power := range map[string]string{"postgres": "superuser", "prodaccess_admin": "administrator", "forgotten": "reader"} {
		if powers[login] != power {
			t.Errorf("%s is listed as %q, want %q", login, powers[login], power)
		}
	}
	if strings.Contains(out, "pa_bo_") {
		t.Errorf("a grant's login is called standing access:\n%s", out)
	}
	w.sees("sam", "that no grant explains")
}
