package bot

import (
	"context"
	"fmt"
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
	// words stand for those who cannot be mentioned.
	words []string
}

// mentions are those whom selectors of the policy mean, as Slack mentions in mrkdwn, without those in except. A user group is
// mentioned as one unless somebody in it must not be. The error says that Slack should be asked again.
func (b *Bot) mentions(ctx context.Context, from []string, except []approvals.Person) (string, error) {
	c := calling{b: b, except: except, covered: map[string]bool{}}
	for _, p := range except {
		c.covered[p.ID] = true
	}
	groups := map[string]policy.Group{}
	for _, g := range b.service.Groups() {
		groups[g.Name] = g
	}
	var emails []string
	var members [][]string
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
	return c.written(), nil
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
		if slices.ContainsFunc(c.except, func(p approvals.Person) bool { return strings.EqualFold(p.Email, email) }) {
			continue
		}
		id, err := c.b.people.byEmail(ctx, email)
		switch {
		case err == nil:
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
