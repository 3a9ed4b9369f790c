package bot

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/grants"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
)

// menuWithin bounds how long the form waits for what somebody may ask for: its trigger lives three seconds.
const menuWithin = 1500 * time.Millisecond

// menu is what the form offers one person.
type menu struct {
	// targets may be asked for, those used lately first.
	targets []grants.Target
	// profiles are all there are, by target.
	profiles map[string][]policy.Profile
	// offers are what the policy would not refuse, by target and profile; nil when that is not known. Then everything is on the
	// menu, and the policy says no where it does.
	offers map[[2]string]policy.Decision
	// used are the requests made lately, the last one first.
	used []approvals.Request
}

// menuFor reads what somebody may ask for. Whoever may not ask at all gets the *approvals.Refusal that says so; anything else
// that is not known makes the menu longer and not shorter.
func (b *Bot) menuFor(ctx context.Context, user string) (menu, error) {
	ctx, cancel := context.WithTimeout(ctx, menuWithin)
	defer cancel()
	m := menu{profiles: map[string][]policy.Profile{}}
	me, err := b.service.Me(ctx, user)
	if refusal, ok := refusalOf(err); ok && refusal.Code == approvals.NotEligible {
		return m, err
	}
	if err == nil {
		m.offers = map[[2]string]policy.Decision{}
		for _, o := range me.Offers {
			m.offers[[2]string{o.Target, o.Profile}] = o.Decision
		}
	} else {
		b.log.Warn().Str("who", user).Err(err).Msg("the form offers everything: what may be asked for is not known")
	}
	if lately, err := b.service.Cases(ctx, approvals.Query{Requester: user, Limit: 20}); err == nil {
		for _, c := range lately {
			m.used = append(m.used, c.Request)
		}
	}
	for _, t := range b.service.Targets() {
		all := b.service.Profiles(t.Name)
		if slices.ContainsFunc(all, func(p policy.Profile) bool { return m.offered(t.Name, p.Name) }) {
			m.targets = append(m.targets, t)
			m.profiles[t.Name] = all
		}
	}
	byUse(m.targets, m.used, func(t grants.Target, r approvals.Request) bool { return t.Name == r.Target })
	return m, nil
}

// offered says whether the policy would not refuse, as far as it is known.
func (m menu) offered(target, profile string) bool {
	if m.offers == nil {
		return true
	}
	_, ok := m.offers[[2]string{target, profile}]
	return ok
}

// longest is the longest the policy allows; 0 when it is not known.
func (m menu) longest(target, profile string) time.Duration {
	return m.offers[[2]string{target, profile}].MaxDuration
}

// choices are the profiles of a target, or those offered anywhere while none is chosen: used ones first, those that are not offered
// last.
func (m menu) choices(target string) []policy.Profile {
	var out []policy.Profile
	for _, t := range m.targets {
		for _, p := range m.profiles[t.Name] {
			if t.Name != target && (target != "" || !m.offered(t.Name, p.Name)) {
				continue
			}
			if !slices.ContainsFunc(out, func(have policy.Profile) bool { return have.Name == p.Name }) {
				out = append(out, p)
			}
		}
	}
	byUse(out, m.used, func(p policy.Profile, r approvals.Request) bool {
		return p.Name == r.Profile && (target == "" || r.Target == target)
	})
	slices.SortStableFunc(out, func(a, b policy.Profile) int {
		return rank(m.refused(target, a.Name)) - rank(m.refused(target, b.Name))
	})
	return out
}

func (m menu) refused(target, profile string) bool {
	return target != "" && !m.offered(target, profile)
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// byUse puts what was used lately first, the last first, and leaves the rest in its order.
func byUse[T any](list []T, used []approvals.Request, is func(T, approvals.Request) bool) {
	place := func(item T) int {
		if i := slices.IndexFunc(used, func(r approvals.Request) bool { return is(item, r) }); i >= 0 {
			return i
		}
		return len(used)
	}
	slices.SortStableFunc(list, func(a, b T) int { return place(a) - place(b) })
}

// databases are the targets as choices.
func databases(targets []grants.Target) []*slack.OptionBlockObject {
	var out []*slack.OptionBlockObject
	for _, t := range targets {
		out = offer(out, t.Name, t.Environment)
	}
	return out
}

// onSuggestion answers what somebody types into a menu that is too long to be sent whole.
func (b *Bot) onSuggestion(ctx context.Context, cb slack.InteractionCallback) answer {
	options := []*slack.OptionBlockObject{}
	if m, err := b.menuFor(ctx, cb.User.ID); err == nil && cb.ActionID == blockDatabase {
		typed := strings.ToLower(strings.TrimSpace(cb.Value))
		var beginning, holding []grants.Target
		for _, t := range m.targets {
			switch name := strings.ToLower(t.Name); {
			case strings.HasPrefix(name, typed):
				beginning = append(beginning, t)
			case strings.Contains(name, typed), strings.Contains(strings.ToLower(t.Environment), typed):
				holding = append(holding, t)
			}
		}
		found := append(beginning, holding...)
		if len(found) == 0 {
			var names []string
			for _, t := range m.targets {
				names = append(names, t.Name)
			}
			if near, ok := policy.Nearest(typed, names); ok {
				found = []grants.Target{{Name: near}}
			}
		}
		options = append(options, databases(found)...)
	}
	return answer{payload: map[string]any{"options": options[:min(mostOptions, len(options))]}, outcome: "suggested"}
}

// openingWithin bounds how long a form that is about to open waits for what will happen to what it holds already.
const openingWithin = 700 * time.Millisecond

// blank is a wish before anything was chosen; where there is only one database, that is chosen.
func blank(m menu) wish {
	var w wish
	if len(m.targets) == 1 {
		w.target = m.targets[0].Name
	}
	return w
}

// blankForm is the form as it opens: with what was typed before and not sent, where there is such a thing.
func (b *Bot) blankForm(ctx context.Context, user, source string) (slack.ModalViewRequest, error) {
	m, err := b.menuFor(ctx, user)
	if err != nil {
		return slack.ModalViewRequest{}, err
	}
	w, typed := b.drafted(ctx, user, m)
	if !typed {
		return b.form(m, blank(m), choose(blank(m))), nil
	}
	w.note.Restored = true
	return b.form(m, w, b.foreseeSoon(ctx, user, source, w)), nil
}

// foreseeSoon is foresee for a form that cannot wait.
func (b *Bot) foreseeSoon(ctx context.Context, user, source string, w wish) string {
	ctx, cancel := context.WithTimeout(ctx, openingWithin)
	defer cancel()
	foreseen := b.foresee(ctx, user, source, w)
	if ctx.Err() != nil {
		return "Change something to see what will happen."
	}
	return foreseen
}
