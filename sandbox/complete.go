package sandbox

import (
	"crypto/rand"
	"encoding/json"
)

// complete copies blocks and adds what Slack adds: ids where the app gave none, and the defaults of text objects.
func complete(items []any) []any {
	out := copyJSON(items).([]any)
	for _, item := range out {
		b, ok := item.(object)
		if !ok {
			continue
		}
		if _, there := b["block_id"]; !there {
			b["block_id"] = rand.Text()[:5]
		}
		for _, e := range interactive(b) {
			if _, there := e["action_id"]; !there {
				e["action_id"] = rand.Text()[:5]
			}
		}
	}
	defaultTexts(out)
	return out
}

func defaultTexts(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			defaultTexts(item)
		}
	case object:
		_, isText := v["text"].(string)
		switch {
		case isText && v["type"] == "plain_text" && v["emoji"] == nil:
			v["emoji"] = true
		case isText && v["type"] == "mrkdwn" && v["verbatim"] == nil:
			v["verbatim"] = false
		}
		for _, item := range v {
			defaultTexts(item)
		}
	}
}

func copyJSON(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	_ = json.Unmarshal(raw, &out)
	return out
}
