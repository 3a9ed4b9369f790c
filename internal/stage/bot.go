package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bot is one replica: a child process running the real binary.
type Bot struct {
	cmd    *exec.Cmd
	log    *logBuffer
	addr   string
	exited chan struct{}
	err    error
}

// logBuffer keeps what the process wrote, and tells waiters about each write.
type logBuffer struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *logBuffer) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.changed
}

// Environ adds to the environment of the bots started from now on.
func (s *Stage) Environ(pairs ...string) { s.opts.Environ = append(s.opts.Environ, pairs...) }

// Launch starts a replica and does not wait for it.
func (s *Stage) Launch() (*Bot, error) {
	b := &Bot{log: &logBuffer{changed: make(chan struct{})}, exited: make(chan struct{})}
	b.cmd = exec.Command(s.opts.Binary, "serve", "--config", s.ConfigFile())
	b.cmd.Env = append(os.Environ(), s.opts.Environ...)
	b.cmd.Stdout, b.cmd.Stderr = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the bot: %w", err)
	}
	go func() {
		b.err = b.cmd.Wait()
		close(b.exited)
	}()
	s.mu.Lock()
	s.bots = append(s.bots, b)
	s.mu.Unlock()
	return b, nil
}

// Serve starts a replica and returns when it takes requests.
func (s *Stage) Serve(ctx context.Context) (*Bot, error) {
	b, err := s.Launch()
	if err != nil {
		return nil, err
	}
	if err := b.WaitsForLog(ctx, "prodaccess is ready"); err != nil {
		return nil, err
	}
	for _, line := range strings.Split(b.Log(), "\n") {
		var entry struct{ Message, Listen string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Listen != "" {
			b.addr = entry.Listen
		}
	}
	if s.opts.HTTP {
		base := "http://" + b.addr + "/slack/"
		s.Slack.SetRequestURLs(base+"commands", base+"interactions", base+"events")
		return b, nil
	}
	return b, s.Slack.WaitsForApp(ctx)
}

// URL is the bot's own HTTP server.
func (b *Bot) URL() string { return "http://" + b.addr }

// Log is everything the process wrote so far.
func (b *Bot) Log() string {
	text, _ := b.log.read()
	return text
}

// WaitsForLog waits until the process wrote words; its end before that is an error that shows what it wrote.
func (b *Bot) WaitsForLog(ctx context.Context, words string) error {
	for {
		text, changed := b.log.read()
		if strings.Contains(text, words) {
			return nil
		}
		select {
		case <-changed:
		case <-b.exited:
			if text, _ := b.log.read(); strings.Contains(text, words) {
				return nil
			}
			return fmt.Errorf("the bot ended (%v) before it wrote %q; it wrote:\n%s", b.err, words, b.Log())
		case <-ctx.Done():
			return fmt.Errorf("waiting for the bot to write %q: %w; it wrote:\n%s", words, ctx.Err(), b.Log())
		}
	}
}

// Kill is kill -9; it returns when the process is gone.
func (b *Bot) Kill() {
	_ = b.cmd.Process.Kill()
	<-b.exited
}

// Stop is SIGTERM; it returns when the process has finished what was in hand.
func (b *Bot) Stop(ctx context.Context) error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-b.exited:
		return b.err
	case <-ctx.Done():
		return errors.Join(ctx.Err(), errors.New("the bot did not stop"))
	}
}

// Reload is SIGHUP: the process reads its policy again.
func (b *Bot) Reload() error { return b.cmd.Process.Signal(syscall.SIGHUP) }

// Exited waits for the process to end by itself and returns its exit code.
func (b *Bot) Exited(ctx context.Context) (int, error) {
	select {
	case <-b.exited:
		return b.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Memory is the resident memory of the process in bytes.
func (b *Bot) Memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", b.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(text), &total, &resident); err != nil {
		return 0, err
	}
	return resident * int64(os.Getpagesize()), nil
}

// Get asks the bot's HTTP server for a path.
func (b *Bot) Get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL()+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: 10 * time.Second}
	return client.Do(request)
}
