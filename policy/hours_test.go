package policy

import (
	"fmt"
	"testing"
	"time"
)

// TestHours tries windows at instants in UTC. Paris is UTC+1, and UTC+2 from 2026-03-29 01:00Z to 2026-10-25 01:00Z.
func TestHours(t *testing.T) {
	t.Parallel()
	const office = `{ days: mon-fri, from: "08:00", to: "18:00", timezone: Europe/Paris }`
	const night = `{ days: fri, from: "22:00", to: "06:00", timezone: Europe/Paris }`
	for _, test := range []struct {
		hours, at string
		in        bool
	}{
		{office, "2026-03-04T06:59:59Z", false}, // Wednesday 07:59:59
		{office, "2026-03-04T07:00:00Z", true},
		{office, "2026-03-04T16:59:59Z", true},
		{office, "2026-03-04T17:00:00Z", false},
		{office, "2026-03-07T12:00:00Z", false}, // Saturday
		{office, "2026-07-01T06:00:00Z", true},  // summer: 08:00
		{office, "2026-07-01T05:59:59Z", false},
		{office, "2026-07-01T16:00:00Z", false},
		// Friday night belongs to Friday until Saturday 06:00, and to no other day.
		{night, "2026-03-06T20:59:59Z", false},
		{night, "2026-03-06T21:00:00Z", true},
		{night, "2026-03-07T04:59:59Z", true},
		{night, "2026-03-07T05:00:00Z", false},
		{night, "2026-03-07T22:00:00Z", false},
		{night, "2026-03-06T02:00:00Z", false},
		// The night clocks go forward: 02:00 to 03:00 does not exist.
		{`{ days: sun, from: "02:30", to: "03:30", timezone: Europe/Paris }`, "2026-03-29T00:59:59Z", false},
		{`{ days: sun, from: "02:30", to: "03:30", timezone: Europe/Paris }`, "2026-03-29T01:00:00Z", true},
		{`{ days: sun, from: "02:30", to: "03:30", timezone: Europe/Paris }`, "2026-03-29T01:30:00Z", false},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Europe/Paris }`, "2026-03-29T01:59:59Z", true},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Europe/Paris }`, "2026-03-29T02:00:00Z", false},
		// The night clocks go back: 02:00 to 03:00 comes twice, and both count.
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Europe/Paris }`, "2026-10-25T00:30:00Z", true},
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Europe/Paris }`, "2026-10-25T01:30:00Z", true},
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Europe/Paris }`, "2026-10-25T02:00:00Z", false},
		// Across midnight and the change at once: five hours of the clock are four and six.
		{`{ days: sat, from: "22:00", to: "03:30", timezone: Europe/Paris }`, "2026-03-28T21:00:00Z", true},
		{`{ days: sat, from: "22:00", to: "03:30", timezone: Europe/Paris }`, "2026-03-29T01:29:59Z", true},
		{`{ days: sat, from: "22:00", to: "03:30", timezone: Europe/Paris }`, "2026-03-29T01:30:00Z", false},
		{`{ days: sat, from: "22:00", to: "03:30", timezone: Europe/Paris }`, "2026-10-24T20:00:00Z", true},
		{`{ days: sat, from: "22:00", to: "03:30", timezone: Europe/Paris }`, "2026-10-25T02:29:59Z", true},
		{`{ days: sat, from: "22:00", to: "03:30", timezone: Europe/Paris }`, "2026-10-25T02:30:00Z", false},
		// On the other half of the earth the changes are the other way round: Sydney is UTC+11 until 2026-04-04 16:00Z, then
		// UTC+10 until 2026-10-03 16:00Z.
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Australia/Sydney }`, "2026-04-04T14:59:59Z", false},
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Australia/Sydney }`, "2026-04-04T15:30:00Z", true},
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Australia/Sydney }`, "2026-04-04T16:30:00Z", true},
		{`{ days: sun, from: "02:00", to: "03:00", timezone: Australia/Sydney }`, "2026-04-04T17:00:00Z", false},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Australia/Sydney }`, "2026-04-04T12:00:00Z", true},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Australia/Sydney }`, "2026-04-04T17:59:59Z", true},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Australia/Sydney }`, "2026-04-04T18:00:00Z", false},
		{`{ days: sun, from: "02:30", to: "03:30", timezone: Australia/Sydney }`, "2026-10-03T15:59:59Z", false},
		{`{ days: sun, from: "02:30", to: "03:30", timezone: Australia/Sydney }`, "2026-10-03T16:00:00Z", true},
		{`{ days: sun, from: "02:30", to: "03:30", timezone: Australia/Sydney }`, "2026-10-03T16:30:00Z", false},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Australia/Sydney }`, "2026-10-03T16:59:59Z", true},
		{`{ days: sat, from: "23:00", to: "04:00", timezone: Australia/Sydney }`, "2026-10-03T17:00:00Z", false},
		// In Chile clocks change at midnight: on 2026-09-06 there is no 00:00, and 2026-04-04 has 23:00 twice.
		{`{ days: sat, from: "22:00", to: "00:30", timezone: America/Santiago }`, "2026-09-06T03:59:59Z", true},
		{`{ days: sat, from: "22:00", to: "00:30", timezone: America/Santiago }`, "2026-09-06T04:00:00Z", false},
		{`{ days: sat, from: "23:00", to: "24:00", timezone: America/Santiago }`, "2026-04-05T02:30:00Z", true},
		{`{ days: sat, from: "23:00", to: "24:00", timezone: America/Santiago }`, "2026-04-05T03:30:00Z", true},
		{`{ days: sat, from: "23:00", to: "24:00", timezone: America/Santiago }`, "2026-04-05T04:00:00Z", false},
		// Lord Howe moves by half an hour.
		{`{ days: sun, from: "01:30", to: "02:00", timezone: Australia/Lord_Howe }`, "2026-04-04T14:45:00Z", true},
		{`{ days: sun, from: "01:30", to: "02:00", timezone: Australia/Lord_Howe }`, "2026-04-04T15:15:00Z", true},
		{`{ days: sun, from: "01:30", to: "02:00", timezone: Australia/Lord_Howe }`, "2026-04-04T15:30:00Z", false},
		// Whole days, to the last minute, and days that wrap around the week.
		{`{ days: [sat, sun], timezone: UTC }`, "2026-03-07T00:00:00Z", true},
		{`{ days: [sat, sun], timezone: UTC }`, "2026-03-08T23:59:59Z", true},
		{`{ days: [sat, sun], timezone: UTC }`, "2026-03-09T00:00:00Z", false},
		{`{ days: fri-mon, from: "12:00", to: "24:00", timezone: UTC }`, "2026-03-09T23:59:00Z", true},
		{`{ days: fri-mon, from: "12:00", to: "24:00", timezone: UTC }`, "2026-03-10T00:00:00Z", false},
		{`{ from: "22:00", to: "00:00", timezone: UTC }`, "2026-03-10T23:59:00Z", true},
		{`{ from: "22:00", to: "00:00", timezone: UTC }`, "2026-03-10T00:00:00Z", false},
		{`[{ days: mon, timezone: UTC }, { days: wed, timezone: UTC }]`, "2026-03-04T12:00:00Z", true},
		{`[{ days: mon, timezone: UTC }, { days: wed, timezone: UTC }]`, "2026-03-03T12:00:00Z", false},
		// Half an hour off, and on the other side of the date line.
		{`{ days: thu, from: "00:00", to: "01:00", timezone: Asia/Kolkata }`, "2026-03-04T18:30:00Z", true},
		{`{ days: wed, timezone: Pacific/Kiritimati }`, "2026-03-03T10:00:00Z", true},
	} {
		p := loaded(t, fmt.Sprintf(`
version: 1
profiles: [{ name: r, risk: low, grants: [{ schema: public, tables: "*", privileges: [select] }] }]
rules: [{ name: timed, approve: automatically, hours: %s }]
`, test.hours))
		when, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		d := p.Decide(Request{Profile: "r", At: when}, Facts{})
		if (d.Outcome == Approved) != test.in {
			t.Errorf("%s at %s: %s", test.hours, test.at, d.Why)
		}
	}
}
