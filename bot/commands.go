package bot

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/slack-go/slack"
)

// runCommand answers a line as it was typed.
func (b *Bot) runCommand(ctx context.Context, cmd slack.SlashCommand, source string) answer {
	return b.runLine(ctx, cmd, commandDelivery(cmd), source)
}

// runLine answers a line that was typed or suggested. What it asks for is done once for each key, however often the line comes.
func (b *Bot) runLine(ctx context.Context, cmd slack.SlashCommand, key, source string) answer {
	c, wrong := parse(cmd.Text)
	if words := b.elsewhere(cmd.Text, c); words != "" {
		return b.forMembers(ctx, cmd.UserID, tell(words, "", "told where"))
	}
	if wrong == nil && (c.verb == verbRequest || c.verb == verbExplain || c.verb == verbBreakGlass) {
		wrong = b.check(c)
	} else if wrong != nil && (c.verb == verbRequest || (c.verb == verbBreakGlass || c.verb == verbExplain) && c.target != "") {
		// Of two mistakes the name is worth more: a line with a wrong name cannot be put right. Where the other one can be, both
		// are, so that the line that is offered is not wrong itself.
		meant, both := c, false
		if again, _ := parse(wrong.line); c.length != "" && again.verb == c.verb {
			meant, both = again, true
		}
		if name := b.check(meant); name != nil && (c.profile != "" || name.line != "") {
			if both && name.line != "" {
				name.words += " " + wrong.words
			}
			wrong = name
		}
	}
	var startsAt time.Time
	if wrong == nil {
		c, startsAt, wrong = b.starts(ctx, c, cmd.UserID)
	}
	if wrong != nil {
		return b.forMembers(ctx, cmd.UserID, b.correct(wrong))
	}
	switch c.verb {
	case verbForm:
		return b.openForm(cmd, source)
	case verbHelp:
		return b.helped(ctx, cmd.UserID)
	case verbList:
		return b.list(ctx, cmd.UserID)
	case verbExplain:
		d, err := b.service.Preview(ctx, approvals.Filing{By: cmd.UserID, Target: c.target, Profile: c.profile, Duration: c.duration, Ticket: c.ticket, Reason: c.reason, StartsAt: startsAt, Params: c.params, Source: source})
		if err != nil && !tooMany(err) {
			return b.failed(err, "")
		}
		words := explanation(d)
		if !startsAt.IsZero() {
			words = "🗓️ For a start " + at(startsAt) + ":\n" + words
		}
		if err != nil { // what would be decided is what was asked about
			text, _ := b.words(err)
			words += "\n⚠️ " + text
		}
		return tell(words, "", "explained")
	case verbWhoami:
		return b.whoami(ctx, cmd.UserID)
	case verbRelease, verbExtend:
		return b.onOwnGrant(ctx, c, cmd.UserID, key, source)
	case verbBreakGlass:
		return b.aboutToBreak(ctx, c, cmd, source)
	}
	return b.file(ctx, c, startsAt, cmd, key, source)
}

// elsewhere says where to do what is no command, when that is what somebody wrote; empty otherwise. A database of that name is
// meant, if there is one.
func (b *Bot) elsewhere(text string, c command) string {
	for _, t := range b.service.Targets() {
		if t.Name == c.target {
			return ""
		}
	}
	verb, _, _ := strings.Cut(strings.ToLower(asTyped(text)), " ")
	switch verb {
	case "status", "show", "mine":
		return "`" + b.command + " list` shows your access and your open requests; the *Home* tab of prodaccess has them with their buttons."
	case "approve", "deny", "reject":
		return "Requests are answered on their card in <#" + b.approvalsChannel + ">, or on the *Home* tab of prodaccess under *What waits for my answer*: Approve, Approve for less… or Deny."
	case "revoke":
		return "Live access is revoked with *Revoke* on its card in <#" + b.approvalsChannel + ">. To give back your own: `" + b.command + " release`."
	case "cancel":
		return "A request is cancelled with *Cancel* in your direct message with prodaccess, or on its *Home* tab."
	}
	return ""
}

func (b *Bot) failed(err error, request string) answer {
	text, outcome := b.words(err)
	return tell(text, request, outcome)
}

// failedOn is failed for a request that somebody named, who may have named one that is not there.
func (b *Bot) failedOn(err error, request string) answer {
	text, outcome := b.words(err)
	if refusal, ok := refusalOf(err); ok && refusal.Code == approvals.NotFound {
		text += " `" + b.command + " list` shows yours, with their names at the end."
	}
	return tell(text, request, outcome)
}

// correct answers a mistake with the line put right, ready to be copied.
func (b *Bot) correct(m *mistake) answer {
	text := mrkdwn(m.words, 1000)
	if m.line != "" {
		return suggesting(text+"\nTry: `"+b.command+" "+mrkdwn(m.line, 1900)+"`", m.line, "mistake")
	} else {
		text += " `" + b.command + " help` shows how."
	}
	return tell(text, "", "mistake")
}

// file files a one-line request.
func (b *Bot) file(ctx context.Context, c command, startsAt time.Time, cmd slack.SlashCommand, key, source string) answer {
	filed, err := b.service.File(ctx, approvals.Filing{
		By: cmd.UserID, Target: c.target, Profile: c.profile, Duration: c.duration, Ticket: c.ticket, Reason: c.reason, Params: c.params,
		StartsAt: startsAt, Key: key, Source: source,
	})
	if err != nil {
		return b.failed(err, "")
	}
	if line, meant := meantTicket(c); meant && filed.Request.State == approvals.Denied {
		words := outcomeWords(filed) + "\nTickets are written in capitals. Try: `" + b.command + " " + mrkdwn(line, 1900) + "`"
		a := acted(suggesting(words, line, string(filed.Request.State)))
		a.request = filed.Request.ID
		return a
	}
	a := tell(outcomeWords(filed), filed.Request.ID, string(filed.Request.State))
	if instead := b.insteadOf(ctx, filed); len(instead) == 0 && filed.Request.State == approvals.Denied {
		a = tell(outcomeWords(filed)+"\n`"+b.command+" explain "+mrkdwn(c.target+" "+c.profile, 200)+"` says why, rule by rule; `"+b.command+" whoami` what you may ask for.",
			filed.Request.ID, string(filed.Request.State))
	} else if len(instead) > 0 {
		w := a.payload.(whisper)
		w.Blocks = append([]slack.Block{section(w.Text)}, instead...)
		a.payload = w
	}
	return acted(a)
}

// outcomeWords tell a requester what became of the wish they just filed.
func outcomeWords(c approvals.Case) string {
	r := c.Request
	what := mrkdwn(r.Access(), 200) + " on " + mrkdwn(r.Target, 200)
	switch r.State {
	case approvals.Denied:
		return "⛔ Denied: " + what + ". " + mrkdwn(firstOf(r.Answer, r.Decision.Why), 1000) + unknowns(r.Decision)
	case approvals.Pending:
		return "⏳ Asked for " + what + ". It needs " + mrkdwn(needs(c), 500) + startWords(r) + ". You get a direct message when somebody answers." +
			unknowns(r.Decision)
	case approvals.Approved:
		approved := "✅ Approved: " + what + ". "
		if strings.HasPrefix(r.Decision.Why, "Approved") {
			approved = "✅ *" + what + "*. " // the policy says the rest
		}
		if !r.Ready() {
			return approved + mrkdwn(r.Decision.Why, 1000) + " It starts " + at(r.StartsAt) + ": you get a direct message when it can be taken."
		}
		return approved + mrkdwn(r.Decision.Why, 1000) + " Press *Get credentials* in your direct message with prodaccess; the " +
			lasting(r.Length()) + " start then."
	}
	return "This request was filed before: " + what + ". " + stands(c, r.FiledAt).head + "."
}

// openForm opens the form at once: its trigger lives three seconds.
func (b *Bot) openForm(cmd slack.SlashCommand, source string) answer {
	return answer{outcome: "form", after: func(ctx context.Context) {
		view, err := b.blankForm(ctx, cmd.UserID, source)
		if err != nil {
			text, _ := b.words(err)
			b.whisperTo(ctx, cmd, text)
			return
		}
		if _, err := b.slack.api.OpenViewContext(ctx, cmd.TriggerID, view); err != nil {
			b.log.Warn().Str("who", cmd.UserID).Err(safe(err)).Msg("the form was not opened")
			b.whisperTo(ctx, cmd, "The form did not open. Try again, or write `"+b.command+" TARGET PROFILE DURATION REASON`.")
		}
	}}
}

func (b *Bot) whisperTo(ctx context.Context, cmd slack.SlashCommand, text string) {
	if err := b.slack.respond(ctx, cmd.ResponseURL, text); err != nil {
		b.log.Warn().Str("who", cmd.UserID).Err(err).Msg("a private answer did not arrive")
	}
}

// help is what somebody in a hurry looks for first: a line to copy.
func (b *Bot) help(example string) string {
	c := b.command
	return strings.Join([]string{
		"*prodaccess* gives you a database login that ends by itself. To ask, write one line:",
		"`" + c + " " + example + "`",
		"that is `" + c + " TARGET PROFILE DURATION [name=value…] [TICKET] REASON…`. Durations are like `30m`, `1h30m` or `45s`, tickets like `INC-123`. " +
			"`" + c + "` alone opens a form.",
		"• `start=14:30` or `start=2026-11-23T14:30` among the `name=value…`: access that starts later, in your own time zone",
		"• `" + c + " list`: your access, and what there is to ask for",
		"• `" + c + " whoami`: what you are on call for, and what you may ask for",
		"• `" + c + " explain TARGET PROFILE [DURATION] [start=…] [TICKET] [REASON…]`: what would happen, and why; nothing is asked",
		"• `" + c + " extend [ID] DURATION`: more time",
		"• `" + c + " release [ID]`: give access back",
		"• `" + c + " break-glass TARGET PROFILE REASON…`: access at once in an emergency, if the policy lets you; loud, short, and reviewed afterwards",
		"The *Home* tab of prodaccess has all of it as buttons, and what waits for your answer.",
	}, "\n")
}

// lineShape is a line that is understood anywhere once its names are put in.
const lineShape = "TARGET PROFILE 30m INC-123 checkout is failing"

// example is a line that would be understood here.
func (b *Bot) example() string {
	for _, t := range b.service.Targets() {
		if profiles := b.service.Profiles(t.Name); len(profiles) > 0 {
			return strings.NewReplacer("TARGET", mrkdwn(t.Name, 80), "PROFILE", mrkdwn(profiles[0].Name, 80)).Replace(lineShape)
		}
	}
	return lineShape
}

// list shows a person's own requests that are still going, and what there is to ask for.
func (b *Bot) list(ctx context.Context, by string) answer {
	known := b.service.Known(ctx, by)
	if may, _ := eligible(known); !may {
		return b.failed(known, "")
	}
	mine, err := b.service.Cases(ctx, approvals.Query{Requester: by, States: []approvals.State{approvals.Pending, approvals.Approved, approvals.Activated}, Limit: 50})
	if err != nil {
		return b.failed(err, "")
	}
	var lines []string
	for _, c := range mine {
		if c.Request.State == approvals.Activated && (c.Grant == nil || c.Grant.State == grants.Revoked) {
			continue
		}
		if len(lines) == 10 {
			lines = append(lines, "and more")
			break
		}
		lines = append(lines, listLine(c, b.now()))
	}
	if len(lines) == 0 {
		lines = []string{"You have no access and no open request."}
	}
	if known != nil {
		text, _ := b.words(known)
		return tell(strings.Join(append(lines, "⚠️ What there is to ask for is not shown. "+text), "\n"), "", "listed their own")
	}
	lines = append(lines, "*What there is to ask for*")
	for i, t := range b.service.Targets() {
		if i == 20 {
			lines = append(lines, fmt.Sprintf("• and %d more databases; the form lists them", len(b.service.Targets())-i))
			break
		}
		var names []string
		for _, p := range b.service.Profiles(t.Name) {
			names = append(names, p.Name)
		}
		lines = append(lines, "• *"+mrkdwn(t.Name, 80)+"* ("+mrkdwn(t.Environment, 40)+"): "+mrkdwn(firstOf(some(names), "nothing"), 300))
	}
	lines = append(lines, "To ask: `"+b.command+" "+b.example()+"`")
	return tell(strings.Join(lines, "\n"), "", "listed")
}

// listLine is where a request stands and what its requester does next.
func listLine(c approvals.Case, now time.Time) string {
	s := stands(c, now)
	out := fmt.Sprintf("%s %s: *%s*", s.icon, what(c), mrkdwn(s.head, 80))
	switch {
	case c.Request.State == approvals.Pending:
		out += ", needs " + mrkdwn(needs(c), 200)
	case c.Request.State == approvals.Approved && !c.Request.Ready():
		out += "; starts " + at(c.Request.StartsAt)
	case c.Request.State == approvals.Approved:
		out += "; press *Get credentials* in your direct message or on the Home tab before " + at(c.Request.LapsesAt)
	case c.Grant != nil && c.Grant.State == grants.Active && now.Before(c.Grant.Deadline):
		out += ", " + timeLeft(c.Grant.Deadline, now) + ", ends " + atSecond(c.Grant.Deadline)
	}
	return out + " (`" + mrkdwn(c.Request.ID, 60) + "`)"
}

// onOwnGrant carries out release and extend, finding the request when the person has only one that it can be.
func (b *Bot) onOwnGrant(ctx context.Context, c command, by, key, source string) answer {
	if c.request == "" {
		var live []approvals.Case
		mine, err := b.service.Cases(ctx, approvals.Query{Requester: by, LiveGrants: true})
		if err != nil {
			return b.failed(err, "")
		}
		for _, m := range mine {
			if m.Grant != nil && m.Grant.Live() {
				live = append(live, m)
			}
		}
		switch len(live) {
		case 0:
			err := b.service.Known(ctx, by)
			if may, _ := eligible(err); !may {
				return b.failed(err, "")
			}
			return tell("You have no access now.", "", "nothing to "+c.verb)
		case 1:
			c.request = live[0].Request.ID
		default:
			lines := []string{"You have more than one. Say which:"}
			for _, m := range live[:min(10, len(live))] {
				c.request = m.Request.ID
				lines = append(lines, "• `"+b.command+" "+mrkdwn(c.String(), 200)+"` for "+mrkdwn(m.Request.Access(), 80)+" on "+mrkdwn(m.Request.Target, 80))
			}
			return tell(strings.Join(lines, "\n"), "", "which")
		}
	}
	press := approvals.Press{By: by, Request: c.request, Delivery: key, Source: source}
	if c.verb == verbRelease {
		released, err := b.service.Release(ctx, press)
		if err != nil {
			return b.failedOn(err, c.request)
		}
		return acted(tell("Your access is being taken back now; the card says when it is over.", released.Request.ID, "releasing"))
	}
	extended, err := b.service.Extend(ctx, press, c.duration)
	if err != nil {
		return b.failedOn(err, c.request)
	}
	return acted(tell(extendedWords(extended), extended.Request.ID, "extended"))
}

func extendedWords(c approvals.Case) string {
	if c.Grant == nil {
		return "Extended."
	}
	return "Extended: it ends " + atSecond(c.Grant.Deadline) + " now. Login and password stay the same."
}
