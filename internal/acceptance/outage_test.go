package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/localpg"
	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// Promise 2: every grant ends. The target is down across the deadline; it is shouted about while it lasts, and over
// within 30 s of its return.
func TestAGrantEndsThoughItsTargetIsDownAtTheDeadline(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, func(c *stage.Conf) { c.Overdue = "2s" })
	id, url := w.gets("bo", "1h", "down across the deadline")
	w.connect(url)
	w.Target.Kill()
	w.comesDue(id)

	m := w.sees("sam", "Overdue: access has not been taken back")
	if m.Channel != w.Conf.Security || !hasAll(m.Text, []string{"orders-prod", "pa_bo_"}) {
		t.Errorf("the alarm in %s does not say what is overdue where:\n%s", m.ChannelName, m.Text)
	}
	w.cardSays("dora", "down across the deadline", "OVERDUE", "prodaccess keeps trying")
	w.is("the grant while its target is down", w.grant(id), "revoking")

	back := w.restart(w.Target)
	w.becomes(id, "revoked")
	if took := time.Since(back); took > 30*time.Second {
		t.Errorf("revoked %s after the target's return, more than 30 s", took)
	}
	w.refusedLogin("after the target's return", url)
	w.is("roles left on the target", w.trace(), "0")
	w.sees("sam", "No longer overdue")
	w.cardSays("dora", "down across the deadline", "Access is over")
	w.is("alarms in the security channel", w.saying(w.Conf.Security, "verdue"), 1)
	w.is("alarms in the audit log", w.audited(id, "grant.overdue", false), 1)
	w.whole()
}

// Promise 8: Slack down delays cards, never decisions and revocations.
func TestSlackBeingDownDelaysNothingButCards(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	id, url := w.gets("bo", "1h", "slack is down at the deadline")
	session := w.connect(url)
	w.cardSays("dora", "slack is down at the deadline", "Access is active")
	w.Slack.Down(true)
	w.comesDue(id)
	w.becomes(id, "revoked")
	if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session is alive after the deadline")
	}
	w.is("roles left on the target", w.trace(), "0")

	w.Slack.Heal()
	w.cardSays("dora", "slack is down at the deadline", "Access is over")
	w.cardSays("bo", "slack is down at the deadline", "Access is over", "Ask again if you need more")
	w.sees("dora", "Receipt* for")
	w.is("cards of the request", w.cards(w.Conf.Approvals, id), 1)
	w.is("receipts", w.saying(w.Conf.Approvals, "Receipt* for"), 1)
}

// The same with a Slack that answers "slow down": every call is refused for a while, then limits hold.
func TestSlackRateLimitingDelaysNothingButCards(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{RateLimits: true}, nil)
	id, _ := w.gets("bo", "1h", "slack says slow down")
	for _, method := range []string{"chat.update", "chat.postMessage"} {
		w.Slack.Fail(method, sandbox.Fault{Error: "ratelimited", RetryAfter: 2 * time.Second, Times: 4})
	}
	w.comesDue(id)
	w.becomes(id, "revoked")
	w.cardSays("dora", "slack says slow down", "Access is over")
	w.cardSays("bo", "slack says slow down", "Access is over")
	w.sees("dora", "Receipt* for")
	w.is("cards of the request", w.cards(w.Conf.Approvals, id), 1)
	w.is("receipts", w.saying(w.Conf.Approvals, "Receipt* for"), 1)
}

// Answers lost on the way back: what was posted is found again, not posted twice.
func TestSlackBreakingConnectionsDoublesNoMessage(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	for _, method := range []string{"chat.postMessage", "chat.update", "conversations.open"} {
		w.Slack.Fail(method, sandbox.Fault{Drop: true, Times: 2})
	}
	id := w.asks("bo", "read-only", "1h", "connections break")
	w.cardSays("dora", "connections break", "Waiting for approval")
	w.clicksOn("dora", "Approve", "connections break")
	w.cardSays("bo", "connections break", "Approved, not taken yet")
	w.is("cards of the request", w.cards(w.Conf.Approvals, id), 1)
}

// Promise 6: an unreachable PagerDuty means "ask a person", never yes and never an error, and says so.
func TestWithoutPagerDutyAPersonIsAsked(t *testing.T) {
	t.Parallel()
	const slow = 5 * time.Second // whoever waits for it is later
	for _, way := range []struct {
		name, why string
		fault     sandbox.Fault
	}{
		{"down", "PagerDuty could not be reached", sandbox.Fault{Drop: true}},
		{"slow", "PagerDuty did not answer", sandbox.Fault{Delay: slow}},
		{"rate limiting", "PagerDuty asks us to slow down", sandbox.Fault{Status: 429, RetryAfter: 30 * time.Second}},
		{"talking nonsense", "PagerDuty's answer could not be understood", sandbox.Fault{Error: "nonsense"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, stage.Options{})
			w.PagerDuty.Fail(way.fault)
			w.serve()
			words := "pagerduty is " + way.name
			r := w.ok(w.types("ana", "read-only", "30m", words))
			if !hasAll(r.Text, []string{"It needs one of @dba"}) {
				t.Errorf("the reply does not say who is asked: %s", r.Text)
			}
			if !strings.Contains(r.Text, way.why) {
				t.Errorf("the reply does not say why somebody has to be asked: %s", r.Text)
			}
			if r.Latency > slow {
				t.Errorf("the reply took %s", r.Latency)
			}
			w.cardSays("dora", words, "Waiting for approval", way.why)
			w.is("the request", w.request(w.requestOf(words)), "pending")

			w.PagerDuty.Heal()
			w.eventually("ana is on call again", func() (bool, error) {
				r := w.Person("ana").Command("/prodaccess explain orders-prod read-only 30m")
				return strings.Contains(r.Text, "Approved at once"), fmt.Errorf("told: %s", r.Text)
			})
		})
	}
}

// ready asks a bot's readiness probe; 0 means that nobody listens.
func ready(ctx context.Context, url string) (status int, faults map[string]string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return 0, nil
	}
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	var answer struct{ Faults map[string]string }
	text, _ := io.ReadAll(response.Body)
	_ = json.Unmarshal(text, &answer)
	return response.StatusCode, answer.Faults
}

// scrape reads a bot's metrics.
func scrape(ctx context.Context, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return
	}
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	if response, err := client.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAStoreThatIsDownAtStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	listen := freePort(t)
	w := newWorld(t, stage.Options{Environ: []string{"PRODACCESS_HTTP_LISTEN=" + listen}})
	w.Store.Kill()
	b, err := w.Launch()
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("the probe says that the store is missing", func() (bool, error) {
		status, faults := ready(t.Context(), "http://"+listen)
		return status == http.StatusServiceUnavailable && faults["store"] != "", fmt.Errorf("%d %v", status, faults)
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.WaitsForLog(ctx, `"part":"store"`); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.Log(), "does not work; trying again") {
		t.Errorf("the log does not say that the store does not work:\n%s", b.Log())
	}
	// Who scrapes meanwhile must not meet a store that is half there; the race detector looks.
	done, scraping := make(chan struct{}), sync.WaitGroup{}
	scraping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				scrape(t.Context(), "http://"+listen)
			}
		}
	})
	w.restart(w.Store)
	err = b.WaitsForLog(ctx, "prodaccess is ready")
	close(done)
	scraping.Wait()
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("the probe says ready", func() (bool, error) {
		status, faults := ready(t.Context(), "http://"+listen)
		return status == http.StatusOK, fmt.Errorf("%d %v", status, faults)
	})
	if err := w.Slack.WaitsForApp(ctx); err != nil {
		t.Fatal(err)
	}
	w.asks("bo", "read-only", "1h", "after the store came back")
}

// Promise 3 and 5: with the store down nothing is decided and nothing is given, in words; afterwards everything goes on,
// what became due meanwhile included.
func TestWithoutTheStoreNothingIsGrantedAndNothingIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	b := w.serve()
	due, url := w.gets("bo", "1h", "due while the store is down")
	session := w.connect(url)
	waiting := w.asks("bo", "read-only", "1h", "waits for an answer")
	w.sees("dora", "waits for an answer")
	taking := w.asks("ana", "read-only", "30m", "approved and not taken")
	w.cardSays("ana", "approved and not taken", "Get credentials")
	const soon = 3 * time.Second
	w.comesDueIn(due, soon)
	deadline := time.Now().Add(soon)
	w.Store.Kill()
	w.is("the grant when the store went down", w.trace(), "1")
	dora := w.Person("dora").Clicks("Approve", sandbox.InMessage(), sandbox.With("waits for an answer"))
	w.says(dora, "on our side")
	ana := w.Person("ana").Clicks("Get credentials", sandbox.InMessage(), sandbox.With("approved and not taken"))
	w.says(ana, "on our side")
	cy := w.types("cy", "read-only", "30m", "asked without a store")
	w.says(cy, "on our side")
	w.is("logins on the target, locked at the deadline or not yet", w.trace(), "1")
	w.eventually("the deadline has passed", func() (bool, error) { return time.Now().After(deadline), nil })
	w.eventually("the probe says that the store is missing", func() (bool, error) {
		status, faults := ready(t.Context(), b.URL())
		return status == http.StatusServiceUnavailable && faults["store"] != "", fmt.Errorf("%d %v", status, faults)
	})

	back := w.restart(w.Store)
	w.becomes(due, "revoked")
	if took := time.Since(back); took > 30*time.Second {
		t.Errorf("what became due was revoked %s after the store's return, more than 30 s", took)
	}
	if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session that was due is alive")
	}
	w.is("the request nobody could answer", w.request(waiting), "pending")
	w.is("the request nobody could take", w.request(taking), "approved")
	w.is("requests filed without a store", w.requestOf("asked without a store"), "<nil>")
	w.clicksOn("dora", "Approve", "waits for an answer")
	w.is("the request after another press", w.request(waiting), "approved")
	w.connect(w.takes("ana", "approved and not taken"))
	w.whole()
}

// freezes stops every process of a server where it is: connections stay open, and nobody answers. What is returned lets them
// go on.
func (w *world) freezes(server *localpg.Server) (thaw func()) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(server.DataDir(), "postmaster.pid"))
	if err != nil {
		w.t.Fatal(err)
	}
	postmaster, _, _ := strings.Cut(string(text), "\n")
	children, err := os.ReadFile(filepath.Join("/proc", postmaster, "task", postmaster, "children"))
	if err != nil {
		w.t.Fatal(err)
	}
	send := func(sig syscall.Signal) {
		for _, process := range append([]string{postmaster}, strings.Fields(string(children))...) {
			if pid, err := strconv.Atoi(process); err == nil {
				_ = syscall.Kill(pid, sig)
			}
		}
	}
	send(syscall.SIGSTOP)
	thaw = sync.OnceFunc(func() { send(syscall.SIGCONT) })
	w.t.Cleanup(thaw)
	return thaw
}

// A store that takes questions and does not answer is as good as none, and the probe and the metrics say so.
func TestAStoreThatHangsIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{})
	b := w.serve()
	metrics := func() (int, string) {
		response, err := b.Get(t.Context(), "/metrics")
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	if status, text := metrics(); status != http.StatusOK || !strings.Contains(text, "prodaccess_grants_overdue 0") {
		t.Errorf("%d:\n%s", status, text)
	}
	thaw := w.freezes(w.Store)
	w.within(25*time.Second, "the probe says that the store is missing", func() (bool, error) {
		status, faults := ready(t.Context(), b.URL())
		return status == http.StatusServiceUnavailable && faults["store"] != "", fmt.Errorf("%d %v", status, faults)
	})
	status, text := metrics()
	if status != http.StatusOK || !strings.Contains(text, `prodaccess_fault{part="store"} 1`) || strings.Contains(text, "prodaccess_grants") {
		t.Errorf("while the store hangs %d:\n%s", status, text)
	}
	thaw()
	w.eventually("the probe says ready", func() (bool, error) {
		status, faults := ready(t.Context(), b.URL())
		return status == http.StatusOK, fmt.Errorf("%d %v", status, faults)
	})
	w.asks("bo", "read-only", "1h", "after the store woke up")
}

// Promise 8: nothing says "granted" before it is so; the press can be made again.
func TestGetCredentialsWhileTheTargetIsDown(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	id := w.asks("bo", "read-only", "1h", "target is down")
	w.clicksOn("dora", "Approve", "target is down")
	w.cardSays("bo", "target is down", "Get credentials")
	w.Target.Kill()
	w.says(w.clicksOn("bo", "Get credentials", "target is down"), "orders-prod does not answer. Nothing was given out")
	w.is("the request", w.request(id), "approved")
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 0)
	w.is("refused attempts in the audit log", w.audited(id, "grant.intended", true), 1)

	w.restart(w.Target)
	w.connect(w.takes("bo", "target is down"))
	w.is("grants", w.store(`SELECT count(*) FROM grants`), 1)
}

// A login that cannot be made in time is taken back, its requester is told, and may press again.
func TestALoginThatCannotBeMadeIsTakenBack(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	id := w.asks("bo", "read-only", "1h", "the catalog is locked")
	w.clicksOn("dora", "Approve", "the catalog is locked")
	unlock := w.locksRoles()
	w.clicksOn("bo", "Get credentials", "the catalog is locked")
	w.window("bo", "No login was made")
	unlock()
	w.eventually("the request may be taken again", func() (bool, error) { return w.request(id) == "approved", nil })
	w.is("logins on the target", w.logins(), "0")
	w.Person("bo").ClosesAll()
	w.connect(w.takes("bo", "the catalog is locked"))
}

// locksRoles keeps everybody from making or changing roles on the target until the function returned is called.
func (w *world) locksRoles() (unlock func()) {
	w.t.Helper()
	conn, err := pgx.Connect(w.ctx, w.Target.URL("orders"))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := conn.Exec(w.ctx, "BEGIN; LOCK TABLE pg_authid IN EXCLUSIVE MODE"); err != nil {
		w.t.Fatal(err)
	}
	return func() { _ = conn.Close(context.WithoutCancel(w.ctx)) }
}

// waitsForRoles waits until the bot waits for the lock of locksRoles.
func (w *world) waitsForRoles() {
	w.t.Helper()
	w.eventually("the bot is making the login", func() (bool, error) {
		return w.target(`SELECT count(*) FROM pg_locks WHERE NOT granted`) != "0", nil
	})
}

// SIGTERM while a login is being made: it is finished and shown, or taken back; never half of it.
func TestStoppingWhileALoginIsMade(t *testing.T) {
	t.Parallel()
	t.Run("finished", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, stage.Options{})
		b := w.serve()
		id := w.asks("bo", "read-only", "1h", "stopped half way")
		w.clicksOn("dora", "Approve", "stopped half way")
		unlock := w.locksRoles()
		w.clicksOn("bo", "Get credentials", "stopped half way")
		w.waitsForRoles()
		stopped := make(chan error, 1)
		go func() { stopped <- b.Stop(t.Context()) }()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := b.WaitsForLog(ctx, "stopping: finishing what is in hand"); err != nil {
			t.Fatal(err)
		}
		unlock()
		if err := <-stopped; err != nil {
			t.Errorf("stopping: %v", err)
		}
		w.connect(w.credential("bo"))
		w.is("the grant", w.grant(id), "active")
		w.is("shown", w.audited(id, "grant.shown", false), 1)
	})
	// Over HTTP Slack finds the replica as long as it listens. What comes after the signal is turned away, not acknowledged.
	t.Run("and pressed meanwhile", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, stage.Options{HTTP: true})
		b := w.serve()
		w.asks("bo", "read-only", "1h", "stopped half way")
		w.clicksOn("dora", "Approve", "stopped half way")
		late := w.asks("ana", "read-only", "30m", "pressed too late")
		w.cardSays("ana", "pressed too late", "Get credentials")
		unlock := w.locksRoles()
		w.clicksOn("bo", "Get credentials", "stopped half way")
		w.waitsForRoles()
		stopped := make(chan error, 1)
		go func() { stopped <- b.Stop(t.Context()) }()
		w.eventually("the probe says that it stops", func() (bool, error) {
			status, _ := ready(t.Context(), b.URL())
			return status == http.StatusServiceUnavailable, fmt.Errorf("it says %d", status)
		})
		r := w.Person("ana").Clicks("Get credentials", sandbox.InMessage(), sandbox.With("pressed too late"))
		if r.Err() == nil {
			t.Errorf("the press was acknowledged: %q", r.Text)
		}
		w.is("intents", w.audited(late, "grant.intended", false), 0)
		unlock()
		if err := <-stopped; err != nil {
			t.Errorf("stopping: %v", err)
		}
		w.connect(w.credential("bo"))
		w.is("the request that was pressed too late", w.request(late), "approved")
		w.serve()
		w.connect(w.takes("ana", "pressed too late"))
	})
	// The last replica stops while it takes a login back: what that records is sealed, or it would look forged later.
	t.Run("and everything is sealed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, stage.Options{})
		b := w.serve()
		id, _ := w.gets("bo", "1h", "released at the last moment")
		unlock := w.locksRoles()
		w.clicksOn("bo", "Release", "released at the last moment")
		w.waitsForRoles()
		stopped := make(chan error, 1)
		go func() { stopped <- b.Stop(t.Context()) }()
		// Whatever stops before the grants has stopped.
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := b.WaitsForLog(ctx, `"step":"grants"`); err != nil {
			t.Fatal(err)
		}
		unlock()
		if err := <-stopped; err != nil {
			t.Errorf("stopping: %v", err)
		}
		w.is("locked out while stopping", w.audited(id, "grant.secured", false), 1)
		w.is("events without a seal", w.store(`SELECT count(*) FROM audit_unsealed`), 0)
	})
	t.Run("taken back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, stage.Options{Environ: []string{"PRODACCESS_SHUTDOWN_TIMEOUT=2s"}})
		b := w.serve()
		id := w.asks("bo", "read-only", "1h", "cut off half way")
		w.clicksOn("dora", "Approve", "cut off half way")
		unlock := w.locksRoles()
		w.clicksOn("bo", "Get credentials", "cut off half way")
		w.waitsForRoles()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := b.Stop(ctx); err != nil && ctx.Err() != nil {
			t.Fatal(err)
		}
		unlock()
		w.serve()
		w.eventually("the request may be taken again", func() (bool, error) {
			is := w.request(id)
			return is == "approved", fmt.Errorf("it is %s, its grant %s", is, w.grant(id))
		})
		w.Person("bo").ClosesAll()
		w.connect(w.takes("bo", "cut off half way"))
		w.eventually("one login is there, the one that was shown", func() (bool, error) { return w.logins() == "1", nil })
	})
}

// Who pressed must be known for sure: a Slack that does not say who somebody is makes nobody an approver.
func TestNobodyIsAnApproverWhileSlackDoesNotSayWhoTheyAre(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	id := w.asks("bo", "read-only", "1h", "who is dora")
	w.sees("dora", "who is dora")
	w.Slack.Fail("users.info", sandbox.Fault{Error: "internal_error"})
	w.says(w.clicksOn("dora", "Approve", "who is dora"), "Slack did not say who you are")
	w.refused("request.approved", "dora", "not-known")
	w.is("the request", w.request(id), "pending")
	w.Slack.Heal()
	w.clicksOn("dora", "Approve", "who is dora")
	w.is("the request", w.request(id), "approved")
}

// A window that does not open shows nothing: the login is taken back and the press can be made again.
func TestAWindowThatDoesNotOpenLeavesNoLogin(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{}, nil)
	id := w.asks("bo", "read-only", "1h", "no window")
	w.clicksOn("dora", "Approve", "no window")
	w.cardSays("bo", "no window", "[Get credentials]")
	w.Slack.Fail("views.open", sandbox.Fault{Error: "internal_error"})
	w.says(w.clicksOn("bo", "Get credentials", "no window"), "nothing was shown and the login is being taken back")
	w.becomes(id, "revoked")
	w.is("logins on the target", w.logins(), "0")
	w.Slack.Heal()
	w.eventually("the request may be taken again", func() (bool, error) { return w.request(id) == "approved", nil })
	w.cardSays("bo", "no window", "The last try to make a login failed", "[Get credentials]")
	w.connect(w.takes("bo", "no window"))
	w.is("logins on the target", w.logins(), "1")
}

// "Not found" counts as revoked only on the cluster the login was made on: another one that answers under the name of a
// target, as after a wrong edit or a failover to the wrong place, must not make a grant look over.
func TestAnotherClusterUnderTheNameOfATargetProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stage.Options{Sweep: "@every 2s"})
	w.Conf.Overdue = "2s"
	if err := w.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	b := w.serve()
	id, url := w.gets("bo", "1h", "the cluster is swapped")
	right := w.Conf.AdminURL
	for _, sql := range []string{"CREATE ROLE prodaccess_admin LOGIN CREATEROLE PASSWORD 'other'", "CREATE DATABASE orders"} {
		if err := w.as(w.Store.URL("postgres"), sql); err != nil {
			t.Fatal(err)
		}
	}
	serveWith := func(admin string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		w.Conf.AdminURL = admin
		if err := w.WriteConfig(); err != nil {
			t.Fatal(err)
		}
		b = w.serve()
	}
	serveWith(w.Store.UserURL("prodaccess_admin", "other", "orders"))
	w.comesDue(id)
	w.cardSays("sam", "OVERDUE", "another cluster answers")
	w.is("the grant while another cluster answers", w.grant(id), "revoking")

	serveWith(right)
	w.becomes(id, "revoked")
	w.sees("sam", "No longer overdue")
	w.refusedLogin("after the right cluster is back", url)
}
