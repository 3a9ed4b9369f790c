package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Page is one tab.
type Page struct {
	b       *Browser
	session string

	mu       sync.Mutex
	trouble  []string
	requests []string
	asked    map[string]string // address by request
}

// Open makes a tab of a size in CSS pixels and goes to an address. A narrow one is a telephone: touch, and no mouse over
// things.
func (b *Browser) Open(ctx context.Context, url string, width, height int) (*Page, error) {
	var target struct{ TargetID string }
	// A context of its own: no storage shared with other tabs.
	var own struct{ BrowserContextID string }
	if err := b.conn.call(ctx, "", "Target.createBrowserContext", nil, &own); err != nil {
		return nil, err
	}
	if err := b.conn.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": own.BrowserContextID}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := b.conn.call(ctx, "", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	p := &Page{b: b, session: attached.SessionID, asked: map[string]string{}}
	b.conn.listen(p.session, p.hear)
	for _, domain := range []string{"Page", "Runtime", "Network", "Log", "DOM", "Accessibility"} {
		if err := p.call(ctx, domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	if err := p.Resize(ctx, width, height); err != nil {
		return nil, err
	}
	return p, p.Go(ctx, url)
}

func (p *Page) call(ctx context.Context, method string, params, result any) error {
	return p.b.conn.call(ctx, p.session, method, params, result)
}

// Resize makes the tab another size.
func (p *Page) Resize(ctx context.Context, width, height int) error {
	return p.call(ctx, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
	}, nil)
}

// Colours makes the system prefer "light" or "dark".
func (p *Page) Colours(ctx context.Context, scheme string) error {
	return p.call(ctx, "Emulation.setEmulatedMedia", map[string]any{
		"features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}, map[string]any{"name": "prefers-reduced-motion", "value": "reduce"}},
	}, nil)
}

// Go goes to an address and waits until it is loaded.
func (p *Page) Go(ctx context.Context, url string) error {
	var gone struct{ ErrorText string }
	if err := p.call(ctx, "Page.navigate", map[string]any{"url": url}, &gone); err != nil {
		return err
	}
	if gone.ErrorText != "" {
		return fmt.Errorf("going to %s: %s", url, gone.ErrorText)
	}
	return p.Waits(ctx, "document.readyState === 'complete' && location.href !== 'about:blank'")
}

// Eval runs JavaScript and reads what it gives into result, which may be nil. Promises are waited for.
func (p *Page) Eval(ctx context.Context, expression string, result any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := p.call(ctx, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
	}, &got); err != nil {
		return err
	}
	if got.ExceptionDetails != nil {
		return fmt.Errorf("in the page: %s %s", got.ExceptionDetails.Text, got.ExceptionDetails.Exception.Description)
	}
	if result == nil || len(got.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(got.Result.Value, result)
}

// look is how often a wait looks again.
const look = 40 * time.Millisecond

// until looks again until find says yes or ctx ends.
func (p *Page) until(ctx context.Context, what string, find func() (bool, error)) error {
	var why error // what stood in the way when there was still time, which says more than that the last look was cut short
	for {
		found, err := find()
		if found {
			return nil
		}
		if ctx.Err() == nil || why == nil {
			why = err
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return fmt.Errorf("waiting for %s: %w (%v); the page shows:\n%s", what, ctx.Err(), why, p.Text(after))
		}
	}
}

// Waits waits until a JavaScript expression is true.
func (p *Page) Waits(ctx context.Context, expression string) error {
	return p.until(ctx, expression, func() (bool, error) {
		var yes bool
		err := p.Eval(ctx, "Boolean("+expression+")", &yes)
		return yes, err
	})
}

// Sees waits until words can be read on the page.
func (p *Page) Sees(ctx context.Context, words string) error {
	return p.until(ctx, fmt.Sprintf("%q", words), func() (bool, error) { return strings.Contains(p.Text(ctx), words), nil })
}

// Text is what can be read on the page.
func (p *Page) Text(ctx context.Context) string {
	var text string
	_ = p.Eval(ctx, "document.body.innerText", &text)
	return text
}

// Screenshot writes what the tab shows as a PNG.
func (p *Page) Screenshot(ctx context.Context, path string) error {
	var shot struct{ Data string }
	if err := p.call(ctx, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

// Trouble is everything that went wrong in the page so far: console errors and warnings, exceptions, failed requests.
func (p *Page) Trouble() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.trouble...)
}

// Requests are all addresses the page asked so far.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// hear takes down what the browser tells of the page.
func (p *Page) hear(method string, params json.RawMessage) {
	var e struct {
		RequestID string `json:"requestId"`
		Request   struct{ URL string }
		Response  struct {
			URL    string
			Status int
		}
		ErrorText        string
		Canceled         bool
		Type             string
		Args             []struct{ Value, Description any }
		Entry            struct{ Level, Text, URL string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if json.Unmarshal(params, &e) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	wrong := func(format string, values ...any) { p.trouble = append(p.trouble, fmt.Sprintf(format, values...)) }
	switch {
	case method == "Network.requestWillBeSent":
		p.asked[e.RequestID] = e.Request.URL
		p.requests = append(p.requests, e.Request.URL)
	case method == "Network.responseReceived" && e.Response.Status >= 400:
		wrong("%s answered %d", e.Response.URL, e.Response.Status)
	case method == "Network.loadingFailed" && !e.Canceled:
		wrong("%s failed: %s", p.asked[e.RequestID], e.ErrorText)
	case method == "Runtime.exceptionThrown":
		wrong("exception: %s %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description)
	case method == "Runtime.consoleAPICalled" && (e.Type == "error" || e.Type == "warning" || e.Type == "assert"):
		wrong("console %s: %v", e.Type, e.Args)
	case method == "Log.entryAdded" && (e.Entry.Level == "error" || e.Entry.Level == "warning"):
		wrong("log %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	}
}
