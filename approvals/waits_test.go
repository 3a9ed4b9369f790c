package approvals

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

func TestRemindersPauseTwiceAsLongEachTime(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 10 * time.Minute, 2: 30 * time.Minute, 3: 70 * time.Minute, 4: 150 * time.Minute} {
		at, ok := reminderAt(began, 10*time.Minute, n)
		if !ok || !at.Equal(began.Add(want)) {
			t.Errorf("reminder %d is after %s, want %s", n, at.Sub(began), want)
		}
		if got := remindersBy(began, 10*time.Minute, at); got != n {
			t.Errorf("%d were due at reminder %d", got, n)
		}
		if got := remindersBy(began, 10*time.Minute, at.Add(-1)); got != n-1 {
			t.Errorf("%d were due before reminder %d", got, n)
		}
	}
	for _, n := range []int{0, -1, 41, math.MaxInt} {
		if _, ok := reminderAt(began, time.Second, n); ok {
			t.Errorf("there is no reminder %d", n)
		}
	}
	if _, ok := reminderAt(began, 1000*time.Hour, 30); ok {
		t.Error("a reminder after the end of time")
	}
	if remindersBy(began, 0, began.Add(time.Hour)) != 0 {
		t.Error("the policy does not ask for reminders")
	}
}

func reminded() Case {
	c := pending(one("dba"))
	c.Request.LapsesAt = began.Add(2 * time.Hour)
	c.Request.Decision.Waits.Remind = 10 * time.Minute
	return c
}

func TestAReminderIsSentOnceAndWhatAnOutagePassedOverIsNotMadeUpFor(t *testing.T) {
	c := reminded()
	nothing := func(c Case, at time.Time) {
		t.Helper()
		if _, err := Next(c, Remind{}, at); !errors.Is(err, ErrNoChange) {
			t.Errorf("reminded: %v", err)
		}
	}
	nothing(c, began.Add(9*time.Minute))
	c = must(t, c, Remind{}, began.Add(10*time.Minute))
	nothing(c, began.Add(11*time.Minute))
	late := must(t, c, Remind{}, began.Add(71*time.Minute))
	if late.Request.Reminders != 3 {
		t.Errorf("the number of the last reminder is %d", late.Request.Reminders)
	}
	nothing(late, began.Add(72*time.Minute))
	if at, ok := late.Request.nextReminder(began.Add(71 * time.Minute)); ok {
		t.Errorf("the next one is at %s, after it lapses", at)
	}
	nothing(c, began.Add(2*time.Hour)) // lapsed, though the job that says so has not run
	nothing(must(t, c, yes("bo", 0), began.Add(20*time.Minute)), began.Add(40*time.Minute))
}

func escalated() Case {
	c := pending(one("dba"), one("security"))
	c.Request.LapsesAt = began.Add(2 * time.Hour)
	c.Request.Decision.Escalations = []policy.Escalation{
		{After: 30 * time.Minute, To: []string{"group:managers"}}, {After: 45 * time.Minute, To: []string{"group:directors", "group:dba"}},
	}
	return c
}

func TestEscalationAfterSilence(t *testing.T) {
	c := escalated()
	nothing := func(c Case, at time.Time) {
		t.Helper()
		if _, err := Next(c, Escalate{}, at); !errors.Is(err, ErrNoChange) {
			t.Errorf("escalated: %v", err)
		}
	}
	nothing(c, began.Add(30*time.Minute-1))
	// Somebody answers, and somebody takes it back: both break the silence.
	answered := must(t, c, yes("dora", 0), began.Add(20*time.Minute))
	nothing(answered, began.Add(49*time.Minute))
	must(t, answered, Escalate{}, began.Add(50*time.Minute))
	back := must(t, answered, Withdraw{By: person("dora")}, began.Add(40*time.Minute))
	nothing(back, began.Add(69*time.Minute))
	must(t, back, Escalate{}, began.Add(70*time.Minute))

	c = must(t, c, Escalate{}, began.Add(31*time.Minute))
	if c.Request.Escalated != 1 || !c.Request.EscalatedAt.Equal(began.Add(31*time.Minute)) {
		t.Errorf("%d escalations, the last at %s", c.Request.Escalated, c.Request.EscalatedAt)
	}
	if got := c.Needs(); got != "one of @dba or, since 03:31 UTC, @managers and one of @security or, since 03:31 UTC, @managers" {
		t.Errorf("it needs %s", got)
	}
	if got := Words(c.Waiting()); got != "one of @dba or @managers and one of @security or @managers" {
		t.Errorf("it waits for %s", got)
	}
	nothing(c, began.Add(45*time.Minute-1)) // steps count from the same silence
	c = must(t, c, Escalate{}, began.Add(45*time.Minute))
	if got := c.Needs(); got != "one of @dba or @managers or, since 03:45 UTC, @directors and one of @security or @managers or, since 03:45 UTC, @directors or @dba" {
		t.Errorf("it needs %s", got)
	}
	nothing(c, began.Add(100*time.Minute))
	if len(c.Request.Decision.Approvals[0].From) != 1 {
		t.Error("what was decided has changed")
	}
	// Whoever it was escalated to answers in place of those who were asked first, but never twice.
	c = must(t, c, yes("max", 0, 1), began.Add(50*time.Minute))
	wantRefusal(t, c, yes("max", 0, 1), began.Add(50*time.Minute), AlreadyVoted)
	if c = must(t, c, yes("mia", 0, 1), began.Add(50*time.Minute)); c.Request.State != Approved {
		t.Errorf("state %s", c.Request.State)
	}
	nothing(c, began.Add(60*time.Minute))
	nothing(escalated(), began.Add(2*time.Hour))
}

func TestWhatTimeWillDo(t *testing.T) {
	c := escalated()
	c.Request.Decision.Waits.Remind = 20 * time.Minute
	saw := func(c Case, now time.Time, want ...Upcoming) {
		t.Helper()
		got := c.Upcoming(now)
		if len(got) != len(want) {
			t.Fatalf("time will do %+v", got)
		}
		for i := range want {
			if got[i].What != want[i].What || !got[i].At.Equal(want[i].At) || Selectors(got[i].Who) != Selectors(want[i].Who) {
				t.Errorf("%d: %s at %s with %v, want %s at %s with %v", i, got[i].What, got[i].At, got[i].Who, want[i].What, want[i].At, want[i].Who)
			}
		}
	}
	both := []string{"group:dba", "group:security"}
	saw(c, began, Upcoming{Reminds, began.Add(20 * time.Minute), both},
		Upcoming{Escalates, began.Add(30 * time.Minute), []string{"group:managers"}}, Upcoming{Lapses, began.Add(2 * time.Hour), nil})
	// A reminder that is late is skipped, and what would come after the request has lapsed never comes.
	short := c
	short.Request.LapsesAt = began.Add(25 * time.Minute)
	saw(short, began, Upcoming{Reminds, began.Add(20 * time.Minute), both}, Upcoming{Lapses, began.Add(25 * time.Minute), nil})
	saw(short, began.Add(21*time.Minute), Upcoming{Lapses, began.Add(25 * time.Minute), nil})
	c = must(t, c, Remind{}, began.Add(20*time.Minute))
	c = must(t, c, Escalate{}, began.Add(30*time.Minute))
	saw(c, began.Add(30*time.Minute), Upcoming{Escalates, began.Add(45 * time.Minute), []string{"group:directors", "group:dba"}},
		Upcoming{Reminds, began.Add(60 * time.Minute), []string{"group:dba", "group:managers", "group:security"}},
		Upcoming{Lapses, began.Add(2 * time.Hour), nil})
	c = must(t, c, yes("dora", 0), began.Add(31*time.Minute))
	c = must(t, c, yes("sam", 1), began.Add(31*time.Minute))
	saw(c, began.Add(31*time.Minute), Upcoming{Lapses, began.Add(61 * time.Minute), nil})
	saw(must(t, c, Cancel{By: person("ana")}, began.Add(32*time.Minute)), began.Add(32*time.Minute))
}

// Who is asked later is added to a copy: the lists of a decision are shared by everybody who reads it.
func TestAddingLeavesTheListAlone(t *testing.T) {
	list := append(make([]string, 0, 4), "group:dba")
	first, second := added(list, []string{"group:managers"}), added(list, []string{"group:directors"})
	if first[1] != "group:managers" || second[1] != "group:directors" || len(list) != 1 {
		t.Errorf("%v and %v from %v", first, second, list)
	}
}
