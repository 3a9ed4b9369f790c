package bot

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// home waits until somebody's Home shows words.
func (w *world) home(who *sandbox.Actor, words string) string {
	w.Helper()
	v, err := who.WaitsForHome(soon(w.T), words)
	no(w.T, err)
	return v.Text
}

// homeLeaves waits until somebody's Home says how much time is left; a slow machine reads it a little later.
func (w *world) homeLeaves(who *sandbox.Actor, minutes int) {
	w.Helper()
	left := regexp.MustCompile(fmt.Sprintf(`(%dm|%dm[0-9]+s) left`, minutes, minutes-1))
	for ctx := soon(w.T); ; time.Sleep(5 * time.Millisecond) {
		no(w.T, ctx.Err())
		for _, v := range w.ws.Views() {
			if v.Kind == "home" && v.Owner == who.Name() && left.MatchString(v.Text) {
				return
			}
		}
	}
}

// homeWithout waits until somebody's Home does not show words any more.
func (w *world) homeWithout(who *sandbox.Actor, words string) {
	w.Helper()
	for ctx := soon(w.T); ; time.Sleep(5 * time.Millisecond) {
		no(w.T, ctx.Err())
		for _, v := range w.ws.Views() {
			if v.Kind == "home" && v.Owner == who.Name() && !strings.Contains(v.Text, words) {
				return
			}
		}
	}
}

func (w *world) publishes() int { return w.calls("views.publish") }

func TestHomeStory(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.OpensHome())
		w.home(w.ana, "You have no access now.")
		w.does(w.ana.Clicks("Ask for access", sandbox.InHome()))
		w.window(w.ana, "Request access")
		w.does(w.ana.Fills(map[string]string{"Database": "orders-prod"}))
		w.does(w.ana.Fills(map[string]string{"Access": "read-only"}))
		w.does(w.ana.Submits(map[string]string{"Duration": "30m", "Reason": "checkout is failing"}))
		w.home(w.ana, "Waiting for approval")

		w.does(w.bo.OpensHome())
		asked := w.home(w.bo, "What waits for my answer")
		for _, want := range []string{"ana", "ana@example.com", "read-only", "orders-prod", "30m", "checkout is failing", "one of @dba"} {
			if !strings.Contains(asked, want) {
				t.Errorf("the approver's Home lacks %q:\n%s", want, asked)
			}
		}
		w.does(w.bo.Clicks("Approve", sandbox.InHome()))
		w.homeWithout(w.bo, "What waits for my answer")

		w.home(w.ana, "Waiting for me to take")
		w.does(w.ana.Clicks("Get credentials", sandbox.InHome()))
		w.window(w.ana, canary)
		w.does(w.ana.Closes())
		w.homeLeaves(w.ana, 30)
		w.does(w.ana.Clicks("Extend", sandbox.InHome()))
		w.window(w.ana, "Extend access")
		w.does(w.ana.Submits(map[string]string{"Duration": "15m"}))
		w.window(w.ana, "Extended: it ends")
		w.does(w.ana.Closes())
		w.homeLeaves(w.ana, 45)
		w.does(w.ana.Clicks("Get credentials", sandbox.InHome()))
		w.window(w.ana, "A new one can be made")
		w.does(w.ana.Closes())
		w.does(w.ana.Clicks("Release", sandbox.InHome()))
		w.home(w.ana, "being taken back")
		w.drawing.Wait()
		for _, v := range w.ws.Views() {
			for _, raw := range v.Raw {
				if v.Kind == "home" && strings.Contains(raw, canary) {
					t.Error("the password is on the Home tab")
				}
			}
		}
	})
}

func TestHomeCancelAndDeny(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.OpensHome())
		w.does(w.bo.OpensHome())
		w.home(w.bo, "You have no access now.")
		w.does(w.ana.Command(askLine))
		w.does(w.bo.OpensHome())
		w.home(w.bo, "What waits for my answer")
		w.does(w.bo.Clicks("Deny", sandbox.InHome()))
		w.window(w.bo, "Deny request")
		w.does(w.bo.Submits(map[string]string{"Reason": "use the replica"}))
		w.homeWithout(w.bo, "What waits for my answer")
		w.home(w.ana, "Denied by bo")

		// What nobody has answered yet is taken back here too: the direct message may be far up, or gone.
		w.does(w.ana.Command(strings.Replace(askLine, "INC-123", "INC-125", 1)))
		w.home(w.ana, "Waiting for an answer")
		w.does(w.ana.Clicks("Cancel", sandbox.InHome()))
		w.homeWithout(w.ana, "Waiting for an answer")
		if c, err := w.service.Case(t.Context(), "r2"); err != nil || c.Request.State != approvals.Cancelled {
			t.Errorf("what was cancelled is %s, %v", c.Request.State, err)
		}

		w.does(w.ana.Command(strings.Replace(askLine, "INC-123", "INC-124", 1)))
		w.does(w.bo.OpensHome())
		w.home(w.bo, "INC-124")
		w.does(w.bo.Clicks("Approve", sandbox.InHome()))
		w.home(w.ana, "Waiting for me to take")
		w.does(w.ana.Clicks("Cancel", sandbox.InHome()))
		w.homeWithout(w.ana, "Waiting for me to take")
	})
}

func TestHomeOfStrangersIsWords(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.failing("Answerable", refusal(approvals.NotEligible, "Guests can neither ask nor approve."))
		w.does(w.bo.OpensHome())
		if seen := w.home(w.bo, "Guests can neither ask nor approve."); strings.Contains(seen, "[") {
			t.Errorf("a guest's Home has buttons:\n%s", seen)
		}
	})
}

func TestHomeThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.service.failing("Cases", errors.New("the store is down"))
	w.does(w.ana.OpensHome())
	seen := w.home(w.ana, "reference ")
	if strings.Contains(seen, "store") || !strings.Contains(seen, "Open this tab again") || !strings.Contains(w.log(), "the store is down") {
		t.Errorf("the Home is %s", seen)
	}
	// Somebody who looks at a good Home keeps it when the next cannot be read.
	w.service.failing("Cases", nil)
	w.does(w.ana.OpensHome())
	w.home(w.ana, "You have no access now.")
	w.service.failing("Cases", errors.New("the store is down"))
	before := w.publishes()
	w.does(w.ana.Command(askLine))
	for ctx := soon(t); !strings.Contains(w.log(), "a home was not redrawn"); time.Sleep(5 * time.Millisecond) {
		no(t, ctx.Err())
	}
	w.drawing.Wait()
	if w.publishes() != before {
		t.Error("a good Home was replaced by an error")
	}
}

func TestHomeRefusalsAreShown(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		w.does(w.bo.OpensHome())
		w.home(w.bo, "checkout is failing")
		w.service.failing("Approve", refusal(approvals.NotApprover, "Only @dba may."))
		w.does(w.bo.Clicks("Approve", sandbox.InHome()))
		w.window(w.bo, "Only @dba may.")
		w.does(w.bo.Closes())
		// A window that does not open leaves the tab itself.
		w.ws.Fail("views.open", sandbox.Fault{Error: "expired_trigger_id", Times: 1})
		w.does(w.bo.Clicks("Approve", sandbox.InHome()))
		w.home(w.bo, "Only @dba may.")
		w.does(w.bo.OpensHome())
		w.homeWithout(w.bo, "Only @dba may.")
	})
}

// TestStaleHome presses what is on a Home that is out of date: authority and state are those of now, and the Home catches up.
func TestStaleHome(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command(askLine))
	w.does(w.bo.OpensHome())
	w.home(w.bo, "checkout is failing")
	_, err := w.service.Cancel(t.Context(), approvals.Press{By: w.ana.ID(), Request: "r1"})
	no(t, err)
	w.does(w.bo.Clicks("Approve", sandbox.InHome()))
	w.window(w.bo, "This was decided before.")
	w.homeWithout(w.bo, "checkout is failing")
}

func TestOnlyOpenedHomesAreKeptFresh(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	w.draws("r7k2m9")
	if n := w.publishes(); n != 0 {
		t.Errorf("%d Homes were published that nobody opened", n)
	}
	w.bot.homes.open(w.ana.ID(), time.Now())
	w.draws("r7k2m9")
	w.home(w.ana, "Waiting for approval")
	w.bot.homes.open(w.ana.ID(), time.Now().Add(-2*openedLately))
	before := w.publishes()
	w.draws("r7k2m9")
	if w.publishes() != before {
		t.Error("a Home was published that was opened long ago")
	}
	// A Home is not a promise: a job does not come again for it.
	w.bot.homes.open(w.ana.ID(), time.Now())
	w.ws.Fail("views.publish", sandbox.Fault{Error: "internal_error"})
	w.draws("r7k2m9")
}

func TestHomeOutlivesSlacksTrouble(t *testing.T) {
	t.Parallel()
	w := overSocket(t, sandbox.Options{NoRateLimits: true})
	w.ws.Fail("views.publish", sandbox.Fault{Error: "ratelimited", RetryAfter: time.Second, Times: 1})
	w.does(w.ana.OpensHome())
	w.home(w.ana, "You have no access now.")
}

// TestHomesDoNotOvertake redraws one Home from many sides while its request changes; what stays is the last state.
func TestHomesDoNotOvertake(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	w.bot.homes.open(w.ana.ID(), time.Now())
	var drawing sync.WaitGroup
	for i := range 8 {
		drawing.Go(func() {
			c, err := w.service.Case(t.Context(), "r7k2m9")
			if err != nil {
				t.Error(err)
				return
			}
			c.Request.Profile = fmt.Sprintf("profile-%d", i)
			w.service.put(c)
			w.bot.redrawHome(w.ana.ID())
		})
	}
	drawing.Wait()
	c, err := w.service.Case(t.Context(), "r7k2m9")
	no(t, err)
	w.home(w.ana, c.Request.Profile)
}

func TestHomesAreBounded(t *testing.T) {
	t.Parallel()
	var h homes
	h.open("first", noon)
	for i := range mostHomes + 10 {
		h.open(fmt.Sprint(i), noon.Add(time.Second+time.Duration(i)))
	}
	if len(h.of) > mostHomes {
		t.Errorf("%d are remembered", len(h.of))
	}
	if h.lately("first", noon.Add(time.Minute)) || !h.lately(fmt.Sprint(mostHomes), noon.Add(time.Minute)) {
		t.Error("not the oldest was forgotten")
	}
}

// homes are what the golden Homes show.
func (w writing) homes() map[string]home {
	numbered := func(n int, c approvals.Case) (out []approvals.Case) {
		for i := range n {
			c.Request.ID = fmt.Sprintf("r%d", i)
			out = append(out, c)
		}
		return out
	}
	states := w.states()
	var recent []approvals.Case
	for _, name := range []string{
		"pending", "approved", "active", "revoking-overdue", "over-released", "over-failed", "denied-by-person", "denied-by-policy", "cancelled", "lapsed-untaken", "cleanup",
	} {
		recent = append(recent, states[name])
	}
	return map[string]home{
		"empty": {},
		"full": {
			note: mrkdwn(w.why, 500), live: append(numbered(w.many, states["active"]), states["revoking-overdue"]), take: numbered(w.many, states["approved-at-once"]),
			asked: numbered(w.many, states["pending"]), answer: numbered(w.many, states["pending-half"]), recent: recent,
			review: append(numbered(w.many, states["glass-over"]), states["glass-overdue"], states["glass-active"]), broken: []approvals.Case{states["glass-active"]},
			operations: w.operations(), security: "C0SECURITY", again: numbered(min(w.many, mostAgain), states["lapsed-untaken"]), offers: w.offers(),
		},
		"operator-without-work": {operations: approvals.Operations{Operator: true}},
		"operator-unknown":      {operations: approvals.Operations{Unknown: w.why}},
	}
}

// operations are one of each kind, or many.
func (w writing) operations() approvals.Operations {
	states, out := w.states(), approvals.Operations{Operator: true, More: 3}
	for i := range w.many {
		add := func(to *[]grants.Grant, state string, change func(*grants.Grant)) {
			g := *states[state].Grant
			g.ID, g.Engine = fmt.Sprintf("g%d", i), "postgres"
			change(&g)
			*to = append(*to, g)
		}
		add(&out.Overdue, "revoking-overdue", func(*grants.Grant) {})
		add(&out.Overdue, "active-due", func(g *grants.Grant) { g.Engine = "mysql" })
		add(&out.Stuck, "cleanup", func(g *grants.Grant) { g.Attempts, g.LastError = 4, w.note })
		add(&out.LeftBehind, "over-expired", func(*grants.Grant) {})
	}
	return out
}

func (w writing) offers() []approvals.Offer {
	var out []approvals.Offer
	for i := range w.many {
		for _, outcome := range []policy.Outcome{policy.Approved, policy.NeedsApproval, policy.Denied} {
			out = append(out, approvals.Offer{Target: fmt.Sprint(w.target, i), Profile: w.profile, Decision: policy.Decision{
				Outcome: outcome, MaxDuration: time.Hour, Approvals: []policy.Requirement{{From: []string{"group:" + w.rule}, Count: 1}},
			}})
		}
	}
	if len(out) > 0 {
		out[0].Target = w.target
	}
	return out
}

func TestHomeViews(t *testing.T) {
	t.Parallel()
	for kind, written := range writings {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := quiet(t, sandbox.Options{NoRateLimits: true})
			for name, h := range written.homes() {
				view := homeView(h, "/prodaccess", noon)
				if n := len(view.Blocks.BlockSet); n > 100 {
					t.Errorf("%s has %d blocks", name, n)
				}
				raw, err := json.Marshal(view)
				no(t, err)
				if len(raw) > 250_000 {
					t.Errorf("%s has %d bytes", name, len(raw))
				}
				_, err = w.slack.api.PublishViewContext(t.Context(), slack.PublishViewContextRequest{UserID: w.ana.ID(), View: view})
				if err != nil {
					refused, _ := err.(slack.SlackErrorResponse)
					t.Fatalf("slack refuses %s: %v %v", name, err, refused.ResponseMetadata.Messages)
				}
				harmless(t, message{blocks: view.Blocks.BlockSet}, "<#C0SECURITY>")
				golden(t, filepath.Join(kind, "home-"+name), w.home(w.ana, "prodaccess")+"\n")
			}
		})
	}
}

// TestHomeTellsTheTruth holds the Home's words against what is stored.
func TestHomeTellsTheTruth(t *testing.T) {
	t.Parallel()
	for name, c := range writings["ordinary"].states() {
		w := drawable(t, func(into *approvals.Case) {
			requester := into.Request.Requester.ID
			*into = c
			into.Request.Requester.ID = requester
		})
		h, err := w.bot.homeOf(t.Context(), w.ana.ID())
		no(t, err)
		live := c.Request.State == approvals.Activated && c.Grant.SecuredAt.IsZero()
		if (len(h.broken) == 1) != c.Review.Open() || len(h.review) != 0 {
			t.Errorf("%s: %d open reviews, %d to close", name, len(h.broken), len(h.review))
		}
		if (len(h.live) == 1) != live || (len(h.take) == 1) != (c.Request.State == approvals.Approved) || len(h.recent) != 1 ||
			(len(h.asked) == 1) != (c.Request.State == approvals.Pending) {
			t.Errorf("%s: %d live, %d to take, %d asked, %d recent", name, len(h.live), len(h.take), len(h.asked), len(h.recent))
		}
		raw, err := json.Marshal(homeView(h, "/prodaccess", noon))
		no(t, err)
		if strings.Contains(string(raw), " left*") != (live && c.Grant.State == grants.Active && c.Grant.Deadline.After(noon)) {
			t.Errorf("%s: %s", name, raw)
		}
	}
}
