package demo

import (
	"context"
	"os"
	"os/exec"
	"runtime"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

const pageHowTo = `
Everything is running, and yours:

   %s

Open it in a browser on this machine. It is the workspace as ana, bo, dora, sam and cy see it, with what the database
has beside it; the tour there takes about two minutes. /prodaccess help says what can be asked. With the keyboard, F6
goes from one part of the page to the next.

   the bot's probes and metrics   %s/readyz /metrics
   configuration and policy       %s
   the story told in the terminal make demo ARGS=--play

Interrupt (Ctrl-C) to end it; nothing is left behind.`

// dress puts the panes and the tour on the workspace's page. What it returns lets go of the sessions that were opened there.
func dress(s *stage.Stage, lasts string) (undress func()) {
	v := newVisits(s)
	s.Slack.SetPage(sandbox.Page{Panes: panes(s, v), Tour: tour(lasts)})
	return v.close
}

// serve shows the page until it is interrupted.
func serve(ctx context.Context, s *stage.Stage, bot *stage.Bot, scr *screen, browser bool) error {
	scr.line(pageHowTo, scr.style(bold, s.Slack.URL()+"/"), bot.URL(), s.Dir())
	if browser {
		show(s.Slack.URL() + "/")
	}
	<-ctx.Done()
	scr.line("\nTaking everything down.")
	return nil
}

// show opens a browser where there is a screen to show it on. That it does not come up is no fault: the address is on the
// terminal.
func show(url string) {
	opener := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		opener = "open"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return
	}
	path, err := exec.LookPath(opener)
	if err != nil {
		return
	}
	cmd := exec.Command(path, url)
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
