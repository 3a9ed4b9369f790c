package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/prodaccess/prodaccess/policy"
	"github.com/slack-go/slack"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// remembered is how long what Slack said of somebody may be used where freshness was not asked for, and of a user group
	// always: usergroups.users.list may be called twenty times a minute.
	remembered = time.Minute
	// askWithin bounds one look-up, so that a slow Slack becomes "not known" within a press's three seconds.
	askWithin = 1500 * time.Millisecond
	// spared are calls of users.info that are kept for people nothing is known of: Slack takes about a hundred a minute.
	spared = 40
	// sparedUnasked are kept from drawings that nobody asked for: what presses may use before they have to spare, and a margin.
	sparedUnasked = spared + 20
	// rememberedUnasked is how old an answer such a drawing may use when calls are scarce.
	rememberedUnasked = 10 * time.Minute

	looksBurst = 90
	looksEvery = time.Minute / 95
	// addressed is how long an address is taken to lead to the same account, for mentions.
	addressed = time.Hour
)

// Directory says who somebody in the workspace is, and which user groups they are in. It is safe for concurrent use.
type Directory struct {
	slack *Slack
	now   func() time.Time
	calls singleflight.Group

	mu     sync.Mutex
	looks  *rate.Limiter
	quiet  time.Time // Slack said to wait until then before somebody is looked up
	people map[string]known[*slack.User]
	groups map[string]groupAnswer
	emails map[string]known[string]
}

type known[T any] struct {
	value T
	at    time.Time
}

// NewDirectory needs both.
func NewDirectory(s *Slack, now func() time.Time) *Directory {
	return &Directory{slack: s, now: now, looks: rate.NewLimiter(rate.Every(looksEvery), looksBurst), people: map[string]known[*slack.User]{}, groups: map[string]groupAnswer{}, emails: map[string]known[string]{}}
}

// Person is somebody who may act, as Slack has them now (fresh) or had them within the last minute. While more people press than
// Slack takes look-ups for, a fresh answer may be a minute old as well. Whoever may not act
// is refused with approvals.NotEligible, and when Slack does not say, with approvals.NotKnown.
func (d *Directory) Person(ctx context.Context, slackID string, fresh bool) (approvals.Person, error) {
	u, err := d.user(ctx, slackID, fresh)
	if err != nil {
		switch codeOf(err) {
		case "user_not_found", "user_not_visible", "users_not_found":
			return approvals.Person{}, ineligible("Slack does not know this person in this workspace.")
		}
		if errors.Is(err, errScarce) {
			return approvals.Person{}, err // whoever draws comes again
		}
		return approvals.Person{}, notKnown(err)
	}
	team, err := d.slack.teamID(ctx)
	if err != nil {
		return approvals.Person{}, notKnown(err)
	}
	switch {
	case u.Deleted:
		return approvals.Person{}, ineligible("This account is deactivated.")
	case u.IsBot, u.IsWorkflowBot, u.IsConnectorBot, u.ID == "USLACKBOT":
		return approvals.Person{}, ineligible("Bots can neither ask nor approve.")
	case u.IsRestricted, u.IsUltraRestricted:
		return approvals.Person{}, ineligible("Guests can neither ask nor approve.")
	case u.IsStranger, u.TeamID != team && !slices.Contains(u.Enterprise.Teams, team):
		return approvals.Person{}, ineligible("People from another workspace can neither ask nor approve.")
	case u.IsInvitedUser:
		return approvals.Person{}, ineligible("This account has not joined the workspace yet.")
	case u.Profile.Email == "":
		return approvals.Person{}, ineligible("Slack shows no e-mail address for this account; people are known to the policy by theirs.")
	case !u.IsEmailConfirmed:
		return approvals.Person{}, ineligible("The e-mail address of this account is not confirmed. Confirm it in Slack, then try again.")
	}
	return approvals.Person{
		ID: u.ID, Name: line(firstOf(u.Profile.DisplayName, u.Profile.RealName, u.RealName, u.Name)), Email: u.Profile.Email, Zone: u.TZ,
	}, nil
}

// Membership says whether somebody is in a user group, or why that is not known. The answer may be a minute old even when
// fresh is asked for.
func (d *Directory) Membership(ctx context.Context, usergroup, slackID string, _ bool) policy.Membership {
	members, err := d.members(ctx, usergroup)
	if err == nil {
		return policy.Membership{Member: slices.Contains(members, slackID)}
	}
	switch codeOf(err) {
	case "plan_upgrade_required", "paid_teams_only":
		return policy.Membership{Unknown: "this workspace's plan has no user groups; list e-mail addresses in the policy instead"}
	case "no_such_subteam":
		return policy.Membership{Unknown: "Slack has no user group " + usergroup}
	case "missing_scope":
		return policy.Membership{Unknown: "the app lacks the scope usergroups:read"}
	case "ratelimited":
		return policy.Membership{Unknown: "Slack asks to wait before user groups are read again"}
	}
	return policy.Membership{Unknown: "Slack did not say who is in user group " + usergroup}
}

func (d *Directory) user(ctx context.Context, id string, fresh bool) (*slack.User, error) {
	lately, sparing := d.remembered(id)
	if lately != nil && (!fresh || sparing) {
		return lately, nil
	}
	if !fresh && isUnasked(ctx) {
		if u, err := d.scarce(id); u != nil || err != nil {
			return u, err
		}
	}
	if !fresh {
		return ask(ctx, &d.calls, "user "+id, func(ctx context.Context) (*slack.User, error) { return d.askUser(ctx, id) })
	}
	// A fresh answer must not be one that was asked for before the press, so it does not join a call under way.
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	u, err := d.askUser(ctx, id)
	if err != nil && lately != nil && codeOf(err) == "ratelimited" {
		return lately, nil
	}
	return u, err
}

// remembered is what Slack said of somebody within the last minute, if it did, and whether that has to do for a press as well: when
// more people press than Slack lets us look up, calls are left for those of whom nothing is known.
func (d *Directory) remembered(id string) (u *slack.User, sparing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if k, ok := d.people[id]; ok && now.Sub(k.at) < remembered {
		u = k.value
	}
	return u, now.Before(d.quiet) || d.looks.TokensAt(now) < spared
}

// errScarce is why a drawing that nobody asked for is put off.
var errScarce = fmt.Errorf("look-ups of people are kept for presses: %w", ErrInLine)

type unaskedKey struct{}

// unasked marks what is done for a drawing that nobody waits for.
func unasked(ctx context.Context) context.Context {
	return context.WithValue(ctx, unaskedKey{}, true)
}

func isUnasked(ctx context.Context) bool { return ctx.Value(unaskedKey{}) != nil }

// scarce is an older answer about somebody, or an *Undelivered, while calls are kept for presses; otherwise neither.
func (d *Directory) scarce(id string) (*slack.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if !now.Before(d.quiet) && d.looks.TokensAt(now) >= sparedUnasked {
		return nil, nil
	}
	if k, ok := d.people[id]; ok && now.Sub(k.at) < rememberedUnasked {
		return k.value, nil
	}
	return nil, &Undelivered{After: homesEvery, Err: errScarce}
}

func (d *Directory) askUser(ctx context.Context, id string) (*slack.User, error) {
	asked := d.now()
	d.looks.AllowN(asked, 1)
	u, err := d.slack.api.GetUserInfoContext(ctx, id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		err = safe(err)
		if f, ok := err.(*failure); ok && f.after > 0 {
			d.quiet = d.now().Add(f.after)
		}
		return nil, err
	}
	remember(d.people, id, known[*slack.User]{u, asked})
	return u, nil
}

// byEmail is the Slack user ID behind an address, to be mentioned; it says nothing of what they may do.
func (d *Directory) byEmail(ctx context.Context, email string) (string, error) {
	d.mu.Lock()
	k, ok := d.emails[email]
	d.mu.Unlock()
	if ok && d.now().Sub(k.at) < addressed {
		return k.value, nil
	}
	return ask(ctx, &d.calls, "email "+email, func(ctx context.Context) (string, error) {
		u, err := d.slack.api.GetUserByEmailContext(ctx, email)
		if err != nil {
			return "", safe(err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		remember(d.emails, email, known[string]{u.ID, d.now()})
		return u.ID, nil
	})
}

// groupAnswer is what Slack said of a user group, or why it did not, and until when that stands.
type groupAnswer struct {
	members []string
	err     error
	until   time.Time
}

func (d *Directory) members(ctx context.Context, usergroup string) ([]string, error) {
	if a, ok := d.answered(usergroup); ok {
		return a.members, a.err
	}
	a, err := ask(ctx, &d.calls, "group "+usergroup, func(ctx context.Context) (groupAnswer, error) {
		// The call before this one may have ended between the look above and now.
		if a, ok := d.answered(usergroup); ok {
			return a, nil
		}
		a := groupAnswer{until: d.now().Add(remembered)}
		a.members, a.err = d.slack.api.GetUserGroupMembersContext(ctx, usergroup)
		if a.err != nil {
			a.err, a.until = safe(a.err), d.now().Add(standsFor(a.err))
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		remember(d.groups, usergroup, a)
		return a, nil
	})
	if err != nil {
		return nil, err
	}
	return a.members, a.err
}

func (d *Directory) answered(usergroup string) (groupAnswer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.groups[usergroup]
	return a, ok && d.now().Before(a.until)
}

// standsFor is how long a failure is not asked about again: what a person must mend for as long as an answer, Slack's own
// trouble for a moment.
func standsFor(err error) time.Duration {
	f, _ := errors.AsType[*failure](safe(err))
	switch {
	case f.after > 0:
		return min(f.after, remembered)
	case f.code == "" || passing[f.code]:
		return time.Second
	}
	return remembered
}

// ask makes one call for everybody who wants the same answer now. The call does not end because one of them gave up.
func ask[T any](ctx context.Context, calls *singleflight.Group, key string, call func(context.Context) (T, error)) (T, error) {
	result := calls.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
		defer cancel()
		return call(ctx)
	})
	var none T
	select {
	case <-ctx.Done():
		return none, safe(ctx.Err())
	case r := <-result:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	}
}

// remember keeps a map bounded by forgetting everything; it fills again within seconds.
func remember[T any](in map[string]T, key string, value T) {
	const most = 10_000
	if len(in) >= most {
		clear(in)
	}
	in[key] = value
}

func ineligible(words string) error {
	return &approvals.Refusal{Code: approvals.NotEligible, Words: words}
}

func notKnown(err error) error {
	return &approvals.Refusal{Code: approvals.NotKnown, Words: fmt.Sprintf("Slack did not say who you are (%s). Try again in a moment.", safe(err))}
}
