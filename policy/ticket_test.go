package policy

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func TestLikeTicket(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`^(INC|CHG)-\d+$`:           "INC-1",
		`\A(?:INC-\d+|CHG-\d+)\z`:   "INC-1",
		`CHG-[0-9]{4,}`:             "CHG-1111",
		`(?i)ops-\d`:                "OPS-1",
		`[A-Z]{2,5}-\d{1,6}`:        "AA-1",
		`#?[[:alnum:]]+`:            "1",
		`.*`:                        "",
		`\d{31}`:                    "",
		`^(a|b)$x`:                  "",
		`https://t\.example/[0-9]+`: "https://t.example/1",
	} {
		if got := likeTicket(regexp.MustCompile(pattern)); got != want {
			t.Errorf("%s: %q, not %q", pattern, got, want)
		}
	}
}

// What is offered is taken, whatever the pattern is.
func TestLikeTicketMatches(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{`INC`, `\d+`, `[A-F]`, `(x|y)`, `-`, `z*`, `^`, `$`, `\b`, `.?`, `[^a-z1A0]`, `{`, `(?:q){2}`})
	rapid.Check(t, func(t *rapid.T) {
		text := ""
		for _, p := range rapid.SliceOfN(part, 1, 8).Draw(t, "parts") {
			text += p
		}
		pattern, err := regexp.Compile(text)
		if err != nil {
			return
		}
		if got := likeTicket(pattern); got != "" && !pattern.MatchString(got) {
			t.Fatalf("%s does not take %q", text, got)
		}
	})
}
