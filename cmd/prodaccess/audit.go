package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/internal/config"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/store"
)

func trim(text string) string { return strings.TrimSpace(text) }

// openStore connects with the service's login; what only reads needs no more.
func (c *command) openStore(ctx context.Context) (*store.Store, error) {
	cfg, err := config.LoadOnly(c.configFile, os.Environ(), "store")
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, store.Config{URL: cfg.Store.URL, Log: zerolog.Nop(), MaxConns: 2})
	if err != nil {
		return nil, err
	}
	// An older schema may do for what is asked; an empty one never does, and the server's words for it help nobody.
	if err := st.CheckSchema(ctx); errors.Is(err, store.ErrSchemaEmpty) {
		st.Close()
		return nil, err
	}
	return st, nil
}

func (c *command) audit() *cobra.Command {
	parent := &cobra.Command{Use: "audit", Short: "Read and verify the audit log"}
	var filter audit.Filter
	var since string
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "Print events, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since != "" {
				back, err := policy.ParseDuration(since)
				if err != nil {
					return fmt.Errorf("reading --since: %w", err)
				}
				filter.Since = time.Now().Add(-back)
			}
			if err := answerable(filter); err != nil {
				return err
			}
			st, err := c.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			encoder := json.NewEncoder(c.out)
			events, err := st.Events(cmd.Context(), filter)
			if err != nil {
				return err
			}
			for _, event := range events {
				if asJSON {
					if err := encoder.Encode(event); err != nil {
						return err
					}
					continue
				}
				say(c.out, "%s", line(event))
			}
			// Beside what was asked for, so that neither silence nor a full page is taken for all there is.
			switch {
			case len(events) == 0:
				say(c.err, "%s", nothingFound(filter))
			case len(events) == filter.Limit:
				say(c.err, "(the newest %d; there may be older ones: --limit says how many, prodaccess audit export prints everything)", filter.Limit)
			}
			return nil
		},
	}
	flags := list.Flags()
	flags.StringVar(&filter.Request, "request", "", "only events of this request")
	flags.StringVar(&filter.Grant, "grant", "", "only events of this grant")
	flags.StringVar(&filter.Person, "person", "", "only what this person did: Slack ID or e-mail address")
	flags.StringVar((*string)(&filter.Kind), "kind", "", "only events of this kind, for example grant.issued")
	flags.BoolVar(&filter.Refused, "refused", false, "only attempts that were refused")
	flags.StringVar(&since, "since", "", "only events of the last 30m, 24h, 90d …")
	flags.IntVar(&filter.Limit, "limit", 100, "at most so many, the newest")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line")

	var heads []string
	var verifyJSON bool
	verify := &cobra.Command{
		Use: "verify", Short: "Prove that no event was changed, removed or slipped in; exit code 2 when one was", Args: cobra.NoArgs,
		Long: `verify walks the whole chain. Give it heads you remember, as the digests in Slack show them (--head 1042:9f2c…),
and it also proves that the chain was not rewritten from some point on.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			remembered, err := parseHeads(heads)
			if err != nil {
				return err
			}
			st, err := c.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			report, err := audit.Verify(cmd.Context(), st, time.Now(), remembered...)
			if err != nil {
				return err
			}
			if verifyJSON {
				encoder := json.NewEncoder(c.out)
				encoder.SetIndent("", "  ")
				if err := encoder.Encode(report); err != nil {
					return err
				}
			} else {
				for _, f := range report.Findings {
					say(c.out, "FOUND: %s", f.Words)
				}
				say(c.out, "%d events, %d seals, head %d:%s", report.Events, report.Seals, report.Head.Seq, report.Head.Hash)
			}
			if len(report.Findings) > 0 {
				return findings{len(report.Findings)}
			}
			if !verifyJSON {
				say(c.out, "The chain is whole.")
			}
			return nil
		},
	}
	verify.Flags().StringArrayVar(&heads, "head", nil, "a remembered head, SEQ:HASH; may be given several times")
	verify.Flags().BoolVar(&verifyJSON, "json", false, "print JSON")
	export := &cobra.Command{
		Use: "export", Short: "Print the whole log with its seals, one JSON object a line, for an archive or another tool", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := c.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			return audit.Export(cmd.Context(), st, c.out)
		},
	}
	parent.AddCommand(list, verify, export)
	return parent
}

// answerable refuses a question that could only be answered by silence, which reads as if nothing had happened.
func answerable(f audit.Filter) error {
	if f.Limit < 1 {
		return fmt.Errorf("--limit %d is less than one event; prodaccess audit export prints everything", f.Limit)
	}
	var kinds []string
	for _, k := range audit.Kinds() {
		kinds = append(kinds, string(k))
	}
	if f.Kind == "" || slices.Contains(kinds, string(f.Kind)) {
		return nil
	}
	if near, ok := policy.Nearest(string(f.Kind), kinds); ok {
		return fmt.Errorf("--kind %q is no kind of event; did you mean %q?", f.Kind, near)
	}
	return fmt.Errorf("--kind %q is no kind of event; there are %s", f.Kind, strings.Join(kinds, ", "))
}

func nothingFound(f audit.Filter) string {
	if f.Person != "" {
		return fmt.Sprintf("No event matches. --person %q is compared with Slack IDs and e-mail addresses, not with names.", f.Person)
	}
	return "No event matches."
}

func parseHeads(texts []string) ([]audit.Head, error) {
	var out []audit.Head
	for _, text := range texts {
		seq, hash, ok := strings.Cut(text, ":")
		n, err := strconv.ParseInt(seq, 10, 64)
		if !ok || err != nil || n < 1 || len(hash) != 64 {
			return nil, fmt.Errorf("--head %q is not SEQ:HASH as the digest shows it, with 64 hexadecimal digits", text)
		}
		out = append(out, audit.Head{Seq: n, Hash: strings.ToLower(hash)})
	}
	return out, nil
}

// line is an event for a person.
func line(e audit.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-17s %-18s", e.At.UTC().Format("2006-01-02 15:04:05.000"), e.Kind, actor(e.Actor))
	if e.Refused {
		b.WriteString(" REFUSED")
	}
	for _, part := range [][2]string{
		{"request", e.Request},
		{"grant", e.Grant},
		{"target", e.Target},
		{"profile", e.Profile},
		{"rule", e.Rule},
		{"login", e.Detail["login"]},
		{"cause", e.Detail["cause"]},
	} {
		if part[1] != "" {
			fmt.Fprintf(&b, " %s=%s", part[0], quoted(part[1]))
		}
	}
	if e.Reason != "" {
		fmt.Fprintf(&b, " — %s", strconv.Quote(e.Reason))
	}
	return b.String()
}

// actor is who did it, by what they cannot choose: people choose what Slack calls them, and somebody may call himself reaper.
func actor(a audit.Actor) string {
	who := a.ID
	if a.Kind == "person" && a.Email != "" {
		who = a.Email
	}
	if a.Kind != "person" {
		return quoted(a.Kind + ":" + who)
	}
	return quoted(who)
}

// quoted quotes what would not stay one word on one line.
func quoted(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r > '~' }) {
		return strconv.Quote(text)
	}
	return text
}
