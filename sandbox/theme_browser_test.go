package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestColours looks at the page as the system has its colours, and as a reader says at the button.
func TestColours(t *testing.T) {
	t.Parallel()
	ws := open(t, Options{NoRateLimits: true})
	room := ws.AddChannel("room", "bo")
	tells(t, ws, "chat.postMessage", object{"channel": room, "text": "a message with `code` in it"})
	p, ctx := onPage(t, ws, "/bo/room", 1280)
	no(t, p.Sees(ctx, "a message with"))
	const light, dark = "rgb(255, 255, 255) rgb(29, 28, 29) rgb(179, 18, 63)", "rgb(22, 25, 28) rgb(228, 230, 232) rgb(255, 159, 180)"
	is := func(system, button, want string) {
		t.Helper()
		no(t, p.Colours(ctx, system))
		no(t, p.Waits(ctx, fmt.Sprintf(`document.getElementById('theme').title === 'Colours: %s'`, button)))
		var got string
		no(t, p.Eval(ctx, `(() => {
			const of = s => getComputedStyle(document.querySelector(s))
			return [of('body').backgroundColor, of('body').color, of('#messages code').color].join(' ')
		})()`, &got))
		if got != want {
			t.Errorf("the system is %s and the button says %s: %s, want %s", system, button, got, want)
		}
		if dir := os.Getenv("SCREENSHOTS"); dir != "" {
			no(t, p.Screenshot(ctx, filepath.Join(dir, t.Name()+"-"+system+"-"+button[:2]+".png")))
		}
	}
	click := func() { t.Helper(); no(t, p.Eval(ctx, `document.getElementById('theme').click()`, nil)) }
	is("light", "as the system has them", light)
	is("dark", "as the system has them", dark)
	click()
	is("dark", "light", light)
	is("light", "light", light)
	click()
	is("light", "dark", dark)
	is("dark", "dark", dark)
	click()
	is("light", "as the system has them", light)
}
