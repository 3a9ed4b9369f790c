package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// valueOf makes the value of an element from what was chosen on the page: the values of options, ids of people and
// channels, dates and times as the browser writes them. Only what the element offers can be chosen.
func (a *Actor) valueOf(t target, ask pageAsk) (object, error) {
	kind, _ := t.element["type"].(string)
	field, _ := valueField(kind)
	chosen := []any{}
	for _, one := range ask.Chosen {
		if one == "" {
			continue
		}
		v, err := a.chosen(t, kind, one)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, v)
	}
	if strings.HasPrefix(kind, "multi_") || kind == "checkboxes" {
		if most, limited := t.element["max_selected_items"].(float64); limited && float64(len(chosen)) > most {
			return nil, fmt.Errorf("no more than %v can be chosen", most)
		}
		return object{"type": kind, field: chosen}, nil
	}
	switch len(chosen) {
	case 0:
		return object{"type": kind, field: nil}, nil
	case 1:
		return object{"type": kind, field: chosen[0]}, nil
	}
	return nil, errors.New("one can be chosen")
}

func (a *Actor) chosen(t target, kind, one string) (any, error) {
	option := func(offered []object) (any, error) {
		i := slices.IndexFunc(offered, func(o object) bool { return o["value"] == one })
		if i < 0 {
			return nil, fmt.Errorf("there is no choice %q", one)
		}
		return offered[i], nil
	}
	switch strings.TrimPrefix(kind, "multi_") {
	case "static_select", "radio_buttons", "checkboxes":
		return option(optionsOf(t.element))
	case "external_select":
		return option(append(slices.Clone(a.ws.page.offered[a.offer(t)]), a.held(t)...))
	case "users_select":
		if p := a.ws.personByID(one); p == nil || p.Deleted {
			return nil, errors.New("there is no such person")
		}
	case "conversations_select", "channels_select":
		if c := a.ws.channelByID(one); c == nil || !c.has(a.p.id) {
			return nil, errors.New("there is no such channel")
		}
	case "datetimepicker":
		n, err := strconv.ParseInt(one, 10, 64)
		return float64(n), err
	}
	return one, nil
}

// held are the options an external select holds already, which need not be offered again.
func (a *Actor) held(t target) []object {
	var out []object
	if t.view == nil {
		return nil
	}
	for _, v := range t.view.state[fmt.Sprint(t.block["block_id"])][fmt.Sprint(t.element["action_id"])] {
		switch v := v.(type) {
		case object:
			out = append(out, v)
		case []any:
			for _, one := range v {
				if o, ok := one.(object); ok {
					out = append(out, o)
				}
			}
		}
	}
	return out
}
