package mysql

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/grants/grantstest"
	"github.com/prodaccess/prodaccess/internal/secret"
)

func TestConformanceOfProfiles(t *testing.T) { onEach(t, conformanceOfProfiles) }

func conformanceOfProfiles(t *testing.T, on flavour) {
	grantstest.ExerciseProfiles(t, &shops{on: on})
}

// shops makes a server for each shop: roles, and databases, are the whole server's. A few at a time, for they are large.
type shops struct {
	on  flavour
	few sync.Mutex
}

func (s *shops) Cannot() []string { return []string{"create"} }

func (s *shops) Shop(t testing.TB, schema string, profiles []grants.Profile) grantstest.Shop {
	s.few.Lock()
	defer s.few.Unlock()
	c := startCluster(t, s.on, nil)
	t.Cleanup(c.stop)
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
	run(t, c,
		"CREATE DATABASE "+schema,
		"CREATE TABLE "+schema+".customers (id BIGINT PRIMARY KEY, name VARCHAR(100), email VARCHAR(100), card_number VARCHAR(30), born DATE)",
		"CREATE TABLE "+schema+".orders (id BIGINT PRIMARY KEY, customer_id BIGINT, item VARCHAR(100), status VARCHAR(20))",
		"INSERT INTO "+schema+".customers VALUES "+rows(grantstest.Customers),
		"INSERT INTO "+schema+".orders VALUES "+rows(grantstest.Orders))
	d := c.open(t, func(cfg *Config) {
		cfg.Target.Databases = []string{schema}
		cfg.Installation = grantstest.Installation
		cfg.PrepareURL = secret.New(c.srv.RootURL())
		cfg.MaxConns = 4
	})
	c.apply(t, d, profiles)
	return &shopFront{cluster: c, driver: d}
}

// apply prepares a target, and holds the plan to being complete: there is nothing left to do after it.
func (c *cluster) apply(t testing.TB, d *Driver, profiles []grants.Profile) {
	t.Helper()
	plan, err := d.Plan(t.Context(), profiles)
	if err != nil || len(plan.Problems) > 0 {
		t.Fatal(err, plan.Problems)
	}
	if err := d.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	again, err := d.Plan(t.Context(), profiles)
	if err != nil || len(again.Steps)+len(again.Problems) > 0 {
		t.Errorf("planned again after it was applied: %v %+v", err, again)
	}
	run(t, c, "ALTER USER prodaccess_admin@'%' IDENTIFIED BY '"+adminPassword+"' ACCOUNT UNLOCK")
}

type shopFront struct {
	*cluster
	driver *Driver
}

func (s *shopFront) Driver() grants.Driver { return s.driver }

func (s *shopFront) Login(ctx context.Context, login string, password secret.String) (grantstest.Clerk, error) {
	home, err := s.driver.Home(ctx, grants.Login{Name: login})
	if err != nil {
		return nil, err
	}
	visitor, err := openSession(ctx, s.srv.Config(login, password.Reveal(), home))
	if err != nil {
		return nil, err
	}
	return clerk{visitor}, nil
}

// Refused takes a table that cannot be found for one that cannot be seen, and knows the refusals of views: a row outside
// (1369), a column that is an expression (1348).
func (s *shopFront) Refused(err error) bool {
	return slices.Contains([]uint16{errDenyStatement, errDeniedDB, 1143, 1369, 1348}, number(err))
}

func (s *shopFront) Values(t testing.TB, login string) int {
	return value[int](t, s.cluster, "SELECT COUNT(*) FROM prodaccess.bound_values WHERE login = ?", login)
}

type clerk struct{ visitor *session }

func (c clerk) Ask(ctx context.Context, query string) ([][]string, error) {
	rows, err := c.visitor.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all [][]string
	for rows.Next() {
		row := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		line := make([]string, len(columns))
		for i, v := range row {
			if line[i] = v.String; !v.Valid {
				line[i] = "NULL"
			}
		}
		all = append(all, line)
	}
	return all, rows.Err()
}

func (c clerk) Close() { c.visitor.Close() }
