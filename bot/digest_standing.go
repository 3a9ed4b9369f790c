package bot

import (
	"fmt"
	"strings"

	"github.com/prodaccess/prodaccess/audit"
)

// standingAccess says how many logins reach data without a grant, and which came, changed or went; empty before the first
// survey.
func standingAccess(s audit.StandingAccess) string {
	if s.Logins == 0 && len(s.New)+len(s.Changed)+len(s.Gone) == 0 {
		return ""
	}
	out := fmt.Sprintf("%s on %s that no grant explains", plural(s.Logins, "login", "logins"), plural(s.Targets, "target", "targets"))
	if s.Superusers > 0 {
		out += fmt.Sprintf(", %d of them %s", s.Superusers, map[bool]string{true: "a superuser", false: "superusers"}[s.Superusers == 1])
	}
	var lines []string
	for _, part := range []struct {
		words   string
		changes []audit.StandingChange
	}{{"new", s.New}, {"changed", s.Changed}, {"gone", s.Gone}} {
		for _, c := range part.changes {
			line := fmt.Sprintf("*%s*: %s on %s, %s", part.words, mrkdwn(c.Login, 60), mrkdwn(c.Target, 80), mrkdwn(c.Power, 20))
			if len(c.Why) > 0 && part.words != "gone" {
				line += " (" + mrkdwn(strings.Join(c.Why, "; "), 160) + ")"
			}
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return out + "; the same as before."
	}
	return out + ".\n" + bullets(lines, 8)
}
