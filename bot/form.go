package bot

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// The fields of the request form. Labels are a contract, and refusals name fields by them.
const (
	labelDatabase = "Database"
	labelAccess   = "Access"
	labelDuration = "Duration"
	labelReason   = "Reason"
	labelTicket   = "Ticket"
	labelExact    = "Exact duration"
)

const (
	blockDatabase = "database"
	// blockAccess and blockDuration are followed by a digest of the choices: Slack keeps what was chosen while a block keeps its id,
	// which must not outlive the choice itself.
	blockAccess   = "access"
	blockDuration = "duration"
	blockReason   = "reason"
	blockTicket   = "ticket"
	blockPreview  = "preview"
	blockParam    = "param:"
)

const (
	// mostOptions is how many choices Slack's select takes; a longer list is asked for as somebody types.
	mostOptions = 100
	// otherLength is the choice that brings up a field to write a duration into.
	otherLength = "other"
)

// form draws the request form around what was chosen so far. preview says what will happen, in mrkdwn.
func (b *Bot) form(m menu, w wish, preview string) slack.ModalViewRequest {
	profiles := m.choices(w.target)
	targets := databases(m.targets)
	var accesses []*slack.OptionBlockObject
	for _, p := range profiles {
		about := aboutProfile(p)
		if m.refused(w.target, p.Name) {
			about = "⛔ not for you now. " + about
		}
		accesses = offer(accesses, p.Name, about)
	}
	if len(targets) == 0 || len(accesses) == 0 {
		if len(b.service.Targets()) > 0 && m.offers != nil && len(m.offers) == 0 {
			return saying("Request access", "There is nothing you may ask for. `"+b.command+" explain TARGET PROFILE` says why; your administrators can change the policy.")
		}
		return saying("Request access", "Nothing can be asked for yet: no database or no profile is configured. Your administrators can change that.")
	}
	lengths := lengthChoices(m.longest(w.target, w.profile))
	chosen := w.chosenLength(lengths)

	v := modal("Request access")
	if w.note.Restored {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, footer("📝 This is what you typed before and did not send. *Clear* begins afresh."))
	}
	v.Blocks.BlockSet = append(v.Blocks.BlockSet,
		slack.NewInputBlock(w.id(blockDatabase), literal(labelDatabase), nil, databaseMenu(targets, w.target)).WithDispatchAction(true),
		slack.NewInputBlock(w.id(withDigest(blockAccess, accesses)), literal(labelAccess), nil, selectOne(labelAccess, "What to do there", accesses, w.profile)).WithDispatchAction(true),
		slack.NewInputBlock(w.id(withDigest(blockDuration, lengths)), literal(labelDuration), nil, selectOne(labelDuration, "For how long", lengths, chosen)).WithDispatchAction(true),
	)
	if chosen == otherLength {
		exact := written(blockExact, "45m", w.exact, 40)
		v.Blocks.BlockSet = append(v.Blocks.BlockSet,
			slack.NewInputBlock(w.id(blockExact), literal(labelExact), literal("Like 30m, 1h30m or 45s."), exact).WithDispatchAction(true))
	}
	if !m.never(w.target, w.profile) {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, w.startFields()...)
	}
	for _, p := range parameters(profiles, w.profile) {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, w.paramInput(p))
	}
	reason := written(blockReason, "What is wrong, and what you will look at", w.reason, approvals.LongestReason).WithMultiline(true)
	ticket := written(blockTicket, "INC-123", w.ticket, approvals.LongestTicket)
	said := slack.NewSectionBlock(markup(preview), nil, nil)
	said.BlockID = blockPreview
	v.Blocks.BlockSet = append(v.Blocks.BlockSet,
		slack.NewInputBlock(w.id(blockReason), literal(labelReason), nil, reason).WithDispatchAction(true),
		slack.NewInputBlock(w.id(blockTicket), literal(labelTicket), nil, ticket).WithOptional(true).WithDispatchAction(true),
		said)
	v.Blocks.BlockSet = append(v.Blocks.BlockSet, w.instead...)
	if !w.empty() {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, buttonsOf("draft", button("Clear", actClear, "draft")))
	}
	v.CallbackID, v.Submit, v.Close = viewRequest, literal("Request"), literal("Cancel")
	w.note.Said = digest(preview)
	v.PrivateMetadata = w.note.String()
	return v
}

// written is a field that people write into. It tells of each character, see draft.go.
func written(id, placeholder, value string, most int) *slack.PlainTextInputBlockElement {
	var hint *slack.TextBlockObject
	if placeholder != "" {
		hint = literal(placeholder)
	}
	field := slack.NewPlainTextInputBlockElement(hint, id).WithMaxLength(most).
		WithDispatchActionConfig(&slack.DispatchActionConfig{TriggerActionsOn: []string{"on_enter_pressed", "on_character_entered"}})
	if runes := []rune(clean(value)); len(runes) > 0 {
		field = field.WithInitialValue(string(runes[:min(most, len(runes))]))
	}
	return field
}

// databaseMenu lists the databases, or where they are too many, asks as somebody types; the answer is [Bot.onSuggestion].
func databaseMenu(targets []*slack.OptionBlockObject, chosen string) slack.BlockElement {
	if len(targets) <= mostOptions {
		return selectOne(labelDatabase, "Which database", targets, chosen)
	}
	s := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, literal("Type a part of its name"), blockDatabase)
	at := 0
	s.MinQueryLength = &at
	for _, o := range targets {
		if o.Value == chosen {
			s.InitialOption = o
		}
	}
	return s
}

// lengthChoices are the durations offered where the policy allows up to longest, 0 being not known.
func lengthChoices(longest time.Duration) []*slack.OptionBlockObject {
	var out []*slack.OptionBlockObject
	const usual = 8 * time.Hour
	offered := append(slices.Clone(shorterTimes), 7*24*time.Hour)
	if longest > 0 && !slices.Contains(offered, longest) {
		offered = append(offered, longest)
		slices.Sort(offered)
	}
	for _, d := range offered {
		if d <= longest || longest == 0 && d <= usual {
			about := ""
			if d == longest {
				about = "the longest allowed"
			}
			out = offer(out, policy.FormatDuration(d), about)
		}
	}
	return append(out, slack.NewOptionBlockObject(otherLength, literal("Another time…"), nil))
}

// chosenLength is the choice that stands: what was chosen if it is still offered, else half an hour, else the longest.
func (w wish) chosenLength(offered []*slack.OptionBlockObject) string {
	for _, value := range []string{w.length, "30m"} {
		if slices.ContainsFunc(offered, func(o *slack.OptionBlockObject) bool { return o.Value == value }) {
			return value
		}
	}
	if len(offered) > 1 {
		return offered[len(offered)-2].Value
	}
	return otherLength
}

// withDigest is a block's id that changes with its choices.
func withDigest(block string, options []*slack.OptionBlockObject) string {
	var names strings.Builder
	for _, o := range options {
		fmt.Fprintln(&names, o.Value)
	}
	return block + ":" + digest(names.String())
}

func digest(text string) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(text)) // a hash takes everything
	return fmt.Sprintf("%08x", sum.Sum32())
}

func parameters(profiles []policy.Profile, name string) []policy.Parameter {
	for _, p := range profiles {
		if p.Name == name {
			return p.Parameters[:min(20, len(p.Parameters))]
		}
	}
	return nil
}

// paramInput asks for a parameter in the way of its type.
func (w wish) paramInput(p policy.Parameter) *slack.InputBlock {
	id, value := blockParam+p.Name, w.params[p.Name]
	var element slack.BlockElement
	switch p.Type {
	case "date":
		picker := slack.NewDatePickerBlockElement(id)
		if _, err := time.Parse(time.DateOnly, value); err == nil {
			picker.InitialDate = value
		}
		element = picker
	case "boolean":
		s := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, literal("true or false"), id, offer(offer(nil, "true", ""), "false", "")...)
		for _, o := range s.Options {
			if o.Value == value {
				s.InitialOption = o
			}
		}
		element = s
	default:
		element = written(id, "", value, 200)
	}
	var hint *slack.TextBlockObject
	if about := plain(strings.TrimSpace(p.Type+". "+p.Description), 500); about != "" {
		hint = literal(about)
	}
	return slack.NewInputBlock(w.id(id), literal(plain(p.Name, 200)), hint, element).WithOptional(!p.Required).WithDispatchAction(true)
}

// longestValue is what Slack takes as the value of an option.
const longestValue = 150

// offer adds a choice. A name too long for Slack stays out of the form; the command line takes it.
func offer(to []*slack.OptionBlockObject, name, about string) []*slack.OptionBlockObject {
	if width(name) > longestValue || plain(name, longestOption) == "" {
		return to
	}
	o := slack.NewOptionBlockObject(name, literal(plain(name, longestOption)), nil)
	if about = plain(line(about), longestOption); about != "" {
		o.Description = literal(about)
	}
	return append(to, o)
}

func selectOne(label, placeholder string, options []*slack.OptionBlockObject, chosen string) *slack.SelectBlockElement {
	options = options[:min(mostOptions, len(options))]
	s := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, literal(placeholder), strings.ToLower(label), options...)
	for _, o := range options {
		if o.Value == chosen {
			s.InitialOption = o
		}
	}
	return s
}
