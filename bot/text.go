package bot

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/prodaccess/prodaccess/policy"
)

// clean takes out of people's text what must do nothing on a screen: control characters, direction marks and characters
// without width. A newline stays, and a tab becomes a space.
func clean(text string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t', r == '\r', r == '\u2028', r == '\u2029':
			return ' '
		// Cf holds every direction mark, isolate, joiner and tag character.
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(out)
}

// line is clean text on one line.
func line(text string) string { return strings.Join(strings.Fields(clean(text)), " ") }

// width counts as Slack's clients do, in UTF-16 units, which is never less than the characters Slack's server counts.
func width(text string) int {
	n := 0
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// plain prepares people's text for a plain_text element: cleaned and cut to at most most units.
func plain(text string, most int) string {
	return cutTo(clean(text), most, asIs)
}

// mrkdwn prepares people's text for a mrkdwn element: cleaned, on one line, escaped so that nothing in it is markup, and
// cut after escaping to at most most units, never inside a character or an entity.
func mrkdwn(text string, most int) string { return cutTo(line(text), most, escapeRune) }

func asIs(r rune) string { return string(r) }

// cutMarkup cuts finished mrkdwn to at most most units, never inside a character, an entity or a reference such as a date.
func cutMarkup(text string, most int) string {
	if width(text) <= most {
		return text
	}
	cut := strings.TrimSuffix(cutTo(text, most, asIs), "…")
	for _, pair := range []string{"&;", "<>"} {
		if from := strings.LastIndexByte(cut, pair[0]); from > strings.LastIndexByte(cut, pair[1]) {
			cut = cut[:from]
		}
	}
	return cut + "…"
}

// escapeRune writes one character so that Slack shows it and does nothing with it. Slack has no escape for its
// formatting characters, so look-alikes stand in for them.
func escapeRune(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '`':
		return "ˋ"
	case '*':
		return "∗"
	case '~':
		return "∼"
	}
	return string(r)
}

func cutTo(text string, most int, write func(rune) string) string {
	var out strings.Builder
	used, fits := 0, 0 // fits is the length of out that leaves room for the mark
	for _, r := range text {
		piece := write(r)
		size := width(piece)
		if used+size > most {
			return out.String()[:fits] + "…"
		}
		out.WriteString(piece)
		used += size
		if used < most {
			fits = out.Len()
		}
	}
	return out.String()
}

// at shows an instant in each reader's own time zone, with UTC where the client cannot.
func at(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2 Jan 15:04 UTC"))
}

// atSecond is at with seconds, for deadlines.
func atSecond(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), t.UTC().Format("2 Jan 15:04:05 UTC"))
}

// lasting shows a duration as people write it.
func lasting(d time.Duration) string { return policy.FormatDuration(d.Round(time.Second)) }

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}

// either joins alternatives: "a", "a or b", "a, b or c".
func either(items []string) string { return joined(items, " or ") }

// both joins what belongs together: "a", "a and b", "a, b and c".
func both(items []string) string { return joined(items, " and ") }

func joined(items []string, last string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + last + items[len(items)-1]
}

// selector says in words whom a selector of the policy means.
func selector(s string) string {
	kind, name, found := strings.Cut(s, ":")
	switch {
	case found && kind == "group":
		return "@" + name
	case found && kind == "oncall":
		return "whoever is on call for " + name
	case found && kind == "user":
		return name
	}
	return s
}

// requirement says who must still agree: "one of @dba", "two of @dba or @security".
func requirement(r policy.Requirement) string {
	names := make([]string, len(r.From))
	for i, s := range r.From {
		names[i] = selector(s)
	}
	counts := [...]string{"none", "one", "two", "three", "four"}
	count := fmt.Sprint(r.Count)
	if r.Count >= 0 && r.Count < len(counts) {
		count = counts[r.Count]
	}
	return count + " of " + either(names)
}

func requirements(list []policy.Requirement) string {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = requirement(r)
	}
	return both(words)
}
