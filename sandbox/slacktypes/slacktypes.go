// Package slacktypes holds what an app sent to a sandbox against the types that Slack publishes for its own SDK. It is for
// tests alone. It finds wrong types, unknown fields and mrkdwn where plain text is due; what the types do not say (lengths,
// counts, names that must differ) the sandbox itself refuses.
package slacktypes

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/prodaccess/prodaccess/sandbox"
)

//go:embed schema.json
var schemaJSON []byte

// definitions are the names in the schema of what Slack's "type" says.
var definitions = map[string]string{
	"actions": "ActionsBlock", "context": "ContextBlock", "divider": "DividerBlock", "header": "HeaderBlock", "image": "ImageBlock",
	"input": "InputBlock", "section": "SectionBlock", "rich_text": "RichTextBlock", "markdown": "MarkdownBlock",
	"home": "HomeView", "modal": "ModalView",
}

// compiler compiles each definition once.
var compiler = struct {
	sync.Mutex
	*jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
	// known are documents that were found right, which most are that come again.
	known map[string]bool
}{compiled: map[string]*jsonschema.Schema{}, known: map[string]bool{}}

const schemaURL = "slacktypes.json"

// Check says what is wrong with every version of every message and view that an app sent to a workspace, nil when nothing is.
func Check(ws *sandbox.Workspace) []string {
	var wrong []string
	for _, m := range ws.Messages() {
		for _, raw := range m.Raw {
			wrong = append(wrong, Message(raw)...)
		}
	}
	for _, v := range ws.Views() {
		for _, raw := range v.Raw {
			wrong = append(wrong, View(raw)...)
		}
	}
	return wrong
}

// Message checks the blocks of a message, given as JSON.
func Message(raw string) []string {
	var m struct {
		Blocks []json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return []string{"a message is no JSON: " + err.Error()}
	}
	return blocks(m.Blocks)
}

// View checks a modal or a Home tab, given as JSON: its blocks one by one, then the whole.
func View(raw string) []string {
	var v struct {
		Type   string            `json:"type"`
		Blocks []json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		return []string{"a view is no JSON: " + err.Error()}
	}
	// Of a wrong block the view's own words would name every block that it is not.
	if wrong := blocks(v.Blocks); wrong != nil {
		return wrong
	}
	return check(v.Type, raw)
}

func blocks(list []json.RawMessage) []string {
	var wrong []string
	for _, b := range list {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(b, &head); err != nil {
			wrong = append(wrong, "a block is no JSON object: "+err.Error())
			continue
		}
		wrong = append(wrong, check(head.Type, string(b))...)
	}
	return wrong
}

// check holds a document against the definition of its type.
func check(kind, raw string) []string {
	compiler.Lock()
	defer compiler.Unlock()
	if compiler.known[kind+raw] {
		return nil
	}
	definition, ok := definitions[kind]
	if !ok {
		return []string{fmt.Sprintf("no type %q is expected here: %s", kind, raw)}
	}
	schema, err := compile(definition)
	if err != nil {
		return []string{err.Error()}
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(raw))
	if err == nil {
		err = schema.Validate(document)
	}
	if err != nil {
		return []string{fmt.Sprintf("%s: %v\n%s", kind, err, raw)}
	}
	compiler.known[kind+raw] = true
	return nil
}

func compile(definition string) (*jsonschema.Schema, error) {
	if s := compiler.compiled[definition]; s != nil {
		return s, nil
	}
	if compiler.Compiler == nil {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
		if err != nil {
			return nil, fmt.Errorf("reading the schema of Slack's types: %w", err)
		}
		compiler.Compiler = jsonschema.NewCompiler()
		if err := compiler.AddResource(schemaURL, document); err != nil {
			return nil, fmt.Errorf("reading the schema of Slack's types: %w", err)
		}
	}
	s, err := compiler.Compile(schemaURL + "#/definitions/" + definition)
	if err != nil {
		return nil, fmt.Errorf("reading the schema of Slack's types: %w", err)
	}
	compiler.compiled[definition] = s
	return s, nil
}
