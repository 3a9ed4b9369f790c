package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parse reads JSON with single quotes, in which "«N»" stands for N characters.
func parse(t testing.TB, s string) any {
	t.Helper()
	s = strings.ReplaceAll(s, "'", `"`)
	for {
		start, end := strings.Index(s, "«"), strings.Index(s, "»")
		if start < 0 {
			break
		}
		var n int
		_, _ = fmt.Sscan(s[start+len("«"):end], &n)
		s = s[:start] + strings.Repeat("é", n) + s[end+len("»"):]
	}
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("the test's own JSON: %v in %s", err, s)
	}
	return v
}

// many repeats a piece of JSON with % replaced by its number.
func many(n int, piece string) string {
	var parts []string
	for i := range n {
		parts = append(parts, strings.ReplaceAll(piece, "%", fmt.Sprint(i)))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

const (
	button  = `{'type':'button','text':{'type':'plain_text','text':'Go'},'action_id':'a%'}`
	choice  = `{'text':{'type':'plain_text','text':'Go'},'value':'v%'}`
	divider = `{'type':'divider'}`
	input   = `{'type':'input','label':{'type':'plain_text','text':'L'},'element':{'type':'plain_text_input'}}`
)

func sectionWith(accessory string) string {
	return `[{'type':'section','text':{'type':'mrkdwn','text':'x'},'accessory':` + accessory + `}]`
}

func actionsWith(elements string) string {
	return `[{'type':'actions','elements':` + elements + `}]`
}

func inputWith(element string) string {
	return `[{'type':'input','label':{'type':'plain_text','text':'L'},'element':` + element + `}]`
}

func choices(n int, kind, rest string) string {
	return `{'type':'` + kind + `','options':` + many(n, choice) + rest + `}`
}

// TestMessageLimits holds every limit of a message from both sides: what is just allowed passes, one more is refused
// with the JSON pointer of the place.
func TestMessageLimits(t *testing.T) {
	t.Parallel()
	section := func(text string) string { return `[{'type':'section','text':` + text + `}]` }
	tests := []struct{ name, good, bad, fault string }{
		{"blocks in a message", many(50, divider), many(51, divider), "no more than 50 items allowed [json-pointer:/blocks]"},
		{"section text", section(`{'type':'mrkdwn','text':'«3000»'}`), section(`{'type':'mrkdwn','text':'«3001»'}`), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		{"section text is not empty", section(`{'type':'mrkdwn','text':'x'}`), section(`{'type':'mrkdwn','text':''}`), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		{"section without text", section(`{'type':'plain_text','text':'x'}`), `[{'type':'section'}]`, "missing required field: text [json-pointer:/blocks/0]"},
		{"section fields", `[{'type':'section','fields':` + many(10, `{'type':'mrkdwn','text':'«2000»'}`) + `}]`, `[{'type':'section','fields':` + many(11, `{'type':'mrkdwn','text':'x'}`) + `}]`, "no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		{"section field text", `[{'type':'section','fields':[{'type':'mrkdwn','text':'«2000»'}]}]`, `[{'type':'section','fields':[{'type':'mrkdwn','text':'«2001»'}]}]`, "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]"},
		{"header text", `[{'type':'header','text':{'type':'plain_text','text':'«150»'}}]`, `[{'type':'header','text':{'type':'plain_text','text':'«151»'}}]`, "must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
		{"header is plain", `[{'type':'header','text':{'type':'plain_text','text':'x','emoji':true}}]`, `[{'type':'header','text':{'type':'mrkdwn','text':'x'}}]`, "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"},
		{"context elements", `[{'type':'context','elements':` + many(10, `{'type':'mrkdwn','text':'x'}`) + `}]`, `[{'type':'context','elements':` + many(11, `{'type':'mrkdwn','text':'x'}`) + `}]`, "no more than 10 items allowed [json-pointer:/blocks/0/elements]"},
		{"actions", actionsWith(many(25, button)), actionsWith(many(26, button)), "no more than 25 items allowed [json-pointer:/blocks/0/elements]"},
		{"empty actions", actionsWith(many(1, button)), actionsWith(`[]`), "no less than 1 items allowed [json-pointer:/blocks/0/elements]"},
		{"block_id length", `[{'type':'divider','block_id':'«255»'}]`, `[{'type':'divider','block_id':'«256»'}]`, "must be less than 256 characters [json-pointer:/blocks/0/block_id]"},
		{"block_id twice", many(2, `{'type':'divider','block_id':'b%'}`), many(2, `{'type':'divider','block_id':'b'}`), "`block_id` \"b\" already exists [json-pointer:/blocks/1/block_id]"},
		{"action_id length", actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'x'},'action_id':'«255»'}]`), actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'x'},'action_id':'«256»'}]`), "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]"},
		{"action_id twice", actionsWith(many(2, button)), actionsWith(many(2, strings.ReplaceAll(button, "%", ""))), "`action_id` \"a\" already exists for block_id \"\" [json-pointer:/blocks/0/elements/1/action_id]"},
		{"button text", actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'«75»'}}]`), actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'«76»'}}]`), "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]"},
		{"button text is plain", actionsWith(many(1, button)), actionsWith(`[{'type':'button','text':{'type':'mrkdwn','text':'x'}}]`), "unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/text/type]"},
		{"button value", actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'x'},'value':'«2000»'}]`), actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'x'},'value':'«2001»'}]`), "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"},
		{"button style", actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'x'},'style':'danger'}]`), actionsWith(`[{'type':'button','text':{'type':'plain_text','text':'x'},'style':'default'}]`), "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]"},
		{"confirm title", actionsWith(withConfirm(100, 300)), actionsWith(withConfirm(101, 300)), "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]"},
		{"confirm text", actionsWith(withConfirm(100, 300)), actionsWith(withConfirm(100, 301)), "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]"},
		{"option text", sectionWith(`{'type':'static_select','options':[{'text':{'type':'plain_text','text':'«75»'},'value':'v'}]}`), sectionWith(`{'type':'static_select','options':[{'text':{'type':'plain_text','text':'«76»'},'value':'v'}]}`), "must be less than 76 characters [json-pointer:/blocks/0/accessory/options/0/text/text]"},
		{"option value", sectionWith(`{'type':'static_select','options':[{'text':{'type':'plain_text','text':'x'},'value':'«150»'}]}`), sectionWith(`{'type':'static_select','options':[{'text':{'type':'plain_text','text':'x'},'value':'«151»'}]}`), "must be less than 151 characters [json-pointer:/blocks/0/accessory/options/0/value]"},
		{"select options", sectionWith(choices(100, "static_select", "")), sectionWith(choices(101, "static_select", "")), "no more than 100 items allowed [json-pointer:/blocks/0/accessory/options]"},
		{"options exclude groups", sectionWith(choices(1, "static_select", "")), sectionWith(`{'type':'static_select'}`), "must provide exactly one of options, option_groups [json-pointer:/blocks/0/accessory]"},
		{"initial option is an option", sectionWith(choices(1, "static_select", `,'initial_option':`+strings.ReplaceAll(choice, "%", "0"))), sectionWith(choices(1, "static_select", `,'initial_option':`+strings.ReplaceAll(choice, "%", "7"))), "must match one of the options [json-pointer:/blocks/0/accessory/initial_option]"},
		{"checkboxes", sectionWith(choices(10, "checkboxes", "")), sectionWith(choices(11, "checkboxes", "")), "no more than 10 items allowed [json-pointer:/blocks/0/accessory/options]"},
		{"radio buttons", sectionWith(choices(10, "radio_buttons", "")), sectionWith(choices(11, "radio_buttons", "")), "no more than 10 items allowed [json-pointer:/blocks/0/accessory/options]"},
		{"overflow", sectionWith(choices(5, "overflow", "")), sectionWith(choices(6, "overflow", "")), "no more than 5 items allowed [json-pointer:/blocks/0/accessory/options]"},
		{"placeholder", sectionWith(choices(1, "static_select", `,'placeholder':{'type':'plain_text','text':'«150»'}`)), sectionWith(choices(1, "static_select", `,'placeholder':{'type':'plain_text','text':'«151»'}`)), "must be less than 151 characters [json-pointer:/blocks/0/accessory/placeholder/text]"},
		{"input label", strings.ReplaceAll(inputWith(`{'type':'plain_text_input'}`), "'L'", "'«2000»'"), strings.ReplaceAll(inputWith(`{'type':'plain_text_input'}`), "'L'", "'«2001»'"), "must be less than 2001 characters [json-pointer:/blocks/0/label/text]"},
		{"input max_length", inputWith(`{'type':'plain_text_input','max_length':3000}`), inputWith(`{'type':'plain_text_input','max_length':3001}`), "must be less than or equal to 3000 [json-pointer:/blocks/0/element/max_length]"},
		{"input initial value", inputWith(`{'type':'plain_text_input','initial_value':'«3000»'}`), inputWith(`{'type':'plain_text_input','initial_value':'«3001»'}`), "must be less than 3001 characters [json-pointer:/blocks/0/element/initial_value]"},
		{"input lengths agree", inputWith(`{'type':'plain_text_input','min_length':3,'max_length':3}`), inputWith(`{'type':'plain_text_input','min_length':4,'max_length':3}`), "must be less than or equal to max_length [json-pointer:/blocks/0/element/min_length]"},
		{"no button in an input", inputWith(`{'type':'plain_text_input'}`), inputWith(button), "unsupported type: button [json-pointer:/blocks/0/element/type]"},
		{"no text input in actions", actionsWith(many(1, button)), actionsWith(`[{'type':'plain_text_input'}]`), "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]"},
		{"unknown block", `[{'type':'divider'}]`, `[{'type':'carousel'}]`, "unsupported type: carousel [json-pointer:/blocks/0/type]"},
		{"unknown field of a block", `[{'type':'divider'}]`, `[{'type':'divider','colour':'red'}]`, "invalid additional property: colour [json-pointer:/blocks/0]"},
		{"unknown field of a text", section(`{'type':'plain_text','text':'x','emoji':true}`), section(`{'type':'mrkdwn','text':'x','emoji':true}`), "invalid additional property: emoji [json-pointer:/blocks/0/text]"},
		{"image needs words", `[{'type':'image','image_url':'https://example.com/a.png','alt_text':'x'}]`, `[{'type':'image','image_url':'https://example.com/a.png'}]`, "missing required field: alt_text [json-pointer:/blocks/0]"},
		{"image url", `[{'type':'image','image_url':'https://example.com/a.png','alt_text':'x'}]`, `[{'type':'image','image_url':'a.png','alt_text':'x'}]`, "must be a valid URL [json-pointer:/blocks/0/image_url]"},
		{"markdown", `[{'type':'markdown','text':'«12000»'}]`, `[{'type':'markdown','text':'«6001»'},{'type':'markdown','text':'«6000»'}]`, "markdown text must be less than 12001 characters in all [json-pointer:/blocks]"},
		{"date", sectionWith(`{'type':'datepicker','initial_date':'2026-02-28'}`), sectionWith(`{'type':'datepicker','initial_date':'2026-02-30'}`), "must be a date of the form YYYY-MM-DD [json-pointer:/blocks/0/accessory/initial_date]"},
		{"blocks are a list", `[]`, `{}`, "must be an array [json-pointer:/blocks]"},
		{"a block is an object", `[{'type':'divider'}]`, `['divider']`, "must provide an object [json-pointer:/blocks/0]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, faults := checkMessageBlocks(parse(t, test.good)); faults != nil {
				t.Errorf("what is just allowed was refused: %q", faults)
			}
			_, faults := checkMessageBlocks(parse(t, test.bad))
			if !slices.ContainsFunc(faults, func(f string) bool { return f == test.fault }) {
				t.Errorf("got %q, want %q", faults, test.fault)
			}
		})
	}
}

func withConfirm(title, text int) string {
	return fmt.Sprintf(`[{'type':'button','text':{'type':'plain_text','text':'x'},'confirm':{'title':{'type':'plain_text','text':'«%d»'},'text':{'type':'plain_text','text':'«%d»'},'confirm':{'type':'plain_text','text':'Yes'},'deny':{'type':'plain_text','text':'No'}}}]`, title, text)
}

func TestViewLimits(t *testing.T) {
	t.Parallel()
	modal := func(rest, blocks string) string {
		return `{'type':'modal','title':{'type':'plain_text','text':'T'}` + rest + `,'blocks':` + blocks + `}`
	}
	sized := func(field string, n int) string {
		return fmt.Sprintf(`{'type':'modal','title':{'type':'plain_text','text':'T'},'%s':{'type':'plain_text','text':'«%d»'},'blocks':[{'type':'divider'}]}`, field, n)
	}
	titled := func(n int) string {
		return fmt.Sprintf(`{'type':'modal','title':{'type':'plain_text','text':'«%d»'},'blocks':[{'type':'divider'}]}`, n)
	}
	const submit = `,'submit':{'type':'plain_text','text':'Send'}`
	tests := []struct{ name, good, bad, fault string }{
		{"title", titled(24), titled(25), "must be less than 25 characters [json-pointer:/view/title/text]"},
		{"submit", sized("submit", 24), sized("submit", 25), "must be less than 25 characters [json-pointer:/view/submit/text]"},
		{"close", sized("close", 24), sized("close", 25), "must be less than 25 characters [json-pointer:/view/close/text]"},
		{"title is plain", titled(1), `{'type':'modal','title':{'type':'mrkdwn','text':'T'},'blocks':[{'type':'divider'}]}`, "unsupported type: mrkdwn [json-pointer:/view/title/type]"},
		{"title is required", titled(1), `{'type':'modal','blocks':[{'type':'divider'}]}`, "missing required field: title [json-pointer:/view]"},
		{"input needs submit", modal(submit, "["+input+"]"), modal("", "["+input+"]"), "missing required field: submit [json-pointer:/view]"},
		{"blocks", modal("", many(100, divider)), modal("", many(101, divider)), "no more than 100 items allowed [json-pointer:/view/blocks]"},
		{"no blocks", modal("", many(1, divider)), modal("", "[]"), "no less than 1 items allowed [json-pointer:/view/blocks]"},
		{"private_metadata", modal(`,'private_metadata':'«3000»'`, many(1, divider)), modal(`,'private_metadata':'«3001»'`, many(1, divider)), "must be less than 3001 characters [json-pointer:/view/private_metadata]"},
		{"callback_id", modal(`,'callback_id':'«255»'`, many(1, divider)), modal(`,'callback_id':'«256»'`, many(1, divider)), "must be less than 256 characters [json-pointer:/view/callback_id]"},
		{"unknown field", modal("", many(1, divider)), modal(`,'colour':'red'`, many(1, divider)), "invalid additional property: colour [json-pointer:/view]"},
		{"no markdown block", modal("", many(1, divider)), modal("", `[{'type':'markdown','text':'x'}]`), "unsupported type: markdown [json-pointer:/view/blocks/0/type]"},
		{"one focus", modal(submit, inputWith(`{'type':'plain_text_input','focus_on_load':true}`)), modal(submit, many(2, `{'type':'input','label':{'type':'plain_text','text':'L'},'element':{'type':'plain_text_input','focus_on_load':true}}`)), "only one element may set focus_on_load [json-pointer:/view/blocks]"},
		{"duplicate block_id", modal("", many(2, `{'type':'divider','block_id':'b%'}`)), modal("", many(2, `{'type':'divider','block_id':'b'}`)), "`block_id` \"b\" already exists [json-pointer:/view/blocks/1/block_id]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if faults := checkView(parse(t, test.good), "modal"); faults != nil {
				t.Errorf("what is just allowed was refused: %q", faults)
			}
			faults := checkView(parse(t, test.bad), "modal")
			if !slices.ContainsFunc(faults, func(f string) bool { return f == test.fault }) {
				t.Errorf("got %q, want %q", faults, test.fault)
			}
		})
	}
	if faults := checkView(parse(t, titled(1)), "home"); faults == nil {
		t.Error("a modal was taken for a Home tab")
	}
	if !tooLarge(object{"x": strings.Repeat("x", mostViewBytes)}) {
		t.Error("a view of more than 250 kB is not too large")
	}
}

func FuzzChecker(f *testing.F) {
	for _, seed := range []string{
		many(2, button), sectionWith(choices(2, "static_select", "")), inputWith(`{'type':'multi_users_select','initial_users':['U1']}`),
		`[{'type':'rich_text','elements':[{'type':'rich_text_section','elements':[{'type':'text','text':'x'}]}]}]`,
		`[null,1,'x',{'type':null},{'type':'section','fields':{}},{'type':'actions','elements':[{'type':'overflow','options':[null]}]}]`,
		`{'type':'modal','title':null,'blocks':[{'type':'input','element':{'type':'radio_buttons','options':[{}],'initial_option':[]}}]}`,
	} {
		f.Add(strings.ReplaceAll(seed, "'", `"`))
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v any
		if json.Unmarshal([]byte(s), &v) != nil {
			return
		}
		ws := &Workspace{}
		if blocks, faults := checkMessageBlocks(v); faults == nil {
			ws.renderMessage(content{blocks: blocks})
			initialState(blocks, nil)
		}
		for _, kind := range []string{"modal", "home"} {
			if checkView(v, kind) == nil {
				ws.renderBlocks(complete(v.(object)["blocks"].([]any)), nil)
			}
		}
	})
}
