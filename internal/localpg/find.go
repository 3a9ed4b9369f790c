package localpg

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// EnvBin names the environment variable that says which directory the Postgres binaries are in.
const EnvBin = "PRODACCESS_POSTGRES_BIN"

// systemBins are the places where packagers put one directory per major version.
var systemBins = []string{
	"/usr/lib/postgresql/*/bin",           // Debian, Ubuntu
	"/usr/pgsql-*/bin",                    // the project's own packages for Red Hat
	"/opt/homebrew/opt/postgresql@*/bin",  // macOS on ARM
	"/usr/local/opt/postgresql@*/bin",     // macOS on Intel
	"/usr/libexec/postgresql*",            // Alpine
	"/Library/PostgreSQL/*/bin",           // the graphical installer for macOS
	"/Applications/Postgres.app/*/*/*bin", // Postgres.app
}

// Find returns the directory of the Postgres server binaries of a major version, 0 for any. It looks, in this order, at
// PRODACCESS_POSTGRES_BIN, the system's packages (newest first), the PATH and what scripts/setup.sh has installed; for a
// given version PRODACCESS_POSTGRES_BIN counts only if it holds that version.
// The error says how to get one.
func Find(major int) (binDir string, err error) {
	if dir := os.Getenv(EnvBin); dir != "" {
		if !holdsServer(dir) {
			return "", fmt.Errorf("%s is %q, which does not hold both initdb and postgres", EnvBin, dir)
		}
		if major == 0 || majorOf(dir) == major {
			return dir, nil
		}
	}
	for _, dir := range candidates() {
		if holdsServer(dir) && (major == 0 || majorOf(dir) == major) {
			return dir, nil
		}
	}
	if major == 0 {
		return "", fmt.Errorf("no Postgres server binaries on this machine: run scripts/setup.sh, or set %s to the directory of initdb and postgres", EnvBin)
	}
	return "", fmt.Errorf("no binaries of Postgres %d on this machine: run `scripts/setup.sh test`, or set %s to the directory of its initdb and postgres", major, EnvBin)
}

func candidates() []string {
	var dirs []string
	for _, pattern := range systemBins {
		found, _ := filepath.Glob(pattern) // the patterns are constants, hence well-formed
		slices.SortFunc(found, newestFirst)
		dirs = append(dirs, found...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	if cache, err := CacheDir(); err == nil {
		found, _ := filepath.Glob(filepath.Join(cache, "postgres", "*", "bin"))
		slices.SortFunc(found, newestFirst)
		dirs = append(dirs, found...)
	}
	return dirs
}

// CacheDir is the directory that scripts/setup.sh installs into and that cached clusters live in: PRODACCESS_CACHE, else
// prodaccess in the user's cache directory, but for root a directory in /var/tmp, since the user that root's Postgres
// runs as cannot enter root's home.
func CacheDir() (string, error) {
	if dir := os.Getenv("PRODACCESS_CACHE"); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/tmp/prodaccess-root", nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	if runtime.GOOS == "darwin" && os.Getenv("XDG_CACHE_HOME") == "" {
		// The setup script is plain shell and follows the XDG rule everywhere.
		base = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(base, "prodaccess"), nil
}

func holdsServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

var numbers = regexp.MustCompile(`\d+`)

func newestFirst(a, b string) int { return cmp.Compare(lastNumber(b), lastNumber(a)) }

func lastNumber(path string) int {
	all := numbers.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1])
	return n
}

// majorOf asks the binary itself, since directory names are only a convention.
func majorOf(dir string) int {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "-V").Output() // postgres (PostgreSQL) 15.18 (Debian …)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(numbers.FindString(string(out)))
	return n
}
