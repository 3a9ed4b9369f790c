package localmysql

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the operating system user that the server runs as; nil means our own.
type account struct {
	uid, gid uint32
}

func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"mysql", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &account{uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("there is neither a user mysql nor a user nobody to run the server as")
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// parent holds the directories of all servers. Root's servers run as another user, who cannot enter root's home; the
// path must be short, because a socket's address is.
func parent() string {
	if cache := os.Getenv("PRODACCESS_CACHE"); cache != "" {
		return filepath.Join(cache, "mysql-servers")
	}
	return filepath.Join("/var/tmp", fmt.Sprintf("prodaccess-mysql-%d", os.Geteuid()))
}

// tempDir makes a directory for one server, named after our process so that a later one can tell whose it was.
func tempDir(a *account) (string, error) {
	dir := parent()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || !ownedByUs(info) {
		return "", fmt.Errorf("%s exists and is not a directory of ours: remove it, or set PRODACCESS_CACHE to another place", dir)
	}
	sweep(dir)
	made, err := os.MkdirTemp(dir, strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", err
	}
	return made, a.own(made)
}

// sweep removes the directories of processes that ended without removing them. Their servers ended with them.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		owner, _, _ := strings.Cut(entry.Name(), "-")
		pid, err := strconv.Atoi(owner)
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(filepath.Join(dir, entry.Name()))
		}
	}
}
