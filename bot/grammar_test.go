package bot

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	request := func(target, profile, length string, d time.Duration, params map[string]string, ticket, reason string) command {
		return command{verb: verbRequest, target: target, profile: profile, length: length, duration: d, params: params, ticket: ticket, reason: reason}
	}
	plainRequest := request("orders-prod", "read-only", "30m", 30*time.Minute, nil, "INC-123", "checkout is failing")
	for line, want := range map[string]command{
		"": {verb: verbForm}, "  \u00a0 ": {verb: verbForm},
		"help": {verb: verbHelp}, "HELP me": {verb: verbHelp}, "list": {verb: verbList},
		"break-glass orders-prod read-only INC-9 all is lost":                        {verb: verbBreakGlass, target: "orders-prod", profile: "read-only", ticket: "INC-9", reason: "all is lost"},
		"break–glass orders-prod support 30m customer_id=4 why":                      {verb: verbBreakGlass, target: "orders-prod", profile: "support", length: "30m", duration: 30 * time.Minute, params: map[string]string{"customer_id": "4"}, reason: "why"},
		"orders-prod read-only 30m INC-123 checkout is failing":                      plainRequest,
		"orders–prod\u00a0read‑only 30m INC-123 checkout is failing":                 plainRequest,
		"`orders-prod` “read-only” '30m' INC-123 checkout is failing":                plainRequest,
		"<http://orders-prod|orders-prod> read-only 30m INC-123 checkout is failing": plainRequest,
		"orders-prod read-only 30m no ticket INC-1":                                  request("orders-prod", "read-only", "30m", 30*time.Minute, nil, "", "no ticket INC-1"),
		"orders-prod read-only 1h30m a &lt; b &amp;amp; c":                           request("orders-prod", "read-only", "1h30m", 90*time.Minute, nil, "", "a < b &amp; c"),
		"orders-prod support 45s customer_id=42 name=“Ana B” INC-9 refund":           request("orders-prod", "support", "45s", 45*time.Second, map[string]string{"customer_id": "42", "name": "Ana B"}, "INC-9", "refund"),
		"orders-prod read-only 30m see <https://status.example.com>":                 request("orders-prod", "read-only", "30m", 30*time.Minute, nil, "", "see https://status.example.com"),
		"orders-prod read-only 30m ask <@U123|bo> in <#C1|ops> or <!subteam^S1|@dba> <mailto:a@example.com|a@example.com>": request("orders-prod", "read-only", "30m", 30*time.Minute, nil, "",
			"ask @bo in #ops or @dba a@example.com"),
		"explain orders-prod read-only":                      {verb: verbExplain, target: "orders-prod", profile: "read-only"},
		"explain orders-prod read-only 30m":                  {verb: verbExplain, target: "orders-prod", profile: "read-only", length: "30m", duration: 30 * time.Minute},
		"explain orders-prod read-only INC-1 why":            {verb: verbExplain, target: "orders-prod", profile: "read-only", ticket: "INC-1", reason: "why"},
		"explain orders-prod read-only a=b 30m INC-1 why so": {verb: verbExplain, target: "orders-prod", profile: "read-only", length: "30m", duration: 30 * time.Minute, params: map[string]string{"a": "b"}, ticket: "INC-1", reason: "why so"},
		"release": {verb: verbRelease}, "release r1": {verb: verbRelease, request: "r1"},
		"extend 30m": {verb: verbExtend, length: "30m", duration: 30 * time.Minute}, "extend r1 30m": {verb: verbExtend, request: "r1", length: "30m", duration: 30 * time.Minute},
	} {
		got, wrong := parse(line)
		if wrong != nil {
			t.Errorf("parse(%q) finds %q", line, wrong.words)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("parse(%q) = %+v, not %+v", line, got, want)
		}
	}
}

func TestParseMendsMistakes(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"orders-prod":                               "",
		"orders-prod read-only":                     "orders-prod read-only 30m REASON",
		"orders-prod read-only 30m":                 "orders-prod read-only 30m REASON",
		"orders-prod read-only 30 why":              "orders-prod read-only 30m why",
		"orders-prod read-only 30min INC-1 why":     "orders-prod read-only 30m INC-1 why",
		"orders-prod read-only 1.5h why":            "orders-prod read-only 1h30m why",
		"orders-prod read-only 1h 30m why":          "orders-prod read-only 1h30m why",
		"orders-prod read-only checkout is failing": "orders-prod read-only 30m checkout is failing",
		"orders-prod read-only INC-1 why so":        "orders-prod read-only 30m INC-1 why so",
		"orders-prod read-only 30m a=1 a=2 why":     "orders-prod read-only 30m a=2 why",
		// What was meant as a duration is no part of the reason, and the ticket after it is one.
		"orders-prod read-only 0 INC-1 why":             "orders-prod read-only 30m INC-1 why",
		"orders-prod read-only 0m INC-1 why":            "orders-prod read-only 30m INC-1 why",
		"orders-prod read-only -1h INC-1 why":           "orders-prod read-only 1h INC-1 why",
		"orders-prod read-only 99999h INC-1 why":        "orders-prod read-only 30m INC-1 why",
		"orders-prod read-only 99999h":                  "orders-prod read-only 30m REASON",
		"orders-prod read-only soon INC-1 why":          "orders-prod read-only 30m soon INC-1 why",
		"orders-prod read-only 2nd incident":            "orders-prod read-only 30m 2nd incident",
		"extend 1h 30m":                                 "extend 1h30m",
		"extend 30m 30m":                                "extend 1h",
		"extend 30m 1h":                                 "extend 1h30m",
		"extend 30m r1":                                 "extend r1 30m",
		"explain orders-prod read-only 30min INC-1":     "explain orders-prod read-only 30m INC-1",
		"explain orders-prod read-only soon":            "",
		"release a b":                                   "release a",
		"extend":                                        "extend 30m",
		"extend r1 2hours":                              "extend r1 2h",
		"explain orders-prod":                           "",
		"break-glass":                                   "",
		"break-glass orders-prod":                       "",
		"break-glass orders-prod read-only":             "break-glass orders-prod read-only REASON",
		"break-glass orders-prod read-only a=1 a=2 why": "break-glass orders-prod read-only a=2 why",
	} {
		_, wrong := parse(line)
		if wrong == nil {
			t.Errorf("parse(%q) finds nothing wrong", line)
		} else if wrong.words == "" || wrong.line != want {
			t.Errorf("parse(%q) says %q and suggests %q, not %q", line, wrong.words, wrong.line, want)
		}
	}
}

func TestNearestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"30": "30m", "1h 30m": "1h30m", "5 min": "5m", "-1h": "1h", "1,5 hours": "1h30m", "90": "1h30m", "+2D": "2d",
		"0": "", "0m": "", "99999h": "", "soon": "", "": "", "1h30x": "", "2nd": "",
	} {
		if got, ok := nearestDuration(text); got != want || ok != (want != "") {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

func TestParseReadsWhatStringWrites(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[a-z][a-z0-9]{0,8}(-[a-z]{2,5})?`)
	rapid.Check(t, func(t *rapid.T) {
		c := command{
			verb: verbRequest, target: "t" + word.Draw(t, "target"), profile: word.Draw(t, "profile"), length: "1h30m", duration: 90 * time.Minute,
			reason: "because " + word.Draw(t, "reason"),
		}
		if rapid.Bool().Draw(t, "emergency") {
			c.verb = verbBreakGlass
			if rapid.Bool().Draw(t, "as long as allowed") {
				c.length, c.duration = "", 0
			}
		}
		if rapid.Bool().Draw(t, "ticket") {
			c.ticket = "INC-7"
		}
		if value := rapid.SampledFrom([]string{"", "42", "two words", "it's"}).Draw(t, "value"); value != "" {
			c.params = map[string]string{"customer_id": value}
		}
		got, wrong := parse(c.String())
		if wrong != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("%q is read as %+v (%v), not %+v", c.String(), got, wrong, c)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"", "help", "orders-prod read-only 30m INC-1 why", "<http://a|b> <@U1> <!here> &lt;", "a b 1h 30m c", `a b 1m x="y z" q`, "a b 1m x=\" y", "extend \u202e", "explain", "\xff\xfe", "break-glass a b 1h x=y INC-1 why", "break-glass", "whoami",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, wrong := parse(line)
		if wrong != nil {
			if wrong.words == "" {
				t.Fatalf("parse(%q) is wrong without words", line)
			}
			return
		}
		if c.verb == verbBreakGlass && (c.target == "" || c.profile == "" || c.reason == "" || c.duration < 0) {
			t.Fatalf("parse(%q) = %+v lacks something", line, c)
		}
		if c.verb == verbRequest && (c.target == "" && c.length == "" || c.duration <= 0 || c.reason == "") {
			t.Fatalf("parse(%q) = %+v lacks something", line, c)
		}
	})
}

// TestParseIsQuick gives the longest line a person can send, in the forms that cost the most.
func TestParseIsQuick(t *testing.T) {
	t.Parallel()
	const longest = 8000
	for _, piece := range []string{`a="x `, "<", "<a|", "&amp;", "1h ", "x=y ", "\u202e", "`"} {
		started := time.Now()
		_, _ = parse("orders-prod read-only 30m " + strings.Repeat(piece, longest/len(piece)))
		if took := time.Since(started); took > 500*time.Millisecond {
			t.Errorf("%d of %q take %v", longest/len(piece), piece, took)
		}
	}
}
