package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// A response_url takes this many posts for this long.
const (
	hookPosts = 5
	hookLife  = 30 * time.Minute
)

// responseURL lets the app answer what one person did, in the conversation where they did it.
type responseURL struct {
	user    string
	channel *channel
	message *message // the one that was pressed; nil for commands
	made    time.Time
	posts   []*message
	used    int
}

// newResponseURL makes one. The caller holds ws.mu.
func (ws *Workspace) newResponseURL(user string, c *channel, m *message) (string, *responseURL) {
	id := rand.Text()
	hook := &responseURL{user: user, channel: c, message: m, made: ws.opts.Now()}
	ws.hooks[id] = hook
	return ws.URL() + "/response/" + id, hook
}

func (ws *Workspace) serveResponseURL(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "app", Kind: "response_url", Name: "response_url", Body: string(raw)})
	if fault, hit := ws.faults.take("response_url"); hit && ws.suffer(w, r, "response_url", fault) {
		return
	}
	var body object
	status, said := http.StatusBadRequest, "invalid_payload"
	if json.Unmarshal(raw, &body) == nil {
		ws.mu.Lock()
		status, said = ws.respond(ws.hooks[r.PathValue("id")], body)
		ws.mu.Unlock()
	}
	if said == "ok" {
		_, _ = w.Write([]byte(said))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encode(object{"ok": false, "error": said}))
}

// respond does what a post to a response_url asks for.
func (ws *Workspace) respond(hook *responseURL, body object) (status int, said string) {
	switch {
	case hook == nil, ws.opts.Now().Sub(hook.made) > hookLife:
		return http.StatusNotFound, "expired_url"
	case hook.used >= hookPosts:
		return http.StatusNotFound, "used_url"
	}
	a := args{values: body}
	m := hook.message
	if a.truth("delete_original") {
		if m == nil || m.deleted {
			return http.StatusNotFound, "message_not_found"
		}
		hook.used++
		m.deleted = true
		ws.notify()
		return http.StatusOK, "ok"
	}
	said = ws.answerIn(hook, a)
	if said == "ok" {
		hook.used++
		return http.StatusOK, said
	}
	return http.StatusBadRequest, said
}

// answerIn posts or replaces; it serves acknowledgements that carry a message as well.
func (ws *Workspace) answerIn(hook *responseURL, a args) string {
	c, problem := readContent(a)
	kind := a.str("response_type")
	switch {
	case problem != nil:
		return problem.code
	case c.empty():
		return "no_text"
	case kind != "" && kind != "ephemeral" && kind != "in_channel":
		return "invalid_response_type"
	}
	c.text = cut(c.text, longestPost)
	if m := hook.message; a.truth("replace_original") && m != nil {
		if m.deleted {
			return "message_not_found"
		}
		ws.edit(m, c)
		hook.posts = append(hook.posts, m)
		return "ok"
	}
	seenBy := hook.user
	if kind == "in_channel" {
		seenBy = ""
	}
	hook.posts = append(hook.posts, ws.post(hook.channel, BotUserID, seenBy, a.str("thread_ts"), c))
	ws.notify()
	return "ok"
}
