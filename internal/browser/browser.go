package browser

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Browser is one running Chromium.
type Browser struct {
	cmd     *exec.Cmd
	profile string
	conn    *conn
	exited  chan struct{}
}

// flags make a browser that talks to nobody but the page it is given, and that runs as root and without a GPU.
var flags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check",
	"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
	"--disable-features=Translate,OptimizationHints,MediaRouter", "--hide-scrollbars", "--lang=en-GB", "--remote-debugging-port=0", "about:blank",
}

// programs are the names Chromium goes by.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Find is the path of a Chromium: CHROMIUM, or the first one found.
func Find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium on this machine: scripts/setup.sh test installs it, or say where it is in CHROMIUM")
}

// Start runs a browser. It has to be up before ctx ends, and lives until Close.
func Start(ctx context.Context) (_ *Browser, err error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	b := &Browser{exited: make(chan struct{})}
	if b.profile, err = os.MkdirTemp("", "prodaccess-browser-"); err != nil {
		return nil, fmt.Errorf("making a profile for the browser: %w", err)
	}
	b.cmd = exec.Command(path, append([]string{"--user-data-dir=" + b.profile}, flags...)...)
	b.cmd.Env = append(os.Environ(), "TZ=UTC")
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the browser is many processes; all of them end together
	said, err := b.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.profile))
	}
	if err := b.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", path, err), os.RemoveAll(b.profile))
	}
	address, words := make(chan string, 1), make(chan string, 1)
	go func() {
		defer close(b.exited)
		words <- listen(said, address)
		_ = b.cmd.Wait()
	}()
	select {
	case url := <-address:
		b.conn, err = dial(ctx, url)
	case said := <-words:
		err = fmt.Errorf("the browser ended before it was up; it said:\n%s", said)
	case <-ctx.Done():
		err = fmt.Errorf("waiting for the browser: %w", ctx.Err())
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// listen reads what the browser says until it ends, and hands over its address.
func listen(said io.Reader, address chan<- string) string {
	var words strings.Builder
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if url, found := strings.CutPrefix(lines.Text(), "DevTools listening on "); found {
			address <- strings.TrimSpace(url)
		} else if words.Len() < 4096 {
			words.WriteString(lines.Text() + "\n")
		}
	}
	return words.String()
}

// Close ends the browser and all of its pages, and removes its profile.
func (b *Browser) Close() {
	if b.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_ = b.conn.call(ctx, "", "Browser.close", nil, nil)
		cancel()
		b.conn.close()
		select {
		case <-b.exited:
		case <-time.After(5 * time.Second):
		}
	}
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	<-b.exited
	// The last of its processes may write a file while the directory is removed.
	for range 20 {
		if os.RemoveAll(b.profile) == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}
