package bot

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// shown is all that the blocks of a message say.
func shown(t *testing.T, m message) string {
	t.Helper()
	raw, err := json.Marshal(m.blocks)
	no(t, err)
	return string(raw)
}

// presses are many attempts of somebody with a long name, refused or not, between the landmarks of broken glass.
func presses(refused bool) []audit.Event {
	ana := audit.Actor{Kind: "person", ID: "U0ANA", Name: strings.Repeat("Ana Maria ", 6)}
	events := []audit.Event{{At: ago(time.Hour), Kind: audit.GlassBroken, Actor: ana}, {At: ago(50 * time.Minute), Kind: audit.GrantIssued, Actor: audit.System("grants")}}
	for i := range 200 {
		kind := []audit.Kind{audit.GrantExtended, audit.GrantRotated}[i/2%2]
		events = append(events, audit.Event{At: ago(40*time.Minute - time.Duration(i)*time.Second), Kind: kind, Refused: refused, Actor: ana})
	}
	return append(events, audit.Event{At: ago(time.Minute), Kind: audit.GrantSecured, Actor: audit.System("grants")})
}

func TestTimelineFitsASection(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{"refused": true, "done": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, most := range []int{15, 100} {
				lines := recorded(presses(refused), most)
				if n := width(lines); n > longestTimeline || strings.Count(lines, "\n") >= most {
					t.Errorf("a timeline of %d characters in %d lines", n, strings.Count(lines, "\n")+1)
				}
				for _, want := range []string{"broke the glass", "login made", "locked, no session left"} {
					if strings.Count(lines, want) != 1 {
						t.Errorf("it lacks %q:\n%s", want, lines)
					}
				}
				want := ", which the audit log has"
				if refused {
					want = "200 attempts were refused since"
				}
				if strings.Count(lines, want) != 1 || refused && strings.Contains(lines, "tried and was refused") {
					t.Errorf("it lacks %q:\n%s", want, lines)
				}
			}
		})
	}
	one := recorded(append(presses(true)[:3], presses(true)[202:]...), 15)
	if !strings.Contains(one, "tried and was refused: extended") || strings.Contains(one, "attempts") {
		t.Errorf("one attempt is told as\n%s", one)
	}
}

// TestReviewOfManyAttemptsOpens sends the review's window and the loud message to the sandbox, which refuses what Slack would.
func TestReviewOfManyAttemptsOpens(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	c := writings["longest"].states()["glass-over"]
	for _, refused := range []bool{true, false} {
		events := presses(refused)
		w.posted(glassMessage(c, events, noon))
		w.does(w.ana.Command("/prodaccess"))
		opened := w.window(w.ana, "Request access")
		_, err := w.slack.api.UpdateViewContext(t.Context(), reviewView(approvals.Justified, c, events), "", "", opened.ID)
		no(t, err)
		w.does(w.ana.Closes())
	}
}

func TestSectionIsCutAndNotRefused(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"&amp;", "𝕬", "x", at(noon), "é"} {
		for pad := range len(piece) {
			text := strings.Repeat("y", pad) + strings.Repeat(piece, longestSection)
			got := section(text).(*slack.SectionBlock).Text.Text
			if width(got) > longestSection || width(got) < longestSection-width(piece)-1 || !utf8.ValidString(got) {
				t.Fatalf("%d of %d characters are left", width(got), width(text))
			}
			if rest := strings.ReplaceAll(strings.TrimLeft(strings.TrimSuffix(got, "…"), "y"), piece, ""); strings.TrimSpace(rest) != "" {
				t.Fatalf("it is cut inside of %q: %q is left", piece, rest)
			}
		}
	}
	if short := section("a & b").(*slack.SectionBlock).Text.Text; short != "a & b" {
		t.Errorf("what fits became %q", short)
	}
	if long := plainSection(strings.Repeat("é", 4000)).(*slack.SectionBlock).Text.Text; width(long) > longestSection {
		t.Errorf("a plain section has %d characters", width(long))
	}
}

// TestReceiptIsSaidOnce reads the loud message after the access is over.
func TestReceiptIsSaidOnce(t *testing.T) {
	t.Parallel()
	m := glassMessage(writings["ordinary"].states()["glass-over"], writings["ordinary"].events(), noon)
	if n := strings.Count(shown(t, m), "Verified "); n != 1 {
		t.Errorf("the receipt is said %d times: %s", n, shown(t, m))
	}
}
