package localpg

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// Standby makes a hot standby that streams from this server, and returns when it answers. It has the same superuser;
// it is stopped with its primary at the latest.
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

// follow copies the running primary as "Making a Base Backup Using the Low Level API" of PostgreSQL's documentation says,
// because pg_basebackup is not in the npm packages of scripts/setup.sh, and an older one refuses a newer server. What the
// primary writes meanwhile is streamed.
func (s *Server) follow(ctx context.Context, primary *Server) error {
	conn, err := pgx.Connect(ctx, primary.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "SELECT pg_backup_start('standby', true)"); err != nil {
		return fmt.Errorf("beginning the backup: %w", err)
	}
	if err := s.cluster.as.copyRunning(primary.cluster.data(), s.cluster.data()); err != nil {
		return fmt.Errorf("copying the primary: %w", err)
	}
	var label string
	if err := conn.QueryRow(ctx, "SELECT labelfile FROM pg_backup_stop(false)").Scan(&label); err != nil {
		return fmt.Errorf("ending the backup: %w", err)
	}
	for name, content := range map[string]string{"backup_label": label, "standby.signal": ""} {
		path := filepath.Join(s.cluster.data(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
		if err := s.cluster.as.own(path); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.cluster.passfile(), []byte(primary.password), 0o600); err != nil {
		return err
	}
	return s.firstStart(ctx)
}
