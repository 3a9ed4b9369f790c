package bot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
)

// standing is where a case stands, in words. They claim no more than is stored: nothing is granted before the grant is
// active, and nothing is over before its login was locked and its sessions were found gone.
type standing struct {
	icon string
	// head fits a header and a notification.
	head string
	// now is one or two sentences in mrkdwn for everybody, next what the requester can do.
	now, next string
}

func stands(c approvals.Case, now time.Time) standing { return standsWith(c, now, "") }

// standsWith is stands with what is known of how long an answer takes, which is said beside who is asked.
func standsWith(c approvals.Case, now time.Time, usual string) standing {
	r := c.Request
	if usual != "" {
		usual = ", " + usual
	}
	switch r.State {
	case approvals.Pending:
		return standing{
			"⏳", "Waiting for approval",
			"Needs " + mrkdwn(needs(c), 500) + usual + ". " + clockWords(c, now),
			"You will get a message here when somebody answers.",
		}
	case approvals.Approved:
		if !r.Ready() {
			return afterFailure(standing{
				"🗓️", "Approved, starts later",
				"Nothing exists on the database yet. It can be taken from " + at(r.StartsAt) + " on, and lapses " + at(r.LapsesAt) + " if it is not.",
				"You will get a message here when it starts; the " + lasting(r.Length()) + " begin when you press *Get credentials* then.",
			}, c, now)
		}
		s := standing{
			"✅", "Approved, not taken yet",
			"Nothing exists on the database yet. Lapses " + at(r.LapsesAt) + " if it is not taken.",
			"Press *Get credentials* when you are ready: the " + lasting(r.Length()) + " start then.",
		}
		if r.BreakGlass {
			s.head = "Glass broken, not taken yet"
		}
		return afterFailure(s, c, now)
	case approvals.Denied:
		return denied(r)
	case approvals.Cancelled:
		return standing{"⚪", "Cancelled", "Cancelled by " + person(r.EndedBy) + " " + at(r.EndedAt) + ".", "Ask again whenever you need it."}
	case approvals.Lapsed:
		if r.ApprovedAt.IsZero() {
			return standing{"⚪", "Lapsed", unanswered(c) + " in time.", "Ask again if you still need it."}
		}
		if r.BreakGlass {
			return standing{"⚪", "Lapsed", "Nobody took the access in time.", "Break it again if you must."}
		}
		return standing{"⚪", "Lapsed", "It was approved and not taken in time.", "Ask again if you still need it."}
	}
	if c.Grant == nil {
		return standing{"🔧", "Being prepared", "The login is being made.", ""}
	}
	return grantStands(*c.Grant, now)
}

// unanswered says why a request lapsed that was not approved. Who did answer reads it too.
func unanswered(c approvals.Case) string {
	if len(c.Approvals) > 0 {
		return "Not all who had to agree did so"
	}
	return "Nobody answered"
}

// afterFailure tells what became of the login whose making failed. Until it is secured it may exist, and nothing may say otherwise.
func afterFailure(s standing, c approvals.Case, now time.Time) standing {
	g := c.Grant
	switch {
	case g == nil:
	case g.SecuredAt.IsZero() && g.State != grants.Revoked:
		s.now = "The last try to make a login failed" + because(g.Note) + ", and it is being taken back. Lapses " + at(c.Request.LapsesAt) + "."
		return overdue(s, *g, now)
	default:
		s.now = "The last try to make a login failed" + because(g.Note) + ", and it was taken back. Lapses " + at(c.Request.LapsesAt) + " if it is not taken."
	}
	return s
}

func denied(r approvals.Request) standing {
	if r.EndedBy.ID == "" {
		return standing{"⛔", "Denied by the policy", mrkdwn(r.Decision.Why, 1000), ""}
	}
	return standing{
		"⛔", "Denied by " + plain(line(r.EndedBy.Name), 80),
		person(r.EndedBy) + " said no " + at(r.EndedAt) + because(r.Answer) + ".",
		"Talk to " + person(r.EndedBy) + " if you still need it.",
	}
}

func grantStands(g grants.Grant, now time.Time) standing {
	switch g.State {
	case grants.Provisioning:
		return standing{"🔧", "Being prepared", "The login is being made.", ""}
	case grants.Active:
		s := standing{
			"🔓", "Access is active",
			"Ends " + atSecond(g.Deadline) + ". Login " + code(g.Login) + ".",
			"Press *Release* as soon as you are done, or *Get credentials* for a new password if you lost yours.",
		}
		if g.ShownAt.IsZero() {
			s.next = "You have not seen the credential yet: press *Get credentials*."
		}
		if g.Due(now) {
			s.now = "Its time was up " + atSecond(g.Deadline) + "; it is about to be taken back. Login " + code(g.Login) + "."
		}
		return overdue(s, g, now)
	case grants.Revoking:
		return overdue(standing{
			"🔒", "Access is being taken back",
			"Not finished yet: the login is being locked and its sessions closed" + cause(g) + ".", "",
		}, g, now)
	case grants.Cleanup:
		return standing{
			"🔒", "Locked out, clean-up pending",
			"The login was locked and no session is left since " + atSecond(g.SecuredAt) + cause(g) + ". What it owned is still being handed over.", "",
		}
	}
	s := standing{"⚪", "Access is over", "Ended " + atSecond(ended(g)) + cause(g) + ".", "Ask again if you need more."}
	if g.Receipt != nil {
		s.now += " " + receiptLine(*g.Receipt)
	}
	if g.Cause == grants.Failed {
		s.head = "The login was not handed out"
	}
	return s
}

// overdue makes a standing loud when the grant should have been secured by now.
func overdue(s standing, g grants.Grant, now time.Time) standing {
	if !isOverdue(g, now) {
		return s
	}
	s.icon, s.head = "🚨", "OVERDUE: access has not been taken back"
	s.now = "It was to end " + atSecond(g.End()) + " and the login may still work" + trouble(g) + ". prodaccess keeps trying."
	return s
}

// overdueAfter is how late a card calls a grant overdue by itself, when the alarm that the store records has not been raised.
const overdueAfter = time.Minute

func isOverdue(g grants.Grant, now time.Time) bool {
	return g.SecuredAt.IsZero() && g.State != grants.Revoked && (!g.AlarmedAt.IsZero() || !now.Before(g.End().Add(overdueAfter)))
}

func trouble(g grants.Grant) string {
	if g.LastError == "" {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", plural(g.Attempts, "failed try", "failed tries"), mrkdwn(g.LastError, 300))
}

// ended is when the login stopped being usable.
func ended(g grants.Grant) time.Time {
	if !g.SecuredAt.IsZero() {
		return g.SecuredAt
	}
	return g.EndedAt
}

// cause says why a grant ends, as a clause that follows a statement.
func cause(g grants.Grant) string {
	by := mrkdwn(firstOf(g.EndedBy.Name, g.EndedBy.ID), 80)
	switch g.Cause {
	case grants.Expired:
		return ": its time was up"
	case grants.Released:
		return ": released by " + by
	case grants.Withdrawn:
		return ": revoked by " + by + quoteAfter(g.Note)
	case grants.Failed:
		return ": making the login failed or is in doubt, nobody saw a password" + quoteAfter(g.Note)
	case grants.Missing:
		return ": the database had lost the login"
	}
	return ""
}

func quoteAfter(note string) string {
	if note == "" {
		return ""
	}
	return " (" + mrkdwn(note, 500) + ")"
}

func because(reason string) string {
	if strings.TrimSpace(reason) == "" {
		return ""
	}
	return ": “" + mrkdwn(reason, 1000) + "”"
}

func person(p approvals.Person) string { return mrkdwn(firstOf(p.Name, p.Email, p.ID), 80) }

// code shows a name that may hold nothing but letters, digits and underscores as code.
func code(name string) string { return "`" + mrkdwn(name, 80) + "`" }

// said is what the policy answered, with the rule and the proof it rests on.
func said(d policy.Decision) string {
	out := mrkdwn(d.Why, 800)
	// The policy's own sentences name the rule, quoted as Go quotes.
	if d.Rule != "" && !strings.Contains(d.Why, strconv.Quote(d.Rule)) {
		out += "\nRule: " + mrkdwn(d.Rule, 200)
	}
	if s := d.Shift; s != nil {
		out += "\n" + onCallWords(*s)
	}
	if words := extensionWords(d); words != "" {
		out += "\n" + words
	}
	for i, unknown := range d.Unknowns {
		if i == 3 {
			out += fmt.Sprintf("\n⚠️ and %d more", len(d.Unknowns)-i)
			break
		}
		out += "\n⚠️ " + mrkdwn(unknown, 300)
	}
	return out
}
