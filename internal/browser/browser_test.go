package browser

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sample = `<!doctype html><title>t</title><body>
<button onclick="this.textContent = 'Pressed'">Press me</button>
<button style="position:absolute; left:200px; top:200px" onclick="document.title = 'through'">Covered</button>
<div style="position:absolute; left:0; top:150px; width:600px; height:200px; background:#eee"></div>
<label>Name <input oninput="document.title = this.value"></label>
<button></button>
<script>console.error('an error of ours'); fetch('/missing'); setTimeout(() => nowhere())</script>`

// TestABrowserDoesWhatAPersonDoes drives a page with known faults, so that the tests that rely on their absence are worth
// something.
func TestABrowserDoesWhatAPersonDoes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(sample))
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p, err := b.Open(ctx, server.URL+"/", 800, 600)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Clicks(ctx, "button", "Press me"); err != nil {
		t.Error(err)
	}
	if err := p.Sees(ctx, "Pressed"); err != nil {
		t.Error(err)
	}
	short, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	if err := p.Clicks(short, "button", "Covered"); err == nil || !strings.Contains(err.Error(), "lies over it") {
		t.Errorf("a button under something was pressed: %v", err)
	}
	for _, do := range []error{p.TabsTo(ctx, "Name"), p.Types(ctx, "bo"), p.Waits(ctx, "document.title === 'bo'")} {
		if do != nil {
			t.Error(do)
		}
	}
	nameless, err := p.Nameless(ctx)
	if err != nil || len(nameless) != 1 || !strings.HasPrefix(nameless[0], "button: <button") {
		t.Errorf("the nameless button was not found: %q %v", nameless, err)
	}
	shot := filepath.Join(t.TempDir(), "shot.png")
	if err := p.Screenshot(ctx, shot); err != nil {
		t.Error(err)
	}
	if raw, err := os.ReadFile(shot); err != nil || !strings.HasPrefix(string(raw), "\x89PNG") {
		t.Errorf("no picture: %v", err)
	}
	trouble := strings.Join(p.Trouble(), "\n")
	for _, words := range []string{"an error of ours", "/missing answered 404", "nowhere is not defined"} {
		if !strings.Contains(trouble, words) {
			t.Errorf("%q was not noticed in:\n%s", words, trouble)
		}
	}
}
