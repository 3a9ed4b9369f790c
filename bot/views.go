package bot

import (
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// The windows. private_metadata holds a request's id and nothing else, but for the one that breaks glass.
const (
	viewRequest = "request"
	viewDeny    = "deny"
	viewRevoke  = "revoke"
	viewExtend  = "extend"
	viewAgain   = "show_again"
	viewShown   = "credential"
)

func modal(title string, blocks ...slack.Block) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, Title: literal(plain(title, longestTitle)), Close: literal("Close"),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

// saying is a window that only says something, in mrkdwn.
func saying(title, text string) slack.ModalViewRequest { return modal(title, section(text)) }

// reasonView asks why, for Deny and Revoke.
func reasonView(callback, title, submit, hint string, c approvals.Case) slack.ModalViewRequest {
	input := slack.NewPlainTextInputBlockElement(nil, "reason").WithMultiline(true).WithMinLength(1).WithMaxLength(1000)
	input.FocusOnLoad = true
	r := c.Request
	v := modal(title, section(wishLine(r)),
		slack.NewInputBlock("reason", literal("Reason"), literal(hint), input))
	v.CallbackID, v.PrivateMetadata = callback, r.ID
	v.Submit, v.Close = literal(submit), literal("Back")
	return v
}

// extendView asks for how much longer.
func extendView(c approvals.Case) slack.ModalViewRequest {
	input := slack.NewPlainTextInputBlockElement(literal("30m"), "duration").WithInitialValue("30m").WithMaxLength(40)
	v := modal("Extend access",
		section("Access to "+mrkdwn(c.Request.Target, 200)+" ends "+atSecond(c.Grant.Deadline)+". Open sessions go on; the password stays the same."),
		slack.NewInputBlock("duration", literal("Duration"), literal("For how much longer: 30m, 1h30m, 45s."), input))
	v.CallbackID, v.PrivateMetadata = viewExtend, endSeen(c)
	v.Submit, v.Close = literal("Extend"), literal("Back")
	return v
}

// makingView stands while the login is made.
func makingView() slack.ModalViewRequest {
	return saying("Credentials", "Making your login… This takes a moment; leave this window open.")
}

// againView offers a new password for a login whose credential was shown before.
func againView(request, words string) slack.ModalViewRequest {
	v := saying("Credentials", firstOf(words, "Your login exists and its password was shown before.")+
		"\nPasswords are not kept anywhere, so it cannot be shown again. A new one can be made; the old one stops working for new sessions.")
	v.CallbackID, v.PrivateMetadata = viewAgain, request
	v.Submit = literal("New password")
	return v
}

// credentialView is the only place a credential is ever written to.
func credentialView(cred grants.Credential, profile policy.Profile, command string, now time.Time) slack.ModalViewRequest {
	tool := "psql"
	if cred.Engine == "mysql" {
		tool = "mysql"
	}
	ends := "*" + lasting(max(0, cred.Deadline.Sub(now))) + " left*: ends " + atSecond(cred.Deadline) + ". It is shown once; copy what you need now."
	if cred.Note != "" {
		ends += "\n⚠️ " + mrkdwn(cred.Note, 500)
	}
	v := modal("Credentials",
		section(ends),
		section("*Connection URL*"), verbatim(cred.URL().Reveal()),
		section("*"+tool+"*"), verbatim(cred.Command().Reveal()),
		section("*Host*"), verbatim(cred.Endpoint.Host),
		section("*Port*"), verbatim(strconv.Itoa(cred.Endpoint.Port)),
		section("*Database*"), verbatim(cred.Database),
		section("*User*"), verbatim(cred.Login),
		section("*Password*"), verbatim(cred.Password.Reveal()),
		section("*What it can do*\n"+abilities(cred.Profile, profile)),
		footer("Done early? Press *Release* in your direct message with prodaccess, or write `"+mrkdwn(command, 40)+" release`. Open sessions are closed at the end in any case."),
	)
	v.CallbackID = viewShown
	return v
}

// verbatim shows text as preformatted, to be copied as it is.
func verbatim(text string) slack.Block {
	return slack.NewRichTextBlock("", &slack.RichTextPreformatted{
		Type:     slack.RTEPreformatted,
		Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(firstOf(text, "none"), nil)},
	})
}

// abilities says what a profile may do, one line for each of its grants.
func abilities(name string, p policy.Profile) string {
	out := "*" + mrkdwn(name, 100) + "*"
	if p.Risk != "" {
		out += " (" + mrkdwn(p.Risk, 20) + " risk)"
	}
	if p.Description != "" {
		out += ": " + mrkdwn(p.Description, 300)
	}
	var lines []string
	for _, g := range p.Grants {
		tables := strings.Join(g.Tables, ", ") + " in "
		if len(g.Tables) == 1 && g.Tables[0] == "*" {
			tables = "all tables of "
		}
		what := strings.Join(g.Privileges, ", ") + " on " + tables + g.Schema
		if len(g.Columns) > 0 {
			what += " (" + strings.Join(g.Columns, ", ") + ")"
		}
		if g.Rows != "" {
			what += " where " + g.Rows
		}
		lines = append(lines, mrkdwn(what, 250))
	}
	if len(lines) > 0 {
		out += "\n" + bullets(lines, 8)
	}
	return out
}
