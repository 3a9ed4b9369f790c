package localmysql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// install makes the data directory: a copy of one that was made before by the same server program, for making one takes
// seconds on a busy machine.
func (s *Server) install(ctx context.Context) error {
	info, err := os.Stat(s.bin.identity())
	if err != nil {
		return err
	}
	template := filepath.Join(parent(), "template-"+string(s.product)+"-"+strconv.FormatInt(info.ModTime().Unix(), 36)+"-"+strconv.FormatInt(info.Size(), 36))
	if _, err := os.Stat(template); err == nil {
		if err := s.as.copyTree(template, s.path("data")); err != nil {
			return err
		}
		// MySQL's own identity: two servers of the same one refuse to replicate.
		if err := os.Remove(s.path("data/auto.cnf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := s.makeData(ctx); err != nil {
		return err
	}
	// Kept for the next one. It counts once it has its name; if somebody else was quicker, theirs is as good.
	made := s.path("template")
	if err := s.as.copyTree(s.path("data"), made); err != nil {
		return err
	}
	if err := os.Rename(made, template); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, err := os.Stat(template); err != nil {
			return fmt.Errorf("keeping the data directory for later: %w", err)
		}
	}
	return nil
}

func (s *Server) makeData(ctx context.Context) error {
	args := []string{
		s.bin.install, "--no-defaults", "--datadir=" + s.path("data"),
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=" + logFileSize,
	}
	if s.product == MySQL {
		args = append(slices.Clone(s.bin.server), "--no-defaults", "--initialize-insecure", "--datadir="+s.path("data"))
		args = append(args, arguments(s.bin.settings)...)
		args = append(args, arguments(careless)...)
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Env = s.dir, []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + s.dir}
	var out []byte
	var err error
	onOneThread(func() {
		confine(c, s.as)
		out, err = c.CombinedOutput()
	})
	if err != nil {
		return fmt.Errorf("making the data directory: %w: %s", err, out)
	}
	return nil
}

// copyTree copies directories and regular files, for the account alone.
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
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
			return a.own(target)
		}
		return a.copyFile(path, target)
	})
}

func (a *account) copyFile(from, to string) error {
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
