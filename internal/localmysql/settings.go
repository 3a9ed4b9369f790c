package localmysql

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

const logFileSize = "4M"

// careless are MySQL's settings without which a server waits for the disk, or needs more of the machine than a test should.
var careless = map[string]string{
	"innodb-flush-method": "nosync", "innodb-doublewrite": "OFF", "innodb-use-native-aio": "OFF", "innodb-redo-log-capacity": "16M",
	"innodb-log-writer-threads": "OFF",
}

// base makes a server that is small and quick, and writes down every statement.
func (s *Server) base() map[string]string {
	base := map[string]string{
		"datadir": s.path("data"), "socket": s.path("sock"), "pid-file": s.path("pid"), "tmpdir": s.dir,
		"bind-address": "127.0.0.1", "skip-name-resolve": "ON",
		"log-error": s.path("error.log"), "general-log": "1", "general-log-file": s.path("general.log"),
		"slow-query-log-file": s.path("slow.log"), "long-query-time": "0",
		"innodb-flush-log-at-trx-commit": "0", "innodb-buffer-pool-size": "32M",
		"max-connections": "400", "event-scheduler": "ON", "character-set-server": "utf8mb4",
	}
	if s.product == MySQL {
		maps.Copy(base, careless)
		maps.Copy(base, s.bin.settings)
		// It would write a binary log unasked, listen for a second protocol, and look for a directory of its package's.
		maps.Copy(base, map[string]string{"log-bin": "OFF", "mysqlx": "OFF", "secure-file-priv": "NULL"})
		return base
	}
	maps.Copy(base, map[string]string{"innodb-log-file-size": logFileSize, "sync-frm": "OFF", "performance-schema": "OFF"})
	return base
}

// arguments are settings as a server takes them, in an order that is always the same.
func arguments(settings map[string]string) (args []string) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if name == "log-bin" && settings[name] == "OFF" {
			args = append(args, "--skip-log-bin") // a value would be the name of its files
			continue
		}
		args = append(args, "--"+name+"="+settings[name])
	}
	return args
}

// lockRoot gives root a password and takes away the logins that an installation comes with. The password in clear is in
// the log only here; tests look for others.
func (s *Server) lockRoot(ctx context.Context) error {
	cfg := s.config("root", "", "mysql")
	cfg.MultiStatements = true
	cfg.Net, cfg.Addr = "unix", s.path("sock")
	db, err := open(cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	statements := "DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost';" +
		" UPDATE mysql.global_priv SET Host = '%' WHERE User = 'root'; FLUSH PRIVILEGES; ALTER USER root@'%' IDENTIFIED BY '" + s.password + "'"
	if s.product == MySQL {
		statements = "SET SESSION sql_log_bin = 0; RENAME USER root@localhost TO root@'%'; ALTER USER root@'%' IDENTIFIED BY '" + s.password + "'"
	}
	if _, err := db.ExecContext(ctx, statements); err != nil {
		return fmt.Errorf("giving root a password: %w", err)
	}
	return nil
}
