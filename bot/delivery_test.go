package bot

import (
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/sandbox"
	"github.com/slack-go/slack"
)

// What Slack sends again is known by the name that it has each time.
func TestWhatIsTypedAgainByADeliveryIsDoneOnce(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(w *world) {
		w.does(w.ana.Command(askLine))
		w.button(w.bo, "Approve")
		w.does(w.bo.Clicks("Approve"))
		w.button(w.ana, "Get credentials")
		w.does(w.ana.Clicks("Get credentials"))
		w.window(w.ana, canary)
		before := w.service.ends("r1")
		twice := func(act sandbox.Reply) {
			w.Helper()
			w.does(act)
			w.does(w.ws.Redeliver())
		}
		twice(w.ana.Command("/prodaccess extend 10m"))
		if got := w.service.ends("r1"); got.Sub(before) != 10*time.Minute {
			w.Errorf("10m more are %s", got.Sub(before))
		}
		twice(w.ana.Command("/prodaccess extend 10m")) // typing it again is another wish
		if got := w.service.ends("r1"); got.Sub(before) != 20*time.Minute {
			w.Errorf("10m and 10m more are %s", got.Sub(before))
		}
		// A suggestion is one wish however often it is pressed.
		w.does(w.ana.Command("/prodaccess extend 10min"))
		w.does(w.ana.Clicks("Extend", sandbox.With("Try: ")))
		w.does(w.ws.Redeliver())
		if got := w.service.ends("r1"); got.Sub(before) != 30*time.Minute {
			w.Errorf("a suggestion pressed once made it %s", got.Sub(before))
		}
		twice(w.ana.Command("/prodaccess release r1"))
	})
}

func (f *fakeService) ends(id string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cases[id].Grant.Deadline
}

// A window that is sent to two replicas makes one password, and both name the window that it is shown in alike.
func TestANewPasswordIsMadeOnceForEachWindow(t *testing.T) {
	t.Parallel()
	w := overHTTP(t, sandbox.Options{NoRateLimits: true})
	w.does(w.ana.Command(askLine))
	w.button(w.bo, "Approve")
	w.does(w.bo.Clicks("Approve"))
	w.button(w.ana, "Get credentials")
	w.does(w.ana.Clicks("Get credentials"))
	w.window(w.ana, canary)
	no(t, w.bot.Drain(soon(t)))
	w.ana.ClosesAll()
	w.button(w.ana, "Get credentials") // the card may be being drawn
	w.does(w.ana.Clicks("Get credentials"))
	w.window(w.ana, "New password")
	w.does(w.ana.Submits(nil))
	w.window(w.ana, canary)
	no(t, w.bot.Drain(soon(t)))
	shown := len(w.service.shown)
	w.does(w.ws.Redeliver())
	no(t, w.bot.Drain(soon(t)))
	if n := len(w.service.shown); n != shown {
		t.Errorf("a credential was shown %d times by one window", n-shown+1)
	}
}

// What has no name is never taken for something else without one.
func TestADeliveryWithoutANameIsItsOwn(t *testing.T) {
	t.Parallel()
	first, second := commandDelivery(slack.SlashCommand{}), commandDelivery(slack.SlashCommand{})
	if first == second {
		t.Error("two commands without a trigger are one")
	}
	typed, pressed := commandDelivery(slack.SlashCommand{TriggerID: "1.2.x"}), pressDelivery(slack.InteractionCallback{TriggerID: "1.2.x"})
	if again := commandDelivery(slack.SlashCommand{TriggerID: "1.2.x"}); typed != again || typed == pressed {
		t.Errorf("the same trigger is %q, %q and, pressed, %q", typed, again, pressed)
	}
}
