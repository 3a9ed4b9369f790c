package bot

import (
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/audit"
	"github.com/slack-go/slack"
)

// digestMessage is the daily digest.
func digestMessage(d audit.Digest) message {
	answered := "nobody was asked"
	if d.MedianAnswer > 0 {
		answered = "answered in " + lasting(d.MedianAnswer) + " at the median"
	}
	m := message{text: fmt.Sprintf("prodaccess digest: %d asked, %d issued, %d overdue.", d.Asked, d.Issued, len(d.Overdue))}
	m.blocks = []slack.Block{
		header("📒 prodaccess digest"),
		footer(at(d.From) + " to " + at(d.To)),
		row(
			count("Asked", d.Asked, fmt.Sprintf("%d at once, %d by people, %s", d.ApprovedAtOnce, d.ApprovedByPeople, answered)),
			count("Refused", d.DeniedByPolicy+d.DeniedByPeople, fmt.Sprintf("%d by the policy, %d by people, %s", d.DeniedByPolicy, d.DeniedByPeople,
				plural(d.Refused, "refused attempt", "refused attempts"))),
			count("Issued", d.Issued, fmt.Sprintf("%d could not be issued", d.FailedToIssue)),
			count("Ended", d.Ended, fmt.Sprintf("%d before their time", d.EndedEarly)),
			count("Not taken up", d.Cancelled+d.Lapsed, fmt.Sprintf("%d cancelled, %d lapsed", d.Cancelled, d.Lapsed)),
			count("Now", d.Live, fmt.Sprintf("live; %d waiting for an answer", d.Waiting)),
		),
	}
	if len(d.Approvers) > 0 {
		m.blocks = append(m.blocks, section("*Who answered*\n"+counts(d.Approvers)))
	}
	if len(d.Targets) > 0 {
		m.blocks = append(m.blocks, section("*Issued on*\n"+counts(d.Targets)))
	}
	m.blocks = append(m.blocks, open("🚨 Overdue", "Nothing is overdue.", d.Overdue), open("🧹 Clean-up pending", "", d.Leftovers))
	if d.Orphans > 0 {
		m.blocks = append(m.blocks, section("🔎 "+plural(d.Orphans, "login", "logins")+" that no live grant explains."))
	}
	m.blocks = append(m.blocks, footer(fmt.Sprintf("Audit chain: %s, head `%s`", plural(int(d.Head.Seq), "seal", "seals"), firstOf(mrkdwn(d.Head.Hash, 64), "none"))))
	kept := m.blocks[:0]
	for _, b := range m.blocks {
		if b != nil {
			kept = append(kept, b)
		}
	}
	m.blocks = kept
	return m
}

func count(label string, n int, more string) *slack.TextBlockObject {
	return markup(fmt.Sprintf("*%s* %d\n%s", label, n, more))
}

func counts(list []audit.Count) string {
	const most = 10
	var out []string
	for i, c := range list {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		out = append(out, fmt.Sprintf("%s %d", mrkdwn(c.Name, 80), c.N))
	}
	return strings.Join(out, " · ")
}

// open lists what somebody should look at; nil when there is nothing and nothing to say about it.
func open(title, otherwise string, items []audit.OpenItem) slack.Block {
	if len(items) == 0 {
		if otherwise == "" {
			return nil
		}
		return section(otherwise)
	}
	var lines []string
	for _, item := range items {
		words := fmt.Sprintf("%s on %s (%s), since %s", mrkdwn(item.Login, 60), mrkdwn(item.Target, 80), mrkdwn(item.Holder, 60), at(item.Since))
		if item.Why != "" {
			words += ": " + mrkdwn(item.Why, 120)
		}
		lines = append(lines, words)
	}
	return section("*" + title + "*\n" + bullets(lines, 6))
}
