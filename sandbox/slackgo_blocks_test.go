package sandbox

import (
	"encoding/json"
	"testing"

	"github.com/slack-go/slack"
)

// TestSlackGoBlocksAreTaken writes one of everything with slack-go and holds it against the validator: a field the
// validator does not know would refuse what Slack takes.
func TestSlackGoBlocksAreTaken(t *testing.T) {
	t.Parallel()
	confirm := slack.NewConfirmationBlockObject(plainText("Sure?"), plainText("Really?"), plainText("Yes"), plainText("No")).WithStyle(slack.StyleDanger)
	option := slack.NewOptionBlockObject("1", plainText("One"), plainText("the first"))
	group := slack.NewOptionGroupBlockElement(plainText("Group"), option)
	grouped := slack.NewOptionsGroupSelectBlockElement("static_select", plainText("Choose"), "grouped", group)
	elements := []slack.BlockElement{
		slack.NewButtonBlockElement("button", "v", plainText("Go")).WithStyle(slack.StylePrimary).WithConfirm(confirm).WithURL("https://example.com/"),
		slack.NewOptionsSelectBlockElement("static_select", plainText("Choose"), "static", option).WithInitialOption(option),
		grouped,
		slack.NewOptionsSelectBlockElement("external_select", nil, "external"),
		slack.NewOptionsSelectBlockElement("users_select", nil, "users"),
		slack.NewOptionsSelectBlockElement("conversations_select", nil, "conversations"),
		slack.NewOptionsSelectBlockElement("channels_select", nil, "channels"),
		slack.NewOverflowBlockElement("overflow", option),
		slack.NewCheckboxGroupsBlockElement("checkboxes", option),
		slack.NewRadioButtonsBlockElement("radio", option),
		slack.NewDatePickerBlockElement("date"),
		slack.NewTimePickerBlockElement("time"),
		slack.NewDateTimePickerBlockElement("datetime"),
	}
	mrkdwn := slack.NewTextBlockObject("mrkdwn", "*x*", false, true)
	message := []slack.Block{
		slack.NewSectionBlock(mrkdwn, []*slack.TextBlockObject{mrkdwn}, slack.NewAccessory(slack.NewImageBlockElement("https://example.com/a.png", "an image"))),
		slack.NewHeaderBlock(plainText("Header")),
		slack.NewDividerBlock(),
		slack.NewContextBlock("context", mrkdwn, slack.NewImageBlockElement("https://example.com/a.png", "an image")),
		slack.NewActionBlock("actions", elements...),
		slack.NewImageBlock("https://example.com/a.png", "an image", "image", plainText("Title")),
		slack.NewMarkdownBlock("markdown", "**x**"),
		slack.NewRichTextBlock("rich", slack.NewRichTextSection(slack.NewRichTextSectionTextElement("x", nil))),
	}
	inputs := []slack.BlockElement{
		slack.NewPlainTextInputBlockElement(plainText("Say"), "text").WithMultiline(true).WithMinLength(1).WithMaxLength(10).WithInitialValue("x"),
		slack.NewNumberInputBlockElement(nil, "number", true),
		slack.NewEmailTextInputBlockElement(nil, "email"),
		slack.NewURLTextInputBlockElement(nil, "url"),
		slack.NewOptionsMultiSelectBlockElement("multi_static_select", plainText("Choose"), "multi", option),
		slack.NewOptionsMultiSelectBlockElement("multi_users_select", nil, "multi_users"),
		slack.NewCheckboxGroupsBlockElement("checkboxes", option),
		slack.NewRadioButtonsBlockElement("radio", option),
	}
	view := slack.ModalViewRequest{Type: slack.VTModal, Title: plainText("T"), Submit: plainText("S"), Close: plainText("C"), ClearOnClose: true, NotifyOnClose: true, CallbackID: "c", ExternalID: "e", PrivateMetadata: "m"}
	for i, e := range inputs {
		view.Blocks.BlockSet = append(view.Blocks.BlockSet, slack.NewInputBlock(string(rune('a'+i)), plainText("L"), plainText("H"), e).WithOptional(true).WithDispatchAction(true))
	}
	raw, err := json.Marshal(message)
	no(t, err)
	if faults := CheckMessage(raw); faults != nil {
		t.Errorf("a message was refused: %q\n%s", faults, raw)
	}
	raw, err = json.Marshal(view)
	no(t, err)
	if faults := CheckView(raw); faults != nil {
		t.Errorf("a view was refused: %q\n%s", faults, raw)
	}
	raw, err = json.Marshal(slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: message[:6]}})
	no(t, err)
	if faults := CheckView(raw); faults != nil {
		t.Errorf("a Home tab was refused: %q\n%s", faults, raw)
	}
	for _, bad := range []string{`{`, `{"type":"modal"}`, `[]`} {
		if CheckView([]byte(bad)) == nil || CheckMessage([]byte(bad)) == nil && bad != `[]` {
			t.Errorf("%s was taken", bad)
		}
	}
}
