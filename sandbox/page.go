package sandbox

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// The page is the workspace as a person sees it, in a browser: plain HTML, CSS and JavaScript, served by the workspace
// itself at its root. What somebody does on it goes the way of [Actor], so it can do nothing a person could not.

//go:embed web
var webFiles embed.FS

// Page is what a workspace's page shows beside the workspace: panes of the one who runs it, and a tour.
type Page struct {
	// Title stands on top of the panes; "Behind the scenes" when empty.
	Title string
	Panes []Pane
	Tour  Tour
}

// page is the state of the page. All of it is guarded by Workspace.mu.
type page struct {
	Page
	read    map[string]map[string]string // user, channel, timestamp of the newest message that was on the screen
	offered map[string][]object          // the answers to suggestions, by offer
	outputs map[string]output            // of the panes' actions, by pane and action
	at      int                          // step of the tour; -1 before it
	since   time.Time                    // when that step began
}

// SetPage says what is shown beside the workspace. The tour begins anew.
func (ws *Workspace) SetPage(p Page) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.page = newPage(p)
	ws.notify()
}

func newPage(p Page) page {
	if p.Title == "" {
		p.Title = "Behind the scenes"
	}
	return page{Page: p, read: map[string]map[string]string{}, offered: map[string][]object{}, outputs: map[string]output{}, at: -1}
}

// pageRoutes adds the page to the workspace's server. Like the control for curl it answers this machine only, and no
// page of another origin.
func (ws *Workspace) pageRoutes(mux *http.ServeMux) {
	static, err := fs.Sub(webFiles, "web")
	if err != nil {
		panic(err) // the directory is part of the binary
	}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, static, "index.html") })
	pages.Handle("GET /page/", http.StripPrefix("/page/", noListing(http.FileServerFS(static))))
	pages.HandleFunc("GET /page/people", ws.servePagePeople)
	pages.HandleFunc("GET /page/people/{name}/stream", ws.servePageStream)
	pages.HandleFunc("POST /page/people/{name}/{act}", ws.servePageAct)
	pages.HandleFunc("POST /page/tour", ws.serveTour)
	pages.HandleFunc("POST /page/panes/{pane}/{action}", ws.servePaneAction)
	pages.HandleFunc("GET /archives/{channel}/{stamp}", servePermalink)
	guarded := http.NewCrossOriginProtection().Handler(loopbackOnly(strict(pages)))
	mux.Handle("GET /{$}", guarded)
	mux.Handle("GET /archives/", guarded)
	mux.Handle("/page/", guarded)
}

// strict lets the page load nothing from elsewhere, run nothing that is not a file of ours, and be framed by nobody.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func noListing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" || strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// servePagePeople names everybody one can be.
func (ws *Workspace) servePagePeople(w http.ResponseWriter, _ *http.Request) {
	names := []string{}
	ws.mu.Lock()
	for _, p := range ws.people {
		if !p.IsBot && !p.Deleted {
			names = append(names, p.Name)
		}
	}
	ws.mu.Unlock()
	sayJSON(w, names)
}

var stampForm = regexp.MustCompile(`^p(\d+)(\d{6})$`)

// servePermalink opens the page at a message.
func servePermalink(w http.ResponseWriter, r *http.Request) {
	parts := stampForm.FindStringSubmatch(r.PathValue("stamp"))
	if parts == nil {
		http.NotFound(w, r)
		return
	}
	http.Redirect(w, r, "/#/-/"+r.PathValue("channel")+"/"+parts[1]+"."+parts[2], http.StatusFound)
}

// enter marks a request as running until leave, so that Close waits for it; false when the workspace is closing.
func (ws *Workspace) enter() (leave func(), ok bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ctx.Err() != nil {
		return nil, false
	}
	ws.work.Add(1)
	return ws.work.Done, true
}

// readAsk reads the JSON of a request of the page.
func readAsk(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into); err != nil {
		http.Error(w, "the request is not JSON", http.StatusBadRequest)
		return false
	}
	return true
}

func sayJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encode(v))
}
