package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

const howTo = `
Everything is running, and yours. The people: ana (backend, on call), bo (backend), dora (dba), sam (security), cy (contractor).

  bo /prodaccess orders-prod read-only 5m INC-123 checkout is failing
  bo sees                    everything on bo's screen
  dora click Approve         press a button on dora's screen
  bo click Get credentials   a window opens; connect with what it shows
  dora submit Reason: no     fill in and send the open window ("Field: value; Field: value")
  roles                      prodaccess's roles and sessions on the database
  audit                      the audit log, and whether its chain is whole
  quit

The same in a browser: %[1]s/
The same from another terminal:
  curl -d '/prodaccess list' %[1]s/sandbox/people/bo/command
  curl -d 'Approve' %[1]s/sandbox/people/dora/click
  curl %[1]s/sandbox/people/bo/sees
Probes and metrics: %[2]s/readyz %[2]s/metrics
Configuration and policy: %[3]s
`

// interactive leaves the stage to the reader until they quit or interrupt.
func interactive(ctx context.Context, s *stage.Stage, bot *stage.Bot, scr *screen, in io.Reader) error {
	scr.line(howTo, s.Slack.URL(), bot.URL(), s.Dir())
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		if scr.terminal {
			fmt.Fprint(scr.out, "> ")
		}
		select {
		case <-ctx.Done():
			return nil
		case line, open := <-lines:
			if !open {
				scr.line("(standard input ended; interrupt to stop)")
				<-ctx.Done()
				return nil
			}
			if strings.TrimSpace(line) == "quit" {
				return nil
			}
			if err := obey(ctx, s, scr, strings.TrimSpace(line)); err != nil {
				scr.line("%s", err)
			}
		}
	}
}

// obey does what one line says.
func obey(ctx context.Context, s *stage.Stage, scr *screen, line string) error {
	first, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch first {
	case "":
		return nil
	case "help":
		return fmt.Errorf("WHO /prodaccess … | WHO sees | WHO click LABEL | WHO submit FIELD: VALUE; … | roles | audit | quit")
	case "roles":
		return roles(ctx, s, scr)
	case "audit":
		for _, args := range [][]string{{"audit", "list"}, {"audit", "verify"}} {
			out, err := s.Run(ctx, args...)
			scr.line("%s", strings.TrimRight(out, "\n"))
			if err != nil {
				return err
			}
		}
		return nil
	}
	if !known(first) {
		return fmt.Errorf("nobody here is called %q; there are %s. Type help for what can be done", first, strings.Join(people, ", "))
	}
	who := s.Person(first)
	verb, what, _ := strings.Cut(rest, " ")
	what = strings.TrimSpace(what)
	var r sandbox.Reply
	switch {
	case strings.HasPrefix(rest, "/"):
		r = who.Command(rest)
	case verb == "sees":
		scr.box("what "+first+" sees", who.Sees())
		return nil
	case verb == "click":
		r = who.Clicks(what)
	case verb == "submit":
		values := map[string]string{}
		for _, part := range strings.Split(what, ";") {
			if field, value, ok := strings.Cut(part, ":"); ok {
				values[strings.TrimSpace(field)] = strings.TrimSpace(value)
			}
		}
		r = who.Submits(values)
	default:
		return fmt.Errorf("%[1]s can do four things: %[1]s /prodaccess …, %[1]s click LABEL, %[1]s submit FIELD: VALUE; …, %[1]s sees", first)
	}
	if r.Text != "" {
		scr.box("only "+first+" sees", r.Text)
	} else if r.Err() == nil {
		scr.line("(done; \"%s sees\" shows the screen)", first)
	}
	return r.Err()
}

var people = []string{"ana", "bo", "dora", "sam", "cy"}

func known(name string) bool {
	for _, p := range people {
		if p == name {
			return true
		}
	}
	return false
}

// roles shows what prodaccess has on the target now.
func roles(ctx context.Context, s *stage.Stage, scr *screen) error {
	conn, err := pgx.Connect(ctx, s.Target.URL("orders"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	p := &player{ctx: ctx, stage: s, screen: scr}
	return p.show(conn, `SELECT r.rolname AS role, r.rolcanlogin AS can_login, r.rolvaliduntil AS valid_until,
		(SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions
		FROM pg_roles r WHERE r.rolname LIKE 'pa\_%' ORDER BY 1`)
}
