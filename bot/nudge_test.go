package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/prodaccess/prodaccess/sandbox"
)

// nudged is a world with a request that waits for @dba and, when the glass of it was broken, for @security.
func nudged(t *testing.T, state string, change func(*world, *approvals.Case)) *world {
	w := quiet(t, sandbox.Options{NoRateLimits: true, Scopes: appScopes})
	c := writings["ordinary"].states()[state]
	now := time.Now()
	c.Request.Requester = approvals.Person{ID: w.ana.ID(), Name: "ana", Email: "ana@example.com"}
	c.Request.FiledAt, c.Request.LapsesAt = now.Add(-time.Minute), now.Add(time.Hour)
	if c.Review != nil {
		c.Review.OpenedAt, c.Review.DueAt = now, now.Add(time.Hour)
	}
	if change != nil {
		change(w, &c)
	}
	w.service.put(c)
	w.draws(c.Request.ID)
	return w
}

// nudges are what was posted into threads of channels, as sent.
func (w *world) nudges() []string {
	var out []string
	for _, m := range w.ws.Messages() {
		if (m.Channel == w.approvals || m.Channel == w.security) && strings.Contains(m.Raw[0], `"thread_ts"`) {
			out = append(out, m.Raw[0])
		}
	}
	return out
}

func TestNudgeIsPostedOnce(t *testing.T) {
	t.Parallel()
	w := nudged(t, "pending", func(w *world, c *approvals.Case) {
		c.Request.Reminders = 2
		w.service.groups = []policy.Group{{Name: "dba", SlackUsergroup: w.ws.AddUserGroup("dba", "bo", "cy")}}
	})
	cut := &lossy{RoundTripper: w.slack.client.Transport, method: "/chat.postMessage"}
	cut.lose.Store(1)
	w.slack.client.Transport = cut
	undelivered(t, w.bot.PostNudge(t.Context(), "remind/2/r7k2m9"))
	for range 2 {
		no(t, w.bot.PostNudge(t.Context(), "remind/2/r7k2m9"))
	}
	sent := w.nudges()
	if len(sent) != 1 || !strings.Contains(sent[0], `"thread_ts":"`+w.outbox.rows[cardKey("r7k2m9")].TS+`"`) {
		t.Fatalf("what was posted into threads: %s", sent)
	}
	said := w.sees(w.bo, "this still waits for an answer")
	for _, want := range []string{"@dba", "ana asks for", "checkout is failing", "one of @dba", "Lapses"} {
		if !strings.Contains(said.Text, want) {
			t.Errorf("the reminder lacks %q:\n%s", want, said.Text)
		}
	}
}

// TestWhoIsMentioned reads nudges as Slack got them.
func TestWhoIsMentioned(t *testing.T) {
	t.Parallel()
	group := func(name string, w *world, members ...string) policy.Group {
		return policy.Group{Name: name, SlackUsergroup: w.ws.AddUserGroup(name, members...)}
	}
	for name, c := range map[string]struct {
		state, subject string
		change         func(*world, *approvals.Case)
		want           []string
		not            []string
	}{
		"a group of e-mail addresses, its requester left out": {
			"pending", "remind/1/r7k2m9", func(w *world, _ *approvals.Case) {
				w.service.groups = []policy.Group{{Name: "dba", Emails: []string{"ana@example.com", "bo@example.com", "nobody@example.com"}}}
			},
			[]string{"<@bo>"},
			[]string{"<@ana>", "@dba&", "<!"},
		},
		"a user group with the requester in it, person by person": {
			"pending", "remind/1/r7k2m9", func(w *world, _ *approvals.Case) {
				w.service.groups = []policy.Group{group("dba", w, "ana", "bo", "cy")}
			},
			[]string{"<@bo>", "<@cy>"},
			[]string{"<@ana>", "<!subteam"},
		},
		"somebody in two groups, once": {
			"pending", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"group:dba", "group:ops", "user:bo@example.com"}, Count: 1}}
				w.service.groups = []policy.Group{group("dba", w, "bo"), group("ops", w, "bo", "cy")}
			},
			[]string{"<!subteam^dba>", "<@cy>"},
			[]string{"<@bo>", "<!subteam^ops>"},
		},
		"nobody who has answered": {
			"pending-half", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Approvals[0].By = approvals.Person{ID: w.bo.ID(), Email: "bo@example.com"}
				c.Request.Decision.Approvals[1].From = []string{"group:security"}
				w.service.groups = []policy.Group{group("dba", w, "bo"), group("security", w, "bo", "cy")}
			},
			[]string{"<@cy>"},
			[]string{"<@bo>", "<!subteam"},
		},
		"the first of those asked in order": {
			"pending", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.InOrder = true
				c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"group:dba"}, Count: 1}, {From: []string{"group:security"}, Count: 1}}
				w.service.groups = []policy.Group{group("dba", w, "bo"), group("security", w, "cy")}
			},
			[]string{"<!subteam^dba>"},
			[]string{"<!subteam^security>", "<@cy>"},
		},
		"those of the escalation": {
			"pending", "escalate/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Escalations = []policy.Escalation{{After: time.Second, To: []string{"group:security", "oncall:payments"}}}
				c.Request.Escalated = 1
				w.service.groups = []policy.Group{group("dba", w, "bo"), group("security", w, "cy")}
			},
			[]string{"<!subteam^security>", "whoever is on call for payments (nobody is on call now)"},
			[]string{"<!subteam^dba>"},
		},
		"whoever is on call now, by name": {
			"pending", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"oncall:payments"}, Count: 1}}
				w.service.shifts = map[string][]string{"payments": {"bo@example.com"}}
			},
			[]string{"<@bo>"},
			[]string{"<@ana>", "<@cy>", "because"},
		},
		"somebody on call for two schedules and in a group, once": {
			"pending", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"oncall:payments", "oncall:billing", "group:dba"}, Count: 1}}
				w.service.groups = []policy.Group{group("dba", w, "bo")}
				w.service.shifts = map[string][]string{"payments": {"bo@example.com"}, "billing": {"bo@example.com", "cy@example.com"}}
			},
			[]string{"<!subteam^dba>", "<@cy>"},
			[]string{"<@bo>", "nobody"},
		},
		"never the requester who is on call": {
			"pending", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"oncall:payments"}, Count: 1}}
				w.service.shifts = map[string][]string{"payments": {"ANA@example.com"}}
			},
			[]string{"whoever is on call for payments (nobody else is on call now)"},
			[]string{"<@"},
		},
		"nobody in vain while PagerDuty is away": {
			"pending", "escalate/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Escalations = []policy.Escalation{{After: time.Second, To: []string{"oncall:payments"}}}
				c.Request.Escalated = 1
				w.service.pager = "PagerDuty did not answer"
			},
			[]string{"whoever is on call for payments (not known now, because PagerDuty did not answer)"},
			[]string{"<@", "nobody is on call"},
		},
		"somebody on call whom Slack does not know": {
			"pending", "remind/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"oncall:payments"}, Count: 1}}
				w.service.shifts = map[string][]string{"payments": {"stranger@example.com"}}
			},
			[]string{"Slack does not know who that is now"},
			[]string{"<@"},
		},
		"those of the escalation, when somebody has answered": {
			"pending-half", "escalate/1/r7k2m9", func(_ *world, c *approvals.Case) {
				c.Request.Decision.Escalations = []policy.Escalation{{After: time.Second, To: []string{"oncall:payments"}}}
				c.Request.Escalated = 1
			},
			[]string{"it still needs two of @security", "whoever is on call for payments"},
			[]string{"nobody has answered"},
		},
		"reviewers": {
			"glass-over", "review/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Review.Reviewers = []string{"group:security"}
				w.service.groups = []policy.Group{group("security", w, "ana", "bo")}
			},
			[]string{"<@bo>", "waits for a review"},
			[]string{"<@ana>"},
		},
		"reviewers who are late": {
			"glass-over", "overdue/3/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Review.Reviewers, c.Request.Decision.Review.Escalate.To = []string{"group:security"}, []string{"group:dba"}
				c.Review.DueAt, c.Review.EscalatedAt, c.Review.Reminders = time.Now().Add(-time.Minute), time.Now(), 3
				w.service.groups = []policy.Group{group("security", w, "bo"), group("dba", w, "cy")}
			},
			[]string{"<!subteam^dba>", "<!subteam^security>", "*OVERDUE* since"},
			nil,
		},
		"reviewers whom a newer policy adds": {
			"glass-over", "review/1/r7k2m9", func(w *world, c *approvals.Case) {
				c.Request.Decision.Review.Reviewers, c.Eligible = []string{"group:security", "group:gone"}, []string{"group:security", "group:dba"}
				w.service.groups = []policy.Group{group("security", w, "bo"), group("dba", w, "cy")}
			},
			[]string{"<!subteam^dba>", "<!subteam^security>", "one of @security or @dba"},
			[]string{"gone"},
		},
		"a group Slack does not know is said in words": {
			"pending", "remind/1/r7k2m9", func(w *world, _ *approvals.Case) {
				w.service.groups = []policy.Group{{Name: "dba", SlackUsergroup: "S404"}}
			},
			[]string{"@dba"},
			[]string{"<!"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := nudged(t, c.state, c.change)
			no(t, w.bot.PostNudge(t.Context(), c.subject))
			sent := w.nudges()
			if len(sent) != 1 {
				t.Fatalf("%d nudges were posted", len(sent))
			}
			names := []string{w.ana.ID(), "ana", w.bo.ID(), "bo", w.cy.ID(), "cy", `\u003c`, "<", `\u003e`, ">", `\u0026`, "&"}
			for _, g := range w.service.groups {
				if g.SlackUsergroup != "" {
					names = append(names, g.SlackUsergroup, g.Name)
				}
			}
			text := strings.NewReplacer(names...).Replace(sent[0])
			text = strings.ReplaceAll(text, "<!date", "")
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("it lacks %q: %s", want, text)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("it has %q: %s", not, text)
				}
			}
			if want := c.want[0]; strings.HasPrefix(want, "<") && strings.Count(text, want) != 2 {
				t.Errorf("%s is not once in the text and once in the block: %s", want, text)
			}
		})
	}
}

func TestLateNudgesAreDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state, subject string
		change         func(*world, *approvals.Case)
	}{
		"decided":               {"approved", "remind/1/r7k2m9", nil},
		"lapsed by now":         {"pending", "escalate/1/r7k2m9", func(_ *world, c *approvals.Case) { c.Request.LapsesAt = time.Now() }},
		"a later one is out":    {"pending", "remind/1/r7k2m9", func(_ *world, c *approvals.Case) { c.Request.Reminders = 2 }},
		"the review is closed":  {"glass-justified", "review/1/r7k2m9", nil},
		"a later review is out": {"glass-over", "overdue/1/r7k2m9", func(_ *world, c *approvals.Case) { c.Review.Reminders = 2 }},
		"no such escalation":    {"pending", "escalate/3/r7k2m9", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := nudged(t, c.state, c.change)
			no(t, w.bot.PostNudge(t.Context(), c.subject))
			if sent := w.nudges(); len(sent) != 0 {
				t.Errorf("posted %s", sent)
			}
		})
	}
}

func TestNudgeTrouble(t *testing.T) {
	t.Parallel()
	w := nudged(t, "pending", func(w *world, _ *approvals.Case) {
		w.service.groups = []policy.Group{{Name: "dba", SlackUsergroup: w.ws.AddUserGroup("dba", "bo")}}
	})
	for _, subject := range []string{"", "remind", "remind/x/r7k2m9", "remind/0/r7k2m9", "cheer/1/r7k2m9", "remind/1/", "remind/1/nothing"} {
		if u := undelivered(t, w.bot.PostNudge(t.Context(), subject)); !u.Permanent {
			t.Errorf("%q is tried again: %v", subject, u)
		}
	}
	w.bot.people = NewDirectory(w.slack, time.Now) // which has not been asked yet
	w.ws.Fail("usergroups.users.list", sandbox.Fault{Error: "internal_error", Times: 1})
	if u := undelivered(t, w.bot.PostNudge(t.Context(), "remind/1/r7k2m9")); u.Permanent || u.After <= 0 {
		t.Errorf("a group that cannot be read now is %v", u)
	}
	if sent := w.nudges(); len(sent) != 0 {
		t.Errorf("posted %s", sent)
	}
}
