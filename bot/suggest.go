package bot

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prodaccess/prodaccess/policy"
)

// String is the line that parses to c, without the slash command.
func (c command) String() string {
	var words []string
	if c.verb != verbRequest {
		words = append(words, c.verb)
	}
	for _, word := range []string{c.request, c.target, c.profile, c.length} {
		if word != "" {
			words = append(words, word)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.params)) {
		value := c.params[name]
		switch {
		case !strings.ContainsAny(value, " \"'"):
		case !strings.Contains(value, `"`):
			value = `"` + value + `"`
		default:
			value = "'" + value + "'"
		}
		words = append(words, name+"="+value)
	}
	for _, word := range []string{c.ticket, c.reason} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func wrongDuration(c command, err error) *mistake {
	m := &mistake{words: capital(err.Error()) + "."}
	if near, ok := nearestDuration(c.length); ok {
		c.length = near
		m.line = c.String()
	} else if c.verb == verbRequest && c.length != "" {
		// The likeliest slip is that the duration was left out and the reason begins where it should be.
		rest := strings.Fields(c.length + " " + c.ticket + " " + c.reason)
		if measured(c.length) {
			rest = rest[1:] // it was meant as a duration, and is no part of the reason
		}
		c.ticket, c.length = "", "30m"
		_ = c.take(rest)
		c.reason = firstOf(c.reason, "REASON")
		m.line = c.String()
	}
	return m
}

var (
	loosePart = regexp.MustCompile(`^([0-9]+)(?:[.,]([0-9]))?([a-z]*)`)
	unitNames = map[string]time.Duration{
		"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
		"": time.Minute, "m": time.Minute, "mn": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
		"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
		"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	}
)

// tidied is a duration without what people put around and between its parts: "-1h", "1h 30m", "5 min".
func tidied(text string) string {
	return strings.TrimLeft(strings.ToLower(strings.ReplaceAll(text, " ", "")), "+-")
}

// measured says whether a word is made like a duration, if one that cannot be had: "0", "-0h", "99999h".
func measured(text string) bool {
	rest := tidied(text)
	for rest != "" {
		part := loosePart.FindStringSubmatch(rest)
		if part == nil {
			return false
		}
		if _, known := unitNames[part[3]]; !known {
			return false
		}
		rest = rest[len(part[0]):]
	}
	return text != ""
}

// nearestDuration reads durations as people write them elsewhere ("30min", "1.5h", "90", "1h 30m") and gives ours.
func nearestDuration(text string) (string, bool) {
	rest := tidied(text)
	var total time.Duration
	for rest != "" {
		part := loosePart.FindStringSubmatch(rest)
		if part == nil {
			return "", false
		}
		unit, known := unitNames[part[3]]
		whole, err := strconv.Atoi(part[1])
		if !known || err != nil || whole > 10_000 {
			return "", false
		}
		total += time.Duration(whole) * unit
		if part[2] != "" {
			tenths, _ := strconv.Atoi(part[2])
			total += time.Duration(tenths) * unit / 10
		}
		rest = rest[len(part[0]):]
	}
	near := policy.FormatDuration(total)
	if _, err := policy.ParseDuration(near); err != nil || near == text {
		return "", false
	}
	return near, true
}

// check compares a parsed line with what there is, and answers a typo with the nearest valid thing.
func (b *Bot) check(c command) *mistake {
	var targets []string
	for _, t := range b.service.Targets() {
		targets = append(targets, t.Name)
	}
	if !slices.Contains(targets, c.target) {
		return b.wrongTarget(c, targets)
	}
	var profiles []string
	for _, p := range b.service.Profiles(c.target) {
		profiles = append(profiles, p.Name)
	}
	if slices.Contains(profiles, c.profile) {
		return nil
	}
	if c.profile == "" && len(profiles) > 0 {
		c.profile = profiles[0]
		if c.verb == verbRequest {
			c.length = firstOf(c.length, "30m")
		}
		if c.verb != verbExplain {
			c.reason = firstOf(c.reason, "REASON")
		}
		return &mistake{words: fmt.Sprintf("Say which access on %s. There is %s.", c.target, some(profiles)), line: c.String()}
	}
	m := &mistake{words: fmt.Sprintf("There is no access called %q on %s.", short(c.profile), c.target)}
	if near, ok := policy.Nearest(c.profile, profiles); ok {
		m.words += fmt.Sprintf(" Did you mean %s?", near)
		c.profile = near
		m.line = c.String()
	} else if len(profiles) > 0 {
		m.words += " There is " + some(profiles) + "."
	}
	return m
}

func (b *Bot) wrongTarget(c command, targets []string) *mistake {
	// Somebody who types a subcommand wrong has not named a target at all.
	if near, ok := policy.Nearest(c.target, subcommands); ok && c.verb == verbRequest && c.length == "" {
		return &mistake{words: fmt.Sprintf("There is no database called %q. Did you mean %s?", short(c.target), near), line: near}
	}
	m := &mistake{words: fmt.Sprintf("There is no database called %q.", short(c.target))}
	near, ok := policy.Nearest(c.target, targets)
	switch {
	// "read-only orders-prod" has both words, the wrong way round.
	case slices.Contains(targets, c.profile):
		c.target, c.profile = c.profile, c.target
		m.words += " The database comes first."
		m.line = c.String()
	case ok:
		m.words += fmt.Sprintf(" Did you mean %s?", near)
		c.target = near
		m.line = c.String()
	case len(targets) > 0:
		m.words += " There is " + some(targets) + "."
	}
	return m
}

// some names up to ten things.
func some(names []string) string {
	const most = 10
	if len(names) <= most {
		return both(names)
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}

func short(word string) string { return plain(word, 60) }

func capital(text string) string {
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

// firstOf is the first text that is not empty.
func firstOf(texts ...string) string { return cmp.Or(texts...) }

var looseTicket = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*-[0-9]+$`)

// meantTicket is the line with what looks like a ticket in small letters written as one: somebody in a hurry writes inc-123.
func meantTicket(c command) (line string, ok bool) {
	first, rest, found := strings.Cut(c.reason, " ")
	if c.ticket != "" || !found || !looseTicket.MatchString(first) {
		return "", false
	}
	c.ticket, c.reason = strings.ToUpper(first), rest
	return c.String(), true
}
