package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// longest is the longest duration people can write. It only keeps arithmetic on deadlines far from overflowing.
const longest = 366 * 24 * time.Hour

var units = []struct {
	letter byte
	size   time.Duration
}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// ParseDuration reads a duration as people write it: whole numbers of d, h, m and s, largest first, each at most once,
// without spaces ("30m", "1h30m", "45s", "2d"). A day is 24 hours. The shortest is 1s. The error is a sentence that
// says what to write instead.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, fmt.Errorf("the duration is empty; write one like 30m, 1h30m or 45s")
	}
	total, rest, next := time.Duration(0), strings.ToLower(text), 0
	for rest != "" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 {
			return 0, notDuration(text)
		}
		number, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, tooLong(text)
		}
		if digits == len(rest) && number == 0 && total == 0 {
			return 0, tooShort(text)
		}
		if digits == len(rest) {
			return 0, fmt.Errorf("%q has a number without a unit; write %dm for minutes or %ds for seconds", text, number, number)
		}
		at := next
		for at < len(units) && units[at].letter != rest[digits] {
			at++
		}
		if at == len(units) {
			return 0, notDuration(text)
		}
		if number > math.MaxInt64/int64(units[at].size) {
			return 0, tooLong(text)
		}
		part := time.Duration(number) * units[at].size
		if part > longest || total+part > longest {
			return 0, tooLong(text)
		}
		total, rest, next = total+part, rest[digits+1:], at+1
	}
	if total < time.Second {
		return 0, tooShort(text)
	}
	return total, nil
}

func tooShort(text string) error {
	return fmt.Errorf("%q is too short; the shortest duration is 1s", text)
}

func notDuration(text string) error {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return fmt.Errorf("%q is not a duration; write one like 30m, 1h30m, 45s or 2d", text)
}

func tooLong(text string) error {
	return fmt.Errorf("%q is too long; the longest duration is %s", text, FormatDuration(longest))
}

// FormatDuration writes whole seconds as ParseDuration reads them; fractions of a second are dropped. Days appear from
// two on, because people say 24h and 2d.
func FormatDuration(d time.Duration) string {
	d = d.Truncate(time.Second)
	if d <= 0 {
		return "0s"
	}
	var out strings.Builder
	for i, unit := range units {
		if i == 0 && d < 2*unit.size {
			continue
		}
		if n := d / unit.size; n > 0 {
			fmt.Fprintf(&out, "%d%c", n, unit.letter)
			d -= n * unit.size
		}
	}
	return out.String()
}
