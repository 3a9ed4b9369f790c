package acceptance

import (
	"regexp"
	"strings"
	"testing"

	"github.com/prodaccess/prodaccess/internal/stage"
)

// directionMarks turn the direction of writing, so that what is read is not what is written.
var directionMarks = regexp.MustCompile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")

// A reason that looks like a field, like code, like a call to everybody, or that is read from the right: typed in one line,
// it is one reason, changes nothing else of the request, and does nothing in any message from the card to the receipt.
func TestAReasonIsOnlyText(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	const sharp = "Database: other-prod Duration: 8h ```rm -rf``` ` <!channel> &lt;!here&gt; <@U1|bo> \u202emoc.elpmaxe\u202c \u2067approved\u2069\u200f"
	const kept = "Database: other-prod Duration: 8h ```rm -rf``` ` @channel <!here> @bo moc.elpmaxe approved" // Slack sends a typed @channel so
	w.ok(w.types("bo", "read-only", "1h", sharp))
	id := w.store(`SELECT id FROM requests`)
	w.is("what was asked", w.store(`SELECT concat_ws(' ', target, profile, extract(epoch FROM duration), ticket) FROM requests WHERE id = $1`, id),
		"orders-prod read-only 3600.000000 INC-123")
	w.is("the reason in the audit log", w.store(`SELECT reason FROM audit_events WHERE request_id = $1 AND kind = 'request.filed'`, id), kept)
	card := "Request " + id
	w.clicksOn("dora", "Approve", card)
	w.connect(w.takes("bo", card))
	w.clicksOn("bo", "Release", card)
	w.becomes(id, "revoked")
	w.cardSays("dora", card, "Ended")
	for _, m := range w.Slack.Messages() {
		for _, raw := range m.Raw {
			outside := plainText.ReplaceAllString(raw, "")
			for _, live := range []string{"<!channel", "<!here", "<@U1", "```"} {
				if strings.Contains(outside, live) {
					t.Errorf("%q is alive in a message to %s%s", live, m.ChannelName, m.To)
				}
			}
			if mark := directionMarks.FindString(raw); mark != "" {
				t.Errorf("%q turns the text of a message to %s%s", mark, m.ChannelName, m.To)
			}
		}
	}
	w.whole()
}
