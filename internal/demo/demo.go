package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Options say how the demo is run.
type Options struct {
	// Binary is the prodaccess executable that plays the bot.
	Binary string
	Mode   Mode
	// Browser opens the page in a browser, where there is one.
	Browser bool
	In      io.Reader
	Out     io.Writer
}

// Mode is how the demo is seen.
type Mode int

const (
	// Play tells the story in the terminal, to its end.
	Play Mode = iota
	// Serve shows the page until it is interrupted.
	Serve
	// Interactive reads from In what each person does.
	Interactive
)

// tourLasts is for how long the access of the tour is good: enough to read the steps in between.
const tourLasts = "1m"

// patience bounds every wait of the story.
const patience = 60 * time.Second

// Run opens the stage and plays the story, or leaves the stage to the reader. It takes everything down when it returns.
func Run(ctx context.Context, opts Options) error {
	scr := &screen{out: opts.Out, terminal: isTerminal(opts.Out)}
	digest := digestDue(time.Now())
	if opts.Mode != Play {
		digest = "@every 5m"
	}
	scr.line("%s\n\nprodaccess hands out expiring, scoped database credentials through Slack, and takes them back.", scr.style(bold, "The demo"))
	scr.line("Everything below is real but Slack and PagerDuty: two Postgres servers, the bot, its jobs, its audit log.\n")
	done := func() {}
	s, err := stage.Open(ctx, stage.Options{
		Binary: opts.Binary, Digest: digest, Sweep: "@every 30s", RateLimits: true,
		Settings: map[string]string{"log_statement": "all"},
		Step:     func(text string) { done(); done = scr.step(text) },
	})
	done()
	if err != nil {
		return err
	}
	defer s.Close()
	done = scr.step("prodaccess serve")
	serveCtx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	bot, err := s.Serve(serveCtx)
	done()
	if err != nil {
		return err
	}
	defer dress(s, tourLasts)()
	switch opts.Mode {
	case Serve:
		return serve(ctx, s, bot, scr, opts.Browser)
	case Interactive:
		return interactive(ctx, s, bot, scr, opts.In)
	}
	p := &player{ctx: ctx, stage: s, screen: scr}
	err = p.play()
	if err != nil && ctx.Err() == nil {
		scr.line("\nThe bot's log:\n%s", s.Logs())
	}
	return err
}

// digestDue is a schedule whose next digest is due when the story is over, and covers all of it. Such a schedule is due at
// whole multiples of its interval, so the interval is searched for.
func digestDue(now time.Time) string {
	const first, last = 46 * time.Second, 50 * time.Second
	every := time.Minute
	for ; every < 10*time.Minute; every += time.Second {
		if in := now.Truncate(every).Add(every).Sub(now); in >= first && in <= last {
			break
		}
	}
	return "@every " + every.String()
}

// player plays the story; the first thing that goes wrong ends it.
type player struct {
	ctx    context.Context
	stage  *stage.Stage
	screen *screen
}

// did returns an act's error, with what the person was told.
func did(r sandbox.Reply) error {
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w (told: %s)", err, r.Text)
	}
	return nil
}

// types lets somebody type a command and shows the answer.
func (p *player) types(who, line string) error {
	p.screen.does(who, "types  %s", line)
	r := p.stage.Person(who).Command(line)
	if err := did(r); err != nil {
		return err
	}
	p.screen.box("only "+who+" sees", r.Text)
	return nil
}

// presses waits for a button and presses it.
func (p *player) presses(who, label string) (sandbox.Reply, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := p.stage.Person(who).WaitsForButton(ctx, label); err != nil {
		return sandbox.Reply{}, err
	}
	r := p.stage.Person(who).Clicks(label)
	p.screen.does(who, "presses [%s]", label)
	return r, did(r)
}

// sees waits for a message and shows it.
func (p *player) sees(who, words string) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	m, err := p.stage.Person(who).WaitsForMessage(ctx, words)
	if err != nil {
		return err
	}
	p.screen.box(who+" sees in "+m.ChannelName, m.Text)
	return nil
}

var credentialURL = regexp.MustCompile(`postgresql://\S+`)

// takes presses Get credentials, shows the window and returns the URL in it.
func (p *player) takes(who string) (string, error) {
	began := time.Now()
	if _, err := p.presses(who, "Get credentials"); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := p.stage.Person(who).WaitsForView(ctx, "postgresql://")
	if err != nil {
		return "", err
	}
	p.screen.box(fmt.Sprintf("a window that only %s sees, %d ms after the press", who, time.Since(began).Milliseconds()), v.Text)
	return credentialURL.FindString(v.Text), nil
}

// query runs SQL as psql would and shows rows or the error.
func (p *player) query(conn *pgx.Conn, sql string) error {
	p.screen.line("   %s %s", p.screen.style(green, "orders=>"), sql)
	return p.show(conn, sql)
}

// show runs SQL and shows rows or the error.
func (p *player) show(conn *pgx.Conn, sql string) error {
	rows, err := conn.Query(p.ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		err = p.print(rows)
	}
	if err != nil {
		p.screen.line("   %s", pgText(err))
	}
	return err
}

func (p *player) print(rows pgx.Rows) error {
	defer rows.Close()
	t, err := tableFrom(rows)
	if err != nil {
		return err
	}
	for line := range strings.Lines(aligned(t)) {
		p.screen.line("   %s", strings.TrimRight(line, "\n"))
	}
	return nil
}

// tableFrom reads all rows; the caller closes them.
func tableFrom(rows pgx.Rows) (sandbox.Table, error) {
	t := sandbox.Table{Rows: [][]string{}}
	for _, f := range rows.FieldDescriptions() {
		t.Columns = append(t.Columns, f.Name)
	}
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return t, err
		}
		texts := make([]string, 0, len(values))
		for _, v := range values {
			texts = append(texts, cell(v))
		}
		t.Rows = append(t.Rows, texts)
	}
	return t, rows.Err()
}

// aligned writes a table in columns, without spaces at the ends of lines; nothing for a table without columns.
func aligned(t sandbox.Table) string {
	var text strings.Builder
	if len(t.Columns) == 0 {
		return ""
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush() // into memory
	var out strings.Builder
	for line := range strings.Lines(text.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

// cell is a value as psql prints it.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05Z")
	default:
		return fmt.Sprint(v)
	}
}

// pgText is an error as psql prints it.
func pgText(err error) string {
	text := err.Error()
	if i := strings.Index(text, "ERROR:"); i >= 0 {
		return text[i:]
	}
	if i := strings.Index(text, "FATAL:"); i >= 0 {
		return text[i:]
	}
	return text
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// errStory says that something that must hold in the story did not.
var errStory = errors.New("the story went wrong")
