package bot

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

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
)

const (
	blockDatabase = "database"
	// blockAccess is followed by a digest of the choices: Slack keeps what was chosen while a block keeps its id, which
	// must not outlive the choice itself.
	blockAccess   = "access"
	blockDuration = "duration"
	blockReason   = "reason"
	blockTicket   = "ticket"
	blockPreview  = "preview"
	blockParam    = "param:"
)

// mostOptions is how many choices Slack's select takes.
const mostOptions = 100

// wish is what the form says now.
type wish struct {
	target, profile, length, ticket, reason string
	params                                  map[string]string
}

// form draws the request form around what was chosen so far. preview says what will happen, in mrkdwn.
func (b *Bot) form(w wish, preview string) slack.ModalViewRequest {
	targets := b.service.Targets()
	var databases []*slack.OptionBlockObject
	for _, t := range targets {
		databases = offer(databases, t.Name, t.Environment)
	}
	database := selectOne(labelDatabase, "Which database", databases, w.target)
	profiles := b.choices(w.target)
	var accesses []*slack.OptionBlockObject
	names := fnv.New32a()
	for _, p := range profiles {
		accesses = offer(accesses, p.Name, aboutProfile(p))
		fmt.Fprintln(names, p.Name)
	}
	if len(databases) == 0 || len(accesses) == 0 {
		return saying("Request access", "Nothing can be asked for yet: no database or no profile is configured. Your administrators can change that.")
	}
	access := selectOne(labelAccess, "What to do there", accesses, w.profile)

	duration := slack.NewPlainTextInputBlockElement(literal("30m"), blockDuration).
		WithInitialValue("30m").WithMaxLength(40).
		WithDispatchActionConfig(&slack.DispatchActionConfig{TriggerActionsOn: []string{"on_enter_pressed"}})
	reason := slack.NewPlainTextInputBlockElement(literal("What is wrong, and what you will look at"), blockReason).WithMultiline(true).WithMaxLength(approvals.LongestReason)
	ticket := slack.NewPlainTextInputBlockElement(literal("INC-123"), blockTicket).WithMaxLength(approvals.LongestTicket)

	v := modal("Request access",
		slack.NewInputBlock(blockDatabase, literal(labelDatabase), nil, database).WithDispatchAction(true),
		slack.NewInputBlock(fmt.Sprintf("%s:%08x", blockAccess, names.Sum32()), literal(labelAccess), nil, access).WithDispatchAction(true),
		slack.NewInputBlock(blockDuration, literal(labelDuration), literal("30m, 1h30m, 45s"), duration).WithDispatchAction(true),
	)
	for _, p := range parameters(profiles, w.profile) {
		input := slack.NewPlainTextInputBlockElement(nil, blockParam+p.Name).WithMaxLength(500)
		var hint *slack.TextBlockObject
		if about := plain(strings.TrimSpace(p.Type+". "+p.Description), 500); about != "" {
			hint = literal(about)
		}
		v.Blocks.BlockSet = append(v.Blocks.BlockSet,
			slack.NewInputBlock(blockParam+p.Name, literal(plain(p.Name, 200)), hint, input).WithOptional(!p.Required))
	}
	said := slack.NewSectionBlock(markup(preview), nil, nil)
	said.BlockID = blockPreview
	v.Blocks.BlockSet = append(v.Blocks.BlockSet,
		slack.NewInputBlock(blockReason, literal(labelReason), nil, reason),
		slack.NewInputBlock(blockTicket, literal(labelTicket), nil, ticket).WithOptional(true),
		said)
	if len(databases) > mostOptions {
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, footer(fmt.Sprintf("The list shows the first %d databases; write `%s TARGET PROFILE DURATION REASON` for any other.",
			mostOptions, b.command)))
	}
	v.CallbackID, v.Submit, v.Close = viewRequest, literal("Request"), literal("Cancel")
	return v
}

// choices are the profiles of a target, or of all targets while none is chosen.
func (b *Bot) choices(target string) []policy.Profile {
	if target != "" {
		return b.service.Profiles(target)
	}
	var all []policy.Profile
	for _, t := range b.service.Targets() {
		for _, p := range b.service.Profiles(t.Name) {
			if !slices.ContainsFunc(all, func(have policy.Profile) bool { return have.Name == p.Name }) {
				all = append(all, p)
			}
		}
	}
	return all
}

func parameters(profiles []policy.Profile, name string) []policy.Parameter {
	for _, p := range profiles {
		if p.Name == name {
			return p.Parameters[:min(20, len(p.Parameters))]
		}
	}
	return nil
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

// read takes a wish out of what Slack says the form holds.
func read(view slack.View) (w wish, accessBlock string) {
	accessBlock = blockAccess
	if view.State == nil {
		return w, accessBlock
	}
	for block, values := range view.State.Values {
		for action, v := range values {
			switch {
			case block == blockDatabase:
				w.target = v.SelectedOption.Value
			case strings.HasPrefix(block, blockAccess+":"):
				accessBlock, w.profile = block, v.SelectedOption.Value
			case block == blockDuration:
				w.length = bare(asTyped(v.Value))
			case block == blockReason:
				w.reason = v.Value
			case block == blockTicket:
				w.ticket = strings.TrimSpace(v.Value)
			case strings.HasPrefix(block, blockParam) && action == block && v.Value != "":
				if w.params == nil {
					w.params = map[string]string{}
				}
				w.params[strings.TrimPrefix(block, blockParam)] = v.Value
			}
		}
	}
	return w, accessBlock
}

// filing turns a wish into a filing, or says at which block what is wrong.
func (w wish) filing(by, source string) (approvals.Filing, map[string]string) {
	f := approvals.Filing{By: by, Target: w.target, Profile: w.profile, Ticket: w.ticket, Reason: clean(w.reason), Params: w.params, Source: source}
	if w.length != "" {
		d, err := policy.ParseDuration(w.length)
		if err != nil {
			return f, map[string]string{blockDuration: durationWords(w.length, err)}
		}
		f.Duration = d
	}
	return f, nil
}

// blockOf finds the block a refusal's field stands for; the last answer is Database, so that words are never lost.
func blockOf(field, accessBlock string) string {
	switch field {
	case labelAccess:
		return accessBlock
	case labelDuration:
		return blockDuration
	case labelReason:
		return blockReason
	case labelTicket:
		return blockTicket
	}
	return blockDatabase
}
