package localmysql

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Product is one of the two servers.
type Product string

// The servers that [Start] knows.
const (
	MariaDB Product = "MariaDB"
	MySQL   Product = "MySQL"
)

// Products are both.
var Products = []Product{MariaDB, MySQL}

// binaries are the programs of one installation.
type binaries struct {
	// server is the program, after the loader and its arguments where it does not use the system's.
	server []string
	// install makes a data directory; MySQL's server does that itself.
	install string
	// settings say where the server finds its own files, if it is not where it was made to be.
	settings map[string]string
}

// identity is the file by which one version of a server is told from another.
func (b binaries) identity() string { return b.server[len(b.server)-1] }

// systemBins are the places where packages put servers: Debian keeps them in /usr/sbin, which is in nobody's PATH but root's.
var systemBins = []string{"/usr/sbin", "/usr/bin", "/usr/libexec", "/opt/homebrew/bin", "/usr/local/bin"}

func find(product Product) (binaries, error) {
	if product == MySQL {
		return findMySQL()
	}
	return findMariaDB()
}

// findMariaDB looks in PRODACCESS_MARIADB_BIN, where packages put it and in PATH.
func findMariaDB() (binaries, error) {
	dirs := append([]string{os.Getenv("PRODACCESS_MARIADB_BIN")}, systemBins...)
	server, install := look("mariadbd", dirs), look("mariadb-install-db", dirs)
	if server == "" || install == "" {
		return binaries{}, errors.New("no MariaDB server on this machine: `scripts/setup.sh test` installs it," +
			" or set PRODACCESS_MARIADB_BIN to the directory of mariadbd and mariadb-install-db")
	}
	return binaries{server: []string{server}, install: install}, nil
}

// findMySQL looks in PRODACCESS_MYSQL_BIN, in the cache and where packages put it. MariaDB has a program of the same name.
func findMySQL() (binaries, error) {
	if path := look("mysqld", []string{os.Getenv("PRODACCESS_MYSQL_BIN")}); path != "" {
		return binaries{server: []string{path}}, nil
	}
	fetched, _ := filepath.Glob(filepath.Join(cacheDir(), "mysql", "*", "usr", "sbin", "mysqld")) // the pattern is well-formed
	slices.SortFunc(fetched, func(a, b string) int { return cmp.Compare(made(b), made(a)) })
	for _, path := range fetched {
		if b, ok := selfContained(path); ok {
			return b, nil
		}
	}
	if path := look("mysqld", systemBins); path != "" {
		if out, err := exec.Command(path, "--no-defaults", "--version").Output(); err == nil && !strings.Contains(string(out), "MariaDB") {
			return binaries{server: []string{path}}, nil
		}
	}
	return binaries{}, errors.New("no MySQL server on this machine: `scripts/setup.sh test` fetches it," +
		" or set PRODACCESS_MYSQL_BIN to the directory of mysqld")
}

// made is when a file was made, for finding the newest.
func made(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.ModTime().Unix()
}

// selfContained is a server that brings the libraries it was built with, because the system's may be older: the loader
// among them starts it, and finds the others by being told where they are.
func selfContained(server string) (binaries, bool) {
	prefix := filepath.Dir(filepath.Dir(server)) // …/usr
	loaders, _ := filepath.Glob(filepath.Join(prefix, "lib", "*", "ld-linux*.so.*"))
	if len(loaders) == 0 {
		return binaries{}, false
	}
	return binaries{
		server: []string{loaders[0], "--library-path", filepath.Dir(loaders[0]), server},
		settings: map[string]string{
			"basedir": prefix, "lc-messages-dir": filepath.Join(prefix, "share", "mysql"),
			"character-sets-dir": filepath.Join(prefix, "share", "mysql", "charsets"), "plugin-dir": filepath.Join(prefix, "lib", "mysql", "plugin"),
		},
	}, true
}

// cacheDir is where scripts/setup.sh puts what it fetches: see the same rule there, and in internal/localpg.
func cacheDir() string {
	if dir := os.Getenv("PRODACCESS_CACHE"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/tmp/prodaccess-root"
	}
	base, err := os.UserCacheDir()
	if err != nil || runtime.GOOS == "darwin" && os.Getenv("XDG_CACHE_HOME") == "" {
		base = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(base, "prodaccess")
}

// look finds a program in the directories, else in PATH.
func look(name string, dirs []string) string {
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	if len(dirs) == 1 {
		return ""
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
