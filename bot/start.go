package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
	"github.com/slack-go/slack"
)

// The fields about a later start. The second is there only once "later" was chosen.
const (
	labelStart    = "Start"
	labelStartsAt = "Starts at"

	blockStart    = "start"
	blockStartsAt = "starts_at"

	startNow   = "now"
	startLater = "later"

	// paramStart is how a line says when access is to start, where no parameter of the access has that name.
	paramStart = "start"
)

// startFields ask when the access is to begin.
func (w wish) startFields() []slack.Block {
	choices := []*slack.OptionBlockObject{
		slack.NewOptionBlockObject(startNow, literal("Now"), literal("as soon as it is approved")),
		slack.NewOptionBlockObject(startLater, literal("Later…"), literal("on a day and at a time of yours")),
	}
	out := []slack.Block{
		slack.NewInputBlock(w.id(blockStart), literal(labelStart), nil, selectOne(labelStart, "When", choices, firstOf(w.start, startNow))).WithDispatchAction(true),
	}
	if w.start != startLater {
		return out
	}
	picker := slack.NewDateTimePickerBlockElement(blockStartsAt)
	picker.InitialDateTime = w.startsAt
	hint := literal("In your own time zone. It has to be approved before, and can be taken from then on.")
	return append(out, slack.NewInputBlock(w.id(blockStartsAt), literal(labelStartsAt), hint, picker).WithDispatchAction(true))
}

// proposedStart is what the field holds before anybody chose: the next full hour that leaves people some time to answer.
func proposedStart(now time.Time) time.Time {
	return now.Add(90 * time.Minute).Truncate(time.Hour)
}

// never says whether the policy, as far as it is known, lets this access start at once only.
func (m menu) never(target, profile string) bool {
	d, known := m.offers[[2]string{target, profile}]
	return known && d.MaxDuration > 0 && d.StartWithin == 0
}

// startWords say when access is still to begin, as the end of a sentence; empty where there is no start to wait for.
func startWords(r approvals.Request) string {
	if r.StartsAt.IsZero() || r.Ready() || r.State != approvals.Pending && r.State != approvals.Approved {
		return ""
	}
	return ", starts " + at(r.StartsAt)
}

// starts takes the start out of a line, where it is not a parameter of the access. The mistake says how to write one.
func (b *Bot) starts(ctx context.Context, c command, user string) (command, time.Time, *mistake) {
	written, given := c.params[paramStart]
	if !given {
		return c, time.Time{}, nil
	}
	for _, p := range parameters(b.service.Profiles(c.target), c.profile) {
		if p.Name == paramStart {
			return c, time.Time{}, nil
		}
	}
	without := c
	without.params = map[string]string{}
	for name, value := range c.params {
		if name != paramStart {
			without.params[name] = value
		}
	}
	if c.verb == verbBreakGlass {
		return without, time.Time{}, &mistake{words: "Broken glass never starts later. Leave the start out, or ask for the access.", line: without.String()}
	}
	var zone *time.Location // not known
	if person, err := b.people.Person(ctx, user, false); err == nil && person.Zone != "" {
		if known, err := time.LoadLocation(person.Zone); err == nil {
			zone = known
		}
	}
	when, err := readStart(bare(asTyped(written)), b.now(), zone)
	if err != nil {
		return without, time.Time{}, &mistake{words: capital(err.Error()) + "."}
	}
	return without, when, nil
}

// readStart reads when something is to start as people write it: a time of the day, which is the next such time in their zone, or a
// day and a time there. A time that has just passed still means now. Where the zone is not known (nil), only what names its own is
// read: any guess would be hours off. The error is a sentence that says what to write instead.
func readStart(text string, now time.Time, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04Z07:00", time.RFC3339} {
		if when, err := time.Parse(layout, text); err == nil {
			return when, nil
		}
	}
	if zone == nil {
		return time.Time{}, fmt.Errorf("your time zone is not known now; write it with a zone, %sT14:30+01:00", now.UTC().AddDate(0, 0, 1).Format(time.DateOnly))
	}
	local := now.In(zone)
	for _, layout := range []string{"15:04", "15:04:05"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		// From yesterday on, because midnight may just have been; two days on, because the clock may skip this hour on one of them.
		for day := -1; day <= 2; day++ {
			for _, next := range instants(clock.AddDate(local.Year(), int(local.Month())-1, local.Day()-1+day), zone) {
				if now.Sub(next) < approvals.StartSlack {
					return next, nil
				}
			}
		}
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		wall, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		found := instants(wall, zone)
		if len(found) == 0 {
			return time.Time{}, fmt.Errorf("there is no %s in %s: the clocks are put forward then", text, zone)
		}
		for _, when := range found {
			if now.Sub(when) < approvals.StartSlack {
				return when, nil
			}
		}
		return found[0], nil // past, and refused as such
	}
	return time.Time{}, fmt.Errorf("%q is not a time to start at; write start=14:30 for the next half past two, or start=%sT14:30 for a day", short(text), local.AddDate(0, 0, 1).Format(time.DateOnly))
}

// instants are when the clocks of a zone show what a wall clock shows (its own zone does not count), the earliest first: one as a rule,
// none in the hour that is left out in spring, two in the hour that is repeated in autumn.
func instants(wall time.Time, zone *time.Location) []time.Time {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	var found []time.Time
	for _, around := range []time.Time{near.Add(-12 * time.Hour), near.Add(12 * time.Hour)} {
		_, offset := around.Zone()
		when := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if when.Day() == wall.Day() && when.Hour() == wall.Hour() && when.Minute() == wall.Minute() && (len(found) == 0 || !when.Equal(found[0])) {
			found = append(found, when)
		}
	}
	return found
}
