package localmaria

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// binaries are the programs of one installation.
type binaries struct {
	server, install string
}

// find looks for MariaDB in PRODACCESS_MARIADB_BIN, in PATH and where packages put it: Debian keeps the server in
// /usr/sbin, which is in nobody's PATH but root's.
func find() (binaries, error) {
	server := look("mariadbd")
	install := look("mariadb-install-db")
	if server == "" || install == "" {
		return binaries{}, errors.New("no MariaDB server on this machine: scripts/setup.sh test installs it," +
			" or set PRODACCESS_MARIADB_BIN to the directory of mariadbd and mariadb-install-db")
	}
	return binaries{server: server, install: install}, nil
}

func look(name string) string {
	for _, dir := range []string{os.Getenv("PRODACCESS_MARIADB_BIN"), "/usr/sbin", "/usr/bin", "/usr/libexec", "/opt/homebrew/bin", "/usr/local/bin"} {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
