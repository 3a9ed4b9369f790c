package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
)

// doctor opens a driver as `prodaccess doctor` does.
func (c *cluster) doctor(t *testing.T, change func(*Config)) *Driver {
	return c.open(t, func(cfg *Config) {
		cfg.Installation = grants.DoctorInstallation
		cfg.Target.Connect = grants.Endpoint{Host: "127.0.0.1", Port: c.srv.Port(), SSLMode: "disable"}
		if change != nil {
			change(cfg)
		}
	})
}

func leftByDoctor(t *testing.T, c *cluster) []string {
	t.Helper()
	return value[[]string](t, c, "SELECT coalesce(array_agg(rolname::text), '{}') FROM pg_roles WHERE rolname LIKE 'pa\\_doctor\\_%'")
}

func TestRehearsalWorksOnEveryVersionAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, major := range majors {
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			t.Parallel()
			c := prepare(t, startServer(t, major, nil), major)
			t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
			r := c.doctor(t, nil).Rehearse(t.Context(), grants.AccessRole(readOnly.Name))
			if !r.OK() || len(r.Steps) != 7 {
				t.Fatalf("steps: %+v", r.Steps)
			}
			if want := fmt.Sprintf("PostgreSQL %d.", major); !strings.HasPrefix(r.Server, want) {
				t.Errorf("server is %q, want %s…", r.Server, want)
			}
			old := false
			for _, w := range r.Warnings {
				old = old || strings.Contains(w.What, "pg_execute_server_program")
			}
			if old != (major < 16) || len(r.Warnings) > 1 {
				t.Errorf("warnings: %+v", r.Warnings)
			}
			if left := leftByDoctor(t, c); len(left) > 0 {
				t.Errorf("left on the server: %v", left)
			}
		})
	}
}

func TestRehearsalNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, breaks, step, mend string
	}{
		{"no right to end sessions", "REVOKE pg_signal_backend FROM prodaccess_admin", "sessions ended", "targets plan"},
		{"no right to make logins", "ALTER ROLE prodaccess_admin NOCREATEROLE", "a login can be made", "targets plan"},
		{"no access role", "ALTER ROLE pa_read_only RENAME TO elsewhere", "a login can be made", "targets apply"},
		{"nobody gets into the database", "REVOKE CONNECT ON DATABASE app FROM pa_read_only", "gets in", `GRANT CONNECT ON DATABASE "app" TO "pa_read_only"`},
		{"the administrator is locked out", "ALTER ROLE prodaccess_admin NOLOGIN", "the administrator gets in", "password"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := prepare(t, startServer(t, 17, nil), 17)
			t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
			run(t, c.srv.URL("app"), test.breaks)
			r := c.doctor(t, nil).Rehearse(t.Context(), grants.AccessRole(readOnly.Name))
			var failed []string
			for _, s := range r.Steps {
				if s.Err == nil {
					continue
				}
				failed = append(failed, s.What)
				if f, ok := errors.AsType[*grants.Failure](s.Err); strings.Contains(s.What, test.step) && (!ok || !strings.Contains(f.Mend, test.mend)) {
					t.Errorf("%s: mend does not say %q: %v", s.What, test.mend, s.Err)
				}
			}
			if !strings.Contains(strings.Join(failed, "; "), test.step) {
				t.Errorf("failed: %q, want one about %q", failed, test.step)
			}
			if left := leftByDoctor(t, c); len(left) > 0 {
				t.Errorf("left on the server: %v", left)
			}
		})
	}
}

func TestRehearsalTakesBackWhatADeadOneLeft(t *testing.T) {
	t.Parallel()
	c := prepare(t, startServer(t, 18, nil), 18)
	t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
	d := c.doctor(t, nil)
	fingerprint, err := d.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if _, err := d.Issue(t.Context(), grants.Order{
		Login: "pa_doctor_dead", AccessRole: grants.AccessRole(readOnly.Name), Fingerprint: fingerprint, ConnectionLimit: 1,
		Stamp:      grants.Stamp{Installation: grants.DoctorInstallation, Grant: "dead"},
		ValidUntil: now.Add(time.Minute), NotAfter: now.Add(30 * time.Second), Password: secret.New("dead-password-of-the-tests"),
	}); err != nil {
		t.Fatal(err)
	}
	if r := d.Rehearse(t.Context(), grants.AccessRole(readOnly.Name)); !r.OK() {
		t.Fatalf("steps: %+v", r.Steps)
	}
	if left := leftByDoctor(t, c); len(left) > 0 {
		t.Errorf("left on the server: %v", left)
	}
}

func TestRehearsalSeesAPoolerAndAnEndpointOutOfReach(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, shared *cluster) {
		c := prepare(t, startServer(t, shared.major, nil), shared.major)
		t.Cleanup(func() { c.super.Close(); c.srv.Stop() })
		for _, test := range []struct {
			name, warns string
			port        int
		}{
			{"pooler", "a connection pooler answers", relay(t, c.srv.Port())},
			{"out of reach", "does not reach", closedPort(t)},
		} {
			r := c.doctor(t, func(cfg *Config) { cfg.Target.Connect.Port = test.port }).Rehearse(t.Context(), grants.AccessRole(readOnly.Name))
			if !r.OK() {
				t.Errorf("%s: steps: %+v", test.name, r.Steps)
			}
			// On 15 there is one about CREATEROLE as well.
			if !slices.ContainsFunc(r.Warnings, func(w grants.Finding) bool { return strings.Contains(w.What, test.warns) }) {
				t.Errorf("%s: warnings: %+v", test.name, r.Warnings)
			}
		}
	})
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// relay gives clients a backend key of its own, as poolers do, and passes everything else on.
func relay(t *testing.T, to int) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { passOn(client, server); client.Close() }()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

// passOn copies a server's messages and changes the process in BackendKeyData ('K').
func passOn(client io.Writer, server io.Reader) {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if head[0] == 'K' {
			binary.BigEndian.PutUint32(body, 4242)
		}
		if _, err := client.Write(append(head, body...)); err != nil {
			return
		}
	}
}
