package localmysql

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Options say how a server is made. The zero value is a server on a free port.
type Options struct {
	// Product is MariaDB if it is empty.
	Product Product
	// Settings are the server's own, without the leading dashes ("event-scheduler": "ON"); they win over those of this
	// package.
	Settings map[string]string
}

// A Server is one MariaDB or MySQL. Its methods may be called from several goroutines.
type Server struct {
	product  Product
	bin      binaries
	as       *account
	dir      string
	port     int
	password string
	settings map[string]string

	mu   sync.Mutex // held while the server changes between up and down
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
}

// Start makes a server and returns when it answers. The context bounds the start alone, not the server's life.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts.Product = cmp.Or(opts.Product, MariaDB)
	s, err := start(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("starting a local %s: %w", opts.Product, err)
	}
	return s, nil
}

func start(ctx context.Context, opts Options) (*Server, error) {
	bin, err := find(opts.Product)
	if err != nil {
		return nil, err
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	s := &Server{product: opts.Product, bin: bin, as: as, password: rand.Text()}
	if s.dir, err = tempDir(as); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	if err := s.install(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	s.settings = s.base()
	for name, value := range opts.Settings {
		s.settings[strings.ReplaceAll(name, "_", "-")] = value
	}
	for range 5 {
		if s.port, err = freePort(); err != nil {
			break
		}
		if err = s.Restart(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	if err == nil {
		err = s.lockRoot(ctx)
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// onOneThread runs f on a thread that lives until f returns: see confine.
func onOneThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

func open(cfg *mysql.Config) (*sql.DB, error) {
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

func (s *Server) config(user, password, database string) *mysql.Config {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = user, password, database
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	cfg.Timeout = 5 * time.Second
	return cfg
}

// Product is which server this is.
func (s *Server) Product() Product { return s.product }

// Port is where the server listens on 127.0.0.1; it stays the same across Kill and Restart.
func (s *Server) Port() int { return s.port }

// Dir is the server's directory.
func (s *Server) Dir() string { return s.dir }

// Config is a connection for a login of the caller's own; Root is root's.
func (s *Server) Config(user, password, database string) *mysql.Config {
	return s.config(user, password, database)
}

// Root is a connection for root. It holds a password; the server is on loopback, without TLS unless the settings say so.
func (s *Server) Root(database string) *mysql.Config { return s.config("root", s.password, database) }

// RootURL is the same as a URL of the form that prodaccess reads.
func (s *Server) RootURL() string { return s.URL("root", s.password) }

// URL is a login's connection in the form that prodaccess reads.
func (s *Server) URL(user, password string) string {
	return fmt.Sprintf("mysql://%s:%s@127.0.0.1:%d/", user, password, s.port)
}

// ErrorLog is everything the server has written about itself.
func (s *Server) ErrorLog() string { return read(s.path("error.log")) }

// GeneralLog holds every statement as it arrived, passwords as the server masks them.
func (s *Server) GeneralLog() string { return read(s.path("general.log")) }

// SlowLog holds every statement that was carried out, where Settings switch it on ("slow-query-log": "ON").
func (s *Server) SlowLog() string { return read(s.path("slow.log")) }

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(bytes.ToValidUTF8(text, []byte("?")))
}

// Restart starts the server where it was, on the same port. One that is up is shut down first.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down(syscall.SIGTERM)
	s.settings["port"] = strconv.Itoa(s.port)
	args := append(slices.Clone(s.bin.server), "--no-defaults")
	args = append(args, arguments(s.settings)...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=/usr/bin:/bin", "HOME=" + s.dir, "TZ=UTC"}
	confine(cmd, s.as)
	done, started := make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", s.bin.identity(), err)
	}
	s.cmd, s.done = cmd, done
	return s.await(ctx)
}

func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.down(syscall.SIGKILL)
			return fmt.Errorf("waiting for the server to answer: %w", ctx.Err())
		case <-s.done:
			s.cmd = nil
			return fmt.Errorf("the server ended at once: %s", s.ErrorLog())
		case <-tick.C:
			conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
			if err != nil {
				continue
			}
			// The greeting says that it is up, and that it is ours that listens: the pid file is there by then.
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			n, _ := conn.Read(make([]byte, 4))
			_ = conn.Close()
			if n == 4 && strings.TrimSpace(read(s.path("pid"))) == strconv.Itoa(s.cmd.Process.Pid) {
				return nil
			}
		}
	}
}

// Kill takes the server down as a crash does. Restart recovers it.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down(syscall.SIGKILL)
}

// Stop ends the server for good and removes its directory. It may be called twice.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down(syscall.SIGKILL)
	_ = os.RemoveAll(s.dir)
}

// down returns when the process is gone.
func (s *Server) down(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig) // an error means that it has ended
	select {
	case <-s.done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	s.cmd = nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("the listener has no TCP address")
	}
	return addr.Port, nil
}
