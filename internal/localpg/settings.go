package localpg

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// baseSettings hold for every server. They make it small, and the same on every machine.
func baseSettings() map[string]string {
	return map[string]string{
		"listen_addresses":          "127.0.0.1",
		"unix_socket_permissions":   "0700",
		"password_encryption":       "scram-sha-256",
		"max_connections":           "200",
		"max_prepared_transactions": "10",
		"shared_buffers":            "32MB",
		"max_wal_size":              "512MB",
		"checkpoint_timeout":        "1h",
		"logging_collector":         "off",
		"log_destination":           "stderr",
		"log_line_prefix":           "%m [%p] %q%u@%d ",
		"log_timezone":              "UTC",
		"timezone":                  "UTC",
		"lc_messages":               "C",
		"jit":                       "off",
	}
}

// fastSettings give up what only a crash of the whole machine would need. Commits still reach the operating system
// before they are acknowledged: a killed server has them when it comes back.
func fastSettings() map[string]string {
	return map[string]string{
		"fsync":            "off",
		"full_page_writes": "off",
	}
}

// hba lets everybody in with a password and nobody without, replication included.
const hba = `local all         all              scram-sha-256
host  all         all 127.0.0.1/32 scram-sha-256
host  replication all 127.0.0.1/32 scram-sha-256
`

// configure writes the cluster's configuration afresh: it is ours, not what initdb proposed.
func (c cluster) configure(settings map[string]string) error {
	var text strings.Builder
	text.WriteString("# Written at every start. Change it with ALTER SYSTEM.\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	files := map[string]string{"postgresql.conf": text.String(), "pg_hba.conf": hba}
	for name, content := range files {
		path := filepath.Join(c.data(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
		if err := c.as.own(path); err != nil {
			return err
		}
	}
	return nil
}

// freePort finds a port that nobody listens on. It stays below the range that Linux takes outgoing ports from
// (net.ipv4.ip_local_port_range), so that the port is still free when a stopped server comes back to it.
func freePort() (int, error) {
	var lastErr error
	for range 100 {
		port := 15000 + rand.IntN(17000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			lastErr = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("finding a free port: %w", lastErr)
}
