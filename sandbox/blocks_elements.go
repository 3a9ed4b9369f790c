package sandbox

import "maps"

// The interactive elements. Every one may have an action_id; most may ask for confirmation.

var elements map[string]shape

func init() {
	elements = map[string]shape{
		"button": element([]string{"text"}, map[string]rule{
			"text": plain(75), "url": link, "value": str(0, 2000), "style": oneOf("primary", "danger"),
			"confirm": confirm, "accessibility_label": str(1, 75),
		}, nil),
		"image": {required: []string{"type", "alt_text"}, fields: map[string]rule{
			"type": anything, "image_url": link, "alt_text": str(1, 2000), "slack_file": anything,
		}, also: oneFieldOf("image_url", "slack_file")},
		"overflow": element([]string{"options"}, map[string]rule{
			"options": list(1, 5, option(plain, true)), "confirm": confirm,
		}, distinctOptions("")),
		"checkboxes": element([]string{"options"}, map[string]rule{
			"options": list(1, 10, option(prose, false)), "initial_options": list(1, 10, option(prose, false)),
			"confirm": confirm, "focus_on_load": boolean,
		}, distinctOptions("initial_options")),
		"radio_buttons": element([]string{"options"}, map[string]rule{
			"options": list(1, 10, option(prose, false)), "initial_option": option(prose, false),
			"confirm": confirm, "focus_on_load": boolean,
		}, distinctOptions("initial_option")),
		"datepicker": element(nil, map[string]rule{
			"placeholder": plain(150), "initial_date": layout("2006-01-02", "a date of the form YYYY-MM-DD"),
			"confirm": confirm, "focus_on_load": boolean,
		}, nil),
		"timepicker": element(nil, map[string]rule{
			"placeholder": plain(150), "initial_time": layout("15:04", "a time of the form HH:mm"), "timezone": str(1, 100),
			"confirm": confirm, "focus_on_load": boolean,
		}, nil),
		"datetimepicker": element(nil, map[string]rule{
			"initial_date_time": integer(1e9, 9999999999), "confirm": confirm, "focus_on_load": boolean,
		}, nil),
		"plain_text_input": element(nil, map[string]rule{
			"initial_value": str(0, 3000), "multiline": boolean, "min_length": integer(0, 3000), "max_length": integer(1, 3000),
			"dispatch_action_config": dispatchConfig, "focus_on_load": boolean, "placeholder": plain(150),
		}, lengthsAgree),
		"number_input": element([]string{"is_decimal_allowed"}, map[string]rule{
			"is_decimal_allowed": boolean, "initial_value": str(0, 100), "min_value": str(1, 100), "max_value": str(1, 100),
			"dispatch_action_config": dispatchConfig, "focus_on_load": boolean, "placeholder": plain(150),
		}, nil),
		"email_text_input": element(nil, typed(), nil),
		"url_text_input":   element(nil, typed(), nil),
	}
	for name, own := range map[string]map[string]rule{
		"static_select":        {"options": list(1, 100, menuOption), "option_groups": list(1, 100, optionGroup), "initial_option": menuOption},
		"external_select":      {"initial_option": menuOption, "min_query_length": integer(0, 1000)},
		"users_select":         {"initial_user": str(1, 255)},
		"conversations_select": {"initial_conversation": str(1, 255), "default_to_current_conversation": boolean, "response_url_enabled": boolean, "filter": anything},
		"channels_select":      {"initial_channel": str(1, 255), "response_url_enabled": boolean},
	} {
		elements[name] = menu(name, own, false)
		elements["multi_"+name] = menu(name, own, true)
	}
}

// elementOf takes an element of the given types. The table is looked at late, because it is filled in an init.
func elementOf(allowed *[]string) rule {
	return func(c *checker, at string, v any) { byType(elements, only(*allowed...))(c, at, v) }
}

// element is the shape of an element: its own fields and those all elements share.
func element(required []string, own map[string]rule, also func(*checker, string, object)) shape {
	own["type"], own["action_id"] = anything, actionID
	return shape{required: append([]string{"type"}, required...), fields: own, also: also}
}

func typed() map[string]rule {
	return map[string]rule{
		"initial_value": str(0, 3000), "dispatch_action_config": dispatchConfig, "focus_on_load": boolean, "placeholder": plain(150),
	}
}

// menu is a select menu, for one choice or for several.
func menu(name string, own map[string]rule, several bool) shape {
	fields := maps.Clone(own)
	fields["placeholder"], fields["confirm"], fields["focus_on_load"] = plain(150), confirm, boolean
	initial := "initial_option"
	if several {
		initial = "initial_options"
		fields["max_selected_items"] = integer(1, 1000)
		for one, check := range own {
			switch one {
			case "initial_option", "initial_user", "initial_conversation", "initial_channel":
				delete(fields, one)
				fields[one+"s"] = list(0, 1000, check)
			case "response_url_enabled":
				delete(fields, one)
			}
		}
	}
	var also func(*checker, string, object)
	if name == "static_select" {
		also = func(c *checker, at string, o object) {
			oneFieldOf("options", "option_groups")(c, at, o)
			distinctOptions(initial)(c, at, o)
		}
	}
	return element(nil, fields, also)
}

func lengthsAgree(c *checker, at string, o object) {
	least, hasLeast := o["min_length"].(float64)
	most, hasMost := o["max_length"].(float64)
	if hasLeast && hasMost && least > most {
		c.fault(at+"/min_length", "must be less than or equal to max_length")
	}
}

func dispatchConfig(c *checker, at string, v any) {
	shape{fields: map[string]rule{
		"trigger_actions_on": list(1, 2, oneOf("on_enter_pressed", "on_character_entered")),
	}}.check(c, at, v)
}

// Which elements may be where.
var (
	menus = []string{
		"static_select", "external_select", "users_select", "conversations_select", "channels_select",
	}
	multiMenus = []string{
		"multi_static_select", "multi_external_select", "multi_users_select", "multi_conversations_select", "multi_channels_select",
	}
	inActions = append([]string{
		"button", "overflow", "checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker",
	}, menus...)
	inSection = append(append([]string{"button", "image", "overflow", "checkboxes", "radio_buttons", "datepicker", "timepicker"}, menus...), multiMenus...)
	inInput   = append(append([]string{
		"plain_text_input", "number_input", "email_text_input", "url_text_input",
		"checkboxes", "radio_buttons", "datepicker", "timepicker", "datetimepicker",
	}, menus...), multiMenus...)
)
