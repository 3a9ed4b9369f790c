package sandbox

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// installBolt makes bolt/node_modules exist. It fails where node or npm is missing: a conformance test that skips is
// none.
func installBolt(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed to run @slack/bolt against the sandbox: scripts/setup.sh installs it (%v)", tool, err)
		}
	}
	if _, err := os.Stat(filepath.Join("bolt", "node_modules", "@slack", "bolt")); err == nil {
		return
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = "bolt"
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("installing @slack/bolt: %v\n%s", err, out)
	}
}

// startBolt runs bolt/bot.js until the test ends and returns the URL it listens on, if it does. Whatever the bot
// prints as an error fails the test.
func startBolt(t *testing.T, ws *Workspace, env ...string) (url string) {
	t.Helper()
	bot := exec.Command("node", "bot.js")
	bot.Dir = "bolt"
	bot.Env = append(os.Environ(), append(env, "API_URL="+ws.APIURL(), "BOT_TOKEN="+ws.BotToken(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")...)
	stdin, err := bot.StdinPipe()
	no(t, err)
	stdout, err := bot.StdoutPipe()
	no(t, err)
	var complaints bytes.Buffer
	bot.Stderr = &complaints
	no(t, bot.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = bot.Wait()
		if complaints.Len() > 0 {
			t.Errorf("bolt complained: %s", complaints.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		t.Fatalf("bolt did not start: %q %v", line, err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "ready"))
}

var boltOnce sync.Once

func TestBoltTellsTheStory(t *testing.T) {
	t.Parallel()
	boltOnce.Do(func() { installBolt(t) })
	for _, transport := range []string{"socket", "http"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ws := open(t, Options{})
			ws.AddChannel("approvals", "ana", "bo")
			if transport == "socket" {
				startBolt(t, ws, "APP_TOKEN="+ws.AppToken())
				no(t, ws.WaitsForApp(soon(t)))
			} else {
				ws.SetRequestURL(startBolt(t, ws, "SIGNING_SECRET="+ws.SigningSecret()))
				no(t, ws.VerifyURL(soon(t)))
			}
			ana, bob := ws.Person("ana"), ws.Person("bo")

			asked := must(t, ana.Command("/prodaccess orders-prod read-only"))
			if asked.Text != "heard: orders-prod read-only" {
				t.Errorf("the command was answered with %q", asked.Text)
			}
			_, err := asked.WaitsForPost(soon(t), "posted as")
			no(t, err)
			must(t, bob.Clicks("Approve"))
			_, err = bob.WaitsForView(soon(t), "Why?")
			no(t, err)
			if r := bob.Submits(map[string]string{"Reason": "ok"}); r.Errors["Reason"] != "say more" {
				t.Errorf("the app's errors were not shown: %+v", r)
			}
			must(t, bob.Submits(map[string]string{"Reason": "checkout is failing"}))
			_, err = ana.WaitsForMessage(soon(t), "approved by @bo: checkout is failing")
			no(t, err)
			_, err = bob.WaitsForMessage(soon(t), "thank you")
			no(t, err)
			if strings.Contains(ana.Sees(), "thank you") {
				t.Error("ana sees a message for bo's eyes only")
			}
			must(t, bob.OpensHome())
			_, err = bob.WaitsForHome(soon(t), "Welcome")
			no(t, err)
		})
	}
}
