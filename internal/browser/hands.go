package browser

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// find looks for things by their role and accessible name, in the order of the document. Hidden and inert ones are not
// there for anybody.
func (p *Page) find(ctx context.Context, role, name string) ([]int, error) {
	var document struct{ Root struct{ NodeID int } }
	if err := p.call(ctx, "DOM.getDocument", map[string]any{"depth": 0}, &document); err != nil {
		return nil, err
	}
	var found struct {
		Nodes []struct {
			Ignored          bool
			BackendDOMNodeID int `json:"backendDOMNodeId"`
		}
	}
	if err := p.call(ctx, "Accessibility.queryAXTree", map[string]any{
		"nodeId": document.Root.NodeID, "role": role, "accessibleName": name,
	}, &found); err != nil {
		return nil, err
	}
	var out []int
	for _, n := range found.Nodes {
		if !n.Ignored {
			out = append(out, n.BackendDOMNodeID)
		}
	}
	return out, nil
}

// errCovered says that something else lies over what was to be pressed.
var errCovered = errors.New("something lies over it")

// middle scrolls a node into sight and says where its middle is.
func (p *Page) middle(ctx context.Context, node int) (x, y float64, err error) {
	if err := p.call(ctx, "DOM.scrollIntoViewIfNeeded", map[string]any{"backendNodeId": node}, nil); err != nil {
		return 0, 0, err
	}
	var shape struct{ Quads [][]float64 }
	if err := p.call(ctx, "DOM.getContentQuads", map[string]any{"backendNodeId": node}, &shape); err != nil {
		return 0, 0, err
	}
	if len(shape.Quads) == 0 || len(shape.Quads[0]) != 8 {
		return 0, 0, errors.New("it has no place on the screen")
	}
	q := shape.Quads[0]
	x, y = (q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4
	var own struct{ Object struct{ ObjectID string } }
	if err := p.call(ctx, "DOM.resolveNode", map[string]any{"backendNodeId": node}, &own); err != nil {
		return 0, 0, err
	}
	var hit struct{ Result struct{ Value bool } }
	if err := p.call(ctx, "Runtime.callFunctionOn", map[string]any{
		"objectId": own.Object.ObjectID, "returnByValue": true,
		"functionDeclaration": fmt.Sprintf("function() { const at = document.elementFromPoint(%f, %f); return this.contains(at) || Boolean(at?.labels?.length && at.contains(this)) }", x, y),
	}, &hit); err != nil {
		return 0, 0, err
	}
	if !hit.Result.Value {
		return x, y, errCovered
	}
	return x, y, nil
}

// Clicks waits for something of a role and a name, such as "button" "Approve", and clicks the last of them in its middle.
func (p *Page) Clicks(ctx context.Context, role, name string) error {
	return p.until(ctx, fmt.Sprintf("a %s %q to click on", role, name), func() (bool, error) {
		nodes, err := p.find(ctx, role, name)
		if err != nil || len(nodes) == 0 {
			return false, err
		}
		x, y, err := p.middle(ctx, nodes[len(nodes)-1])
		if err != nil {
			return false, err
		}
		for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
			press := map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
			if err := p.call(ctx, "Input.dispatchMouseEvent", press, nil); err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// Has reports whether something of a role and a name is there.
func (p *Page) Has(ctx context.Context, role, name string) bool {
	nodes, err := p.find(ctx, role, name)
	return err == nil && len(nodes) > 0
}

// Types writes text into what has the focus.
func (p *Page) Types(ctx context.Context, text string) error {
	return p.call(ctx, "Input.insertText", map[string]any{"text": text}, nil)
}

// keys are the codes of the keys that write nothing.
var keys = map[string]struct {
	code    string
	virtual int
	text    string
}{
	"Tab": {"Tab", 9, ""}, "Enter": {"Enter", 13, "\r"}, "Escape": {"Escape", 27, ""}, " ": {"Space", 32, " "}, "F6": {"F6", 117, ""},
	"ArrowUp": {"ArrowUp", 38, ""}, "ArrowDown": {"ArrowDown", 40, ""}, "Home": {"Home", 36, ""}, "End": {"End", 35, ""},
}

// Presses presses a key: "Tab", "Shift+Tab", "Enter", "Escape", " ", "ArrowDown" and their like.
func (p *Page) Presses(ctx context.Context, key string) error {
	name, shifted := strings.CutPrefix(key, "Shift+")
	k, known := keys[name]
	if !known {
		return fmt.Errorf("the key %q is not known here", key)
	}
	modifiers := 0
	if shifted {
		modifiers = 8
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := map[string]any{"type": kind, "key": name, "code": k.code, "windowsVirtualKeyCode": k.virtual, "modifiers": modifiers}
		if k.text != "" && kind == "keyDown" {
			event["text"] = k.text
		}
		if err := p.call(ctx, "Input.dispatchKeyEvent", event, nil); err != nil {
			return err
		}
	}
	return nil
}

// Focused is the accessible name of what has the focus, as far as the page says it: its label, or its words.
func (p *Page) Focused(ctx context.Context) (string, error) {
	var name string
	err := p.Eval(ctx, `(node => node.getAttribute('aria-label') || node.labels?.[0]?.innerText || node.innerText || node.tagName)(document.activeElement)`, &name)
	return strings.TrimSpace(name), err
}

// TabsTo presses Tab until what has the focus is called so.
func (p *Page) TabsTo(ctx context.Context, name string) error {
	var passed []string
	for range 150 {
		if err := p.Presses(ctx, "Tab"); err != nil {
			return err
		}
		at, err := p.Focused(ctx)
		if err != nil {
			return err
		}
		if at == name {
			return nil
		}
		passed = append(passed, at)
	}
	return fmt.Errorf("the Tab key does not lead to %q, only to %q", name, passed)
}

// Nameless lists what can be used but says nothing to a screen reader: "button", "textbox" and the like, with their HTML.
func (p *Page) Nameless(ctx context.Context) ([]string, error) {
	var tree struct {
		Nodes []struct {
			Ignored          bool
			Role, Name       struct{ Value string }
			BackendDOMNodeID int `json:"backendDOMNodeId"`
		}
	}
	if err := p.call(ctx, "Accessibility.getFullAXTree", nil, &tree); err != nil {
		return nil, err
	}
	var out []string
	for _, n := range tree.Nodes {
		switch n.Role.Value {
		case "button", "link", "textbox", "combobox", "checkbox", "radio", "dialog", "region", "navigation", "complementary", "listbox", "log", "searchbox", "table", "progressbar":
		default:
			continue
		}
		if n.Ignored || strings.TrimSpace(n.Name.Value) != "" {
			continue
		}
		var html struct{ OuterHTML string }
		_ = p.call(ctx, "DOM.getOuterHTML", map[string]any{"backendNodeId": n.BackendDOMNodeID}, &html)
		out = append(out, n.Role.Value+": "+html.OuterHTML[:min(len(html.OuterHTML), 200)])
	}
	return out, nil
}
