package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
)

// mostMentioned bounds how many people one message calls by name.
const mostMentioned = 15

// calling collects whom a message mentions, everybody once and some never.
type calling struct {
	b      *Bot
	except []approvals.Person
	// covered are people who are mentioned already, by themselves or through a user group.
	covered map[string]bool
	groups  []string // mentions of whole user groups
	people  []string // Slack user IDs
	// found are the addresses that Slack knows.
	found map[string]string
	// words stand for those who cannot be mentioned.
	words []string
}

// mentions are those whom selectors of the policy mean, as Slack mentions in mrkdwn, without those in except. A user group is
// mentioned as one unless somebody in it must not be; of a schedule, whoever is on call at this moment is mentioned by name, and where
// that is not known it is said instead. The error says that Slack should be asked again.
func (b *Bot) mentions(ctx context.Context, from []string, except []approvals.Person) (string, error) {
	c := calling{b: b, except: except, covered: map[string]bool{}, found: map[string]string{}}
	for _, p := range except {
		c.covered[p.ID] = true
	}
	groups := map[string]policy.Group{}
	for _, g := range b.service.Groups() {
		groups[g.Name] = g
	}
	var emails []string
	var members [][]string
	onCall := map[string][]string{}
	for _, s := range slices.Compact(slices.Sorted(slices.Values(from))) {
		kind, name, _ := strings.Cut(s, ":")
		g, known := groups[name]
		switch {
		case kind == "group" && known:
			emails = append(emails, g.Emails...)
			if g.SlackUsergroup == "" {
				continue
			}
			in, err := b.people.members(ctx, g.SlackUsergroup)
			if err != nil && (codeOf(err) == "" || passing[codeOf(err)]) {
				return "", fmt.Errorf("reading whom to mention: %w", err)
			}
			if err != nil {
				c.words = append(c.words, mrkdwn(selector(s), 100))
				continue
			}
			members = append(members, c.whole(g.SlackUsergroup, in))
		case kind == "user":
			emails = append(emails, name)
		case kind == "oncall":
			now, unknown := b.service.OnCall(ctx, name)
			if unknown != "" {
				c.words = append(c.words, mrkdwn(selector(s)+" (not known now, because "+unknown+")", 300))
			} else {
				onCall[s] = now
			}
			emails = append(emails, now...)
		default:
			c.words = append(c.words, mrkdwn(selector(s), 100))
		}
	}
	for _, in := range members {
		c.each(in)
	}
	if err := c.mail(ctx, emails); err != nil {
		return "", err
	}
	// A shift that calls nobody is said in words: somebody else has to look for whoever it is.
	for _, s := range slices.Sorted(maps.Keys(onCall)) {
		if words := c.unheard(onCall[s]); words != "" {
			c.words = append(c.words, mrkdwn(selector(s)+" ("+words+")", 300))
		}
	}
	return c.written(), nil
}

// unheard says why none of those on call is called; empty when one is.
func (c *calling) unheard(emails []string) string {
	switch {
	case len(emails) == 0:
		return "nobody is on call now"
	case len(c.people) > mostMentioned:
		return "" // who is left out is said already
	}
	strange := false
	for _, email := range emails {
		switch {
		case c.found[email] != "":
			return ""
		case !c.excepted(email):
			strange = true
		}
	}
	if strange {
		return "Slack does not know who that is now"
	}
	return "nobody else is on call now"
}

func (c *calling) excepted(email string) bool {
	return slices.ContainsFunc(c.except, func(p approvals.Person) bool { return strings.EqualFold(p.Email, email) })
}

// whole mentions a user group as one if it may, and otherwise returns its members, to be mentioned by themselves.
func (c *calling) whole(id string, members []string) []string {
	if slices.ContainsFunc(members, func(m string) bool { return c.covered[m] }) {
		return members
	}
	for _, m := range members {
		c.covered[m] = true
	}
	if len(members) > 0 {
		c.groups = append(c.groups, "<!subteam^"+id+">")
	}
	return nil
}

func (c *calling) each(ids []string) {
	for _, id := range ids {
		if !c.covered[id] {
			c.covered[id] = true
			c.people = append(c.people, id)
		}
	}
}

// mail mentions people by their address. Whom Slack does not know is left out.
func (c *calling) mail(ctx context.Context, emails []string) error {
	for _, email := range slices.Compact(slices.Sorted(slices.Values(emails))) {
		if len(c.people) > mostMentioned {
			return nil
		}
		if c.excepted(email) {
			continue
		}
		id, err := c.b.people.byEmail(ctx, email)
		switch {
		case err == nil:
			c.found[email] = id
			c.each([]string{id})
		case codeOf(err) == "" || passing[codeOf(err)]:
			return fmt.Errorf("reading whom to mention: %w", err)
		}
	}
	return nil
}

func (c *calling) written() string {
	out := c.groups
	for i, id := range c.people {
		if i == mostMentioned {
			out = append(out, "and others")
			break
		}
		out = append(out, "<@"+id+">")
	}
	return strings.Join(append(out, c.words...), " ")
}
