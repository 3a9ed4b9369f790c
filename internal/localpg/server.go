package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say how a server is made. The zero value is a server on a free port that keeps its promises and whose
// directory goes when it stops.
type Options struct {
	// BinDir holds initdb and postgres. Empty: what [Find] finds.
	BinDir string
	// Major asks Find for one major version; 0 takes any.
	Major int
	// Dir keeps the cluster. A cluster that is there already is used again. Empty: a new directory, removed by Stop.
	// The account the server runs as must be able to pass through its parents.
	Dir string
	// Port is where it listens; 0 chooses a free one.
	Port int
	// Settings are Postgres' own (log_statement=all); they win over those of this package.
	Settings map[string]string
	// Fast is for tests: see the package comment.
	Fast bool
	// Fresh gives a Fast server a system identifier of its own, for half a second more.
	Fresh bool
	// Log gets what the server writes, as it is written. [Server.LogText] has it too.
	Log io.Writer
}

// A Server is one Postgres. Its methods may be called from several goroutines.
type Server struct {
	cluster    cluster
	settings   map[string]string
	password   string
	port       int
	fast, temp bool
	log        io.Writer

	mu       sync.Mutex // held while the server changes between up and down
	process  *process   // nil when it is down
	standbys []*Server
	gone     bool

	templates templates
}

// Start makes a server and returns when it answers. The context bounds the start alone, not the server's life.
func Start(ctx context.Context, opts Options) (*Server, error) {
	s, err := newServer(opts)
	if err != nil {
		return nil, fmt.Errorf("starting a local Postgres: %w", err)
	}
	if err := s.create(ctx, opts); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting a local Postgres: %w", err)
	}
	return s, nil
}

func newServer(opts Options) (*Server, error) {
	bin := opts.BinDir
	if bin == "" {
		var err error
		if bin, err = Find(opts.Major); err != nil {
			return nil, err
		}
	}
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, temp := opts.Dir, false
	if dir == "" {
		if dir, err = tempDir(opts.Fast); err != nil {
			return nil, fmt.Errorf("making a directory: %w", err)
		}
		temp = true
	} else if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := sharedDir(dir); err != nil {
		return nil, err
	}
	settings := baseSettings()
	if opts.Fast {
		maps.Copy(settings, fastSettings())
	}
	maps.Copy(settings, opts.Settings)
	c := cluster{dir: dir, bin: bin, as: as}
	socket, err := c.socketDir()
	if err != nil {
		return nil, fmt.Errorf("making the socket directory: %w", err)
	}
	settings["unix_socket_directories"] = socket
	return &Server{
		cluster:  c,
		settings: settings,
		port:     opts.Port,
		fast:     opts.Fast,
		temp:     temp,
		log:      opts.Log,
	}, nil
}

func (s *Server) create(ctx context.Context, opts Options) (err error) {
	switch {
	case s.cluster.exists():
	case opts.Fast && !opts.Fresh:
		err = s.cluster.copyCached(ctx)
	default:
		err = s.cluster.init(ctx, opts.Fast)
	}
	if err != nil {
		return err
	}
	return s.firstStart(ctx)
}

// firstStart starts a server whose cluster is in place, choosing another port when somebody else was quicker to take it.
func (s *Server) firstStart(ctx context.Context) (err error) {
	if s.password, err = s.cluster.password(); err != nil {
		return err
	}
	chosen := s.port != 0
	for range 5 {
		if !chosen {
			if s.port, err = freePort(); err != nil {
				return err
			}
		}
		if err = s.Restart(ctx); err == nil || chosen || !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// Port is where the server listens on 127.0.0.1; it stays the same across Kill and Restart.
func (s *Server) Port() int { return s.port }

// URL is a connection string for the superuser. It holds a password; the server is on loopback, without TLS.
func (s *Server) URL(database string) string { return s.UserURL(superuser, s.password, database) }

// UserURL is a connection string for a login of the caller's own.
func (s *Server) UserURL(user, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(user, password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// SocketDir is the directory of the unix socket, for libpq's host parameter.
func (s *Server) SocketDir() string { return s.settings["unix_socket_directories"] }

// BinDir is the directory of the server's binaries; psql may or may not be in it.
func (s *Server) BinDir() string { return s.cluster.bin }

// DataDir is the cluster's data directory.
func (s *Server) DataDir() string { return s.cluster.data() }

// LogText is everything the server has written since the cluster was made.
func (s *Server) LogText() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return ""
	}
	return string(bytes.ToValidUTF8(text, []byte("?")))
}

func (s *Server) logFile() string { return filepath.Join(s.cluster.dir, "server.log") }

// Restart starts the server where it was, on the same port. One that is up is shut down first.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errors.New("the server was stopped for good")
	}
	s.process.shutdown(true)
	s.process = nil
	s.settings["port"] = strconv.Itoa(s.port)
	if err := s.cluster.configure(s.settings); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	up, err := s.cluster.launch(ctx, s.logFile(), s.log)
	s.process = up
	return err
}

// Kill takes the server down as a crash does: sessions are cut, nothing is tidied. Restart recovers it.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.shutdown(false)
	s.process = nil
}

// Running says whether the server is up as far as we know.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil && !s.process.exited()
}

// Stop ends the server and its standbys for good, and removes their directories unless [Options.Dir] named one.
// It may be called twice.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, standby := range s.standbys {
		standby.Stop()
	}
	s.process.shutdown(!s.fast || !s.temp)
	s.process = nil
	s.gone = true
	if socket := s.SocketDir(); !strings.HasPrefix(socket, s.cluster.dir) {
		_ = os.RemoveAll(socket)
	}
	if s.temp {
		_ = os.RemoveAll(s.cluster.dir)
	}
}

// socketDir is a directory in the cluster's, unless that is too long for a socket's address (108 bytes on Linux, 104 on
// macOS, of which "/.s.PGSQL.65535.lock" takes twenty).
func (c cluster) socketDir() (string, error) {
	dir := filepath.Join(c.dir, "socket")
	if len(dir) > 80 {
		short, err := os.MkdirTemp("/tmp", "pa-")
		if err != nil {
			return "", err
		}
		return short, c.as.own(short)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, c.as.mkdir(dir)
}

// stopPatience is how long an orderly shutdown may take before it is cut short.
const stopPatience = 10 * time.Second
