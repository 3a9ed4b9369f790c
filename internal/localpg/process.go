package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

var errPortTaken = errors.New("the port is taken")

// A process is a running postmaster.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone
}

// onOneThread runs f on a thread of its own that lives until f returns: see confine.
func onOneThread(f func()) {
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
}

// launch starts the postmaster and waits until it accepts connections.
func (c cluster) launch(ctx context.Context, logFile string, tee io.Writer) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	pidFile := filepath.Join(c.data(), "postmaster.pid")

	p := &process{
		cmd:  c.command(context.WithoutCancel(ctx), "postgres", "-D", c.data()),
		done: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if tee != nil {
		both := io.MultiWriter(log, tee)
		p.cmd.Stdout, p.cmd.Stderr = both, both
		p.cmd.WaitDelay = time.Second // backends hold the pipe a moment longer than the postmaster
	}
	started := make(chan error, 1)
	onOneThread(func() {
		defer log.Close()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			close(p.done)
		}
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.cmd.Path, err)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.shutdown(false)
			return nil, fmt.Errorf("waiting for the server to answer: %w", ctx.Err())
		case <-p.done:
			return nil, explain(logFile, before)
		case <-tick.C:
			if ready(pidFile, p.cmd.Process.Pid) {
				return p, nil
			}
		}
	}
}

// ready reads the status line that the postmaster keeps in its pid file (the eighth), as pg_ctl does.
func ready(pidFile string, pid int) bool {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == fmt.Sprint(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// explain turns the last words of a server that did not come up into an error.
func explain(logFile string, from int64) error {
	text, err := os.ReadFile(logFile)
	if err != nil {
		return fmt.Errorf("the server ended, and its log cannot be read: %w", err)
	}
	words := strings.TrimSpace(string(text[min(from, int64(len(text))):]))
	if strings.Contains(words, "Address already in use") {
		return fmt.Errorf("%w: %s", errPortTaken, words)
	}
	return fmt.Errorf("the server ended at once: %s", words)
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// shutdown ends the process and returns when it is gone: in order (fast shutdown) or at once (immediate shutdown).
// A nil process is gone already.
func (p *process) shutdown(inOrder bool) {
	if p == nil {
		return
	}
	if inOrder && p.signal(syscall.SIGINT, stopPatience) {
		return
	}
	if p.signal(syscall.SIGQUIT, stopPatience) {
		return
	}
	p.signal(syscall.SIGKILL, stopPatience)
}

// signal says whether the process was gone within the time.
func (p *process) signal(sig os.Signal, patience time.Duration) bool {
	_ = p.cmd.Process.Signal(sig) // an error means that it has ended
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-p.done:
		return true
	case <-timeout.C:
		return false
	}
}
