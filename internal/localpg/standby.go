package localpg

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// Standby makes a hot standby that streams from this server, and returns when it answers. It has the same superuser;
// it is stopped with its primary at the latest. It needs pg_basebackup, which the system's packages have and the npm
// packages of scripts/setup.sh do not.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	standby, err := newServer(Options{BinDir: s.cluster.bin, Fast: s.fast})
	if err != nil {
		return nil, fmt.Errorf("starting a standby: %w", err)
	}
	socket := standby.SocketDir()
	standby.settings = maps.Clone(s.settings)
	standby.settings["unix_socket_directories"] = socket
	standby.settings["hot_standby"] = "on"
	standby.settings["primary_conninfo"] = fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s sslmode=disable",
		s.port, superuser, s.password)
	if err := standby.follow(ctx, s); err != nil {
		standby.Stop()
		return nil, fmt.Errorf("starting a standby: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standbys = append(s.standbys, standby)
	return standby, nil
}

func (s *Server) follow(ctx context.Context, primary *Server) error {
	if err := s.cluster.as.mkdir(s.cluster.data()); err != nil {
		return err
	}
	cmd := s.cluster.command(ctx, "pg_basebackup", "--pgdata="+s.cluster.data(), "--wal-method=stream",
		"--checkpoint=fast", "--no-sync", "--host=127.0.0.1", fmt.Sprintf("--port=%d", primary.port), "--username="+superuser)
	cmd.Env = append(cmd.Env, "PGPASSWORD="+primary.password)
	if out, err := run(cmd); err != nil {
		return fmt.Errorf("running pg_basebackup: %w: %s", err, strings.TrimSpace(out))
	}
	signal := filepath.Join(s.cluster.data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return err
	}
	if err := s.cluster.as.own(signal); err != nil {
		return err
	}
	if err := os.WriteFile(s.cluster.passfile(), []byte(primary.password), 0o600); err != nil {
		return err
	}
	return s.firstStart(ctx)
}
