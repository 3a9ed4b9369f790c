package bot

import (
	"strings"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// wish is what the form says now.
type wish struct {
	target, profile string
	// length is the chosen duration, or otherLength when it is written in exact.
	length, exact  string
	ticket, reason string
	params         map[string]string
	// accessBlock and lengthBlock are the ids of the blocks whose ids change.
	accessBlock, lengthBlock string
}

// read takes a wish out of what Slack says the form holds.
func read(view slack.View) wish {
	w := wish{accessBlock: blockAccess, lengthBlock: blockDuration}
	if view.State == nil {
		return w
	}
	for block, values := range view.State.Values {
		for action, v := range values {
			switch {
			case block == blockDatabase:
				w.target = v.SelectedOption.Value
			case strings.HasPrefix(block, blockAccess+":"):
				w.accessBlock, w.profile = block, v.SelectedOption.Value
			case strings.HasPrefix(block, blockDuration+":"):
				w.lengthBlock, w.length = block, v.SelectedOption.Value
			case block == blockExact:
				w.exact = bare(asTyped(v.Value))
			case block == blockReason:
				w.reason = v.Value
			case block == blockTicket:
				w.ticket = asTicket(v.Value)
			case strings.HasPrefix(block, blockParam) && action == block:
				w.setParam(strings.TrimPrefix(block, blockParam), firstOf(v.Value, v.SelectedDate, v.SelectedOption.Value))
			}
		}
	}
	return w
}

func (w *wish) setParam(name, value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	if w.params == nil {
		w.params = map[string]string{}
	}
	w.params[name] = value
}

// asTicket writes a ticket as tickets are written, where it was typed in a hurry.
func asTicket(text string) string {
	text = strings.TrimSpace(text)
	if looseTicket.MatchString(text) {
		return strings.ToUpper(text)
	}
	return text
}

// filing turns a wish into a filing, or says at which block what is wrong.
func (w wish) filing(by, source string) (approvals.Filing, map[string]string) {
	f := approvals.Filing{By: by, Target: w.target, Profile: w.profile, Ticket: w.ticket, Reason: clean(w.reason), Params: w.params, Source: source}
	length, at := w.length, w.lengthBlock
	if length == otherLength {
		if length, at = w.exact, blockExact; length == "" {
			return f, map[string]string{at: "Write for how long, like 45m."}
		}
	}
	if length != "" {
		d, err := policy.ParseDuration(length)
		if err != nil {
			return f, map[string]string{at: durationWords(length, err)}
		}
		f.Duration = d
	}
	return f, nil
}

// wrongParams says at which blocks a profile's parameters are not as their types want them.
func (w wish) wrongParams(profiles []policy.Profile) map[string]string {
	wrong := map[string]string{}
	for _, p := range parameters(profiles, w.profile) {
		given := map[string]string{}
		if value, ok := w.params[p.Name]; ok {
			given[p.Name] = value
		}
		if err := (policy.Profile{Name: w.profile, Parameters: []policy.Parameter{p}}).CheckParams(given); err != nil {
			wrong[blockParam+p.Name] = err.Error() + "." // it begins with a name, which is written as it is
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return wrong
}

// blockOf finds the block a field's label stands for; the last answer is Database, so that words are never lost.
func (w wish) blockOf(field string) string {
	switch field {
	case labelAccess:
		return w.accessBlock
	case labelDuration:
		if w.length == otherLength {
			return blockExact
		}
		return w.lengthBlock
	case labelReason:
		return blockReason
	case labelTicket:
		return blockTicket
	}
	return blockDatabase
}

// demanded is the field that a policy's demand is about. The demand is in the policy's own words; where they are not known, the
// reason is the field in which most can be said.
func demanded(d policy.Decision) string {
	switch why := strings.ToLower(d.Why); {
	case strings.Contains(why, "ticket"):
		return labelTicket
	case strings.HasPrefix(why, "at most "):
		return labelDuration
	}
	return labelReason
}
