package sandbox

import (
	"fmt"
	"strings"
)

// renderMessage is a message as a person reads it: its blocks, or its text when it has none.
func (ws *Workspace) renderMessage(c content) string {
	out := ws.mentions(c.text)
	if len(c.blocks) > 0 {
		out = ws.renderBlocks(c.blocks, nil)
	}
	for _, a := range c.attach {
		o, _ := a.(object)
		s, _ := o["text"].(string)
		items, _ := o["blocks"].([]any)
		out = join([]string{out, ws.mentions(s), ws.renderBlocks(items, nil)}, "\n")
	}
	return out
}

// renderBlocks writes one line or more for each block. Inputs show what they hold in state.
func (ws *Workspace) renderBlocks(items []any, state formState) string {
	var lines []string
	for _, item := range items {
		b, _ := item.(object)
		id, _ := b["block_id"].(string)
		line := ""
		switch b["type"] {
		case "section":
			parts := []string{ws.prose(b["text"])}
			fields, _ := b["fields"].([]any)
			for _, f := range fields {
				parts = append(parts, ws.prose(f))
			}
			parts = append(parts, ws.renderElements(b, state[id]))
			line = join(parts, "\n")
		case "header":
			line = "# " + ws.prose(b["text"])
		case "divider":
			line = "---"
		case "context":
			var parts []string
			list, _ := b["elements"].([]any)
			for _, e := range list {
				parts = append(parts, ws.prose(e))
			}
			line = join(parts, "  ")
		case "image":
			line = fmt.Sprintf("(image: %v)", b["alt_text"])
		case "actions":
			line = ws.renderElements(b, state[id])
		case "input":
			line = ws.prose(b["label"]) + ": " + ws.renderElements(b, state[id])
			if hint := ws.prose(b["hint"]); hint != "" {
				line += "\n(" + hint + ")"
			}
		case "markdown":
			line, _ = b["text"].(string)
		case "rich_text":
			line = richText(b["elements"])
		}
		lines = append(lines, line)
	}
	return join(lines, "\n")
}

// prose is the characters of a text object, unescaped and with names for ids when it is mrkdwn.
func (ws *Workspace) prose(v any) string {
	o, _ := v.(object)
	if o["type"] == "mrkdwn" {
		return ws.mentions(textOf(v))
	}
	if o["type"] == "image" {
		return fmt.Sprintf("(image: %v)", o["alt_text"])
	}
	return textOf(v)
}

func (ws *Workspace) renderElements(b object, values map[string]object) string {
	var parts []string
	for _, e := range interactive(b) {
		id, _ := e["action_id"].(string)
		switch e["type"] {
		case "button":
			parts = append(parts, "["+textOf(e["text"])+"]")
		case "overflow":
			for _, o := range optionsOf(e) {
				parts = append(parts, "[…"+textOf(o["text"])+"]")
			}
		default:
			shown := ws.shownValue(values[id])
			if shown == "" {
				shown = textOf(e["placeholder"])
			}
			parts = append(parts, "‹"+shown+"›")
		}
	}
	return join(parts, " ")
}

// mentions replaces <@U…>, <#C…>, <!subteam^S…> and links by what a person reads, then unescapes.
func (ws *Workspace) mentions(s string) string {
	var out strings.Builder
	for {
		start := strings.IndexByte(s, '<')
		end := strings.IndexByte(s[max(0, start):], '>')
		if start < 0 || end < 0 {
			break
		}
		out.WriteString(s[:start])
		out.WriteString(ws.reference(s[start+1 : start+end]))
		s = s[start+end+1:]
	}
	out.WriteString(s)
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(out.String())
}

func (ws *Workspace) reference(inner string) string {
	target, label, labelled := strings.Cut(inner, "|")
	switch {
	case strings.HasPrefix(target, "@"):
		if p := ws.personByID(target[1:]); p != nil {
			return "@" + p.Name
		}
	case strings.HasPrefix(target, "#"):
		if c := ws.channelByID(target[1:]); c != nil {
			return "#" + c.name
		}
	case strings.HasPrefix(target, "!subteam^"):
		for _, g := range ws.groups {
			if g.id == target[len("!subteam^"):] {
				return "@" + g.handle
			}
		}
	case strings.HasPrefix(target, "!date^") && labelled:
		return label
	case strings.HasPrefix(target, "!"):
		return "@" + target[1:]
	case labelled:
		return label + " (" + target + ")"
	}
	return target
}

func richText(v any) string {
	switch v := v.(type) {
	case []any:
		var out strings.Builder
		for _, item := range v {
			out.WriteString(richText(item))
		}
		return out.String()
	case object:
		if s, ok := v["text"].(string); ok {
			return s
		}
		if s, ok := v["url"].(string); ok {
			return s
		}
		return richText(v["elements"])
	}
	return ""
}

// join puts the parts that say something together.
func join(parts []string, between string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, between)
}
