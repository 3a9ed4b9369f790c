package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/audit"
)

// findings puts what a sweep met into words, from its audit event.
type findings struct{ app *App }

// Finding implements bot.Findings.
func (f findings) Finding(ctx context.Context, eventID string) (string, error) {
	id, err := strconv.ParseInt(eventID, 10, 64)
	if err != nil {
		return "", fmt.Errorf("reading the id of a finding's event: %w", err)
	}
	event, err := f.app.store.Event(ctx, id)
	if err != nil {
		return "", err
	}
	login := event.Detail["login"]
	switch event.Kind {
	case audit.LoginOrphaned:
		return fmt.Sprintf("The login %s on %s is being locked out and dropped: %s. Look at who could have used it since; the audit log has grant %s.",
			login, event.Target, event.Reason, event.Grant), nil
	case audit.LoginTaken:
		return fmt.Sprintf("The login %s on %s, which no grant explained, owned something: %s. Look at what that is before you use or drop it; the "+
			"audit log has grant %s.", login, event.Target, event.Detail["left"], event.Grant), nil
	case audit.GrantMissing:
		return fmt.Sprintf("The login %s is not on %s any more, though its grant %s was live. Nobody of ours took it away: ask whoever "+
			"administers that database. The grant is being ended.", login, event.Target, event.Grant), nil
	case audit.IncidentFailed:
		if event.Detail["instead_of"] == string(audit.IncidentResolved) {
			return fmt.Sprintf("The review of broken glass on %s, request %s, is over, and PagerDuty was not told: %s. Resolve the incident there "+
				"yourselves, and mend pagerduty in the configuration.", event.Target, event.Request, event.Reason), nil
		}
		// Whoever should have been woken is woken by whoever reads this.
		return fmt.Sprintf("PagerDuty was not told about broken glass on %s, request %s: %s. Look at the request yourselves, and mend "+
			"pagerduty in the configuration.", event.Target, event.Request, event.Reason), nil
	case audit.LoginUnknown:
		until := ""
		if at, err := time.Parse(time.RFC3339, event.Detail["valid_until"]); err == nil {
			until = " The server lets it in until " + at.Format("2006-01-02 15:04 UTC") + " at the latest; then it is taken away in any case."
		}
		return fmt.Sprintf("The login %s on %s is not in the store, which was restored from a backup or replaced since. Somebody may be using "+
			"it, so it is left alone.%s `prodaccess targets sweep %s` lists such logins, and takes them away with --yes.",
			login, event.Target, until, event.Target), nil
	case audit.LoginCopied:
		return fmt.Sprintf("The login %s, which grant %s gave out on %s, is on %s as well, a server of its own with the same identifier: one is a "+
			"copy of the other. It works there with the same password, and is taken away there only after that grant has ended. If nobody is meant to "+
			"use it there, lock it on that server: ALTER ROLE %s NOLOGIN, and end its sessions. If %s took over from %s, make them one target.",
			login, event.Grant, event.Detail["origin"], event.Target, login, event.Target, event.Detail["origin"]), nil
	case audit.TargetSwapped:
		return fmt.Sprintf("Another database cluster (%s) answers as %s. Nobody is given a login on it, and grants on the one before cannot be "+
			"ended there. If that is as it should be, run `prodaccess targets trust %s`; if not, mend the address.",
			event.Detail["fingerprint"], event.Target, event.Target), nil
	case audit.PolicyRejected:
		more := ""
		if n, _ := strconv.Atoi(event.Detail["faults"]); n > 1 {
			more = fmt.Sprintf(" That is the first of %d faults.", n)
		}
		return fmt.Sprintf("The policy file was changed and does not load, so the policy before it stays in force. %s.%s "+
			"`prodaccess policy check` shows everything that is wrong; a mended file is taken up by itself.",
			strings.TrimSuffix(event.Reason, "."), more), nil
	default:
		return fmt.Sprintf("%s on %s: %s", event.Kind, event.Target, event.Reason), nil
	}
}
