package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"
)

// scopes are what the app needs, with what for. slack-manifest.yaml asks for the same.
var scopes = []struct{ name, what string }{
	{"commands", "the slash command"},
	{"chat:write", "cards, direct messages and the digest"},
	{"im:write", "direct messages"},
	{"users:read", "knowing guests, bots and people who left"},
	{"users:read.email", "knowing people by their address"},
	{"usergroups:read", "groups that are Slack user groups"},
	{"channels:history", "finding out, after a lost answer, whether a message was posted"},
	{"metadata.message:read", "the same"},
}

// Examined is one thing Examine looked at.
type Examined struct {
	// What is a plain statement, true when Wrong is empty.
	What string
	// Wrong says what is wrong, Mend what puts it right.
	Wrong, Mend string
}

// Examine tries everything the bot needs of a workspace and posts nothing. Channels are by what they are for, as the
// configuration calls them; usergroups are IDs.
func (s *Slack) Examine(ctx context.Context, socket bool, channels map[string]string, usergroups []string) []Examined {
	me, err := s.api.AuthTestContext(ctx)
	if err != nil {
		return []Examined{{"Slack accepts the bot token", safe(err).Error(), mendOf(err, "slack.bot_token: the Bot User OAuth Token of the app's page OAuth & Permissions; it begins with xoxb-")}}
	}
	out := []Examined{{What: fmt.Sprintf("Slack accepts the bot token: %s in the workspace %s", line(me.User), line(me.Team))}}
	if granted := me.Header.Get("X-OAuth-Scopes"); granted != "" {
		out = append(out, examineScopes(strings.FieldsFunc(granted, func(r rune) bool { return r == ',' || r == ' ' })))
	}
	if socket {
		e := Examined{What: "Slack accepts the app token"}
		if _, _, err := s.api.StartSocketModeContext(ctx); err != nil {
			e.Wrong, e.Mend = safe(err).Error(), mendOf(err, "slack.app_token: a token with the scope connections:write, of the app's page Basic Information; it begins with xapp-. Socket Mode must be on")
		}
		out = append(out, e)
	}
	for _, purpose := range []string{"approvals_channel", "audit_channel", "security_channel"} {
		if id := channels[purpose]; id != "" {
			out = append(out, s.examineChannel(ctx, purpose, id))
		}
	}
	for _, group := range usergroups {
		e := Examined{What: "the members of user group " + group + " can be read"}
		if _, err := s.api.GetUserGroupMembersContext(ctx, group); err != nil {
			e.Wrong, e.Mend = safe(err).Error(), mendOf(err, "the group's ID in the policy; user groups need a paid plan, lists of e-mail addresses do not")
		}
		out = append(out, e)
	}
	return out
}

func examineScopes(granted []string) Examined {
	e := Examined{What: "the app has every scope it needs"}
	var missing []string
	for _, scope := range scopes {
		if !slices.Contains(granted, scope.name) {
			missing = append(missing, scope.name+" ("+scope.what+")")
		}
	}
	if len(missing) > 0 {
		e.Wrong, e.Mend = "missing: "+strings.Join(missing, ", "), "paste slack-manifest.yaml into the app's page App Manifest, then reinstall the app"
	}
	return e
}

// examineChannel reads one message: what the bot can read it is a member of, and where it is a member it can post.
func (s *Slack) examineChannel(ctx context.Context, purpose, id string) Examined {
	e := Examined{What: "the bot is in " + purpose + " (" + id + ")"}
	_, err := s.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: id, Limit: 1})
	switch code := codeOf(err); {
	case err == nil:
	case code == "not_in_channel":
		e.Wrong, e.Mend = "it is not", "in that channel: /invite the app"
	case code == "channel_not_found":
		e.Wrong, e.Mend = "the bot sees no such channel", "slack."+purpose+": the channel's ID, at the end of its details; a private channel must have the app as a member"
	default:
		e.Wrong, e.Mend = safe(err).Error(), mendOf(err, "")
	}
	return e
}

// mendOf is what mends an answer of Slack's. Where there was no answer, what was asked for is not the trouble.
func mendOf(err error, answered string) string {
	if codeOf(err) == "" {
		return "the way to Slack: this machine must reach slack.api_url, and so must its proxy if it has one"
	}
	return answered
}
