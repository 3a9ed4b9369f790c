package bot

import (
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// wish is what the form says now.
type wish struct {
	target, profile string
	// length is the chosen duration, or otherLength when it is written in exact.
	length, exact string
	// start is now or later, startsAt the instant in seconds that goes with later.
	start          string
	startsAt       int64
	ticket, reason string
	params         map[string]string
	// asked are the parameters that the form has a field for.
	asked []string
	note  formNote
	// instead are the ways out of a wish that is not allowed.
	instead []slack.Block
	// accessBlock and lengthBlock are the ids of the blocks whose ids change.
	accessBlock, lengthBlock string
}

// read takes a wish out of what Slack says the form holds.
func read(view slack.View) wish {
	w := wish{accessBlock: blockAccess, lengthBlock: blockDuration, note: noteOf(view)}
	if view.State == nil {
		return w
	}
	for id, values := range view.State.Values {
		block := w.note.idOf(id)
		for action, v := range values {
			switch {
			case block == blockDatabase:
				w.target = v.SelectedOption.Value
			case strings.HasPrefix(block, blockAccess+":"):
				w.accessBlock, w.profile = id, v.SelectedOption.Value
			case strings.HasPrefix(block, blockDuration+":"):
				w.lengthBlock, w.length = id, v.SelectedOption.Value
			case block == blockExact:
				w.exact = bare(asTyped(v.Value))
			case block == blockStart:
				w.start = v.SelectedOption.Value
			case block == blockStartsAt:
				w.startsAt = v.SelectedDateTime
			case block == blockReason:
				w.reason = v.Value
			case block == blockTicket:
				w.ticket = asTicket(v.Value)
			case strings.HasPrefix(block, blockParam) && action == block:
				w.asked = append(w.asked, strings.TrimPrefix(block, blockParam))
				w.setParam(strings.TrimPrefix(block, blockParam), firstOf(v.Value, v.SelectedDate, v.SelectedOption.Value))
			}
		}
	}
	if w.startsAt == 0 {
		w.startsAt = w.note.At
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
	if w.start == startLater {
		if w.startsAt == 0 {
			return f, map[string]string{w.id(blockStartsAt): "Choose when it is to start."}
		}
		f.StartsAt = time.Unix(w.startsAt, 0)
	}
	length, at := w.length, w.lengthBlock
	if length == otherLength {
		if length, at = w.exact, w.id(blockExact); length == "" {
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
			wrong[w.id(blockParam+p.Name)] = err.Error() + "." // it begins with a name, which is written as it is
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
			return w.id(blockExact)
		}
		return w.lengthBlock
	case labelStart:
		if w.start == startLater {
			return w.id(blockStartsAt)
		}
		return w.id(blockStart)
	case labelReason:
		return w.id(blockReason)
	case labelTicket:
		return w.id(blockTicket)
	}
	return w.id(blockDatabase)
}

// demanded is the block of the field that a policy's denial is about. Where no field is at fault, it is the first one.
func (w wish) demanded(d policy.Decision) string {
	if name, ok := policy.ParameterOf(d.Field); ok {
		if _, asked := w.params[name]; asked || slices.Contains(w.asked, name) {
			return w.id(blockParam + name)
		}
		return w.accessBlock // the form does not ask for it
	}
	return w.blockOf(map[string]string{
		policy.FieldTarget: labelDatabase, policy.FieldProfile: labelAccess, policy.FieldDuration: labelDuration, policy.FieldStart: labelStart,
		policy.FieldTicket: labelTicket, policy.FieldReason: labelReason,
	}[d.Field])
}
