package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
)

func TestStandingAccess(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		major := shared.major
		c := prepare(t, startServer(t, major, nil), major)
		t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
		run(t, c.srv.URL("app"),
			"CREATE ROLE root2 LOGIN SUPERUSER", "CREATE ROLE hr LOGIN CREATEROLE", "CREATE ROLE copies LOGIN REPLICATION",
			"CREATE ROLE app LOGIN VALID UNTIL '2031-01-02 03:04:05+00' IN ROLE app_owner", "CREATE ROLE report", "CREATE ROLE tableau LOGIN IN ROLE report",
			"CREATE ROLE loader LOGIN PASSWORD 'loader'", "CREATE ROLE allreader LOGIN IN ROLE pg_read_all_data", "CREATE ROLE nothing LOGIN", "CREATE ROLE outside LOGIN",
			"CREATE ROLE dead NOLOGIN SUPERUSER",
			"GRANT CONNECT ON DATABASE app TO app, tableau, loader, nothing", "GRANT USAGE ON SCHEMA sc TO report, loader, outside",
			"GRANT SELECT ON sc.orders TO report, outside", "GRANT SELECT, INSERT ON sc.orders TO loader",
			"CREATE ROLE pa_ana_abc LOGIN IN ROLE pa_read_only", "COMMENT ON ROLE pa_ana_abc IS 'prodaccess installation=x grant=abc'",
			"CREATE ROLE pa_ours LOGIN IN ROLE pa_read_only", "COMMENT ON ROLE pa_ours IS 'prodaccess installation=test grant=abc'",
			"CREATE ROLE pa_almost LOGIN", "COMMENT ON ROLE pa_almost IS 'prodaccess installation=test grant=a b'")
		conn, err := pgx.Connect(t.Context(), c.srv.UserURL("loader", "loader", "app"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())

		found, err := c.open(t, nil).Standing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found = slices.DeleteFunc(found, func(s grants.Standing) bool { return s.Login == "postgres" })
		var got []string
		for _, s := range found {
			line := s.Login + " " + string(s.Power) + ": " + strings.Join(s.Why, "; ")
			if s.Login == "loader" && s.Sessions != 1 {
				t.Errorf("loader has %d sessions, want 1", s.Sessions)
			}
			if (s.Login == "app") != (s.ValidUntil.Year() == 2031) {
				t.Errorf("%s is valid until %v", s.Login, s.ValidUntil)
			}
			got = append(got, line)
		}
		want := []string{
			"root2 superuser: is a superuser",
			"hr administrator: has CREATEROLE",
			"prodaccess_admin administrator: has CREATEROLE",
			"app owner: owns tables in app.sc, through app_owner",
			"loader writer: may read in app.sc; may write in app.sc",
			"allreader reader: is a member of pg_read_all_data",
			"copies reader: has REPLICATION, which copies the whole cluster",
			"pa_almost reader: has the prefix of prodaccess and no stamp, so no sweep looks at it",
			"pa_ana_abc reader: carries the stamp of installation x, so no sweep of this one looks at it; may read in app.sc, through pa_read_only",
			"tableau reader: may read in app.sc, through report",
		}
		if major >= 16 {
			// The administrator of access roles is a member of them there.
			want[2] += "; may read in app.sc, through pa_read_only"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("standing access (-want +got):\n%s", diff)
		}
	})
}
