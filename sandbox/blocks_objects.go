package sandbox

import (
	"fmt"
	"slices"
)

// The composition objects: text, options, confirmation dialogs. Limits are those of Slack's Block Kit reference.

// plain takes a plain_text object, and nothing else, of at most most characters.
func plain(most int) rule {
	return text(only("plain_text"), 1, most)
}

// prose takes a plain_text or mrkdwn object.
func prose(most int) rule {
	return text(only("plain_text", "mrkdwn"), 1, most)
}

func text(kinds func(string) []string, least, most int) rule {
	return byType(map[string]shape{
		"plain_text": {required: []string{"type", "text"}, fields: map[string]rule{"type": anything, "text": str(least, most), "emoji": boolean}},
		"mrkdwn":     {required: []string{"type", "text"}, fields: map[string]rule{"type": anything, "text": str(least, most), "verbatim": boolean}},
	}, kinds)
}

var (
	blockID  = str(1, 255)
	actionID = str(1, 255)
)

func confirm(c *checker, at string, v any) {
	shape{
		required: []string{"title", "text", "confirm", "deny"},
		fields: map[string]rule{
			"title": plain(100), "text": prose(300), "confirm": plain(30), "deny": plain(30), "style": oneOf("primary", "danger"),
		},
	}.check(c, at, v)
}

// option is one choice; label says whether it may be mrkdwn, as for checkboxes and radio buttons.
func option(label func(int) rule, withURL bool) rule {
	fields := map[string]rule{"text": label(75), "value": str(1, 150), "description": label(75)}
	if withURL {
		fields["url"] = link
	}
	return shape{required: []string{"text", "value"}, fields: fields}.check
}

// menuOption is the option of a select menu.
var menuOption = option(plain, false)

var optionGroup = shape{
	required: []string{"label", "options"},
	fields:   map[string]rule{"label": plain(75), "options": list(1, 100, menuOption)},
}.check

// distinctOptions refuses the same value twice and a preselection that is no option.
func distinctOptions(initial string) func(*checker, string, object) {
	return func(c *checker, at string, o object) {
		known := optionsOf(o)
		if chosen, there := o[initial]; there {
			list, isList := chosen.([]any)
			if !isList {
				list = []any{chosen}
			}
			for _, one := range list {
				if !slices.ContainsFunc(known, func(k object) bool { return sameOption(k, one) }) {
					c.fault(at+"/"+initial, "must match one of the options")
				}
			}
		}
		seen := map[string]bool{}
		for _, k := range known {
			value, _ := k["value"].(string)
			if seen[value] {
				c.fault(at+"/options", "option values must be unique: %q", cut(value, 150))
			}
			seen[value] = true
		}
	}
}

// optionsOf lists the options of an element, those in groups too.
func optionsOf(o object) []object {
	var out []object
	take := func(v any) {
		items, _ := v.([]any)
		for _, item := range items {
			if one, ok := item.(object); ok {
				out = append(out, one)
			}
		}
	}
	take(o["options"])
	groups, _ := o["option_groups"].([]any)
	for _, g := range groups {
		if one, ok := g.(object); ok {
			take(one["options"])
		}
	}
	return out
}

func sameOption(a object, b any) bool {
	other, ok := b.(object)
	return ok && a["value"] == other["value"] && fmt.Sprint(textOf(a["text"])) == fmt.Sprint(textOf(other["text"]))
}

// textOf is the characters of a text object.
func textOf(v any) string {
	o, _ := v.(object)
	s, _ := o["text"].(string)
	return s
}
