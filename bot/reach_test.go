package bot

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/prodaccess/prodaccess/policy"
)

// closed answers for channels that cannot be written to, until they are opened.
type closed struct {
	http.RoundTripper
	mu    sync.Mutex
	codes map[string]string // by channel
}

func (c *closed) set(channel, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes[channel] = code
}

func (c *closed) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/chat.") {
		return c.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sent, _ := url.ParseQuery(string(body))
	c.mu.Lock()
	code := c.codes[sent.Get("channel")]
	c.mu.Unlock()
	if code == "" {
		return c.RoundTripper.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"ok":false,"error":"` + code + `"}`)),
	}, nil
}

// shut is a nudged world in which channels can be shut and opened.
func shut(t *testing.T, state string, change func(*world, *approvals.Case)) (*world, *closed) {
	doors := &closed{codes: map[string]string{}}
	w := nudged(t, state, func(w *world, c *approvals.Case) {
		doors.RoundTripper = w.slack.client.Transport
		if change != nil {
			change(w, c)
		}
	})
	w.slack.client.Transport = doors
	w.service.changed = func(string) {}
	w.bot.pace = newPacer(time.Now)
	return w, doors
}

func (w *world) has(channel, words string) int {
	n := 0
	for _, m := range w.ws.Messages() {
		if m.Channel == channel && strings.Contains(m.Text, words) {
			n++
		}
	}
	return n
}

// forget is a world before anything was posted.
func (w *world) forget() {
	w.Helper()
	for _, m := range w.outbox.rows {
		_, _, err := w.slack.api.DeleteMessageContext(w.Context(), m.Channel, m.TS)
		no(w.T, err)
	}
	w.outbox = newFakeOutbox()
	w.bot.outbox = w.outbox
}

func waits(t *testing.T, err error) {
	t.Helper()
	if u := undelivered(t, err); u.Permanent || u.After != pausePerson {
		t.Errorf("it is %v, and not tried again when somebody may have mended the channel", u)
	}
}

// TestBrokenGlassIsNeverSilent breaks glass while the security channel cannot be written to, and mends the channel.
func TestBrokenGlassIsNeverSilent(t *testing.T) {
	t.Parallel()
	for code, why := range map[string]string{
		"channel_not_found": "prodaccess is not in it", "not_in_channel": "prodaccess is not in it", "is_archived": "it is archived",
		"restricted_action": "prodaccess may not post in it",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w, doors := shut(t, "glass-over", func(w *world, c *approvals.Case) {
				w.service.groups = []policy.Group{{Name: "security", SlackUsergroup: w.ws.AddUserGroup("security", "bo")}}
				c.Request.Decision.Review.Reviewers = []string{"group:security"}
			})
			w.forget()
			heard := map[string]int{}
			w.bot.channelWorks = func(name string, err error) {
				heard[name]++
				if (err != nil) != (heard[name] == 1) {
					t.Errorf("the %s channel is said to be %v", name, err)
				}
			}
			doors.set(w.security, code)
			for range 3 {
				waits(t, w.bot.Draw(t.Context(), "r7k2m9"))
				waits(t, w.bot.PostNudge(t.Context(), "review/1/r7k2m9"))
			}
			if w.has(w.audit, why) != 2 || w.has(w.audit, "waiting for its review") != 1 || w.has(w.audit, "waits for a review") != 1 || len(w.bo.In("audit").Messages()) != 2 {
				t.Errorf("the audit channel shows\n%s", w.bo.In("audit").Sees())
			}
			w.sees(w.ana, "You broke the glass")
			if n := strings.Count(w.log(), "CANNOT BE WRITTEN TO"); n != 1 {
				t.Errorf("it was logged %d times", n)
			}
			// The stand-in is kept true.
			_, err := w.service.CloseReview(t.Context(), approvals.Press{Request: "r7k2m9", By: w.bo.ID()}, approvals.Justified, "fine")
			no(t, err)
			waits(t, w.bot.Draw(t.Context(), "r7k2m9"))
			if w.has(w.audit, "review closed") != 1 || w.has(w.audit, "waiting for its review") != 0 {
				t.Errorf("the audit channel shows\n%s", w.bo.In("audit").Sees())
			}
			doors.set(w.security, "")
			w.draws("r7k2m9")
			if w.has(w.security, "review closed") != 1 || w.has(w.audit, "review closed") != 0 || w.has(w.audit, "can be reached again") != 1 {
				t.Errorf("the security channel shows\n%s\nthe audit channel shows\n%s", w.bo.In("security").Sees(), w.bo.In("audit").Sees())
			}
			if heard["security"] != 2 {
				t.Errorf("health heard %d times of the security channel", heard["security"])
			}
			calls := len(w.ws.Traffic())
			w.draws("r7k2m9")
			if more := len(w.ws.Traffic()) - calls; more > 0 {
				t.Errorf("drawing what is drawn made %d calls", more)
			}
		})
	}
}

// TestNudgeOfReviewArrivesLater posts the reminder where it belongs as soon as that can be written to.
func TestNudgeOfReviewArrivesLater(t *testing.T) {
	t.Parallel()
	w, doors := shut(t, "glass-over", nil)
	doors.set(w.security, "is_archived")
	waits(t, w.bot.PostNudge(t.Context(), "review/1/r7k2m9"))
	if w.has(w.audit, "waits for a review") != 1 {
		t.Errorf("the audit channel shows\n%s", w.bo.In("audit").Sees())
	}
	doors.set(w.security, "")
	no(t, w.bot.PostNudge(t.Context(), "review/1/r7k2m9"))
	if len(w.nudges()) != 1 || w.has(w.audit, "waits for a review") != 0 {
		t.Errorf("the security channel shows\n%s", w.bo.In("security").Sees())
	}
}

func TestAlarmAndFindingAreHeardElsewhere(t *testing.T) {
	t.Parallel()
	w, doors := shut(t, "revoking-overdue", nil)
	doors.set(w.security, "is_archived")
	doors.set(w.audit, "not_in_channel")
	waits(t, w.bot.DrawAlarm(t.Context(), "g1"))
	waits(t, w.bot.PostFinding(t.Context(), "17"))
	for _, words := range []string{"Overdue: access has not been taken back", "Event 17"} {
		if w.has(w.approvals, words) != 1 {
			t.Errorf("the approvals channel lacks %q:\n%s", words, w.bo.In("approvals").Sees())
		}
	}
	doors.set(w.approvals, "channel_not_found")
	waits(t, w.bot.PostFinding(t.Context(), "18"))
	if !strings.Contains(w.log(), "NOBODY SEES") {
		t.Error("the log does not say that nobody sees a finding")
	}
	for _, channel := range []string{w.security, w.audit, w.approvals} {
		doors.set(channel, "")
	}
	no(t, w.bot.DrawAlarm(t.Context(), "g1"))
	no(t, w.bot.PostFinding(t.Context(), "17"))
	no(t, w.bot.PostFinding(t.Context(), "18"))
	for _, words := range []string{"Overdue: access has not been taken back", "Event 17", "Event 18"} {
		if w.has(w.security, words) != 1 || w.has(w.approvals, words) != 0 {
			t.Errorf("%q is not where it belongs:\n%s", words, w.bo.In("security").Sees())
		}
	}
}

// TestDeletedLoudMessageStaysGone deletes it and then archives the channel: nothing is posted anew.
func TestDeletedLoudMessageStaysGone(t *testing.T) {
	t.Parallel()
	w, doors := shut(t, "glass-over", nil)
	m := w.outbox.rows[glassKey("r7k2m9")]
	_, _, err := w.slack.api.DeleteMessageContext(t.Context(), m.Channel, m.TS)
	no(t, err)
	_, err = w.service.CloseReview(t.Context(), approvals.Press{Request: "r7k2m9", By: w.bo.ID()}, approvals.Justified, "fine")
	no(t, err)
	w.draws("r7k2m9")
	doors.set(w.security, "is_archived")
	w.draws("r7k2m9")
	if seen := w.bo.In("security").Sees() + w.bo.In("audit").Sees(); !m.Gone || strings.Contains(seen, "review") {
		t.Errorf("the message is %+v; the audit channel shows\n%s", m, w.bo.In("audit").Sees())
	}
}

// TestChannelsComeBack lets the other channels' messages wait too, and nobody's own copy with them.
func TestChannelsComeBack(t *testing.T) {
	t.Parallel()
	w, doors := shut(t, "approved", nil)
	w.forget()
	doors.set(w.approvals, "is_archived")
	doors.set(w.audit, "channel_not_found")
	waits(t, w.bot.Draw(t.Context(), "r7k2m9"))
	waits(t, w.bot.PostDigest(t.Context(), noon))
	w.sees(w.ana, "Approved, not taken yet")
	over := writings["ordinary"].states()["over-expired"]
	c, err := w.service.change("", "r7k2m9", func(c *approvals.Case) error {
		c.Request.State, c.Grant = approvals.Activated, over.Grant
		return nil
	})
	no(t, err)
	waits(t, w.bot.Draw(t.Context(), c.Request.ID))
	waits(t, w.bot.PostReceipt(t.Context(), over.Grant.ID))
	w.sees(w.ana, "Your access to")
	doors.set(w.approvals, "")
	doors.set(w.audit, "")
	w.draws("r7k2m9")
	w.receipt(over.Grant.ID)
	no(t, w.bot.PostDigest(t.Context(), noon))
	if w.has(w.approvals, "Access is over") != 1 || w.has(w.approvals, "Looked at in the catalogs") != 1 || len(w.bo.In("audit").Messages()) != 1 {
		t.Errorf("the approvals channel shows\n%s", w.bo.In("approvals").Sees())
	}
}

func TestFormerChannelIsGone(t *testing.T) {
	t.Parallel()
	w, doors := shut(t, "glass-over", nil)
	doors.set(w.security, "is_archived")
	w.bot.securityChannel = w.ws.AddChannel("security-2", "bo")
	_, err := w.service.change("", "r7k2m9", func(*approvals.Case) error { return nil })
	no(t, err)
	w.draws("r7k2m9")
	if m := w.outbox.rows[glassKey("r7k2m9")]; !m.Gone {
		t.Error("a channel that is configured no more is waited for")
	}
	no(t, w.bot.PostNudge(t.Context(), "review/1/r7k2m9"))
	if w.has(w.bot.securityChannel, "waits for a review") != 1 {
		t.Error("the channel that is configured now hears nothing of the review")
	}
	if err := errors.Join(w.bot.reach.why(w.security), w.bot.reach.why(w.bot.securityChannel)); err != nil {
		t.Errorf("a former channel is remembered: %v", err)
	}
}

// TestGivenUpChannelComesBack configures a channel again that was given up while it was not: what is still drawn comes back there,
// and what somebody deleted does not.
func TestGivenUpChannelComesBack(t *testing.T) {
	t.Parallel()
	w, doors := shut(t, "pending", nil)
	again := func() {
		t.Helper()
		_, err := w.service.change("", "r7k2m9", func(*approvals.Case) error { return nil })
		no(t, err)
	}
	former := w.approvals
	doors.set(former, "is_archived")
	w.bot.approvalsChannel = w.ws.AddChannel("approvals-2", "bo")
	again()
	w.draws("r7k2m9")
	m := w.outbox.rows[cardKey("r7k2m9")]
	if !m.Gone || m.Why != "is_archived" {
		t.Fatalf("in a former channel: %+v", m)
	}
	delete(w.outbox.gone, m.Key)
	again()
	w.draws("r7k2m9")
	if !m.Gone || w.outbox.gone[m.Key] != "" {
		t.Error("a former channel was tried again")
	}
	w.bot.approvalsChannel = former
	waits(t, w.bot.Draw(t.Context(), "r7k2m9")) // it is still archived, and somebody can mend that
	doors.set(former, "")
	_, err := w.service.change("", "r7k2m9", func(c *approvals.Case) error {
		c.Request.State, c.Request.EndedAt = approvals.Lapsed, time.Now()
		return nil
	})
	no(t, err)
	w.draws("r7k2m9")
	if m.Gone || w.has(former, "Lapsed") != 1 || w.has(former, "Waiting") != 0 {
		t.Errorf("the card is %+v; the channel shows\n%s", m, w.bo.In("approvals").Sees())
	}

	// One that was never posted is posted.
	w.forget()
	w.outbox.rows[cardKey("r7k2m9")] = &outbox.Message{Key: cardKey("r7k2m9"), FirstTriedAt: time.Now(), Gone: true, Why: "channel_not_found"}
	w.draws("r7k2m9")
	if m := w.outbox.rows[cardKey("r7k2m9")]; m.Gone || strings.Count(w.bo.In("approvals").Sees(), "Request r7k2m9") != 1 {
		t.Errorf("never posted, it is %+v", m)
	}
	_, _, err = w.slack.api.DeleteMessageContext(t.Context(), former, w.outbox.rows[cardKey("r7k2m9")].TS)
	no(t, err)
	for range 2 {
		again()
		w.draws("r7k2m9")
	}
	if m := w.outbox.rows[cardKey("r7k2m9")]; !m.Gone || m.Why != "message_not_found" || strings.Contains(w.bo.In("approvals").Sees(), "r7k2m9") {
		t.Errorf("deleted, it is %+v", m)
	}
}

// TestWrittenOffClaimsNothing reads the end of an alarm and of a card when nobody could verify anything.
func TestWrittenOffClaimsNothing(t *testing.T) {
	t.Parallel()
	c := writings["ordinary"].states()["revoking-overdue"]
	g := *c.Grant
	g.State, g.EndedAt = grants.Revoked, noon
	g.Receipt = &grants.Receipt{WrittenOff: "written off by bo because the cluster is gone; nothing was verified"}
	c.Grant = &g
	said := alarm(g, noon)
	for _, m := range []message{said, card(c, noon)} {
		all := m.text + shown(t, m)
		for _, claim := range []string{"was locked", "found gone", "login gone", "✅", "Verified "} {
			if strings.Contains(all, claim) {
				t.Errorf("it claims %q: %s", claim, all)
			}
		}
		if !strings.Contains(all, "nothing was verified") {
			t.Errorf("it does not say that nothing was verified: %s", all)
		}
	}
	g.SecuredAt = ago(time.Second)
	if proven := shown(t, alarm(g, noon)); !strings.Contains(proven, "was locked") {
		t.Errorf("what was proven before is not said: %s", proven)
	}
}
