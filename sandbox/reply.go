package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Reply is what came of something a person did.
type Reply struct {
	Text    string            // what the acknowledgement of a command said, as a person reads it
	Latency time.Duration     // from the press to the acknowledgement
	Failure string            // what Slack shows the person when the app failed: one of the Failure constants, or empty
	Errors  map[string]string // what is wrong with a submitted form, by field label

	wrong map[string]string // Errors by block_id
	err   error
	ws    *Workspace
	hook  *responseURL
	sent  delivery
}

func (ws *Workspace) reply(ack acknowledgement, hook *responseURL) Reply {
	r := Reply{Latency: ack.latency, Failure: ack.failure, ws: ws, hook: hook}
	if ack.failure != "" {
		r.err = fmt.Errorf("%s: %w", ack.failure, ack.cause)
	}
	return r
}

// Again sends the very same command or press once more, as Slack does when it is not sure that the app got it.
func (r Reply) Again() Reply {
	if r.sent.kind == "" {
		return impossible("nothing was sent")
	}
	d := r.sent
	d.retry, d.reason = d.retry+1, "timeout"
	again := r.ws.reply(r.ws.deliver(d), nil)
	again.sent = d
	return again
}

func impossible(format string, values ...any) Reply {
	return Reply{err: fmt.Errorf(format, values...)}
}

// Err is why the act could not be done (there is no such button), how the app failed, or what is wrong with the form;
// nil when all went well.
func (r Reply) Err() error {
	if r.err == nil && len(r.Errors) > 0 {
		var wrong []string
		for _, label := range slices.Sorted(maps.Keys(r.Errors)) {
			wrong = append(wrong, label+": "+r.Errors[label])
		}
		return fmt.Errorf("the form was not accepted. %s", strings.Join(wrong, " "))
	}
	return r.err
}

// Posts are the messages the app sent or changed through the response_url of this act, so far, as a person reads them.
func (r Reply) Posts() []string {
	if r.hook == nil {
		return nil
	}
	r.ws.mu.Lock()
	defer r.ws.mu.Unlock()
	return r.posts()
}

func (r Reply) posts() []string {
	var out []string
	for _, m := range r.hook.posts {
		out = append(out, r.ws.renderMessage(m.now()))
	}
	return out
}

// WaitsForPost waits until the app says something that contains words, in the acknowledgement or through the
// response_url of this act.
func (r Reply) WaitsForPost(ctx context.Context, words string) (string, error) {
	if strings.Contains(r.Text, words) && r.Text != "" {
		return r.Text, nil
	}
	if r.hook == nil {
		return "", errors.Join(r.err, errors.New("this act has no response_url"))
	}
	found, err := wait(ctx, r.ws, func() (string, bool) {
		for _, p := range r.posts() {
			if strings.Contains(p, words) {
				return p, true
			}
		}
		return "", false
	})
	if err != nil {
		return "", fmt.Errorf("waiting for an answer with %q: %w; so far: %q", words, err, r.Posts())
	}
	return found, nil
}
