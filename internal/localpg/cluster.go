package localpg

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const superuser = "postgres"

// A cluster is a directory with a data directory and, beside it, the superuser's password, readable by us alone.
type cluster struct {
	dir string
	bin string
	as  *account
}

func (c cluster) data() string     { return filepath.Join(c.dir, "data") }
func (c cluster) passfile() string { return filepath.Join(c.dir, "superuser-password") }
func (c cluster) exists() bool {
	_, err := os.Stat(c.passfile())
	return err == nil
}

func (c cluster) password() (string, error) {
	text, err := os.ReadFile(c.passfile())
	return string(text), err
}

// command prepares one of Postgres' programs: as the server's account, without anything from our environment.
func (c cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	confine(cmd, c.as)
	return cmd
}

// init makes the cluster with initdb. A fast one's superuser is quick to let in: see [Verifier].
func (c cluster) init(ctx context.Context, fast bool) error {
	password := rand.Text()
	kept := password
	if fast {
		kept = Verifier(password)
	}
	// initdb reads the password, or the verifier, from a file, as the server's account.
	input := filepath.Join(c.dir, "initdb-password")
	if err := os.WriteFile(input, []byte(kept), 0o600); err != nil {
		return err
	}
	defer os.Remove(input)
	if err := c.as.own(input); err != nil {
		return err
	}
	if err := c.as.mkdir(c.data()); err != nil {
		return err
	}
	cmd := c.command(ctx, "initdb",
		"--pgdata="+c.data(), "--username="+superuser, "--pwfile="+input, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
		"--wal-segsize=1") // a sixteenth of the usual: a cluster is copied for each test binary
	if out, err := run(cmd); err != nil {
		return fmt.Errorf("running initdb: %w: %s", err, strings.TrimSpace(out))
	}
	// Last, because its presence says that the cluster is whole.
	return os.WriteFile(c.passfile(), []byte(password), 0o600)
}

// copyCached makes the cluster from the cached one, which it makes first if need be.
func (c cluster) copyCached(ctx context.Context) error {
	cached, err := c.cached(ctx)
	if err != nil {
		return fmt.Errorf("making the cluster that others are copied from: %w", err)
	}
	if err := c.as.copyTree(cached.data(), c.data()); err != nil {
		return fmt.Errorf("copying %s: %w", cached.dir, err)
	}
	password, err := cached.password()
	if err != nil {
		return err
	}
	return os.WriteFile(c.passfile(), []byte(password), 0o600)
}

func (c cluster) cached(ctx context.Context) (cluster, error) {
	key, err := c.cacheKey()
	if err != nil {
		return cluster{}, err
	}
	cache, err := CacheDir()
	if err != nil {
		return cluster{}, err
	}
	parent := filepath.Join(cache, "clusters")
	for _, dir := range []string{cache, parent} {
		if err := sharedDir(dir); err != nil {
			return cluster{}, err
		}
	}
	cached := cluster{dir: filepath.Join(parent, key), bin: c.bin, as: c.as}
	if cached.exists() {
		return cached, nil
	}
	// Test binaries run side by side: each makes its own, one of them wins the name.
	fresh := cluster{bin: c.bin, as: c.as}
	if fresh.dir, err = os.MkdirTemp(parent, "making-"); err != nil {
		return cluster{}, err
	}
	defer os.RemoveAll(fresh.dir)
	if err := os.Chmod(fresh.dir, 0o755); err != nil {
		return cluster{}, err
	}
	if err := fresh.init(ctx, true); err != nil {
		return cluster{}, err
	}
	if err := os.Rename(fresh.dir, cached.dir); err != nil && !cached.exists() {
		return cluster{}, err
	}
	return cached, nil
}

// cacheKey changes with the binary, the account and the way this package makes clusters.
func (c cluster) cacheKey() (string, error) {
	postgres := filepath.Join(c.bin, "postgres")
	info, err := os.Stat(postgres)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "2 %s %d %d %s", postgres, info.Size(), info.ModTime().UnixNano(), c.as.name()))
	return fmt.Sprintf("%x", sum[:8]), nil
}

// run runs a short-lived program and returns what it printed.
func run(cmd *exec.Cmd) (string, error) {
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	onOneThread(func() {
		out, err := cmd.CombinedOutput()
		done <- result{out, err}
	})
	r := <-done
	return string(r.out), r.err
}
