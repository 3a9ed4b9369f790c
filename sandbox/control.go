package sandbox

import (
	"io"
	"net"
	"net/http"
	"strings"
)

// control lets people be driven with curl. Every answer is plain text. Only loopback may call it, and pages of other
// origins may not.
func (ws *Workspace) control() http.Handler {
	mux := http.NewServeMux()
	act := func(path string, do func(a *Actor, text string, r *http.Request) Reply) {
		mux.HandleFunc("POST /sandbox/people/{name}/"+path, ws.asPerson(func(a *Actor, w http.ResponseWriter, r *http.Request) {
			raw, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
			reply := do(a, strings.TrimSpace(string(raw)), r)
			if err := reply.Err(); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			said := reply.Text
			if said == "" {
				said = "ok"
			}
			_, _ = io.WriteString(w, said+"\n")
		}))
	}
	act("command", func(a *Actor, text string, _ *http.Request) Reply { return a.Command(text) })
	act("click", func(a *Actor, text string, _ *http.Request) Reply { return a.Clicks(text) })
	act("close", func(a *Actor, _ string, _ *http.Request) Reply { return a.Closes() })
	act("home", func(a *Actor, _ string, _ *http.Request) Reply { return a.OpensHome() })
	act("select", func(a *Actor, text string, _ *http.Request) Reply {
		field, choice, _ := strings.Cut(text, ":")
		return a.Selects(strings.TrimSpace(field), strings.TrimSpace(choice))
	})
	act("submit", func(a *Actor, text string, _ *http.Request) Reply { return a.Submits(lines(text)) })
	mux.HandleFunc("GET /sandbox/people/{name}/sees", ws.asPerson(func(a *Actor, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, a.Sees()+"\n")
	}))
	mux.HandleFunc("GET /sandbox/people", func(w http.ResponseWriter, _ *http.Request) {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		for _, p := range ws.people {
			if !p.IsBot {
				_, _ = io.WriteString(w, p.Name+"\n")
			}
		}
	})
	return http.NewCrossOriginProtection().Handler(loopbackOnly(mux))
}

// lines reads a form typed as "Field: value", one to a line.
func lines(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if field, value, ok := strings.Cut(line, ":"); ok {
			values[strings.TrimSpace(field)] = strings.TrimSpace(value)
		}
	}
	return values
}

func (ws *Workspace) asPerson(do func(*Actor, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		a := ws.find(r.PathValue("name"))
		if a == nil || a.p.IsBot {
			http.Error(w, "nobody is called "+r.PathValue("name"), http.StatusNotFound)
			return
		}
		if channel := r.URL.Query().Get("channel"); channel != "" {
			a = a.In(channel)
		}
		do(a, w, r)
	}
}

// loopbackOnly refuses callers elsewhere, and names that merely resolve to here (DNS rebinding).
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		caller, _, _ := net.SplitHostPort(r.RemoteAddr)
		if !local(caller) || (host != "localhost" && !local(host)) {
			http.Error(w, "only from this machine", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func local(address string) bool {
	ip := net.ParseIP(strings.Trim(address, "[]"))
	return ip != nil && ip.IsLoopback()
}
