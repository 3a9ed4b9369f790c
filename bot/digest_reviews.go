package bot

import (
	"github.com/prodaccess/prodaccess/audit"
	"github.com/slack-go/slack"
)

// openReviews lists the reviews that somebody still has to close; nil when there are none.
func openReviews(items []audit.OpenItem) slack.Block {
	if len(items) == 0 {
		return nil
	}
	var lines []string
	for _, item := range items {
		words := mrkdwn(item.Holder, 60) + " on " + mrkdwn(item.Target, 80) + " " + at(item.Since)
		if item.Login == "" {
			words += ", not taken"
		}
		switch {
		case item.Overdue:
			words += ", 🚨 *overdue* since " + at(item.Due)
		case !item.Due.IsZero():
			words += ", due " + at(item.Due)
		}
		if item.Why != "" {
			words += ": " + mrkdwn(item.Why, 120)
		}
		lines = append(lines, words+" (`"+mrkdwn(item.Request, 20)+"`)")
	}
	return section("*🔎 Open reviews of broken glass*\n" + bullets(lines, 6))
}

// reviewed is what came of the reviews that were closed.
func reviewed(r audit.Reviewed) []string {
	return []string{of(r.Justified, "found justified"), of(r.NotJustified, "*not justified*"), of(r.Unused, "never taken")}
}
