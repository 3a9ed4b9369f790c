package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apiError is a refusal in Slack's words.
type apiError struct {
	code       string
	messages   []string      // response_metadata.messages, without "[ERROR] "
	needed     string        // the missing scope
	retryAfter time.Duration // with code ratelimited
}

func refuse(code string) *apiError { return &apiError{code: code} }

func missing(field string) *apiError {
	return &apiError{code: "invalid_arguments", messages: []string{fmt.Sprintf("missing required field: %s", field)}}
}

// serveAPI answers one Web API call. It authenticates, checks scope and rate, and runs the method under the lock:
// methods only touch memory.
func (ws *Workspace) serveAPI(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	a, problem := readArgs(w, r, name)
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "app", Kind: "api", Name: name, Body: a.logged()})
	if fault, hit := ws.faults.take(name); hit && ws.suffer(w, r, name, fault) {
		return
	}
	var answer object
	if problem == nil {
		answer, problem = ws.call(name, a, token(r, a))
	}
	ws.answer(w, name, answer, problem)
}

func (ws *Workspace) call(name string, a args, tok string) (object, *apiError) {
	m, known := methods[name]
	if !known {
		return nil, refuse("unknown_method")
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if problem := ws.authorise(m, tok); problem != nil {
		return nil, problem
	}
	if problem := ws.spend(name, m, a); problem != nil {
		return nil, problem
	}
	return m.run(ws, a)
}

func (ws *Workspace) authorise(m method, tok string) *apiError {
	switch {
	case m.open:
		return nil
	case tok == "":
		return refuse("not_authed")
	case tok != ws.opts.BotToken && tok != ws.opts.AppToken:
		return refuse("invalid_auth")
	case m.appToken != (tok == ws.opts.AppToken):
		return refuse("not_allowed_token_type")
	case m.scope != "" && !ws.scoped(m.scope):
		return &apiError{code: "missing_scope", needed: m.scope}
	}
	return nil
}

// scoped reports whether the app has a bot scope; a Workspace with no list of scopes gives all of them.
func (ws *Workspace) scoped(scope string) bool {
	return ws.opts.Scopes == nil || slices.Contains(ws.opts.Scopes, scope)
}

func (ws *Workspace) answer(w http.ResponseWriter, name string, answer object, problem *apiError) {
	status := http.StatusOK
	if problem != nil {
		answer = object{"ok": false, "error": problem.code}
		if problem.messages != nil {
			marked := make([]string, len(problem.messages))
			for i, m := range problem.messages {
				marked[i] = "[ERROR] " + m
			}
			answer["errors"] = problem.messages
			answer["response_metadata"] = object{"messages": marked}
		}
		if problem.needed != "" {
			answer["needed"], answer["provided"] = problem.needed, strings.Join(ws.opts.Scopes, ",")
		}
		if problem.code == "ratelimited" {
			status = http.StatusTooManyRequests
			seconds := int64((problem.retryAfter + time.Second - 1) / time.Second)
			w.Header().Set("Retry-After", strconv.FormatInt(max(1, seconds), 10))
		}
	} else {
		if answer == nil {
			answer = object{}
		}
		answer["ok"] = true
	}
	body, _ := json.Marshal(answer)
	ws.traffic.add(Entry{At: ws.opts.Now(), From: "slack", Kind: "answer", Name: name, Body: string(body), Status: status})
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-OAuth-Scopes", strings.Join(ws.opts.Scopes, ","))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func token(r *http.Request, a args) string {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	if a.form { // a token in a JSON body or in the URL does not count
		return a.str("token")
	}
	return ""
}

// args are the arguments of a call: strings when they came as a form, JSON values when they came as JSON.
type args struct {
	values object
	form   bool
}

// maxBody is more than any call a client may make: Slack refuses views above 250 kB.
const maxBody = 1 << 20

func readArgs(w http.ResponseWriter, r *http.Request, name string) (args, *apiError) {
	a := args{values: object{}, form: true}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return a, refuse("request_timeout")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		a.form = false
		if !methods[name].json {
			return a, nil // Slack does not look into JSON here: the arguments are missing
		}
		if len(body) == 0 {
			return a, nil
		}
		var v any
		if json.Unmarshal(body, &v) != nil {
			return a, refuse("invalid_json")
		}
		values, ok := v.(object)
		if !ok {
			return a, refuse("json_not_object")
		}
		a.values = values
	case "application/x-www-form-urlencoded", "":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return a, refuse("invalid_form_data")
		}
		for k, v := range form {
			a.values[k] = v[0]
		}
		for k, v := range r.URL.Query() {
			if k != "token" {
				a.values[k] = v[0]
			}
		}
	default:
		return a, refuse("invalid_post_type")
	}
	return a, nil
}

func (a args) logged() string {
	shown := object{}
	for k, v := range a.values {
		if k != "token" {
			shown[k] = v
		}
	}
	body, _ := json.Marshal(shown)
	return string(body)
}

func (a args) has(name string) bool {
	v, ok := a.values[name]
	return ok && v != nil && v != ""
}

func (a args) str(name string) string {
	s, _ := a.values[name].(string)
	return s
}

func (a args) truth(name string) bool {
	switch v := a.values[name].(type) {
	case bool:
		return v
	case string:
		return v == "true" || v == "1"
	}
	return false
}

func (a args) number(name string, otherwise int) int {
	switch v := a.values[name].(type) {
	case float64:
		return int(v)
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
	}
	return otherwise
}

// structure is an argument that holds JSON, as itself or as a string.
func (a args) structure(name string) (any, bool) {
	v, ok := a.values[name]
	s, isString := v.(string)
	if !ok || v == nil || (isString && s == "") {
		return nil, true
	}
	if !isString {
		return v, true
	}
	var out any
	if json.Unmarshal([]byte(s), &out) != nil {
		return nil, false
	}
	return out, true
}
