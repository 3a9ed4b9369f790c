package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
)

// account is the operating system user that the server runs as; nil means our own.
type account struct {
	uid, gid uint32
}

// serverAccount chooses an account: our own, unless we are root.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("reading the user id of %q: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("reading the group id of %q: %w", name, err)
		}
		return &account{uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("no user to run Postgres as: it refuses to run as root, and there is neither a user postgres nor a user nobody")
}

func (a *account) name() string {
	if a == nil {
		return "self"
	}
	return strconv.Itoa(int(a.uid))
}

// own gives one path to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// mkdir makes a directory that belongs to the account alone.
func (a *account) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return a.own(path)
}

// sharedDir makes a directory of ours that the account can pass through. One that exists has to be a real directory of
// ours: /var/tmp is open to everybody, and a stranger's directory or link there is a trap.
func sharedDir(path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || !ownedByUs(info) {
		return fmt.Errorf("%s exists and is not a directory of ours: remove it, or set PRODACCESS_CACHE to another place", path)
	}
	return os.Chmod(path, 0o755)
}

// copyTree copies a data directory: directories and regular files, for the account alone.
func (a *account) copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return a.mkdir(target)
		}
		return a.copyFile(path, target)
	})
}

// notCopied are the files and directories of a running server that a copy of it must not have, or need not: the documentation
// of base backups lists them. Of the directories only what is in them is left out.
var notCopied = []string{
	"postmaster.pid", "postmaster.opts", "pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans",
}

// copyRunning copies the data directory of a server that is in backup mode. Files may go away while it does.
func (a *account) copyRunning(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		leave := slices.Contains(notCopied, rel)
		if entry.IsDir() {
			if err := a.mkdir(filepath.Join(to, rel)); err != nil || !leave {
				return err
			}
			if rel == "pg_wal" {
				if err := a.mkdir(filepath.Join(to, rel, "archive_status")); err != nil {
					return err
				}
			}
			return filepath.SkipDir
		}
		if leave {
			return nil
		}
		if err := a.copyFile(path, filepath.Join(to, rel)); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (a *account) copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := out.ReadFrom(in); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return a.own(to)
}
