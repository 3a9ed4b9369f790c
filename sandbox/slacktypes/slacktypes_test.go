package slacktypes

import (
	"strings"
	"testing"
)

func TestWhatSlackPublishesIsAccepted(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"text": "no blocks"}`,
		`{"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "Access"}}, {"type": "divider"},
			{"type": "section", "text": {"type": "mrkdwn", "text": "*ana*"}, "fields": [{"type": "plain_text", "text": "who"}]},
			{"type": "actions", "elements": [{"type": "button", "action_id": "approve", "text": {"type": "plain_text", "text": "Approve"}, "style": "primary"}]}]}`,
	} {
		if wrong := Message(raw); wrong != nil {
			t.Errorf("%s: %v", raw, wrong)
		}
	}
	if wrong := View(`{"type": "home", "blocks": [{"type": "divider"}]}`); wrong != nil {
		t.Error(wrong)
	}
}

func TestWhatSlackDoesNotPublishIsRefused(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"mrkdwn in a header":     `{"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "Access"}}]}`,
		"an unknown field":       `{"blocks": [{"type": "divider", "colour": "red"}]}`,
		"an unknown block":       `{"blocks": [{"type": "banner"}]}`,
		"a style nobody has":     `{"blocks": [{"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "A"}, "style": "green"}]}]}`,
		"a number for a text":    `{"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": 7}}]}`,
		"a block that is a text": `{"blocks": ["divider"]}`,
	} {
		if Message(raw) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	for name, raw := range map[string]string{
		"a modal without a title": `{"type": "modal", "blocks": [{"type": "divider"}]}`,
		"a home with a submit":    `{"type": "home", "blocks": [], "submit": {"type": "plain_text", "text": "x"}}`,
		"a view of no type":       `{"blocks": []}`,
	} {
		if View(raw) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestAFaultNamesTheBlock(t *testing.T) {
	t.Parallel()
	wrong := Message(`{"blocks": [{"type": "divider"}, {"type": "header", "text": {"type": "mrkdwn", "text": "Access"}}]}`)
	if len(wrong) != 1 || !strings.HasPrefix(wrong[0], "header: ") || !strings.Contains(wrong[0], "/text/type") {
		t.Errorf("got %q", wrong)
	}
}
