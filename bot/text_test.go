package bot

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prodaccess/prodaccess/policy"
	"pgregory.net/rapid"
)

func TestPeoplesTextDoesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("<>&!@`*~a \n\u202e𝕏…")))).Draw(t, "text")
		most := rapid.IntRange(1, 60).Draw(t, "most")
		for name, out := range map[string]string{"mrkdwn": mrkdwn(text, most), "plain": plain(text, most)} {
			if width(out) > most || !utf8.ValidString(out) {
				t.Fatalf("%s is %d units: %q", name, width(out), out)
			}
			if strings.ContainsRune(out, '\u202e') {
				t.Fatalf("%s keeps a direction mark: %q", name, out)
			}
		}
		out := mrkdwn(text, most)
		if strings.ContainsAny(out, "<>`*~\n") {
			t.Fatalf("mrkdwn keeps markup: %q", out)
		}
		// Every ampersand left begins a whole entity: nothing was cut inside one.
		for rest := out; ; {
			_, after, found := strings.Cut(rest, "&")
			if !found {
				break
			}
			if !strings.HasPrefix(after, "amp;") && !strings.HasPrefix(after, "lt;") && !strings.HasPrefix(after, "gt;") {
				t.Fatalf("an entity was cut: %q", out)
			}
			rest = after
		}
	})
}

func TestShortTextIsKeptWhole(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a & b <c>": "a &amp; b &lt;c&gt;",
		"tab\there": "tab here",
		"naïve 日本":  "naïve 日本",
	} {
		if got := mrkdwn(in, 100); got != want {
			t.Errorf("mrkdwn(%q) = %q, not %q", in, got, want)
		}
	}
	if got := plain("a <b>\nc", 100); got != "a <b>\nc" {
		t.Errorf("plain text became %q", got)
	}
}

func TestRequirementsInWords(t *testing.T) {
	t.Parallel()
	got := requirements([]policy.Requirement{
		{From: []string{"group:dba"}, Count: 1},
		{From: []string{"group:security", "oncall:payments", "user:cy@example.com"}, Count: 2},
	})
	if want := "one of @dba and two of @security, whoever is on call for payments or cy@example.com"; got != want {
		t.Errorf("got %q", got)
	}
}
