package bot

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// lossy lets calls of one method reach Slack and loses the answer.
type lossy struct {
	http.RoundTripper
	method string
	lose   atomic.Int32
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, l.method) && l.lose.Add(-1) >= 0 {
		_ = answer.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return answer, err
}

// drawable is a world with one pending request in it, as changed.
func drawable(t *testing.T, change func(*approvals.Case)) *world {
	w := quiet(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	c := writings["ordinary"].asked()
	c.Request.Requester.ID = w.ana.ID()
	if change != nil {
		change(&c)
	}
	w.service.put(c)
	return w
}

func (w *world) cards(words string) int {
	n := 0
	for _, m := range w.ws.Messages() {
		if m.Channel == w.approvals && strings.Contains(m.Text, words) {
			n++
		}
	}
	return n
}

func undelivered(t *testing.T, err error) *Undelivered {
	t.Helper()
	u, ok := errors.AsType[*Undelivered](err)
	if !ok {
		t.Fatalf("got %v, not an Undelivered", err)
	}
	return u
}

func TestDrawIsIdempotent(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	for range 3 {
		w.draws("r7k2m9")
	}
	if n := len(w.ws.Messages()); n != 2 {
		t.Errorf("%d messages were posted, not a card and a notice", n)
	}
	calls := len(w.ws.Traffic())
	w.draws("r7k2m9")
	if more := len(w.ws.Traffic()) - calls; more > 0 {
		t.Errorf("drawing what is drawn made %d calls", more)
	}
}

func TestLostAnswerPostsOnce(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	cut := &lossy{RoundTripper: w.slack.client.Transport, method: "/chat.postMessage"}
	cut.lose.Store(2)
	w.slack.client.Transport = cut
	u := undelivered(t, w.bot.Draw(t.Context(), "r7k2m9"))
	if u.Permanent || u.After <= 0 {
		t.Errorf("a lost answer is %+v", u)
	}
	w.draws("r7k2m9")
	if n := len(w.ws.Messages()); n != 2 {
		t.Errorf("%d messages were posted", n)
	}
}

func TestUnrecordedPostIsFoundAgain(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	w.outbox.fail = errors.New("the store is down")
	undelivered(t, w.bot.Draw(t.Context(), "r7k2m9"))
	w.outbox.fail = nil
	clear(w.outbox.claims) // the lease ran out
	w.draws("r7k2m9")
	if n := len(w.ws.Messages()); n != 2 {
		t.Errorf("%d messages were posted", n)
	}
}

func TestManyDrawersPostOnce(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	ctx := soon(t)
	var drawing sync.WaitGroup
	for range 8 {
		drawing.Go(func() {
			for err := w.bot.Draw(ctx, "r7k2m9"); err != nil; err = w.bot.Draw(ctx, "r7k2m9") {
				if ctx.Err() != nil {
					t.Errorf("one of them never got its turn: %v", err)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	drawing.Wait()
	if n := len(w.ws.Messages()); n != 2 {
		t.Errorf("%d messages were posted", n)
	}
}

// moving changes the case when it has been read once.
type moving struct {
	*fakeService
	once sync.Once
}

func (m *moving) Case(ctx context.Context, id string) (approvals.Case, error) {
	c, err := m.fakeService.Case(ctx, id)
	m.once.Do(func() {
		_, _ = m.fakeService.Cancel(ctx, approvals.Press{Request: id})
	})
	return c, err
}

func TestStateMovingOnIsDrawnAgain(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	w.service.changed = func(string) {}
	w.bot.service = &moving{fakeService: w.service}
	w.draws("r7k2m9")
	if w.cards("Cancelled by") != 1 || w.cards("Waiting for approval") != 0 {
		t.Errorf("the channel shows\n%s", w.bo.In("approvals").Sees())
	}
}

func TestSlackTroubleSaysWhenToRetry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault sandbox.Fault
		after time.Duration
	}{
		"rate limited":  {sandbox.Fault{Error: "ratelimited", RetryAfter: 17 * time.Second}, 17 * time.Second},
		"HTTP 503":      {sandbox.Fault{Status: 503}, pausePassing},
		"no connection": {sandbox.Fault{Drop: true}, pausePassing},
		"fatal_error":   {sandbox.Fault{Error: "fatal_error"}, pausePassing},
		"token revoked": {sandbox.Fault{Error: "token_revoked"}, pausePerson},
		"not a member":  {sandbox.Fault{Error: "not_in_channel"}, pausePerson},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := drawable(t, nil)
			w.ws.Fail("chat.postMessage", c.fault)
			u := undelivered(t, w.bot.Draw(t.Context(), "r7k2m9"))
			if u.Permanent || u.After > c.after || u.After < c.after-time.Second {
				t.Errorf("got %v, not a retry after %v", u, c.after)
			}
			if strings.Contains(u.Error(), w.ws.BotToken()) || strings.Contains(u.Error(), w.ws.URL()) {
				t.Errorf("the error gives away where or as whom: %v", u)
			}
			if c.after == 17*time.Second {
				calls := len(w.ws.Traffic())
				undelivered(t, w.bot.Draw(t.Context(), "r7k2m9"))
				for _, e := range w.ws.Traffic()[calls:] {
					if e.Name == "chat.postMessage" {
						t.Error("Slack asked for a pause and did not get it")
					}
				}
				return
			}
			w.ws.Heal()
			w.draws("r7k2m9")
			if w.cards("Waiting for approval") != 1 {
				t.Error("the card did not catch up")
			}
		})
	}
}

func TestWhatIsGoneBlocksNothing(t *testing.T) {
	t.Parallel()
	t.Run("deleted message", func(t *testing.T) {
		t.Parallel()
		w := drawable(t, nil)
		w.draws("r7k2m9")
		m := w.outbox.rows[cardKey("r7k2m9")]
		_, _, err := w.slack.api.DeleteMessageContext(t.Context(), m.Channel, m.TS)
		no(t, err)
		_, err = w.service.Approve(t.Context(), approvals.Press{Request: "r7k2m9", By: "U0BO"})
		no(t, err)
		w.drawing.Wait()
		w.draws("r7k2m9")
		if !m.Gone || w.outbox.gone[m.Key] != "message_not_found" {
			t.Errorf("the card is %+v", m)
		}
		w.sees(w.ana, "Approved, not taken yet")
	})
	t.Run("receipt of a card that is gone", func(t *testing.T) {
		t.Parallel()
		w := drawable(t, func(c *approvals.Case) {
			over := writings["ordinary"].granted(grants.Revoked)
			c.Request.State, c.Grant = approvals.Activated, over.Grant
		})
		w.draws("r7k2m9")
		w.outbox.rows[cardKey("r7k2m9")].Gone = true
		w.draws("r7k2m9")
		w.receipt("g1")
		w.sees(w.bo, "Looked at in the catalogs")
	})
	t.Run("person who left", func(t *testing.T) {
		t.Parallel()
		w := drawable(t, nil)
		w.ws.RemovePerson("ana")
		w.draws("r7k2m9")
		if w.cards("Waiting for approval") != 1 {
			t.Error("the channel has no card")
		}
	})
	t.Run("archived channel", func(t *testing.T) {
		t.Parallel()
		w := drawable(t, nil)
		w.ws.Archive("approvals")
		waits(t, w.bot.Draw(t.Context(), "r7k2m9")) // for the channel alone
		w.sees(w.ana, "Waiting for approval")
	})
	t.Run("request", func(t *testing.T) {
		t.Parallel()
		w := drawable(t, nil)
		if u := undelivered(t, w.bot.Draw(t.Context(), "nothing")); !u.Permanent {
			t.Errorf("got %v", u)
		}
	})
}

func TestRefusedFormGoesOutSimpler(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	bad := posting{key: "k", version: 1, channel: w.approvals, content: message{text: "what happened", blocks: []slack.Block{section("")}}}
	no(t, w.bot.keep(t.Context(), bad))
	m := w.sees(w.bo, "what happened")
	_, after, _ := strings.Cut(m.Text, "reference ")
	if len(after) < 8 || !strings.Contains(w.log(), after[:8]) {
		t.Errorf("the message is %q, and the log does not say why", m.Text)
	}
	bad.key = "hopeless"
	w.ws.Fail("chat.postMessage", sandbox.Fault{Error: "invalid_blocks"})
	no(t, w.bot.keep(t.Context(), bad))
	if !w.outbox.rows["hopeless"].Gone {
		t.Error("what can be sent in no form is tried for ever")
	}
}

func TestReceiptGoesIntoTheThreadOnce(t *testing.T) {
	t.Parallel()
	w := drawable(t, func(c *approvals.Case) {
		over := writings["ordinary"].granted(grants.Revoked)
		c.Request.State, c.Grant = approvals.Activated, over.Grant
	})
	if u := undelivered(t, w.bot.PostReceipt(t.Context(), "g1")); u.Permanent {
		t.Errorf("a receipt before its card is %v", u)
	}
	w.draws("r7k2m9")
	cut := &lossy{RoundTripper: w.slack.client.Transport, method: "/chat.postMessage"}
	cut.lose.Store(1)
	w.slack.client.Transport = cut
	undelivered(t, w.bot.PostReceipt(t.Context(), "g1"))
	for range 2 {
		w.receipt("g1")
	}
	card := w.outbox.rows[cardKey("r7k2m9")].TS
	n := 0
	for _, m := range w.ws.Messages() {
		if strings.Contains(m.Text, "Looked at in the catalogs") {
			n++
			if !strings.Contains(m.Raw[0], `"thread_ts":"`+card+`"`) {
				t.Errorf("the receipt is not in the thread of the card %s: %s", card, m.Raw[0])
			}
		}
	}
	if n != 1 {
		t.Errorf("%d receipts were posted", n)
	}
}

func TestAlarmIsRaisedAndEnded(t *testing.T) {
	t.Parallel()
	w := drawable(t, func(c *approvals.Case) {
		late := writings["ordinary"].states()["revoking-overdue"]
		c.Request.State, c.Grant = approvals.Activated, late.Grant
	})
	no(t, w.bot.DrawAlarm(t.Context(), "g1"))
	security := w.bo.In("security")
	if seen := security.Sees(); !strings.Contains(seen, "OVERDUE") || !strings.Contains(seen, "7 failed tries") {
		t.Errorf("the security channel shows\n%s", seen)
	}
	_, err := w.service.change("", "r7k2m9", func(c *approvals.Case) error {
		c.Grant.State, c.Grant.SecuredAt = grants.Cleanup, time.Now()
		c.Grant.Version++
		return nil
	})
	no(t, err)
	no(t, w.bot.DrawAlarm(t.Context(), "g1"))
	if seen := security.Sees(); strings.Contains(seen, "OVERDUE") || !strings.Contains(seen, "No longer overdue") {
		t.Errorf("the security channel shows\n%s", seen)
	}
}

func TestDigestAndFinding(t *testing.T) {
	t.Parallel()
	w := quiet(t, sandbox.Options{NoRateLimits: true})
	for range 2 {
		no(t, w.bot.PostDigest(t.Context(), noon))
		no(t, w.bot.PostFinding(t.Context(), "17"))
	}
	if n := len(w.bo.In("audit").Messages()); n != 1 {
		t.Errorf("%d digests were posted", n)
	}
	if n := len(w.bo.In("security").Messages()); n != 1 {
		t.Errorf("%d findings were posted", n)
	}
	w.sees(w.bo, "head `12:abc123`")
	w.sees(w.bo, "Event 17: a login <!channel> nobody knows.")
}

// TestNewsIsPostedOnceWhenItsWorkerDies loses the worker right after Slack took the message, before that was written down.
func TestNewsIsPostedOnceWhenItsWorkerDies(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{"where it belongs": "", "as a stand-in": "is_archived"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, doors := shut(t, "revoking-overdue", nil)
			doors.set(w.security, code)
			channel := map[string]string{"": w.security, "is_archived": w.audit}[code]
			post := map[string]func() error{
				"Event 17": func() error { return w.bot.PostFinding(t.Context(), "17") },
				"Overdue":  func() error { return w.bot.DrawAlarm(t.Context(), "g1") },
			}
			w.outbox.fail = errors.New("the process is gone")
			for _, do := range post {
				undelivered(t, do())
			}
			w.outbox.fail = nil
			clear(w.outbox.claims) // a dead worker's claims run out
			for words, do := range post {
				for range 2 {
					if err := do(); code == "" {
						no(t, err)
					} else {
						waits(t, err)
					}
				}
				if n := w.has(channel, words); n != 1 {
					t.Errorf("%q stands there %d times", words, n)
				}
			}
		})
	}
}
