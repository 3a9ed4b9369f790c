package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/grantstest"
	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestConformanceOfProfiles(t *testing.T) {
	t.Parallel()
	for _, least := range []bool{false, true} {
		for _, major := range majors {
			if least && (major == 16 || major == 17) {
				continue // what the functions do for a profile, 18 does as they do
			}
			t.Run(fmt.Sprintf("postgres %d%s", major, map[bool]string{true: " with least privilege"}[least]), func(t *testing.T) {
				t.Parallel()
				srv := startServer(t, major, nil)
				t.Cleanup(srv.Stop)
				grantstest.ExerciseProfiles(t, &shops{srv: srv, least: least})
			})
		}
	}
}

// shops makes a database, and an administrator, for each shop. Plans change what belongs to the whole cluster, so they are
// applied one after another.
type shops struct {
	srv   *localpg.Server
	least bool // the administrator, one for all of them, acts through functions
	mu    sync.Mutex
	made  int
}

func (s *shops) Cannot() []string { return nil }

func (s *shops) Shop(t testing.TB, schema string, profiles []grants.Profile) grantstest.Shop {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	database := fmt.Sprintf("shop%d", s.made)
	url := s.srv.URL(database)
	run(t, s.srv.URL("postgres"), "CREATE DATABASE "+database)
	rows := func(all [][]string) string {
		var lines []string
		for _, row := range all {
			values := make([]string, len(row))
			for i, v := range row {
				values[i] = literal(v)
			}
			lines = append(lines, "("+strings.Join(values, ", ")+")")
		}
		return strings.Join(lines, ", ")
	}
	run(t, url,
		"CREATE SCHEMA "+schema,
		"CREATE TABLE "+schema+".customers (id bigint PRIMARY KEY, name varchar(100), email varchar(100), card_number varchar(30), born date)",
		"CREATE TABLE "+schema+".orders (id bigint PRIMARY KEY, customer_id bigint, item varchar(100), status varchar(20))",
		"INSERT INTO "+schema+".customers VALUES "+rows(grantstest.Customers),
		"INSERT INTO "+schema+".orders VALUES "+rows(grantstest.Orders))
	admin, rights := "adm_"+database, " LOGIN CREATEROLE"
	if s.least {
		admin, rights = "prodaccess_admin", " LOGIN"
	}
	run(t, url, ifNo("SELECT FROM pg_roles WHERE rolname = "+literal(admin), "CREATE ROLE "+admin+rights+" PASSWORD '"+localpg.Verifier("admin")+"'"))
	d, err := Open(Config{
		Target: grants.Target{Name: database, Engine: "postgres", Databases: []string{database}}, Installation: grantstest.Installation,
		AdminURL: secret.New(s.srv.UserURL(admin, "admin", database)), PrepareURL: secret.New(url), MaxConns: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	planned := d.Plan
	if s.least {
		planned = d.PlanLeastPrivilege
	}
	plan, err := planned(t.Context(), profiles)
	if err != nil || len(plan.Problems) > 0 {
		t.Fatal(err, plan.Problems)
	}
	if err := d.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	return &shopFront{driver: d, srv: s.srv, database: database}
}

type shopFront struct {
	driver   *Driver
	srv      *localpg.Server
	database string
}

func (s *shopFront) Driver() grants.Driver { return s.driver }

func (s *shopFront) Login(ctx context.Context, login string, password secret.String) (grantstest.Clerk, error) {
	conn, err := pgx.Connect(ctx, s.srv.UserURL(login, password.Reveal(), s.database))
	if err != nil {
		return nil, err
	}
	return clerk{conn}, nil
}

// Refused takes a table that cannot be found for one that cannot be seen, and knows the refusals of views: a row outside
// (44000), a column that is an expression (0A000).
func (s *shopFront) Refused(err error) bool {
	state := stateOf(err)
	return state == "42501" || state == "44000" || state == "0A000"
}

func (s *shopFront) Values(t testing.TB, login string) int {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.srv.URL(s.database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var n int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+boundValues+" WHERE login = $1", login).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

type clerk struct{ conn *pgx.Conn }

func (c clerk) Ask(ctx context.Context, sql string) ([][]string, error) {
	results, err := c.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, row := range results[0].Rows {
		line := make([]string, len(row))
		for i, v := range row {
			if line[i] = string(v); v == nil {
				line[i] = "NULL"
			}
		}
		rows = append(rows, line)
	}
	return rows, nil
}

func (c clerk) Close() { _ = c.conn.Close(context.Background()) }
