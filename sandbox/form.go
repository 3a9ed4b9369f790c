package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// initialState is what the fields of blocks hold before anybody touches them; values of an earlier state stay where
// the same field is still there.
func initialState(items []any, earlier formState) formState {
	out := formState{}
	for _, item := range items {
		b, _ := item.(object)
		id, _ := b["block_id"].(string)
		for _, e := range interactive(b) {
			kind, _ := e["type"].(string)
			if kind == "button" || kind == "overflow" {
				continue
			}
			action, _ := e["action_id"].(string)
			if out[id] == nil {
				out[id] = map[string]object{}
			}
			out[id][action] = initialValue(kind, e)
			if old, there := earlier[id][action]; there && old["type"] == kind {
				out[id][action] = old
			}
		}
	}
	return out
}

// valueField is where Slack puts the value of an element of some type, and initialField where the app may put one.
func valueField(kind string) (value, initial string) {
	several := strings.HasPrefix(kind, "multi_")
	plural := ""
	if several {
		plural = "s"
	}
	switch strings.TrimPrefix(kind, "multi_") {
	case "static_select", "external_select":
		return "selected_option" + plural, "initial_option" + plural
	case "users_select":
		return "selected_user" + plural, "initial_user" + plural
	case "conversations_select":
		return "selected_conversation" + plural, "initial_conversation" + plural
	case "channels_select":
		return "selected_channel" + plural, "initial_channel" + plural
	case "radio_buttons":
		return "selected_option", "initial_option"
	case "checkboxes":
		return "selected_options", "initial_options"
	case "datepicker":
		return "selected_date", "initial_date"
	case "timepicker":
		return "selected_time", "initial_time"
	case "datetimepicker":
		return "selected_date_time", "initial_date_time"
	}
	return "value", "initial_value"
}

func initialValue(kind string, e object) object {
	field, initial := valueField(kind)
	v := e[initial]
	if v == nil && strings.HasSuffix(field, "s") {
		v = []any{}
	}
	if v == "" {
		v = nil
	}
	return object{"type": kind, field: v}
}

// shownMoment is how a day and a time are read and written.
const shownMoment = "2006-01-02 15:04 UTC"

// choose makes the value of an element from what a person types or picks, by the words they read.
func (ws *Workspace) choose(e object, wanted string, offered []object) (object, error) {
	kind, _ := e["type"].(string)
	field, _ := valueField(kind)
	pick := func(words string) (any, error) {
		switch strings.TrimPrefix(kind, "multi_") {
		case "static_select", "external_select", "radio_buttons", "checkboxes":
			var known []string
			for _, o := range offered {
				if textOf(o["text"]) == words || ws.prose(o["text"]) == words {
					return o, nil
				}
				known = append(known, textOf(o["text"]))
			}
			return nil, fmt.Errorf("there is no choice %q, only %q", words, known)
		case "users_select":
			if p := ws.personNamed(strings.TrimPrefix(words, "@")); p != nil {
				return p.id, nil
			}
			return nil, fmt.Errorf("there is nobody called %q", words)
		case "conversations_select", "channels_select":
			if c := ws.channelNamed(words); c != nil {
				return c.id, nil
			}
			return nil, fmt.Errorf("there is no channel %q", words)
		case "datetimepicker":
			if at, err := time.Parse(shownMoment, words); err == nil {
				return at.Unix(), nil
			}
			n, err := strconv.ParseInt(words, 10, 64)
			return n, err
		}
		return words, nil
	}
	if !strings.HasPrefix(kind, "multi_") && kind != "checkboxes" {
		if wanted == "" {
			return object{"type": kind, field: nil}, nil
		}
		v, err := pick(wanted)
		return object{"type": kind, field: v}, err
	}
	chosen := []any{}
	for words := range strings.SplitSeq(wanted, ",") {
		if words = strings.TrimSpace(words); words == "" {
			continue
		}
		v, err := pick(words)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, v)
	}
	return object{"type": kind, field: chosen}, nil
}

// shownValue is a value as a person reads it.
func (ws *Workspace) shownValue(v object) string {
	kind, _ := v["type"].(string)
	field, _ := valueField(kind)
	var show func(any) string
	show = func(v any) string {
		switch v := v.(type) {
		case nil:
			return ""
		case float64, int64:
			if unix, err := strconv.ParseFloat(fmt.Sprint(v), 64); err == nil && kind == "datetimepicker" {
				return time.Unix(int64(unix), 0).UTC().Format(shownMoment)
			}
		case object:
			return ws.prose(v["text"])
		case []any:
			var parts []string
			for _, one := range v {
				parts = append(parts, show(one))
			}
			return strings.Join(parts, ", ")
		case string:
			if p := ws.personByID(v); p != nil {
				return "@" + p.Name
			}
			if c := ws.channelByID(v); c != nil {
				return ws.title(c)
			}
			return v
		}
		return fmt.Sprint(v)
	}
	return show(v[field])
}

// incomplete is what Slack's own client says before it sends a form, by block_id.
func incomplete(v *view) map[string]string {
	out := map[string]string{}
	for _, item := range v.blocks() {
		b, _ := item.(object)
		id, _ := b["block_id"].(string)
		if b["type"] != "input" {
			continue
		}
		e, _ := b["element"].(object)
		action, _ := e["action_id"].(string)
		kind, _ := e["type"].(string)
		field, _ := valueField(kind)
		held := v.state[id][action][field]
		list, isList := held.([]any)
		s, _ := held.(string)
		n := float64(len([]rune(s)))
		least, hasLeast := e["min_length"].(float64)
		most, hasMost := e["max_length"].(float64)
		if !hasMost {
			most = 3000
		}
		switch {
		case held == nil || held == "" || (isList && len(list) == 0):
			if b["optional"] != true {
				out[id] = "Please complete this required field."
			}
		case kind != "plain_text_input":
		case hasLeast && n < least:
			out[id] = fmt.Sprintf("Please enter at least %v characters.", least)
		case n > most:
			out[id] = fmt.Sprintf("Please enter no more than %v characters.", most)
		}
	}
	return out
}

// fieldNamed finds an input or menu by its label, or else by its placeholder or action_id.
func fieldNamed(items []any, label string) (b, e object) {
	for _, by := range []func(b, e object) string{
		func(b, _ object) string { return textOf(b["label"]) },
		func(b, e object) string {
			if e == nil || b["type"] != "section" {
				return ""
			}
			return textOf(b["text"])
		},
		func(_, e object) string { return textOf(e["placeholder"]) },
		func(_, e object) string { s, _ := e["action_id"].(string); return s },
	} {
		for _, item := range items {
			b, _ := item.(object)
			for _, e := range interactive(b) {
				if e["type"] != "button" && label != "" && by(b, e) == label {
					return b, e
				}
			}
		}
	}
	return nil, nil
}

// labels lists the fields of a view, for an error a person can use.
func labels(items []any) []string {
	var out []string
	for _, item := range items {
		b, _ := item.(object)
		if b["type"] == "input" {
			out = append(out, textOf(b["label"]))
		}
	}
	return out
}

// inOrder lists the keys of values in the order the fields have on the screen; unknown ones come last.
func inOrder(items []any, values map[string]string) []string {
	place := map[string]int{}
	for name := range values {
		place[name] = len(items)
		for i, item := range items {
			if b, _ := fieldNamed([]any{item}, name); b != nil {
				place[name] = i
				break
			}
		}
	}
	names := slices.Collect(maps.Keys(values))
	slices.SortFunc(names, func(a, b string) int {
		if d := place[a] - place[b]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}
