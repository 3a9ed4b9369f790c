package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/audit"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// noon is when every golden card is drawn.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

// writing is what people wrote and chose, in one of the kinds the cards must stand.
type writing struct {
	name, email, target, profile, ticket, reason, rule, why, note string
	params                                                        map[string]string
	many                                                          int // of everything that can be many
}

var writings = map[string]writing{
	"ordinary": {
		"Ana", "ana@example.com", "orders-prod", "read-only", "INC-123", "checkout is failing\nlooking at stuck orders", "backend reads",
		"ana@example.com is in group backend.", "wrong database", nil, 1,
	},
	"longest": {
		strings.Repeat("𝕬𝖓𝖆 ", 40), strings.Repeat("a", 240) + "@example.com", strings.Repeat("orders-prod-", 30), strings.Repeat("read-only-", 30),
		strings.Repeat("T", 58) + "-1", strings.Repeat("𝕏", approvals.LongestReason), strings.Repeat("rule & ", 100),
		strings.Repeat("because <it> & that. ", 300), strings.Repeat("note & ", 500), longParams(), 60,
	},
	"hostile": {
		"<@U0BO> `Bo` <!here>", "eve@example.com", "orders<!channel>prod", "read*only*", "INC-1&lt;", "```<!channel>```\n\u202egnp.exe\u2066 @here *bold* &amp; <https://evil.example|click>\x00\x07\u200b",
		"rule ``` <!everyone>", "<!subteam^S0DBA> & \u202e", "<@U0CY> `x` ~y~",
		map[string]string{"id": "<!channel>"},
		2,
	},
}

func longParams() map[string]string {
	out := map[string]string{}
	for i := range 20 {
		out[fmt.Sprintf("parameter_%02d_%s", i, strings.Repeat("x", 50))] = strings.Repeat("9", 500)
	}
	return out
}

func (w writing) person(id string) approvals.Person {
	return approvals.Person{ID: id, Name: w.name, Email: w.email}
}

// asked is a pending request.
func (w writing) asked() approvals.Case {
	d := policy.Decision{
		Outcome: policy.NeedsApproval, Rule: w.rule, Why: w.why, Policy: "0123456789abcdef0123456789abcdef", Duration: 30 * time.Minute, MaxDuration: 2 * time.Hour,
		Approvals: []policy.Requirement{{From: []string{"group:dba"}, Count: 1}},
	}
	for i := range w.many {
		d.Steps = append(d.Steps, policy.Step{Rule: w.rule, Why: w.why, Matched: i == 0})
		if i > 0 {
			d.Approvals = append(d.Approvals, policy.Requirement{From: []string{"group:" + w.rule, "user:" + w.email, "oncall:payments"}, Count: 2})
			d.Unknowns = append(d.Unknowns, w.why)
		}
	}
	return approvals.Case{Request: approvals.Request{
		ID: "r7k2m9", State: approvals.Pending, Version: 1, Requester: w.person("U0ANA"), Target: w.target, Engine: "postgres", Profile: w.profile,
		Duration: 30 * time.Minute, Ticket: w.ticket, Reason: w.reason, Params: w.params, Decision: d,
		FiledAt: ago(20 * time.Minute), LapsesAt: noon.Add(40 * time.Minute),
	}}
}

func (w writing) approved() approvals.Case {
	c := w.asked()
	c.Request.State, c.Request.ApprovedAt = approvals.Approved, ago(15*time.Minute)
	for range w.many {
		c.Approvals = append(c.Approvals, approvals.Approval{By: w.person("U0BO"), Verdict: approvals.Yes, At: ago(15 * time.Minute), Reason: w.note, Fills: []int{0}})
	}
	return c
}

func (w writing) granted(state grants.State) approvals.Case {
	c := w.approved()
	c.Request.State, c.Grants = approvals.Activated, 1
	c.Grant = &grants.Grant{
		ID: "g1", Request: "r7k2m9", State: state, Version: 3, Target: w.target, Profile: w.profile, Login: "pa_ana_g1", Fingerprint: "7301234567890123456",
		Holder: grants.Holder{ID: "U0ANA", Name: w.name, Email: w.email}, Intended: ago(10 * time.Minute), Deadline: noon.Add(20 * time.Minute),
	}
	g := c.Grant
	if state != grants.Provisioning {
		g.IssuedAt, g.ShownAt, g.OID = ago(10*time.Minute), ago(9*time.Minute), 16422
	}
	if state == grants.Revoking || state == grants.Cleanup || state == grants.Revoked {
		g.EndingAt, g.Cause, g.Deadline = ago(5*time.Second), grants.Expired, ago(5*time.Second)
	}
	if state == grants.Cleanup || state == grants.Revoked {
		g.SecuredAt = ago(4 * time.Second)
	}
	if state == grants.Revoked {
		g.EndedAt, g.Receipt = ago(3*time.Second), w.receipt()
	}
	return c
}

func (w writing) receipt() *grants.Receipt {
	r := &grants.Receipt{
		Login: "pa_ana_g1", OID: 16422, Target: w.target, Fingerprint: "7301234567890123456", Deadline: ago(5 * time.Second), LockedAt: ago(5 * time.Second),
		Killed: w.many, SecuredAt: ago(4 * time.Second), DroppedAt: ago(3 * time.Second), VerifiedAt: ago(3 * time.Second),
	}
	for range w.many {
		r.Nodes = append(r.Nodes, w.target)
		r.Checks = append(r.Checks, grants.Check{What: "no session with OID 16422 on " + w.target, OK: true})
		r.Leftovers = append(r.Leftovers, grants.Leftover{Database: "orders", What: "table public." + w.note, Owner: "pa_quarantine"})
	}
	return r
}

func (w writing) actor() audit.Actor { return audit.Actor{Kind: "person", ID: "U0BO", Name: w.name} }

// states are every state a card is drawn in.
func (w writing) states() map[string]approvals.Case {
	out := map[string]approvals.Case{}
	add := func(name string, c approvals.Case, change func(*approvals.Case)) {
		if change != nil {
			change(&c)
		}
		out[name] = c
	}
	add("pending", w.asked(), nil)
	add("pending-half", w.asked(), func(c *approvals.Case) {
		c.Request.Decision.Approvals = []policy.Requirement{{From: []string{"group:dba"}, Count: 1}, {From: []string{"group:security", "oncall:payments"}, Count: 2}}
		c.Approvals = []approvals.Approval{{By: w.person("U0BO"), Verdict: approvals.Yes, At: ago(time.Minute), Fills: []int{0}}}
	})
	add("approved", w.approved(), nil)
	add("approved-at-once", w.approved(), func(c *approvals.Case) {
		c.Approvals, c.Request.Decision.Outcome, c.Request.Decision.Approvals = nil, policy.Approved, nil
		c.Request.Decision.Shift = &policy.Standing{
			On: true, Schedule: "payments", Source: "pagerduty PABC123", Level: 1, Start: ago(time.Hour), End: noon.Add(6 * time.Hour), AsOf: ago(20 * time.Minute),
		}
	})
	add("approved-again", w.granted(grants.Revoked), func(c *approvals.Case) {
		c.Request.State, c.Grant.Cause, c.Grant.Note, c.Grant.ShownAt = approvals.Approved, grants.Failed, w.note, time.Time{}
	})
	add("approved-doubtful", w.granted(grants.Revoking), func(c *approvals.Case) {
		c.Request.State, c.Grant.Cause, c.Grant.Note, c.Grant.ShownAt, c.Grant.IssuedAt = approvals.Approved, grants.Failed, w.note, time.Time{}, time.Time{}
	})
	add("provisioning", w.granted(grants.Provisioning), nil)
	add("active", w.granted(grants.Active), nil)
	add("active-not-shown", w.granted(grants.Active), func(c *approvals.Case) { c.Grant.ShownAt = time.Time{} })
	add("active-due", w.granted(grants.Active), func(c *approvals.Case) { c.Grant.Deadline = ago(2 * time.Second) })
	add("revoking", w.granted(grants.Revoking), nil)
	add("revoking-overdue", w.granted(grants.Revoking), func(c *approvals.Case) {
		c.Grant.Deadline, c.Grant.AlarmedAt, c.Grant.Attempts, c.Grant.LastError = ago(2*time.Minute), ago(time.Minute), 7, "orders-prod does not answer: "+w.note
	})
	add("cleanup", w.granted(grants.Cleanup), nil)
	add("over-expired", w.granted(grants.Revoked), nil)
	add("over-released", w.granted(grants.Revoked), func(c *approvals.Case) { c.Grant.Cause, c.Grant.EndedBy = grants.Released, w.actor() })
	add("over-revoked", w.granted(grants.Revoked), func(c *approvals.Case) {
		c.Grant.Cause, c.Grant.EndedBy, c.Grant.Note = grants.Withdrawn, w.actor(), w.note
	})
	add("over-failed", w.granted(grants.Revoked), func(c *approvals.Case) {
		c.Grant.Cause, c.Grant.Receipt, c.Grant.ShownAt = grants.Failed, &grants.Receipt{VerifiedAt: ago(time.Second), NeverExisted: true}, time.Time{}
	})
	add("over-missing", w.granted(grants.Revoked), func(c *approvals.Case) { c.Grant.Cause = grants.Missing })
	add("denied-by-policy", w.asked(), func(c *approvals.Case) {
		c.Request.State, c.Request.EndedAt, c.Request.Decision.Outcome, c.Request.Decision.Approvals = approvals.Denied, ago(time.Minute), policy.Denied, nil
	})
	add("denied-by-person", w.asked(), func(c *approvals.Case) {
		c.Request.State, c.Request.EndedAt, c.Request.EndedBy, c.Request.Answer = approvals.Denied, ago(time.Minute), w.person("U0BO"), w.note
		c.Approvals = []approvals.Approval{{By: w.person("U0BO"), Verdict: approvals.No, Reason: w.note, At: ago(time.Minute)}}
	})
	add("cancelled", w.asked(), func(c *approvals.Case) {
		c.Request.State, c.Request.EndedAt, c.Request.EndedBy = approvals.Cancelled, ago(time.Minute), w.person("U0ANA")
	})
	add("lapsed-unanswered", w.asked(), func(c *approvals.Case) { c.Request.State, c.Request.EndedAt = approvals.Lapsed, ago(time.Minute) })
	add("lapsed-untaken", w.approved(), func(c *approvals.Case) { c.Request.State, c.Request.EndedAt = approvals.Lapsed, ago(time.Minute) })
	add("pending-in-order", w.asked(), func(c *approvals.Case) {
		d := &c.Request.Decision
		d.InOrder, d.Advice, d.Extend = true, w.why, &policy.Extend{Times: 2, Total: 4 * time.Hour}
		d.Approvals = []policy.Requirement{{From: []string{"group:dba"}, Count: 2}, {From: []string{"group:security"}, Count: 1}}
		d.Waits = policy.Waits{Remind: 7 * time.Minute}
		d.Escalations = []policy.Escalation{{After: 10 * time.Minute, To: []string{"group:" + w.rule}}, {After: 25 * time.Minute, To: []string{"user:" + w.email}}}
		c.Request.Reminders, c.Request.Escalated, c.Request.EscalatedAt = 1, 1, ago(10*time.Minute)
		less := &approvals.Less{Duration: 15 * time.Minute, Profile: "support"}
		c.Request.Less = less
		c.Approvals = []approvals.Approval{
			{By: w.person("U0BO"), Verdict: approvals.Yes, At: ago(5 * time.Minute), Fills: []int{0}, Less: less},
			{By: w.person("U0CY"), Verdict: approvals.Yes, At: ago(4 * time.Minute), Fills: []int{0}, WithdrawnAt: ago(2 * time.Minute)},
		}
	})
	add("approved-less", w.approved(), func(c *approvals.Case) {
		c.Request.Less = &approvals.Less{Duration: 15 * time.Minute}
		c.Approvals = []approvals.Approval{{By: w.person("U0BO"), Verdict: approvals.Yes, At: ago(15 * time.Minute), Fills: []int{0}, Less: c.Request.Less}}
		c.Request.Decision.Extend = &policy.Extend{}
	})
	later := func(c *approvals.Case) {
		c.Request.StartsAt = noon.Add(26 * time.Hour)
		if c.Request.State == approvals.Approved {
			c.Request.LapsesAt = noon.Add(27 * time.Hour)
		}
	}
	add("pending-later", w.asked(), later)
	add("approved-later", w.approved(), later)
	add("approved-begun", w.approved(), func(c *approvals.Case) {
		c.Request.StartsAt, c.Request.StartedAt = ago(5*time.Minute), ago(5*time.Minute)
	})
	broken := func(c *approvals.Case) {
		r := &c.Request
		c.Approvals, r.BreakGlass, r.Decision.Rule, r.Decision.Outcome, r.Decision.Approvals = nil, true, policy.BreakGlassRule, policy.Approved, nil
		r.ApprovedAt = r.FiledAt
		r.Decision.Review = &policy.Review{
			Reviewers: []string{"group:security", "user:" + w.email}, Within: 24 * time.Hour, Remind: 8 * time.Hour, Notify: []string{"security_channel", "pagerduty"},
			Escalate: &policy.Escalation{After: 20 * time.Hour, To: []string{"group:" + w.rule}},
		}
		c.Review = &approvals.Review{OpenedAt: r.FiledAt, DueAt: r.FiledAt.Add(24 * time.Hour)}
	}
	add("glass-approved", w.approved(), broken)
	add("glass-active", w.granted(grants.Active), broken)
	add("glass-over", w.granted(grants.Revoked), broken)
	add("glass-overdue", w.granted(grants.Revoked), func(c *approvals.Case) {
		broken(c)
		c.Review.DueAt, c.Review.Reminders, c.Review.EscalatedAt = ago(time.Minute), 4, ago(10*time.Minute)
	})
	closed := func(verdict approvals.ReviewVerdict) func(*approvals.Case) {
		return func(c *approvals.Case) {
			broken(c)
			c.Review.ClosedAt, c.Review.ClosedBy, c.Review.Verdict, c.Review.Note = ago(time.Second), w.person("U0SEC"), verdict, w.note
		}
	}
	add("glass-justified", w.granted(grants.Revoked), closed(approvals.Justified))
	add("glass-not-justified", w.granted(grants.Revoked), closed(approvals.NotJustified))
	add("glass-unused", w.approved(), func(c *approvals.Case) {
		closed(approvals.Unused)(c)
		c.Request.State, c.Request.EndedAt, c.Review.ClosedBy, c.Review.Note = approvals.Lapsed, ago(time.Second), approvals.Person{}, ""
	})
	return out
}

// events are what was recorded about broken glass.
func (w writing) events() []audit.Event {
	ana := audit.Actor{Kind: "person", ID: "U0ANA", Name: w.name, Email: w.email}
	out := []audit.Event{
		{At: ago(20 * time.Minute), Kind: audit.GlassBroken, Actor: ana},
		{At: ago(10 * time.Minute), Kind: audit.GrantIntended, Actor: ana},
		{At: ago(10 * time.Minute), Kind: audit.GrantIssued, Actor: audit.System("grants")},
	}
	for i := range 2 + w.many {
		out = append(out, audit.Event{At: ago(9*time.Minute - time.Duration(i)*time.Second), Kind: audit.GrantShown, Actor: ana})
	}
	for range w.many {
		out = append(out, audit.Event{At: ago(5 * time.Minute), Kind: audit.ReviewClosed, Refused: true, Actor: w.actor(), Detail: map[string]string{"verdict": w.note}},
			audit.Event{At: ago(4 * time.Minute), Kind: audit.Kind(w.rule), Actor: ana})
	}
	return append(out,
		audit.Event{At: ago(5 * time.Second), Kind: audit.GrantEnding, Actor: audit.System("reaper"), Detail: map[string]string{"cause": "expired"}},
		audit.Event{At: ago(4 * time.Second), Kind: audit.GrantSecured, Actor: audit.System("grants")})
}

func (w writing) digest() audit.Digest {
	d := audit.Digest{
		From: ago(24 * time.Hour), To: noon, Asked: 14, ApprovedAtOnce: 6, ApprovedByPeople: 5, DeniedByPolicy: 2, DeniedByPeople: 1, Cancelled: 1, Lapsed: 1, Refused: 3,
		Issued: 10, Ended: 9, EndedEarly: 4, FailedToIssue: 1, Waiting: 1, Live: 2, MedianAnswer: 4 * time.Minute, Orphans: w.many,
		BrokenGlass: 3, Escalated: 2, Withdrawn: 1, Reviewed: audit.Reviewed{Justified: 1, NotJustified: 1, Unused: 1},
		Later: 2, NextStart: noon.Add(time.Hour),
		Head: audit.Head{Seq: 1234, Hash: strings.Repeat("ab", 32)},
	}
	for range w.many {
		d.Approvers = append(d.Approvers, audit.Count{Name: w.name, N: 3})
		d.Targets = append(d.Targets, audit.Count{Name: w.target, N: 8})
		item := audit.OpenItem{Request: "r7k2m9", Grant: "g1", Target: w.target, Login: "pa_ana_g1", Holder: w.name, Since: ago(time.Hour), Why: w.note}
		review := audit.OpenItem{Request: "r7k2m9", Target: w.target, Holder: w.name, Since: ago(26 * time.Hour), Why: w.reason, Due: ago(2 * time.Hour), Overdue: true}
		off := item
		off.Why = "written off by " + w.name + " because " + w.note + "; nothing was verified"
		d.WrittenOff, d.OpenReviews = append(d.WrittenOff, off), append(d.OpenReviews, review)
		review.Grant, review.Login, review.Overdue, review.Due = "g1", "pa_ana_g1", false, noon.Add(time.Hour)
		d.OpenReviews = append(d.OpenReviews, review)
		d.Overdue, d.Leftovers = append(d.Overdue, item), append(d.Leftovers, item)
	}
	return d
}
