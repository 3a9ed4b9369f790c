package bot

import "github.com/slack-go/slack"

// Slack's limits on what this package writes, in characters.
const (
	longestHeader  = 150
	longestSection = 3000
	longestField   = 2000
	longestText    = 3000 // of a message; chat.update refuses more than 4,000
	longestTitle   = 24
	longestOption  = 75
)

// message is what is posted: blocks, and text for notifications and screen readers.
type message struct {
	text   string
	blocks []slack.Block
	// long is the text where Slack takes no blocks; empty where text says it all.
	long string
}

// longestGlance is what a notification on a phone shows of a text, or a little more.
const longestGlance = 150

// glance cuts a text to what is read without opening anything.
func glance(text string) string { return cutMarkup(text, longestGlance) }

// markup is a mrkdwn text in which Slack turns nothing into a link or a mention by itself.
func markup(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

// literal is a plain_text text in which colons make no emoji.
func literal(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

func header(text string) slack.Block {
	return slack.NewHeaderBlock(literal(plain(text, longestHeader)))
}

// section shows mrkdwn. Callers bound what they write; what is too long all the same is cut rather than refused by Slack.
func section(text string) slack.Block {
	return slack.NewSectionBlock(markup(cutMarkup(text, longestSection)), nil, nil)
}

func plainSection(text string) slack.Block {
	return slack.NewSectionBlock(literal(cutTo(text, longestSection, asIs)), nil, nil)
}

func footer(texts ...string) slack.Block {
	elements := make([]slack.MixedElement, len(texts))
	for i, text := range texts {
		elements[i] = markup(text)
	}
	return slack.NewContextBlock("", elements...)
}

// field is a label with people's text under it.
func field(label, text string) *slack.TextBlockObject {
	return markup("*" + label + "*\n" + mrkdwn(text, 500))
}

// row shows fields; a section takes ten at most.
func row(fields ...*slack.TextBlockObject) slack.Block {
	return slack.NewSectionBlock(nil, fields[:min(10, len(fields))], nil)
}

func button(label, action, value string) *slack.ButtonBlockElement {
	return slack.NewButtonBlockElement(action, value, literal(label))
}

func confirm(title, text, yes, no string) *slack.ConfirmationBlockObject {
	return slack.NewConfirmationBlockObject(literal(title), literal(plain(text, 300)), literal(yes), literal(no))
}

func buttons(list ...*slack.ButtonBlockElement) slack.Block { return buttonsOf("actions", list...) }

// buttonsOf is for surfaces with more than one row of buttons; the id must be unique there.
func buttonsOf(id string, list ...*slack.ButtonBlockElement) slack.Block {
	elements := make([]slack.BlockElement, len(list))
	for i, b := range list {
		elements[i] = b
	}
	return slack.NewActionBlock(id, elements...)
}
