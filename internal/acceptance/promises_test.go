package acceptance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// policy changes the policy file before the bot reads it.
func (w *world) policy(replace ...string) {
	w.t.Helper()
	path := filepath.Join(w.Dir(), "policy.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			w.t.Fatalf("the policy has no %q", replace[i])
		}
		text = []byte(strings.ReplaceAll(string(text), replace[i], replace[i+1]))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// joins lets somebody into the workspace and its channels.
func (w *world) joins(p sandbox.Person) {
	p.RealName = strings.ToUpper(p.Name[:1]) + p.Name[1:]
	if p.Email == "" {
		p.Email = p.Name + "@example.com"
	}
	w.Slack.AddPerson(p)
	w.Slack.Join(w.Conf.Approvals, p.Name)
}

// refused checks that the last refused attempt of a kind was recorded with who tried and why.
func (w *world) refused(kind, who, code string) {
	w.t.Helper()
	// A press that opens a window is refused behind its acknowledgement.
	w.eventually("the last refused "+kind+" in the audit log", func() (bool, error) {
		last := w.store(`SELECT actor_id || ' ' || (detail ->> 'code') FROM audit_events WHERE refused AND kind = $1 ORDER BY id DESC LIMIT 1`, kind)
		return last == w.Person(who).ID()+" "+code, fmt.Errorf("it is %v, want %s %s", last, who, code)
	})
}

// Promise 7: nobody approves or denies their own request, approvers included; and promise 5: the attempt is recorded.
func TestNobodyDecidesAboutTheirOwnRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	w.joins(sandbox.Person{Name: "dan"})
	w.serve()
	for _, who := range []string{"bo", "dora"} { // dora could approve anybody else's
		words := who + "'s own request"
		id := w.asks(who, "read-only", "1h", words)
		w.says(w.clicksOn(who, "Approve", words), "own request")
		w.refused("request.approved", who, "own-request")
		w.says(w.clicksOn(who, "Deny", words), "own request")
		w.refused("request.denied", who, "own-request")
		w.is("the request", w.request(id), "pending")
		w.clicksOn("dan", "Approve", words)
		w.is("the request", w.request(id), "approved")
		w.says(w.clicksBehind(who, "Approve", words), "own request")
		w.refused("request.approved", who, "own-request")
	}
}

// Promise 7: who pressed is looked up, and what they may, at the moment of the press.
func TestOnlyThoseThePolicyNamesDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	w.joins(sandbox.Person{Name: "dan"})
	w.serve()
	id := w.asks("bo", "read-only", "1h", "who may answer")
	for _, who := range []string{"cy", "sam", "ana"} {
		w.says(w.clicksOn(who, "Approve", "who may answer"), "not among those who can answer")
		w.refused("request.approved", who, "not-approver")
	}
	var was sandbox.Person
	w.Slack.ChangePerson("dan", func(p *sandbox.Person) { was = *p })
	for _, now := range []struct {
		what   string
		change func(*sandbox.Person)
		words  string
	}{
		{"a guest", func(p *sandbox.Person) { p.IsRestricted = true }, "Guests can neither ask nor approve"},
		{"a guest of one channel", func(p *sandbox.Person) { p.IsUltraRestricted = true }, "Guests can neither ask nor approve"},
		{"a stranger", func(p *sandbox.Person) { p.IsStranger = true }, "another workspace"},
		{"of another workspace", func(p *sandbox.Person) { p.TeamID = "T0OTHER" }, "another workspace"},
		{"a bot", func(p *sandbox.Person) { p.IsBot = true }, "Bots can neither ask nor approve"},
		{"unconfirmed", func(p *sandbox.Person) { p.EmailUnconfirmed = true }, "not confirmed"},
		{"somebody of another address", func(p *sandbox.Person) { p.Email = "stranger@example.com" }, "not among those"},
	} {
		w.Slack.ChangePerson("dan", now.change)
		r := w.clicksOn("dan", "Approve", "who may answer")
		w.says(r, now.words)
		w.is("the request after a press of somebody who is now "+now.what, w.request(id), "pending")
		code := "not-eligible"
		if strings.HasPrefix(now.words, "not among") {
			code = "not-approver"
		}
		w.refused("request.approved", "dan", code)
		w.Slack.ChangePerson("dan", func(p *sandbox.Person) { *p = was })
	}

	// Deactivated after the press left the screen and before it was looked at.
	asked := make(chan struct{}, 1)
	stop := w.Slack.OnTraffic(func(e sandbox.Entry) {
		if e.From == "app" && e.Name == "users.info" {
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	})
	w.Slack.Fail("users.info", sandbox.Fault{Delay: 600 * time.Millisecond, Times: 1})
	pressed := make(chan sandbox.Reply, 1)
	go func() { pressed <- w.clicksOn("dan", "Approve", "who may answer") }()
	<-asked
	stop()
	w.Slack.RemovePerson("dan")
	w.says(<-pressed, "deactivated")
	w.refused("request.approved", "dan", "not-eligible")
	w.is("the request", w.request(id), "pending")
	w.clicksOn("dora", "Approve", "who may answer")
	w.is("the request", w.request(id), "approved")
}

// Whoever may not act may not ask either, and asking is recorded.
func TestGuestsBotsAndStrangersCannotAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	for _, p := range []sandbox.Person{
		{Name: "gus", IsRestricted: true},
		{Name: "una", IsUltraRestricted: true},
		{Name: "sten", IsStranger: true, TeamID: "T0OTHER"},
		{Name: "robo", IsBot: true},
		{Name: "uma", EmailUnconfirmed: true},
	} {
		w.joins(p)
	}
	w.serve()
	for who, words := range map[string]string{
		"gus": "Guests can neither ask", "una": "Guests can neither ask", "sten": "another workspace", "robo": "Bots can neither ask", "uma": "not confirmed",
	} {
		r := w.Person(who).In(w.Conf.Approvals).Command("/prodaccess orders-prod read-only 30m let me in")
		w.says(r, words)
		w.refused("request.filed", who, "not-eligible")
	}
	w.is("requests", w.store(`SELECT count(*) FROM requests`), 0)
	// Default deny: somebody no rule knows.
	w.joins(sandbox.Person{Name: "eve"})
	w.says(w.types("eve", "read-only", "30m", "nobody knows me"), "Denied")
	w.is("the request", w.request(w.requestOf("nobody knows me")), "denied")
	w.says(w.types("cy", "data-fix", "30m", "contractors write"), "Ask the team that owns the data")
	w.is("denials by the policy in the audit log", w.store(`SELECT count(*) FROM audit_events WHERE kind = 'request.denied' AND actor_id = 'policy'`), 2)
}

// Whoever may not act is shown nothing of what there is, whatever they type, and told why.
func TestGuestsBotsAndStrangersAreShownNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	for _, p := range []sandbox.Person{
		{Name: "gus", IsRestricted: true},
		{Name: "sten", IsStranger: true, TeamID: "T0OTHER"},
		{Name: "robo", IsBot: true},
		{Name: "uma", EmailUnconfirmed: true},
	} {
		w.joins(p)
	}
	w.serve()
	w.asks("bo", "read-only", "30m", "nobody else's business")
	for who, words := range map[string]string{
		"gus": "Guests can neither ask nor approve.", "sten": "another workspace", "robo": "Bots can neither ask", "uma": "not confirmed",
	} {
		here := w.Person(who).In(w.Conf.Approvals)
		for _, line := range []string{
			"", "help", "list", "whoami", "explain orders-prod read-only", "explain orders-pro read-only", "orders-pro read-only 30m let me in", "orders-prod",
			"orders-prod read-onyl 30m let me in", "hlep", "status", "cancel", "approve", "release", "extend 30m", "break-glass", "break-glass orders-pro read-only why",
			"break-glass orders-prod read-only why",
		} {
			told := w.says(here.Command("/prodaccess "+line), words)
			for _, never := range []string{"orders-prod", "read-only", "data-fix", "bo@", "business", "Try:"} {
				if strings.Contains(told, never) {
					t.Errorf("%s types %q and is told of %q: %s", who, line, never, told)
				}
			}
		}
	}
	w.Person("gus").OpensHome()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if v, err := w.Person("gus").WaitsForHome(ctx, "Guests can neither ask nor approve."); err != nil || strings.Contains(v.Text, "orders-prod") {
		t.Errorf("the Home of a guest is %q: %v", v.Text, err)
	}
}

// Promise 7: each required approval comes from a different human.
func TestOneHumanFillsOneApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	w.joins(sandbox.Person{Name: "dan"})
	w.policy("emails: [sam@example.com]", "emails: [sam@example.com, dan@example.com]") // dan is a dba and security
	w.serve()
	for _, second := range []string{"sam", "dora"} {
		words := "dan and " + second
		id := w.asks("bo", "data-fix", "30m", words)
		w.clicksOn("dan", "Approve", words)
		w.is("the request after dan's approval", w.request(id), "pending")
		w.says(w.clicksOn("dan", "Approve", words), "already answered")
		w.refused("request.approved", "dan", "already-voted")
		w.clicksOn(second, "Approve", words)
		w.is("the request after "+words, w.request(id), "approved")
		w.is("approvals in the audit log", w.audited(id, "request.approved", false), 2)
	}
	// Two of one group are not one of each.
	id := w.asks("bo", "data-fix", "30m", "sam alone")
	w.clicksOn("sam", "Approve", "sam alone")
	w.is("the request with security's approval only", w.request(id), "pending")
	w.says(w.Person("bo").Command("/prodaccess orders-prod data-fix 30m without a ticket"), "icket")
	w.is("the request without a ticket", w.request(w.requestOf("without a ticket")), "denied")
}

// A decision is final, whatever old buttons say; who denies says why, and the requester reads it.
func TestWhatIsOverStaysOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	w.joins(sandbox.Person{Name: "dan"})
	w.serve()

	denied := w.asks("bo", "read-only", "1h", "to be denied")
	w.clicksOn("dora", "Deny", "to be denied")
	if r := w.submits("dora", "Deny request", map[string]string{"Reason": ""}); len(r.Errors) == 0 {
		t.Error("a denial without a reason was accepted")
	}
	w.ok(w.submits("dora", "Deny request", map[string]string{"Reason": "not on a Friday, use the replica"}))
	w.is("the request", w.request(denied), "denied")
	w.cardSays("bo", "to be denied", "Denied by", "not on a Friday, use the replica")
	w.says(w.clicksBehind("dan", "Approve", "to be denied"), "was denied by")
	w.refused("request.approved", "dan", "already-over")
	w.is("the reason in the audit log", w.store(`SELECT reason FROM audit_events WHERE request_id = $1 AND kind = 'request.denied' AND NOT refused`, denied),
		"not on a Friday, use the replica")

	cancelled := w.asks("bo", "read-only", "1h", "to be cancelled")
	w.sees("dan", "to be cancelled")
	w.clicksOn("bo", "Cancel", "to be cancelled")
	w.is("the request", w.request(cancelled), "cancelled")
	w.cardSays("dan", "to be cancelled", "Cancelled")
	w.says(w.clicksBehind("dan", "Approve", "to be cancelled"), "was cancelled")
	w.refused("request.approved", "dan", "already-over")

	// Approved, then cancelled before it was taken: the old Get credentials does nothing.
	id := w.asks("bo", "read-only", "1h", "approved and cancelled")
	w.clicksOn("dora", "Approve", "approved and cancelled")
	w.cardSays("bo", "approved and cancelled", "[Get credentials]")
	w.clicksOn("bo", "Cancel", "approved and cancelled")
	w.cardSays("bo", "approved and cancelled", "Cancelled")
	w.says(w.clicksBehind("bo", "Get credentials", "approved and cancelled"), "was cancelled")
	w.refused("grant.intended", "bo", "already-over")
	w.is("the request", w.request(id), "cancelled")
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 0)
}

// A request nobody answers lapses, and so does access nobody takes; old buttons do nothing then.
func TestTimeRunsOut(t *testing.T) {
	t.Parallel()
	// Long enough for the cards to be drawn before, on a machine that does much else.
	w := open(t, stage.Options{Environ: []string{"PRODACCESS_REQUESTS_LAPSE_AFTER=15s", "PRODACCESS_REQUESTS_ACTIVATE_WITHIN=10s"}}, nil)
	taken := w.asks("bo", "read-only", "1h", "nobody takes it")
	w.clicksOn("dora", "Approve", "nobody takes it")
	w.cardSays("bo", "nobody takes it", "[Get credentials]")
	unanswered := w.asks("bo", "read-only", "1h", "nobody answers it")
	w.cardSays("dora", "nobody answers it", "[Approve]")
	w.cardSays("bo", "nobody takes it", "Lapsed", "not taken in time")
	w.says(w.clicksBehind("bo", "Get credentials", "nobody takes it"), "has lapsed")
	w.refused("grant.intended", "bo", "already-over")
	w.cardSays("dora", "nobody answers it", "Lapsed", "Nobody answered in time")
	w.says(w.clicksBehind("dora", "Approve", "nobody answers it"), "has lapsed")
	w.refused("request.approved", "dora", "already-over")
	w.is("the request nobody took", w.request(taken), "lapsed")
	w.is("the request nobody answered", w.request(unanswered), "lapsed")
	w.is("lapses in the audit log", w.store(`SELECT count(*) FROM audit_events WHERE kind = 'request.lapsed'`), 2)
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 0)
}

// forged is a press with a button's value of the sender's choice, signed as Slack signs it: the value is data, who
// pressed is what Slack says.
func (w *world) forged(b *stage.Bot, who, action, request string) {
	w.t.Helper()
	payload := fmt.Sprintf(`{"type":"block_actions","api_app_id":"A0SANDBOX","user":{"id":%q,"team_id":"T0SANDBOX"},"team":{"id":"T0SANDBOX"},
		"trigger_id":"1.2.3","channel":{"id":%q,"name":"approvals"},"container":{"type":"message","channel_id":%q},
		"actions":[{"type":"button","action_id":%q,"block_id":"b","value":%q,"action_ts":"%d.0"}]}`,
		w.Person(who).ID(), w.Conf.Approvals, w.Conf.Approvals, action, request, time.Now().UnixNano()) // two equal presses would be one
	w.posts(b, payload, http.StatusOK, func(body []byte) http.Header { return w.Slack.Sign(body, time.Now()) })
}

func (w *world) posts(b *stage.Bot, payload string, want int, sign func([]byte) http.Header) {
	w.t.Helper()
	body := url.Values{"payload": {payload}}.Encode()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, b.URL()+"/slack/interactions", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header = sign([]byte(body))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = response.Body.Close()
	w.is("the answer to a press that was posted", response.StatusCode, want)
}

// Promise 7: what is somebody's is theirs, whichever way somebody else comes by its name.
func TestOnlyTheHolderTakesReleasesAndExtends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{HTTP: true})
	b := w.serve()
	id := w.asks("bo", "read-only", "1h", "bo's and nobody else's")
	w.clicksOn("dora", "Approve", "bo's and nobody else's")
	w.cardSays("bo", "bo's and nobody else's", "Get credentials")
	for _, who := range []string{"dora", "cy"} {
		if err := w.Person(who).ClicksStale("Get credentials").Err(); err == nil {
			t.Errorf("%s was shown a button to take bo's credential", who)
		}
		w.forged(b, who, "get_credentials", id)
		w.refused("grant.intended", who, "not-holder")
		w.forged(b, who, "cancel", id)
		w.refused("request.cancelled", who, "not-holder")
	}
	w.is("the request", w.request(id), "approved")
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 0)

	session := w.connect(w.takes("bo", "bo's and nobody else's"))
	for _, who := range []string{"dora", "sam", "cy"} {
		w.says(w.Person(who).Command("/prodaccess release "+id), "Only bo")
		w.refused("grant.ending", who, "not-holder")
		w.says(w.Person(who).Command("/prodaccess extend "+id+" 30m"), "Only bo")
		w.refused("grant.extended", who, "not-holder")
		w.forged(b, who, "get_credentials", id)
		w.refused("grant.intended", who, "not-holder")
	}
	// A signature that is not Slack's gets nowhere.
	w.posts(b, `{"type":"block_actions","user":{"id":"`+w.Person("bo").ID()+`"},"actions":[{"action_id":"release","value":"`+id+`"}]}`,
		http.StatusUnauthorized, func(body []byte) http.Header {
			h := w.Slack.Sign(append(body, '!'), time.Now())
			return h
		})
	w.is("the grant", w.grant(id), "active")
	if _, err := session.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("bo's session: %v", err)
	}
	w.says(w.Person("bo").Command("/prodaccess release"), "taken back now")
	w.becomes(id, "revoked")
	w.is("the cause", w.store(`SELECT cause || ' by ' || ended_by_name FROM grants WHERE request_id = $1`, id), "released by bo")
}

// An operator, or whoever could have approved it, ends somebody's access with a reason; others cannot.
func TestAccessIsRevokedWithAReason(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	for _, who := range []string{"sam", "dora"} {
		words := "revoked by " + who
		id, url := w.gets("bo", "1h", words)
		session := w.connect(url)
		w.clicksOn("cy", "Revoke", words)
		w.refused("grant.ending", "cy", "not-approver") // before any window opens
		w.is("the grant", w.grant(id), "active")

		w.clicksOn(who, "Revoke", words)
		w.ok(w.submits(who, "Revoke", map[string]string{"Reason": "the laptop was stolen"}))
		w.becomes(id, "revoked")
		if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("the session is alive after it was revoked")
		}
		w.refusedLogin("after it was revoked", url)
		w.cardSays("bo", words, "revoked by", "the laptop was stolen")
		w.cardSays("dora", words, "revoked by", "the laptop was stolen")
		w.is("the reason in the audit log", w.store(`SELECT reason FROM audit_events WHERE request_id = $1 AND kind = 'grant.ending' AND NOT refused`, id),
			"the laptop was stolen")
	}
}

// Text written by people does nothing in a card, and is kept as it was.
func TestHostileTextDoesNothing(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	const visible = "<!channel> <@U1> <https://evil.example|click> ``` *loud* _low_ ~gone~ & < > : ` \" ' end"
	const hostile = "\u202etxt.exe\u202c " + visible
	w.ok(w.Person("bo").Command("/prodaccess"))
	w.window("bo", "Database")
	bo := w.Person("bo")
	w.ok(bo.Fills(map[string]string{"Access": "read-only"}))
	w.window("bo", "one of @dba")
	w.ok(bo.Submits(map[string]string{"Duration": "1h", "Reason": hostile}))
	id := w.store(`SELECT id FROM requests LIMIT 1`)
	w.cardSays("dora", "Request "+id, "Waiting for approval", visible)
	w.clicksOn("dora", "Deny", "Request "+id)
	w.ok(w.submits("dora", "Deny request", map[string]string{"Reason": hostile}))
	w.cardSays("dora", "Request "+id, "Denied by")
	w.cardSays("bo", "Request "+id, "Denied by")
	for _, m := range w.Slack.Messages() {
		if !strings.Contains(m.Text, id) {
			continue
		}
		for _, raw := range m.Raw {
			for _, live := range []string{"<!channel", "<@U1", "<https://evil", "\u202e"} {
				// In a plain_text element Slack shows such text and does nothing with it.
				if outside := plainText.ReplaceAllString(raw, ""); strings.Contains(outside, live) {
					t.Errorf("%q is alive in a message to %s%s", live, m.ChannelName, m.To)
				}
			}
		}
	}
	for _, kind := range []string{"request.filed", "request.denied"} {
		kept := w.store(`SELECT reason FROM audit_events WHERE request_id = $1 AND kind = $2`, id, kind)
		if !strings.Contains(kept, visible) {
			t.Errorf("the audit log has for %s: %q", kind, kept)
		}
	}
	w.whole()
}

var plainText = regexp.MustCompile(`\{[^{}]*"type":"plain_text"[^{}]*\}`)

// Promise 1: a password is shown once; showing it again means making a new one, which is audited, and neither is kept.
func TestShowingAgainMakesANewPassword(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{Settings: map[string]string{"log_statement": "all"}}, nil)
	id, first := w.gets("bo", "1h", "closed the window")
	session := w.connect(first)
	w.Person("bo").ClosesAll()
	// Until then a second press is a double click.
	w.eventually("the login is no longer brand new", func() (bool, error) {
		return w.store(`SELECT now() - issued_at > interval '10.5 s' FROM grants`) == "true", nil
	})
	w.clicksOn("bo", "Get credentials", "closed the window")
	w.window("bo", "A new one can be made")
	w.ok(w.Person("bo").Submits(nil))
	second := w.credential("bo")
	if password(t, first) == password(t, second) {
		t.Fatal("the password is the old one")
	}
	w.refusedLogin("the old password", first)
	w.connect(second)
	if _, err := session.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("the open session was cut: %v", err)
	}
	w.is("rotations in the audit log", w.audited(id, "grant.rotated", false), 1)
	w.eventually("it was recorded that both were shown", func() (bool, error) { return w.audited(id, "grant.shown", false) == "2", nil })
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 1)
	for where, text := range map[string]string{
		"the store": dump(w), "the bot's log": w.Logs(), "the target's log": w.Target.LogText(), "a Slack message": messages(w),
	} {
		for which, url := range map[string]string{"first": first, "second": second} {
			if strings.Contains(text, password(t, url)) {
				t.Errorf("the %s password is in %s", which, where)
			}
		}
	}
	w.clicksOn("bo", "Release", "closed the window")
	w.becomes(id, "revoked")
	w.refusedLogin("after the release", second)
}

// Extending asks the policy again, moves the deadline of the same login, and cuts nobody off.
func TestExtendingMovesTheDeadlineOfTheSameLogin(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	id := w.asks("ana", "read-only", "30m", "needs more time")
	url := w.takes("ana", "needs more time")
	session := w.connect(url)
	const deadline = `SELECT extract(epoch FROM deadline - intended_at)::int FROM grants WHERE request_id = $1`
	w.is("seconds it lasts", w.store(deadline, id), 1800)
	until := w.target(`SELECT rolvaliduntil::text FROM pg_roles WHERE rolname LIKE 'pa\_ana\_%'`)
	w.Person("ana").ClosesAll()
	w.clicksOn("ana", "Extend", "needs more time")
	w.ok(w.submits("ana", "Extend access", map[string]string{"Duration": "15m"}))
	w.window("ana", "Extended")
	w.is("seconds it lasts", w.store(deadline, id), 2700)
	if now := w.target(`SELECT rolvaliduntil::text FROM pg_roles WHERE rolname LIKE 'pa\_ana\_%'`); now <= until {
		t.Errorf("the server accepts the login until %s as before (%s)", now, until)
	}
	w.is("extensions in the audit log", w.audited(id, "grant.extended", false), 1)
	w.connect(url)
	if _, err := session.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("the open session was cut: %v", err)
	}
	w.is("logins on the target", w.logins(), "1")
	// Two hours are the most for people on call.
	w.says(w.Person("ana").Command("/prodaccess extend 3h"), "cannot be extended without asking")
	w.refused("grant.extended", "ana", "not-approver")
	w.is("seconds it lasts", w.store(deadline, id), 2700)

	// bo needed an approval, so bo's extension needs one too.
	other, _ := w.gets("bo", "30m", "approved by dora")
	w.says(w.Person("bo").Command("/prodaccess extend 30m"), "cannot be extended without asking")
	w.refused("grant.extended", "bo", "not-approver")
	w.is("seconds it lasts", w.store(deadline, other), 1800)
}

// Promise 9: prodaccess touches only what is its own; promise 2: nothing of its own is left unexplained.
func TestTheSweepTakesWhatNoGrantExplainsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{Sweep: "@every 2s"}, nil)
	id, url := w.gets("bo", "1h", "its role is dropped")
	session := w.connect(url)
	w.asks("ana", "read-only", "30m", "explained by a grant")
	w.takes("ana", "explained by a grant")
	installation := w.store(`SELECT id FROM installation`)
	admin := func(sql string) {
		t.Helper()
		if err := w.as(w.Conf.AdminURL, sql); err != nil {
			t.Fatal(err)
		}
	}
	admin(`CREATE ROLE pa_eve_unstamped0 LOGIN`)
	admin(`CREATE ROLE pa_eve_foreign000 LOGIN; COMMENT ON ROLE pa_eve_foreign000 IS 'prodaccess installation=somebodyelse00000000 grant=foreign000'`)
	admin(`CREATE ROLE somebody LOGIN; COMMENT ON ROLE somebody IS 'prodaccess installation=` + installation + ` grant=noprefix00'`)
	admin(`CREATE ROLE pa_eve_orphan0000 LOGIN PASSWORD 'left-over'; COMMENT ON ROLE pa_eve_orphan0000 IS 'prodaccess installation=` + installation + ` grant=orphan0000'`)
	m := w.sees("sam", "pa_eve_orphan0000")
	if m.Channel != w.Conf.Security || !hasAll(m.Text, []string{"Finding", "orders-prod"}) {
		t.Errorf("the orphan was reported in %s:\n%s", m.ChannelName, m.Text)
	}
	w.eventually("the orphan is gone", func() (bool, error) {
		return w.target(`SELECT count(*) FROM pg_roles WHERE rolname = 'pa_eve_orphan0000'`) == "0", nil
	})
	w.is("the orphan in the audit log", w.store(`SELECT count(*) FROM audit_events WHERE kind = 'login.orphaned'`), 1)

	if err := w.ExecTarget(t.Context(), "DROP ROLE "+w.store(`SELECT login FROM grants WHERE request_id = $1`, id)); err != nil {
		t.Fatal(err)
	}
	w.sees("sam", "is not on orders-prod any more")
	w.becomes(id, "revoked")
	w.is("the cause", w.store(`SELECT cause FROM grants WHERE request_id = $1`, id), "missing")
	w.eventually("its session is dead", func() (bool, error) {
		_, err := session.Exec(t.Context(), "SELECT 1")
		return err != nil, nil
	})
	w.cardSays("bo", "its role is dropped", "Access is over", "lost the login")

	for _, left := range []string{"pa_eve_unstamped0", "pa_eve_foreign000", "somebody"} {
		w.is(left+" can still log in", w.target(`SELECT rolcanlogin FROM pg_roles WHERE rolname = $1`, left), true)
	}
	w.is("messages about the orphan", w.saying(w.Conf.Security, "pa_eve_orphan0000"), 1)
	w.is("ana's grant", w.grant(w.requestOf("explained by a grant")), "active")
}

// The digest's figures are those of what people did.
func TestTheDigestCountsWhatHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{Digest: "@every 5s"})
	b := w.serve()
	w.gets("bo", "1h", "digest: approved by dora")                    // asked, by people, issued, live
	released := w.asks("ana", "read-only", "30m", "digest: released") // asked, at once, issued, ended early
	w.takes("ana", "digest: released")
	w.Person("ana").ClosesAll()
	w.clicksOn("ana", "Release", "digest: released")
	w.becomes(released, "revoked")
	w.types("cy", "data-fix", "30m", "digest: denied by the policy") // asked, refused by the policy
	w.asks("bo", "read-only", "1h", "digest: denied by dora")
	w.says(w.clicksOn("cy", "Approve", "digest: denied by dora"), "not among") // a refused attempt
	w.clicksOn("dora", "Deny", "digest: denied by dora")
	w.ok(w.submits("dora", "Deny request", map[string]string{"Reason": "no"}))
	w.asks("bo", "read-only", "1h", "digest: cancelled")
	w.clicksOn("bo", "Cancel", "digest: cancelled")
	w.asks("bo", "read-only", "1h", "digest: waiting")

	metrics := get(t, b, "/metrics")
	for _, line := range []string{
		`prodaccess_grants{state="active"} 1`, `prodaccess_grants{state="revoking"} 0`, `prodaccess_grants_overdue 0`,
		`prodaccess_requests{state="pending"} 1`, `prodaccess_requests{state="approved"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("/metrics has no line %s:\n%s", line, grep(metrics, "prodaccess_"))
		}
	}
	w.is("/healthz", get(t, b, "/healthz"), "ok\n")

	done := time.Now()
	var last string
	w.eventually("a digest came that covers everything", func() (bool, error) {
		for _, m := range w.Slack.Messages() {
			if m.Channel != w.Conf.Audit || !strings.Contains(m.Text, "prodaccess digest") {
				continue
			}
			if period := instants.FindAllString(m.Raw[0], 2); len(period) == 2 {
				if to, _ := strconv.ParseInt(strings.TrimPrefix(period[1], "date^"), 10, 64); !time.Unix(to, 0).Before(done) {
					last = m.Text
					return true, nil
				}
			}
		}
		return false, nil
	})
	sums := map[string]int{}
	for _, m := range w.Slack.Messages() {
		if m.Channel == w.Conf.Audit && strings.Contains(m.Text, "prodaccess digest") {
			for _, found := range figures.FindAllStringSubmatch(m.Text, -1) {
				sums[found[1]] += atoi(found[2])
			}
			for _, found := range details.FindAllStringSubmatch(m.Text, -1) {
				sums[found[2]] += atoi(found[1])
			}
		}
	}
	for what, n := range map[string]int{
		"Asked": 6, "approved at once": 1, "Refused": 2, "by the policy": 1, "refused attempt": 1,
		"Issued": 2, "could not be issued": 0, "Ended": 1, "before their time": 1, "Not taken up": 1, "cancelled": 1, "lapsed": 0,
	} {
		w.is("the digests' sum of "+what, sums[what], n)
	}
	if !hasAll(last, []string{"*Now* 1\nlive; 1 waiting for an answer", "Nothing is overdue", "Audit chain"}) {
		t.Errorf("the last digest:\n%s", last)
	}
}

var (
	figures = regexp.MustCompile(`\*(Asked|Refused|Issued|Ended|Not taken up)\* (\d+)`)
	details = regexp.MustCompile(`(\d+) (approved at once|by the policy|refused attempt|could not be issued|before their time|cancelled|lapsed)`)
)

func atoi(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func grep(text, words string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func get(t *testing.T, b *stage.Bot, path string) string {
	t.Helper()
	response, err := b.Get(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", path, response.StatusCode, err)
	}
	return string(text)
}

// Promise 6: a policy that does not load means that the old one stays.
func TestAPolicyThatDoesNotLoadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	b := w.serve()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w.policy("group:contractors, group:dba]", "group:dba]", "approve: automatically", "aprove: automatically")
	if err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := b.WaitsForLog(ctx, "the policy does not load; the old one stays in force"); err != nil {
		t.Fatal(err)
	}
	w.says(w.types("cy", "read-only", "30m", "under the old policy"), "one of @dba")
	w.policy("aprove: automatically", "approve: automatically")
	before := w.store(`SELECT count(*) FROM audit_events WHERE kind = 'policy.loaded'`)
	if err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	w.eventually("the new policy is in force", func() (bool, error) {
		return w.store(`SELECT count(*) FROM audit_events WHERE kind = 'policy.loaded'`) != before, nil
	})
	w.says(w.types("cy", "read-only", "30m", "under the new policy"), "Denied")
}
