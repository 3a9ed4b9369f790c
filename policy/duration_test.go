package policy

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "45s": 45 * time.Second, "1s": time.Second, "2d": 48 * time.Hour,
		"1d2h3m4s": 26*time.Hour + 3*time.Minute + 4*time.Second, "90m": 90 * time.Minute, "1H": time.Hour, "0h5m": 5 * time.Minute, "366d": longest,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for text, why := range map[string]string{
		"": "is empty", "30": "write 30m for minutes or 30s for seconds", "m": "is not a duration", "1.5h": "is not a duration", "30m1h": "is not a duration",
		"1h1h": "is not a duration", "-1h": "is not a duration", "1h 30m": "is not a duration", "500ms": "is not a duration", "0s": "shortest duration is 1s", "0": "shortest duration is 1s",
		"367d": "is too long; the longest duration is 366d", "9223372036854775807d": "is too long", "99999999999999999999h": "is too long", "366d1s": "is too long",
		"1h30": "without a unit", "tomorrow": "is not a duration", "१h": "is not a duration", strings.Repeat("x", 500): "…",
	} {
		if got, err := ParseDuration(text); err == nil || !strings.Contains(err.Error(), why) || got != 0 {
			t.Errorf("%q: %s, %v; wanted %q", text, got, err, why)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"24h": 24 * time.Hour, "2d": 48 * time.Hour, "2d1h": 49 * time.Hour, "1m30s": 90 * time.Second, "0s": 0, "4h": 4 * time.Hour, "1s": 1999 * time.Millisecond,
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%s: %s, wanted %s", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.IntRange(1, int(longest/time.Second)).Draw(t, "seconds")) * time.Second
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Fatalf("%s became %s, %v", d, back, err)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"", "30m", "1h30m", "45s", "2d", "30", "9999999999999999999d", "1d1d", "\x00", "1\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < time.Second || d > longest || d%time.Second != 0 {
			t.Fatalf("%q became %s", text, d)
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Fatalf("%q became %s and then %s, %v", text, d, again, err)
		}
	})
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"orders-prod", "orders-staging", "billing", "read-only", "ddl"}
	for word, want := range map[string]string{
		"order-prod": "orders-prod", "ORDERS-PROD": "orders-prod", "raed-only": "read-only", "bil": "billing", "dll": "ddl", "orders": "orders-prod",
		"billing": "", "": "", "x": "", "kitchen": "", strings.Repeat("b", 1000): "",
	} {
		if got, ok := Nearest(word, names); got != want || ok != (want != "") {
			t.Errorf("%q: %q %t, wanted %q", word, got, ok, want)
		}
	}
}
