package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

func (c *command) policyReplay() *cobra.Command {
	var since string
	var asJSON, fail, all bool
	cmd := &cobra.Command{
		Use:   "replay --since 90d NEW",
		Short: "Decide recorded requests again under another policy",
		Long: `replay asks the policy NEW what was really asked: every request since then, with the facts as they were recorded with
it, such as who was on call. It says which would have gone differently. It reads the store with the service's login and
changes nothing.

A request is unsure when NEW asks for something that nobody looked up then, such as membership of another user group.
Requests from before prodaccess kept the facts cannot be replayed; they are counted.

With --fail-on-widening the exit code is 2 when any request would have got more, or is unsure.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			back, err := policy.ParseDuration(since)
			if err != nil {
				return fmt.Errorf("reading --since: %w", err)
			}
			p, _, err := c.readPolicy(args[0])
			if err != nil {
				return err
			}
			st, err := c.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			report, err := replay(cmd.Context(), st, p, time.Now().Add(-back), c.err)
			if err != nil {
				return err
			}
			if asJSON {
				err = c.printJSON(report)
			} else {
				c.printReport(report, all)
			}
			if err == nil && fail && report.Wider+report.Unsure > 0 {
				return findings{report.Wider + report.Unsure}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "90d", "how far back: 30m, 24h, 90d …")
	flags.BoolVar(&all, "all", false, "list every request, not three of each kind")
	flags.BoolVar(&fail, "fail-on-widening", false, "exit with 2 when a request would have got more")
	flags.BoolVar(&asJSON, "json", false, "print JSON, every request that would have gone differently")
	return cmd
}

// replay streams the store through the new policy.
func replay(ctx context.Context, st *store.Store, p *policy.Policy, since time.Time, errs io.Writer) (policy.Report, error) {
	from := since.Add(-policy.ReplayMemory)
	total, err := st.CountPast(ctx, from)
	if err != nil {
		return policy.Report{}, err
	}
	var failed error
	then := func(hash string) *policy.Policy {
		source, err := st.Policy(ctx, hash)
		if err != nil {
			if !errors.Is(err, store.ErrNoPolicy) {
				failed = errors.Join(failed, err)
			}
			return nil
		}
		// One that an older prodaccess could read and this one cannot is as good as lost.
		old, _, _ := policy.Load(source, "the policy of then")
		return old
	}
	r, done, bar := policy.NewReplay(p, then, since), 0, newProgress(errs, total)
	defer bar.close()
	err = st.Past(ctx, from, func(page []policy.Past) error {
		r.Add(page)
		done += len(page)
		bar.show(done)
		return failed
	})
	return r.Report(), err
}

// way is how requests would have gone differently.
type way struct{ heading, was, now string }

func (c *command) printReport(report policy.Report, all bool) {
	var order []way
	requests := map[way][]policy.Changed{}
	for _, changed := range report.Changes {
		heading := direction(changed.Wider, changed.Narrower)
		now := withRule(changed.New, changed.NewRule)
		if changed.Unsure != nil {
			heading, now = "UNSURE", "perhaps "+now
		}
		w := way{heading, withRule(changed.Old, changed.OldRule), now}
		if requests[w] == nil {
			order = append(order, w)
		}
		requests[w] = append(requests[w], changed)
	}
	for _, heading := range []string{"WIDER AND NARROWER", "WIDER", "NARROWER", "UNSURE"} {
		for _, w := range order {
			if w.heading == heading {
				c.printWay(w, requests[w], all)
			}
		}
	}
	if report.Requests+report.NotKept == 0 {
		say(c.out, "Nobody asked for anything since %s.", report.Since.UTC().Format("2006-01-02 15:04 MST"))
		return
	}
	say(c.out, "%s since %s: %s would have gone the same, %s got more, %s got less, %s cannot be said.",
		count(report.Requests, "request"), report.Since.UTC().Format("2006-01-02"), thousands(report.Same), thousands(report.Wider),
		thousands(report.Narrower), thousands(report.Unsure))
	if report.NotKept > 0 {
		say(c.out, "%s from before facts were kept, which cannot be replayed.", count(report.NotKept, "more request"))
	}
}

func (c *command) printWay(w way, requests []policy.Changed, all bool) {
	say(c.out, "%-8s  %s\n          was  %s\n          now  %s", w.heading, count(len(requests), "request"), w.was, w.now)
	const few = 3
	for i, one := range requests {
		if i == few && !all {
			say(c.out, "          … and %s more; --all lists them", thousands(len(requests)-few))
			break
		}
		say(c.out, "          %s  %s  %s on %s  (request %s)", one.At.UTC().Format("2006-01-02 15:04"), one.User, one.Profile, one.Target, one.ID)
		for _, unknown := range one.Unsure {
			say(c.out, "              %s", unknown)
		}
	}
	say(c.out, "")
}

// progress is a bar on a terminal; anywhere else it is silent.
type progress struct {
	out   io.Writer
	total int
	began time.Time
	shown bool
}

// patience is how long work may take before a bar appears.
const patience = 300 * time.Millisecond

func newProgress(out io.Writer, total int) *progress {
	p := &progress{total: total, began: time.Now()}
	if file, ok := out.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.out = out
		}
	}
	return p
}

func (p *progress) show(done int) {
	if p.out == nil || !p.shown && time.Since(p.began) < patience || p.total == 0 {
		return
	}
	p.shown = true
	const width = 40
	full := min(width, done*width/p.total)
	fmt.Fprintf(p.out, "\r[%s%s] %s of %s requests", strings.Repeat("#", full), strings.Repeat("-", width-full), thousands(done), thousands(p.total))
}

// close removes the bar.
func (p *progress) close() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
