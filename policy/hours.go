package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // The same file must mean the same on a machine without a time zone database.
)

// window is a span of the clock on the wall of one time zone, on some days of the week.
//
// It compares what the clock on the wall shows. When clocks are put back, an hour that is inside is inside both times;
// when they are put forward, the hour that does not exist is simply never reached.
type window struct {
	days [7]bool // by time.Weekday
	// from and to are minutes since midnight, to at most 24*60. from >= to means until to on the next day, and then
	// days names the day on which the window begins.
	from, to int
	zone     *time.Location
}

// hoursKey is the text of an hours section; equal texts share their windows.
type hoursKey string

func (w window) contains(at time.Time) bool {
	local := at.In(w.zone)
	minute, day := local.Hour()*60+local.Minute(), local.Weekday()
	if w.from < w.to {
		return w.days[day] && minute >= w.from && minute < w.to
	}
	yesterday := (day + 6) % 7
	return w.days[day] && minute >= w.from || w.days[yesterday] && minute < w.to
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// String is "mon to fri 08:00 to 18:00 (Europe/Paris)".
func (w window) String() string {
	text := fmt.Sprintf("%02d:%02d to %02d:%02d (%s)", w.from/60, w.from%60, w.to/60, w.to%60, w.zone)
	if w.days == [7]bool{true, true, true, true, true, true, true} {
		return "every day " + text
	}
	var names []string
	for i := range dayNames {
		// Monday first, as people read a week.
		if day := (i + 1) % 7; w.days[day] {
			names = append(names, dayNames[day])
		}
	}
	if w.days == [7]bool{1: true, 2: true, 3: true, 4: true, 5: true} {
		names = []string{"mon to fri"}
	}
	return strings.Join(names, ", ") + " " + text
}

// parseDays reads names and ranges of days: mon-fri, sat-mon, sun.
func parseDays(entries []marked, f *findings) (days [7]bool) {
	for _, entry := range entries {
		for _, part := range strings.Split(entry.text, ",") {
			first, last, isRange := strings.Cut(strings.ToLower(strings.TrimSpace(part)), "-")
			if !isRange {
				last = first
			}
			from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
			if from < 0 || to < 0 {
				f.fault(entry.mark, "%q is not a day; write days like mon-fri or [sat, sun]", part)
				continue
			}
			for day := from; ; day = (day + 1) % 7 {
				days[day] = true
				if day == to {
					break
				}
			}
		}
	}
	return days
}

// parseClock reads HH:MM, 24:00 included.
func parseClock(text string) (int, bool) {
	if text == "24:00" {
		return 24 * 60, true
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return at.Hour()*60 + at.Minute(), true
}

// readHours reads one window or a list of them, any of which counts.
func (l *loader) readHours(from *node) []window {
	if from == nil {
		return nil
	}
	items := []*node{from}
	if from.kind == listNode {
		items = from.items
		if len(items) == 0 {
			l.fault(from.mark, "hours is empty; write a window or leave the key out")
		}
	}
	var out []window
	for _, item := range items {
		f := l.open(item, "hours")
		if f == nil {
			continue
		}
		w := window{to: 24 * 60, days: [7]bool{true, true, true, true, true, true, true}}
		if days := f.texts("days", ""); len(days) > 0 {
			w.days = parseDays(days, l.findings)
		}
		before := len(l.faults)
		w.from = f.clock("from", 0)
		w.to = f.clock("to", 24*60)
		if w.from == w.to && len(l.faults) == before {
			l.fault(f.at, "from and to are the same time; leave both out for whole days")
		}
		if w.from == 24*60 {
			l.fault(f.at, "from must be before 24:00; write 00:00 of the next day")
		}
		zone := f.text("timezone")
		if zone == "" {
			if _, given := f.nodes["timezone"]; !given {
				l.fault(f.at, "hours needs a timezone such as Europe/Paris or UTC")
			}
		} else if location, err := time.LoadLocation(zone); err != nil || zone == "Local" {
			l.fault(f.nodes["timezone"].value.mark, "%q is not a time zone; write one such as Europe/Paris or UTC", zone)
		} else {
			w.zone = location
		}
		f.close()
		if w.zone != nil {
			out = append(out, w)
		}
	}
	return out
}

func (f *fields) clock(key string, otherwise int) int {
	from := f.take(key)
	if from == nil {
		return otherwise
	}
	text := f.scalar(from, key)
	minute, ok := parseClock(text)
	if text != "" && !ok {
		f.fault(from.mark, "%s must be a time such as \"08:00\", not %q", key, text)
	}
	return minute
}
