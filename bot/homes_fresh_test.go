package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/internal/outbox"
	"github.com/prodaccess/prodaccess/sandbox"
)

// TestOthersHomesAreKeptFresh changes what waits for others who look at their Home and press nothing.
func TestOthersHomesAreKeptFresh(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.bo.OpensHome())
		w.does(w.cy.OpensHome())
		w.home(w.bo, "You have no access now.")
		w.home(w.cy, "You have no access now.")
		w.does(w.ana.Command(askLine))
		w.home(w.bo, "What waits for my answer")
		w.home(w.cy, "What waits for my answer")
		w.button(w.bo, "Approve")
		w.does(w.bo.Clicks("Approve", sandbox.InHome()))
		w.homeWithout(w.cy, "What waits for my answer")
	})
}

// TestAStormOfChangesIsAHandfulOfPublishes changes one request a hundred times while three people look at their Homes.
func TestAStormOfChangesIsAHandfulOfPublishes(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	now := &clock{now: time.Now()}
	w.bot.now = now.Now
	w.homes.wanted = func(time.Time) {} // the rounds are run by hand
	for _, who := range []*sandbox.Actor{w.ana, w.bo, w.cy} {
		w.bot.homes.open(who.ID(), now.Now())
		no(t, w.homes.HomeOpened(t.Context(), who.ID(), now.Now(), time.Time{}, time.Time{}))
		no(t, w.bot.drawHome(t.Context(), who.ID(), true, ""))
	}
	no(t, now.pass(t.Context(), homesEvery))
	before := w.publishes()
	for i := range 100 {
		c, err := w.service.Case(t.Context(), "r7k2m9")
		no(t, err)
		c.Request.Version++
		c.Request.Reason = fmt.Sprintf("reason %d", i)
		w.service.put(c)
		w.bot.wantHomes(t.Context())
		w.bot.freshenHome(w.ana.ID())
	}
	if n := w.homes.rounds; n != 2 {
		t.Errorf("a hundred changes at one moment ask for %d rounds, not one now and one for the rest", n)
	}
	for {
		err := w.bot.FreshenHomes(t.Context())
		if err == nil {
			break
		}
		if u := undelivered(t, err); u.Permanent || u.After <= 0 {
			t.Fatal(err)
		}
		no(t, now.pass(t.Context(), homesEvery))
	}
	if n := w.publishes() - before; n < 3 || n > 4 {
		t.Errorf("%d publishes for three Homes", n)
	}
	for _, who := range []*sandbox.Actor{w.bo, w.cy} {
		w.home(who, "reason 99")
	}
	// Nothing changed since: a look publishes nothing.
	no(t, now.pass(t.Context(), homesEvery))
	before = w.publishes()
	w.bot.wantHomes(t.Context())
	no(t, w.bot.FreshenHomes(t.Context()))
	if n := w.publishes() - before; n != 0 {
		t.Errorf("%d publishes of what was shown already", n)
	}
}

// TestManyHomesTakeTurns has more people look than one run draws; the next runs draw the rest.
func TestManyHomesTakeTurns(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	now := &clock{now: time.Now()}
	w.bot.now = now.Now
	w.homes.wanted = func(time.Time) {}
	for i := range mostFreshened + 3 {
		who := w.ws.AddPerson(sandbox.Person{Name: fmt.Sprintf("p%d", i), Email: fmt.Sprintf("p%d@example.com", i)})
		no(t, w.homes.HomeOpened(t.Context(), who.ID(), now.Now(), time.Time{}, time.Time{}))
	}
	no(t, now.pass(t.Context(), homesEvery))
	w.bot.wantHomes(t.Context())
	if u := undelivered(t, w.bot.FreshenHomes(t.Context())); u.Permanent || u.After != homesEvery || w.publishes() != mostFreshened {
		t.Errorf("%d publishes in one run, then %v", w.publishes(), u)
	}
	no(t, now.pass(t.Context(), homesEvery))
	no(t, w.bot.FreshenHomes(t.Context()))
	if n := w.publishes(); n != mostFreshened+3 {
		t.Errorf("%d publishes in all", n)
	}
}

// TestARunEndsWhereAnotherWaits has a job filed while one runs: the one that runs leaves the rest to it, and otherwise comes again just
// when the rest is due.
func TestARunEndsWhereAnotherWaits(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	now := &clock{now: noon}
	w.bot.now = now.Now
	w.homes.wanted = func(time.Time) {}
	no(t, w.homes.HomeOpened(t.Context(), w.bo.ID(), now.Now(), now.Now().Add(2*time.Second), time.Time{}))
	if u := undelivered(t, w.bot.FreshenHomes(t.Context())); u.Permanent || u.After != 2*time.Second || !errors.Is(u, ErrInLine) {
		t.Errorf("with a Home that is due in two seconds: %v", u)
	}
	w.homes.waiting = true
	no(t, w.bot.FreshenHomes(t.Context()))
}

// TestFresheningEndsWithItsJob draws nothing for a job whose time is over.
func TestFresheningEndsWithItsJob(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	no(t, w.homes.HomeOpened(t.Context(), w.bo.ID(), time.Now(), time.Now(), time.Time{}))
	over, end := context.WithCancel(t.Context())
	end()
	if _, err := w.bot.freshen(over, outbox.Home{User: w.bo.ID()}); err != nil {
		t.Error(err)
	}
	if n := w.publishes(); n != 0 {
		t.Errorf("%d publishes after the job was ended", n)
	}
}

func TestFresheningTrouble(t *testing.T) {
	t.Parallel()
	w := drawable(t, nil)
	now := &clock{now: time.Now()}
	w.bot.now, w.bot.pace = now.Now, newPacer(now.Now)
	w.homes.wanted = func(time.Time) {}
	no(t, w.homes.HomeOpened(t.Context(), w.bo.ID(), now.Now(), time.Time{}, time.Time{}))
	no(t, now.pass(t.Context(), homesEvery))
	w.bot.wantHomes(t.Context())
	// Slack asks for a pause: the Home stays stale and the job comes again.
	w.ws.Fail("views.publish", sandbox.Fault{Error: "ratelimited", RetryAfter: time.Second, Times: 1})
	if u := undelivered(t, w.bot.FreshenHomes(t.Context())); u.Permanent || u.After != time.Second {
		t.Errorf("when Slack asks for a pause: %v", u)
	}
	no(t, now.pass(t.Context(), homesEvery))
	no(t, w.bot.FreshenHomes(t.Context()))
	w.home(w.bo, "What waits for my answer")
	// What cannot be read leaves the Home as it is, and is not worth coming again for.
	no(t, now.pass(t.Context(), homesEvery))
	w.bot.wantHomes(t.Context())
	w.service.failing("Answerable", errors.New("the store is down"))
	no(t, w.bot.FreshenHomes(t.Context()))
	w.home(w.bo, "What waits for my answer")
	// Where the store of Homes does not answer, a drawing of the request goes on.
	w.homes.mu.Lock()
	w.homes.fail = errors.New("the store is down")
	w.homes.mu.Unlock()
	no(t, now.pass(t.Context(), homesEvery))
	w.draws("r7k2m9")
	undelivered(t, w.bot.FreshenHomes(t.Context()))
}

func TestOperatorsHome(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.service.operations = writings["ordinary"].operations()
		w.service.operations.Overdue = w.service.operations.Overdue[:1]
		w.service.operations.More = 0
		w.does(w.bo.OpensHome())
		seen := w.home(w.bo, "Overdue revocations")
		for _, want := range []string{"7 failed tries", "#security was told", "NOLOGIN", "Left behind by visitors", "with pa_quarantine"} {
			if !strings.Contains(seen, want) {
				t.Errorf("the operator's Home lacks %q:\n%s", want, seen)
			}
		}
		w.service.failing("RevokeAgain", refusal(approvals.NotApprover, "Only the operators that the policy names may do this."))
		w.does(w.bo.Clicks("Revoke again", sandbox.InHome()))
		w.window(w.bo, "Only the operators that the policy names may do this.")
		w.does(w.bo.Closes())
		w.service.failing("RevokeAgain", nil)
		w.does(w.bo.Clicks("Revoke again", sandbox.InHome()))
		w.window(w.bo, "is locked and has no session left")
		w.does(w.bo.Closes())
		w.homeWithout(w.bo, "Overdue revocations")
		w.does(w.bo.Clicks("Dealt with", sandbox.InHome()))
		w.homeWithout(w.bo, "Left behind by visitors")
	})
}

// TestWhoIsNoOperatorSeesNothing draws Homes for those to whom operations are no business.
func TestWhoIsNoOperatorSeesNothing(t *testing.T) {
	t.Parallel()
	if blocks := operatorsAtHome(home{}); len(blocks) != 0 {
		t.Errorf("somebody who is no operator sees %d blocks", len(blocks))
	}
}

func TestTriedWords(t *testing.T) {
	t.Parallel()
	states := writings["ordinary"].states()
	for state, want := range map[string]string{
		"over-expired": "is gone. Verified", "cleanup": "is locked and has no session left", "revoking-overdue": "still not locked (7 failed tries",
	} {
		if got := triedWords(*states[state].Grant); !strings.Contains(got, want) {
			t.Errorf("of %s it is said %q", state, got)
		}
	}
	if g := *states["active-due"].Grant; strings.Contains(fmt.Sprint(endless(g, "x", "Revoke again").BlockType()), "actions") || g.State != grants.Active {
		t.Error("what nobody ended has a button")
	}
}

// What a count says stays true however long it stands.
func TestTimeLeft(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]string{
		time.Hour: "at most 1h left", time.Hour - time.Second: "at most 1h left", 61 * time.Second: "at most 2m left", 12*time.Minute + time.Second: "at most 13m left",
		time.Minute: "at most 1m left", 59*time.Second + time.Millisecond: "at most 1m left", 1500 * time.Millisecond: "at most 2s left",
	} {
		if got := timeLeft(noon.Add(left), noon); got != want {
			t.Errorf("with %s left: %q", left, got)
		}
	}
}
