package localpg

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// TB is the part of testing.TB that this package uses; the demo links it, and need not link testing.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// NewDatabase makes a database for one test, as a copy of the template (a database nobody is connected to; empty: an
// empty database), and returns its name. It takes some 20 ms. At the end of the test the database is dropped, with
// whatever sessions it still has. Roles belong to the whole server: a test names its roles after its database, or at
// random, and drops them itself where that matters.
func NewDatabase(t TB, srv *Server, template string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := "t_" + strings.ToLower(rand.Text()[:16])
	if err := srv.CreateDatabase(ctx, name, template); err != nil {
		t.Fatalf("localpg: %v", err)
	}
	t.Cleanup(func() {
		if !srv.Running() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil && srv.Running() {
			t.Fatalf("localpg: dropping database %s: %v", name, err)
		}
	})
	return name
}

// CreateDatabase makes a database as a copy of the template, template1 if that is empty.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	if template == "" {
		template = "template1"
	}
	// Copying files takes a fifth of the time of copying through the log, where a checkpoint costs next to nothing.
	if err := s.exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+" STRATEGY FILE_COPY"); err != nil {
		return fmt.Errorf("creating database %s from %s: %w", name, template, err)
	}
	return nil
}

type templates struct {
	mu   sync.Mutex
	once map[string]func() error
}

// Template makes a template database once per server and name: build gets a superuser URL to an empty database and
// fills it, and closes its connections before it returns. The result goes to [NewDatabase].
func Template(t TB, srv *Server, name string, build func(url string) error) string {
	t.Helper()
	srv.templates.mu.Lock()
	if srv.templates.once == nil {
		srv.templates.once = map[string]func() error{}
	}
	once, ok := srv.templates.once[name]
	if !ok {
		once = sync.OnceValue(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := srv.CreateDatabase(ctx, name, ""); err != nil {
				return err
			}
			return build(srv.URL(name))
		})
		srv.templates.once[name] = once
	}
	srv.templates.mu.Unlock()
	if err := once(); err != nil {
		t.Fatalf("localpg: building template %s: %v", name, err)
	}
	return name
}

// exec runs one statement as the superuser on a connection of its own, so that nothing of ours is left connected.
func (s *Server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
