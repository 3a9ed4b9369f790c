package postgres

import (
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
)

// What is remembered is the installation's own, survives the driver, is no login, and is in nobody's way.
func TestRemembers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c *cluster) {
		mine := func(cfg *Config) { cfg.Installation = "remembering" }
		d := c.open(t, mine)
		if text, err := d.Remembered(t.Context()); err != nil || text != "" {
			t.Fatalf("%q %v", text, err)
		}
		for _, text := range []string{"head 1:ab", "head 22:cd"} {
			if err := d.Remember(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			if got, err := c.open(t, mine).Remembered(t.Context()); err != nil || got != text {
				t.Fatalf("%q %v", got, err)
			}
		}
		if text, err := c.open(t, func(cfg *Config) { cfg.Installation = "another" }).Remembered(t.Context()); err != nil || text != "" {
			t.Errorf("another installation remembers %q %v", text, err)
		}
		if err := d.Remember(t.Context(), "head 'x"); grants.ReasonOf(err) != grants.FailInternal {
			t.Error(err)
		}
		if logins, err := d.Logins(t.Context()); err != nil || len(logins) != 0 {
			t.Errorf("listed as logins: %+v %v", logins, err)
		}
		if n := value[int](t, c, "SELECT count(*) FROM pg_roles WHERE starts_with(rolname, 'pa_mark_') AND (rolcanlogin OR rolcreaterole OR rolsuper)"); n != 0 {
			t.Error("it can log in, or more")
		}
		findings, err := d.Check(t.Context(), []grants.Profile{readOnly})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if strings.Contains(f.What+f.Mend, "pa_mark_") {
				t.Errorf("the check minds it: %+v", f)
			}
		}
	})
}
