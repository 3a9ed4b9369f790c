package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// The functions work for the installations that plans registered. A plan of one takes nobody else's place, and what an
// installation made before it was taken off the list can be taken back, and gets no new password and no more time.
func TestTheFunctionsWorkForRegisteredInstallations(t *testing.T) {
	t.Parallel()
	onEachApart(t, prepareFunctions, func(t *testing.T, c *cluster) {
		profiles := []grants.Profile{readOnly}
		of := func(installation string) *Driver {
			return c.open(t, func(cfg *Config) { cfg.PrepareURL, cfg.Installation = secret.New(c.srv.URL("app")), installation })
		}
		order := func(d *Driver) grants.Order { return d.newOrder(t, readOnly) }
		refused := func(what string, err error) {
			t.Helper()
			if grants.ReasonOf(err) != grants.FailPrivilege || !strings.Contains(err.Error(), "no plan registered") || !strings.Contains(err.Error(), "targets plan") {
				t.Errorf("%s: %v", what, err)
			}
		}
		finding := func(d *Driver, says string) (found grants.Finding) {
			t.Helper()
			all, err := d.Check(t.Context(), profiles)
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(all, func(f grants.Finding) bool { return strings.Contains(f.What, says) }); i >= 0 {
				found = all[i]
			}
			return found
		}
		one, two := of("test"), of("second")
		_, err := two.Issue(t.Context(), order(two))
		refused("a login of an installation that nobody registered", err)
		refused("its mark", two.Remember(t.Context(), "x"))
		if f := finding(two, "of this installation, second"); f.Mend == "" || f.Advice {
			t.Errorf("check does not say that the installation is not registered: %+v", f)
		}
		late := mustPlan(t, of("third"), readOnly)
		c.register(t, "second")
		mustApply(t, of("third"), late)
		if n := len(mustPlan(t, of("third"), readOnly).Steps); n != 0 {
			t.Errorf("%d steps are left once the installation is registered", n)
		}
		if listed := value[string](t, c, "SELECT shobj_description('prodaccess_functions'::regrole, 'pg_authid')"); listed != "prodaccess installations=test second third" {
			t.Errorf("registered: %s", listed)
		}
		mine, theirs := order(one), order(two)
		for d, o := range map[*Driver]grants.Order{one: mine, two: theirs} {
			if _, err := d.Issue(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if err := d.Remember(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		}

		// Who else is registered is said, and the statement that comes with it takes that one off the list.
		f := finding(one, "accept logins of installation second")
		if !f.Advice {
			t.Fatalf("check does not say who else is registered: %+v", f)
		}
		if own := finding(two, "accept logins of installation second"); own.What != "" {
			t.Errorf("an installation is told of itself: %+v", own)
		}
		_, statement, _ := strings.Cut(f.Mend, "on this cluster: ")
		run(t, c.srv.URL("app"), statement)
		_, err = two.Issue(t.Context(), order(two))
		refused("a login of an installation that was taken off the list", err)
		refused("a new password", two.Rotate(t.Context(), loginOf(theirs), order(two).Password))
		refused("more time", two.Extend(t.Context(), loginOf(theirs), time.Now().Add(time.Hour)))
		if secured, cleaned := takeBack(t, two, theirs); len(cleaned.Checks) == 0 {
			t.Errorf("%+v %+v", secured, cleaned)
		}
		if err := one.Rotate(t.Context(), loginOf(mine), order(one).Password); err != nil {
			t.Errorf("the other installation: %v", err)
		}

		// Nobody registers an installation that is not known, and nobody is blamed for it.
		unknown := of(grants.UnknownInstallation)
		plan, err := unknown.PlanLeastPrivilege(t.Context(), profiles)
		if err != nil || len(plan.Steps) != 0 || len(plan.Problems) != 1 || !strings.Contains(plan.Problems[0], "the store does not say") {
			t.Errorf("a plan without a store: %+v %v", plan, err)
		}
		if f := finding(unknown, "the store does not say"); !f.Advice {
			t.Errorf("a check without a store: %+v", f)
		}
		if f := finding(unknown, "accept logins of installation"); f.What != "" {
			t.Errorf("told of what may be itself: %+v", f)
		}
	})
}
