package demo

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestThePageIsServedUntilInterrupted runs what a person at a terminal runs, and presses Ctrl-C.
func TestThePageIsServedUntilInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "demo", "--page", "--no-browser")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	url := ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if found := regexp.MustCompile(`^   (http://127\.0\.0\.1:\d+/)$`).FindStringSubmatch(lines.Text()); found != nil {
			url = found[1]
		}
		if strings.Contains(lines.Text(), "Ctrl-C") {
			break
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatalf("%v; the demo said:\n%s", err, said.String())
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if !strings.Contains(string(body), "/page/main.js") {
		t.Errorf("at %s there is %s", url, body)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v; the demo said:\n%s%s", err, said.String(), rest)
	}
	if _, err := client.Get(url); err == nil {
		t.Error("the page is still there")
	}
}
