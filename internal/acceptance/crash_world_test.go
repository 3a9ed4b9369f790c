package acceptance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/prodaccess/prodaccess/internal/faultproxy"
	"github.com/prodaccess/prodaccess/internal/stage"
	"github.com/prodaccess/prodaccess/sandbox"
)

// mortal is a world whose bot reaches its store and the target through proxies that can stop it at any step, to be
// killed there.
type mortal struct {
	*world
	toStore, toTarget *faultproxy.Proxy
	bot               *stage.Bot
	// storeConn and targetConn are the tests' own, kept open because so much is asked. They do not go through the proxies.
	storeConn, targetConn *pgx.Conn
}

func newMortal(t *testing.T, opts stage.Options) *mortal {
	t.Helper()
	m := &mortal{world: newWorld(t, opts)}
	m.toStore, m.Conf.ServiceURL = m.between(m.Conf.ServiceURL)
	m.toTarget, m.Conf.AdminURL = m.between(m.Conf.AdminURL)
	if err := m.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	m.storeConn, m.targetConn = m.connect(m.Store.URL("prodaccess")), m.connect(m.Target.URL("orders"))
	m.bot = m.serve()
	return m
}

// store asks the store as its superuser for one value.
func (m *mortal) store(sql string, args ...any) string {
	m.t.Helper()
	return askOn(m.t, m.storeConn, sql, args...)
}

// target asks the target as its superuser for one value.
func (m *mortal) target(sql string, args ...any) string {
	m.t.Helper()
	return askOn(m.t, m.targetConn, sql, args...)
}

// between puts a proxy in front of a server.
func (m *mortal) between(url string) (*faultproxy.Proxy, string) {
	m.t.Helper()
	proxy, err := faultproxy.InFrontOf(url)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(proxy.Close)
	return proxy, proxy.Through(url)
}

// moment is a step of the bot's work, before or after which it is killed.
type moment struct {
	place  string // "store" or "target"
	when   faultproxy.When
	number int
}

func (at moment) String() string { return fmt.Sprintf("%s %s step %02d", at.when, at.place, at.number) }

// deed is something that the bot does and may be killed doing.
type deed struct {
	// request is what it is about, empty for one that is about to be filed.
	request string
	// reason tells the request's messages from others.
	reason string
	// begin is the act of a person that starts it, or what lets time start it.
	begin func() sandbox.Reply
	// done says that it is over.
	done func() bool
	// counts says which steps in the store are its own; nil is every one of a transaction that writes. In the target every
	// one about a login is.
	counts func(faultproxy.Step) bool
}

// fate is what came of a deed.
type fate struct {
	moment
	deed
	killed bool
	// said is what came of the act that began it.
	said sandbox.Reply
	// since is when the bot was dead.
	since time.Time
}

// acknowledged says that whoever began it was told that it was taken.
func (f fate) acknowledged() bool { return !turnedAway(f.said) }

// turnedAway says that whoever acted was not answered, or told to try again: on a machine that does much else the bot gives
// up what takes longer than Slack waits, and says so.
func turnedAway(r sandbox.Reply) bool {
	return r.Err() != nil || slices.ContainsFunc(append(r.Posts(), r.Text), func(told string) bool {
		return strings.Contains(told, "on our side") || strings.Contains(told, "Slack did not say")
	})
}

// tryAgainAfter is how long a person waits, after they were turned away, for what they wanted to happen all the same.
const tryAgainAfter = 5 * time.Second

// kills begins a deed, kills the bot with signal 9 when it stands at the moment, and starts it again. A deed that is over
// before the moment comes is left in peace. Whoever is turned away before it begins tries again.
func (m *mortal) kills(at moment, d deed) fate {
	m.t.Helper()
	armed := m.arm(at, d)
	out := fate{moment: at, deed: d}
	reply := make(chan sandbox.Reply, 1)
	begin := func() { reply <- d.begin() }
	go begin()
	var answered time.Time // zero while the answer is waited for
	for deadline := time.Now().Add(2 * patience); !out.killed && !d.done(); {
		select {
		case <-armed.Reached():
			out.killed = true
		case out.said = <-reply:
			answered = time.Now()
		case <-time.After(5 * time.Millisecond):
			switch {
			case time.Now().After(deadline):
				m.t.Fatalf("%s is not reached, and it is not done either; so far: %s", at, brief(armed.Counted()))
			case !answered.IsZero() && time.Since(answered) > tryAgainAfter && turnedAway(out.said) && !armed.Disarm():
				m.t.Logf("%s: turned away: %v %q %q", at, out.said.Err(), out.said.Text, out.said.Posts())
				armed, answered = m.arm(at, d), time.Time{}
				go begin()
			}
		}
	}
	if armed.Disarm() {
		<-armed.Reached()
		out.killed = true
	}
	if out.killed {
		m.bot.Kill()
		out.since = time.Now()
		m.explained()
		m.bot = m.serve()
	} else {
		m.t.Logf("%s is never reached; all steps: %s", at, brief(armed.Counted()))
	}
	// Socket Mode delivers once more what the dead bot did not acknowledge; HTTP does not.
	if answered.IsZero() {
		out.said = <-reply
	}
	return out
}

// throughout kills the bot at each step of a deed in turn, before it and after it, each time in a new deed, until one is
// done before its moment comes. after, if there is one, looks at what came of each.
func (m *mortal) throughout(place string, prepare func(name string) deed, after func(fate)) []fate {
	m.t.Helper()
	const most = 40
	var all []fate
	for _, when := range []faultproxy.When{faultproxy.Before, faultproxy.After} {
		for number := 1; ; number++ {
			at := moment{place, when, number}
			f := m.kills(at, prepare(at.String()))
			all = append(all, f)
			if after != nil {
				after(f)
			}
			if !f.killed {
				break
			}
			if number == most {
				m.t.Fatalf("after %d steps in the %s it is still not done", most, place)
			}
		}
	}
	return all
}

// arm sets the trap on what the deed does, and on nothing that goes on beside it.
func (m *mortal) arm(at moment, d deed) *faultproxy.Armed {
	m.t.Helper()
	others := strings.Fields(m.store(`
		SELECT coalesce(string_agg(id, ' '), '') FROM (
			SELECT id FROM requests WHERE id <> $1 UNION SELECT id FROM grants WHERE request_id <> $1) AS everything`, d.request))
	proxy, own := m.toStore, writes
	switch {
	case at.place == "target":
		proxy, own = m.toTarget, aboutALogin
	case d.counts != nil:
		own = d.counts
	}
	return proxy.Arm(faultproxy.Trap{When: at.when, Number: at.number, Counts: func(s faultproxy.Step) bool {
		transaction := append(slices.Clone(s.Earlier), s)
		if at.place == "store" && at.when == faultproxy.After && !s.Runs("commit") {
			// Inside a transaction it is the moment before the next step: the client does nothing in between.
			return false
		}
		return slices.ContainsFunc(transaction, own) && !slices.ContainsFunc(transaction, func(s faultproxy.Step) bool {
			return slices.ContainsFunc(others, s.Mentions)
		})
	}})
}

var changing = regexp.MustCompile(`(?is)\b(INSERT INTO|UPDATE) (requests|approvals|grants)\b|\bFROM (requests|grants)\b.*\bFOR UPDATE`)

// writes is a statement that changes, or locks in order to change, what the life of a request is kept in.
func writes(s faultproxy.Step) bool { return slices.ContainsFunc(s.SQL, changing.MatchString) }

// takesDue is the statement by which the reaper takes grants at their deadline.
func takesDue(s faultproxy.Step) bool { return s.Runs("SKIP LOCKED") && s.Runs("FROM grants") }

// aboutALogin is whatever is asked of a target about one of ana's logins; pings, and sweeps of all, are not.
func aboutALogin(s faultproxy.Step) bool { return s.Mentions("pa_ana_") }

// brief is the beginning of each statement, for the log.
func brief(statements []string) string {
	var out []string
	for _, sql := range statements {
		words := strings.Join(strings.Fields(sql), " ")
		out = append(out, words[:min(60, len(words))])
	}
	return strings.Join(out, " │ ")
}
