package localpg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// tempDir makes a directory for one server, named after our process so that a later one can tell whose it was. One that need
// not survive the machine is in memory, where there is enough.
func tempDir(fast bool) (string, error) {
	base := ""
	if fast {
		base = memoryDir()
	}
	if base == "" {
		var err error
		if base, err = CacheDir(); err != nil {
			return "", err
		}
	}
	parent := filepath.Join(base, "run")
	for _, dir := range []string{base, parent} {
		if err := sharedDir(dir); err != nil {
			return "", err
		}
	}
	sweep(parent)
	return os.MkdirTemp(parent, fmt.Sprintf("%d-", os.Getpid()))
}

// sweep removes the directories of processes that ended without removing them. Their servers ended with them.
func sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		owner, _, _ := strings.Cut(entry.Name(), "-")
		pid, err := strconv.Atoi(owner)
		dir := filepath.Join(parent, entry.Name())
		if err != nil || alive(pid) || alive(postmaster(dir)) {
			continue
		}
		_ = os.RemoveAll(dir)
	}
}

// postmaster is the process id in the pid file of the cluster in dir, 0 if there is none.
func postmaster(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(first)
	return pid
}

func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
