package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Counts of blocks.
const (
	mostMessageBlocks = 50
	mostViewBlocks    = 100
	mostViewBytes     = 250_000
)

var blocks map[string]shape

func init() {
	blocks = map[string]shape{
		"section": block(nil, map[string]rule{
			"text": prose(3000), "fields": list(1, 10, prose(2000)), "accessory": elementOf(&inSection), "expand": boolean,
		}, func(c *checker, at string, o object) {
			if o["text"] == nil && o["fields"] == nil {
				c.fault(at, "missing required field: text")
			}
		}),
		"header":  block([]string{"text"}, map[string]rule{"text": plain(150), "level": integer(1, 6)}, nil),
		"divider": block(nil, map[string]rule{}, nil),
		"context": block([]string{"elements"}, map[string]rule{"elements": list(1, 10, contextElement)}, nil),
		"actions": block([]string{"elements"}, map[string]rule{"elements": list(1, 25, elementOf(&inActions))}, distinctActions),
		"image": block([]string{"alt_text"}, map[string]rule{
			"alt_text": str(1, 2000), "image_url": link, "title": plain(2000), "slack_file": anything,
		}, oneFieldOf("image_url", "slack_file")),
		"input": block([]string{"label", "element"}, map[string]rule{
			"label": plain(2000), "element": elementOf(&inInput), "dispatch_action": boolean, "hint": plain(2000), "optional": boolean,
		}, nil),
		"markdown":  block([]string{"text"}, map[string]rule{"text": str(1, 12_000)}, nil),
		"rich_text": block([]string{"elements"}, map[string]rule{"elements": list(1, 1000, richElement)}, nil),
	}
}

func block(required []string, own map[string]rule, also func(*checker, string, object)) shape {
	own["type"], own["block_id"] = anything, blockID
	return shape{required: append([]string{"type"}, required...), fields: own, also: also}
}

func contextElement(c *checker, at string, v any) {
	if o, _ := v.(object); o["type"] == "image" {
		elements["image"].check(c, at, v)
		return
	}
	prose(3000)(c, at, v)
}

// richElement looks at the outermost level of rich text only: the app writes none, and Slack publishes no limits.
func richElement(c *checker, at string, v any) {
	o, _ := v.(object)
	switch o["type"] {
	case "rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote":
		list(0, 1000, func(c *checker, at string, v any) {
			if _, ok := v.(object); !ok {
				c.fault(at, "must provide an object")
			}
		})(c, at+"/elements", o["elements"])
	default:
		c.fault(at+"/type", "unsupported type: %s", cut(fmt.Sprint(o["type"]), 100))
	}
}

// distinctActions refuses an action_id twice in one block.
func distinctActions(c *checker, at string, o object) {
	seen := map[string]bool{}
	items, _ := o["elements"].([]any)
	in, _ := o["block_id"].(string)
	for i, item := range items {
		e, _ := item.(object)
		id, ok := e["action_id"].(string)
		if ok && seen[id] {
			c.fault(fmt.Sprintf("%s/elements/%d/action_id", at, i), "`action_id` %q already exists for block_id %q", cut(id, 255), cut(in, 255))
		}
		seen[id] = true
	}
}

// onSurface says which blocks a surface takes.
func onSurface(surface string) []string {
	common := []string{"section", "header", "divider", "context", "actions", "image", "input", "rich_text"}
	if surface == "message" {
		return append(common, "markdown")
	}
	return common
}

// checkBlocks checks a list of blocks at a place.
func checkBlocks(c *checker, at string, v any, most int) {
	least := 0
	if c.surface != "message" {
		least = 1
	}
	list(least, most, byType(blocks, onSurface))(c, at, v)
	items, _ := v.([]any)
	seen, written, focused := map[string]bool{}, 0, 0
	for i, item := range items {
		b, _ := item.(object)
		id, ok := b["block_id"].(string)
		if ok && seen[id] {
			c.fault(fmt.Sprintf("%s/%d/block_id", at, i), "`block_id` %q already exists", cut(id, 255))
		}
		seen[id] = true
		if s, isText := b["text"].(string); isText && b["type"] == "markdown" {
			written += len([]rune(s))
		}
		for _, e := range interactive(b) {
			if e["focus_on_load"] == true {
				focused++
			}
		}
	}
	if written > 12_000 {
		c.fault(at, "markdown text must be less than 12001 characters in all")
	}
	if focused > 1 {
		c.fault(at, "only one element may set focus_on_load")
	}
}

// checkMessageBlocks returns the blocks as Slack stores them, or what is wrong with them.
func checkMessageBlocks(v any) ([]any, []string) {
	c := &checker{surface: "message"}
	checkBlocks(c, "/blocks", v, mostMessageBlocks)
	if c.faults != nil {
		return nil, c.faults
	}
	items, _ := v.([]any)
	return complete(items), nil
}

// checkAttachments looks at the blocks in attachments; the older fields of attachments are not checked.
func checkAttachments(items []any) []string {
	c := &checker{surface: "message"}
	if len(items) > 100 {
		c.fault("/attachments", "no more than 100 items allowed")
	}
	for i, item := range items {
		o, ok := item.(object)
		if !ok {
			c.fault(fmt.Sprintf("/attachments/%d", i), "must provide an object")
		} else if inside, there := o["blocks"]; there {
			checkBlocks(c, fmt.Sprintf("/attachments/%d/blocks", i), inside, mostMessageBlocks)
		}
	}
	return c.faults
}

// CheckMessage says what Slack would find wrong with the blocks of a message, given as the JSON of the list; nil when
// it would take them. It is for tests that hold every card of an app against the limits without a workspace.
func CheckMessage(blocks []byte) []string {
	var v any
	if err := json.Unmarshal(blocks, &v); err != nil {
		return []string{err.Error()}
	}
	list, faults := checkMessageBlocks(v)
	if faults == nil && (content{blocks: list}).tooWordy() {
		faults = []string{"msg_blocks_too_long [json-pointer:/blocks]"}
	}
	return faults
}

// CheckView is CheckMessage for a whole view, modal or Home tab.
func CheckView(view []byte) []string {
	var v any
	if err := json.Unmarshal(view, &v); err != nil {
		return []string{err.Error()}
	}
	kind := "modal"
	if o, _ := v.(object); o["type"] == "home" {
		kind = "home"
	}
	if tooLarge(v) {
		return []string{"view_too_large [json-pointer:/view]"}
	}
	return checkView(v, kind)
}

// checkView returns what is wrong with a view of the given type, "modal" or "home".
func checkView(v any, kind string) []string {
	c := &checker{surface: kind}
	fields := map[string]rule{
		"type": oneOf(kind), "private_metadata": str(0, 3000), "callback_id": str(0, 255), "external_id": str(0, 255),
		"blocks": func(c *checker, at string, v any) { checkBlocks(c, at, v, mostViewBlocks) },
	}
	required := []string{"type", "blocks"}
	if kind == "modal" {
		required = append(required, "title")
		fields["title"], fields["close"], fields["submit"] = plain(24), plain(24), plain(24)
		fields["clear_on_close"], fields["notify_on_close"], fields["submit_disabled"] = boolean, boolean, boolean
	}
	shape{required: required, fields: fields, also: submitNeeded}.check(c, "/view", v)
	return c.faults
}

func submitNeeded(c *checker, at string, o object) {
	items, _ := o["blocks"].([]any)
	for _, item := range items {
		if b, _ := item.(object); b["type"] == "input" && o["submit"] == nil && o["type"] == "modal" {
			c.fault(at, "missing required field: submit")
			return
		}
	}
}

func tooLarge(v any) bool {
	raw, err := json.Marshal(v)
	return err != nil || len(raw) > mostViewBytes
}

// interactive lists the elements of a block, wherever it holds them.
func interactive(b object) []object {
	var out []object
	add := func(v any) {
		if e, ok := v.(object); ok {
			if kind, _ := e["type"].(string); kind != "" && kind != "image" && kind != "mrkdwn" && kind != "plain_text" && !strings.HasPrefix(kind, "rich_text") {
				out = append(out, e)
			}
		}
	}
	add(b["accessory"])
	add(b["element"])
	items, _ := b["elements"].([]any)
	for _, e := range items {
		add(e)
	}
	return out
}
