package bot

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/secret"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file that a reviewer can read.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		no(t, os.MkdirAll(filepath.Dir(path), 0o755))
		no(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	no(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed (-was +is); go test ./bot -update writes it anew:\n%s", path, diff)
	}
}

// posted sends a message to the sandbox, which refuses what Slack would, and returns what a person then reads.
func (w *world) posted(m message) string {
	w.Helper()
	options := []slack.MsgOption{slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...), metadata("k")}
	_, ts, err := w.slack.api.PostMessageContext(w.Context(), w.approvals, options...)
	if err == nil {
		// chat.update is the stricter of the two about the text.
		_, _, _, err = w.slack.api.UpdateMessageContext(w.Context(), w.approvals, ts, options...)
	}
	if err != nil {
		var why slack.SlackErrorResponse
		if refused, ok := err.(slack.SlackErrorResponse); ok {
			why = refused
		}
		w.Fatalf("slack refuses it: %v %v", err, why.ResponseMetadata.Messages)
	}
	harmless(w.T, m)
	read := w.bo.In("approvals").Messages()[0].Text
	// The sandbox renders everything in sight anew each time.
	_, _, err = w.slack.api.DeleteMessageContext(w.Context(), w.approvals, ts)
	no(w.T, err)
	return "text: " + m.text + "\n" + read + "\n"
}

// harmless fails when anything but a date is left in a message that Slack would act upon.
// ours are references to Slack that this package writes on purpose.
func harmless(t *testing.T, m message, ours ...string) {
	t.Helper()
	texts := []string{m.text}
	raw, err := json.Marshal(m.blocks)
	no(t, err)
	var blocks any
	no(t, json.Unmarshal(raw, &blocks))
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "mrkdwn" {
				texts = append(texts, v["text"].(string))
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		case string:
			if i := strings.IndexAny(v, "\u202e\u2066\u200b\x00\x07"); i >= 0 {
				t.Errorf("a control character is left in %q", v)
			}
		}
	}
	walk(blocks)
	for _, text := range texts {
		rest := text
		for {
			_, after, found := strings.Cut(rest, "<")
			if !found {
				break
			}
			if !strings.HasPrefix(after, "!date^") && !slices.ContainsFunc(ours, func(own string) bool { return strings.HasPrefix("<"+after, own) }) {
				t.Errorf("Slack would act upon %q", text)
			}
			rest = after
		}
		if strings.Contains(text, "```") || strings.Contains(text, "*bold*") {
			t.Errorf("people's formatting works in %q", text)
		}
	}
}

func TestCards(t *testing.T) {
	t.Parallel()
	for kind, written := range writings {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			goldenCards(quiet(t, sandbox.Options{NoRateLimits: true}), kind, written)
		})
	}
}

func goldenCards(w *world, kind string, written writing) {
	t := w.T
	states := written.states()
	for _, name := range slices.Sorted(maps.Keys(states)) {
		c := states[name]
		copies := "--- approvals channel\n" + w.posted(card(c, noon)) + "\n--- requester\n" + w.posted(notice(c, noon))
		if c.Review != nil {
			copies += "\n--- security channel\n" + w.posted(glassMessage(c, written.events(), noon))
		}
		if m, ok := reached(c); ok {
			copies += "\n--- in the requester's thread\n" + w.posted(message{text: m.words, blocks: []slack.Block{section(m.words)}})
		}
		golden(t, filepath.Join(kind, name), copies)
	}
	over := states["over-expired"]
	golden(t, filepath.Join(kind, "receipt"), w.posted(receiptMessage(*over.Grant)))
	golden(t, filepath.Join(kind, "alarm"), w.posted(alarm(*states["revoking-overdue"].Grant, noon)))
	late := *over.Grant
	late.AlarmedAt, late.Deadline, late.EndingAt = ago(time.Minute), ago(3*time.Minute), ago(3*time.Minute)
	golden(t, filepath.Join(kind, "alarm-over"), w.posted(alarm(late, noon)))
	golden(t, filepath.Join(kind, "digest"), w.posted(digestMessage(written.digest())))
	golden(t, filepath.Join(kind, "explained"), w.posted(message{text: explanation(over.Request.Decision)}))
	golden(t, filepath.Join(kind, "finding"), w.posted(findingMessage(written.why)))
}

// TestButtons lists exactly which buttons each copy has in each state.
func TestButtons(t *testing.T) {
	t.Parallel()
	want := map[string][3]string{
		"pending":           {"Approve Approve for less… Deny", "Cancel"},
		"pending-half":      {"Approve Approve for less… Deny Withdraw my approval", "Cancel"},
		"pending-in-order":  {"Approve Approve for less… Deny Withdraw my approval", "Cancel"},
		"pending-later":     {"Approve Approve for less… Deny", "Cancel"},
		"approved-later":    {"", "Cancel"}, // there is nothing to get yet
		"approved-begun":    {"", "Get credentials Cancel"},
		"approved-less":     {"", "Get credentials Cancel"},
		"approved":          {"", "Get credentials Cancel"},
		"approved-at-once":  {"", "Get credentials Cancel"},
		"approved-again":    {"", "Get credentials Cancel"},
		"approved-doubtful": {"", "Get credentials Cancel"},
		"provisioning":      {"Revoke", ""},
		"active":            {"Revoke", "Get credentials Extend Release"},
		"active-not-shown":  {"Revoke", "Get credentials Extend Release"},
		"active-due":        {"Revoke", "Get credentials Extend Release"},
		"revoking":          {},
		"revoking-overdue":  {},
		"cleanup":           {},
		"over-expired":      {},
		"over-released":     {},
		"over-revoked":      {},
		"over-failed":       {},
		"over-missing":      {},
		"denied-by-policy":  {},
		"denied-by-person":  {},
		"cancelled":         {},
		"lapsed-unanswered": {},
		"lapsed-untaken":    {},

		"glass-approved":      {"", "Get credentials Cancel", ""},
		"glass-active":        {"Revoke", "Get credentials Release", "Revoke"}, // what nobody approved is never extended
		"glass-over":          {"", "", "Justified… Not justified…"},
		"glass-overdue":       {"", "", "Justified… Not justified…"},
		"glass-justified":     {},
		"glass-not-justified": {},
		"glass-unused":        {},
	}
	for name, c := range writings["ordinary"].states() {
		expected, listed := want[name]
		if !listed {
			t.Errorf("%s is not in the table", name)
		}
		if got := labels(card(c, noon)); got != expected[0] {
			t.Errorf("the card of %s has %q", name, got)
		}
		if got := labels(notice(c, noon)); got != expected[1] {
			t.Errorf("the requester's copy of %s has %q", name, got)
		}
		if got := labels(glassMessage(c, writings["ordinary"].events(), noon)); c.Review != nil && got != expected[2] {
			t.Errorf("the security channel's message of %s has %q", name, got)
		}
	}
}

func labels(m message) string {
	var out []string
	for _, b := range m.blocks {
		if actions, ok := b.(*slack.ActionBlock); ok {
			for _, e := range actions.Elements.ElementSet {
				out = append(out, e.(*slack.ButtonBlockElement).Text.Text)
			}
		}
	}
	return strings.Join(out, " ")
}

// TestCardsTellTheTruth looks for claims that the stored state does not bear out.
func TestCardsTellTheTruth(t *testing.T) {
	t.Parallel()
	for _, written := range writings {
		for name, c := range written.states() {
			copies := []message{card(c, noon), notice(c, noon)}
			if c.Review != nil {
				copies = append(copies, glassMessage(c, nil, noon))
			}
			for _, m := range copies {
				raw, err := json.Marshal(m.blocks)
				no(t, err)
				all := m.text + string(raw)
				claims := func(words string, holds bool) {
					if strings.Contains(all, words) && !holds {
						t.Errorf("%s claims %q", name, words)
					}
				}
				g := c.Grant
				claims("🔓", g != nil && g.State == grants.Active)
				claims("Nothing exists", g == nil)
				claims("was taken back", g != nil && !g.SecuredAt.IsZero())
				claims("login made", g != nil && !g.IssuedAt.IsZero())
				claims("Access is over", g != nil && g.State == grants.Revoked && !g.SecuredAt.IsZero())
				claims("Ended ", g != nil && !g.SecuredAt.IsZero())
				claims("no session left", g != nil && !g.SecuredAt.IsZero())
				claims("login gone", g != nil && g.State == grants.Revoked)
				claims("Verified ", g != nil && g.Receipt != nil)
				claims("Glass broken", c.Review != nil)
				claims("Justified", c.Review != nil)
				claims("instead of", c.Request.Less != nil)
				claims("*OVERDUE*", name == "glass-overdue")
				if overdue := strings.Contains(all, "OVERDUE: "); overdue != (name == "revoking-overdue") {
					t.Errorf("%s is loud: %v", name, overdue)
				}
			}
		}
	}
}

// TestWindows opens every window in the sandbox, which refuses what Slack would.
func TestWindows(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	for kind, written := range writings {
		c := written.granted(grants.Active)
		profile := policy.Profile{Name: written.profile, Risk: "high", Description: written.why}
		for range written.many {
			profile.Grants = append(profile.Grants, policy.ProfileGrant{
				Schema: "public", Tables: []string{written.target, "customers"}, Columns: []string{"id", "name"}, Privileges: []string{"select", "update"}, Rows: written.note,
			})
		}
		views := map[string]slack.ModalViewRequest{
			"deny":          reasonView(viewDeny, "Deny request", "Deny", "The requester reads it.", c),
			"extend":        extendView(c),
			"less":          lessView(c, []policy.Profile{profile}),
			"less-only":     lessView(written.asked(), nil),
			"justified":     reviewView(approvals.Justified, written.states()["glass-over"], written.events()),
			"not-justified": reviewView(approvals.NotJustified, written.states()["glass-over"], written.events()),
			"break-glass": w.bot.glassView(approvals.Filing{Target: written.target, Profile: written.profile, Ticket: written.ticket, Reason: written.reason, Params: written.params},
				policy.Decision{Duration: time.Hour, Advice: written.why, Review: written.states()["glass-over"].Request.Decision.Review}, "{}", noon),
			"making":     makingView(),
			"show-again": againView(c.Request.ID, mrkdwn(written.why, 1000)),
			"credential": credentialView(grants.Credential{
				Grant: "g1", Target: written.target, Engine: "postgres", Profile: written.profile, Login: "pa_ana_g1", Password: secret.New("a-very-secret-password"),
				Database: "orders", Endpoint: grants.Endpoint{Host: "orders.db.internal", Port: 5432, SSLMode: "verify-full"}, Deadline: noon.Add(30 * time.Minute),
			}, profile, "/prodaccess", noon),
		}
		for _, name := range slices.Sorted(maps.Keys(views)) {
			w.does(w.ana.Command("/prodaccess"))
			opened := w.window(w.ana, "Request access")
			if _, err := w.slack.api.UpdateViewContext(t.Context(), views[name], "", "", opened.ID); err != nil {
				refused, _ := err.(slack.SlackErrorResponse)
				t.Fatalf("slack refuses %s/%s: %v %v", kind, name, err, refused.ResponseMetadata.Messages)
			}
			v, _ := w.ana.View()
			golden(t, filepath.Join(kind, "view-"+name), v.Text+"\n")
			harmless(t, message{text: "", blocks: views[name].Blocks.BlockSet}, "<#"+w.security+">")
			w.does(w.ana.Closes())
		}
	}
}

// What its holder should know about a credential is said where they look first.
func TestCredentialSaysItsNote(t *testing.T) {
	t.Parallel()
	cred := grants.Credential{Target: "orders-prod", Deadline: noon.Add(time.Hour), Note: "The replica <b> lags behind."}
	first := credentialView(cred, policy.Profile{}, "/prodaccess", noon).Blocks.BlockSet[0].(*slack.SectionBlock)
	if !strings.Contains(first.Text.Text, "The replica &lt;b&gt; lags behind.") {
		t.Errorf("the first words are %q", first.Text.Text)
	}
}

// TestNotificationsFitAGlance holds what a phone shows of every message before anybody opens it.
func TestNotificationsFitAGlance(t *testing.T) {
	t.Parallel()
	for kind, written := range writings {
		for name, c := range written.states() {
			messages := map[string]message{"card": card(c, noon), "notice": notice(c, noon)}
			if c.Review != nil {
				messages["glass"] = glassMessage(c, written.events(), noon)
			}
			if g := c.Grant; g != nil && g.Receipt != nil {
				messages["receipt"] = receiptMessage(*g)
			}
			if g := c.Grant; g != nil && !g.AlarmedAt.IsZero() {
				messages["alarm"] = alarm(*g, noon)
			}
			for what, m := range messages {
				if n := width(m.text); n > longestGlance || strings.Contains(m.text, "\n") {
					t.Errorf("%s: the text of the %s of %s is %d long: %q", kind, what, name, n, m.text)
				}
				if width(m.long) > longestText {
					t.Errorf("%s: the long text of the %s of %s is %d long", kind, what, name, width(m.long))
				}
				if r := c.Request; kind == "ordinary" && (what == "card" || what == "notice") {
					for _, want := range []string{stands(c, noon).icon, stands(c, noon).head, r.Requester.Name, r.Access(), r.Target, lasting(r.Length())} {
						if !strings.Contains(m.text, want) {
							t.Errorf("the text of the %s of %s lacks %q: %q", what, name, want, m.text)
						}
					}
					// The first lines of the blocks say the same.
					if first := m.blocks[1].(*slack.SectionBlock).Text.Text; !strings.HasPrefix(first, "*"+r.Requester.Name+"*: *"+r.Access()+"* on *"+r.Target+"* for "+lasting(r.Length())) {
						t.Errorf("the %s of %s begins with %q", what, name, first)
					}
				}
			}
		}
	}
}
