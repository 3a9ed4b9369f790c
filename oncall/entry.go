package oncall

import (
	"slices"
	"time"
)

// entry is one person's shift on one level of a schedule.
type entry struct {
	user  string // the account's ID at the source
	email string // lower-case; empty when the source did not say
	level int
	start time.Time
	end   time.Time
}

// answer is what the source said about one schedule.
type answer struct {
	entries []entry
	asOf    time.Time
	// unknown is why there is no answer.
	unknown string
}

// status says whether somebody is on call by this answer. user, when not empty, is the account that the configuration
// names for the address. Of several shifts the one that ends last counts, at the lowest of its levels.
func (a answer) status(schedule Schedule, source, email, user string, now time.Time) Status {
	out := Status{Schedule: schedule.Name, Source: source, AsOf: a.asOf, Unknown: a.unknown}
	if a.unknown != "" {
		return out
	}
	email = lower(email)
	if email == "" && user == "" {
		out.Unknown = "their e-mail address is not known"
		return out
	}
	accounts, nameless := map[string]bool{}, false
	for _, e := range a.entries {
		switch {
		case now.Before(e.start) || !now.Before(e.end) || !slices.Contains(schedule.levels(), e.level):
			continue
		case user != "" && e.user != user, user == "" && e.email != "" && e.email != email:
			continue
		case user == "" && e.email == "":
			nameless = true
			continue
		}
		accounts[e.user] = true
		if !out.On || e.end.After(out.End) || e.end.Equal(out.End) && e.level < out.Level {
			out.On, out.Level, out.Start, out.End = true, e.level, e.start, e.end
		}
	}
	switch {
	case len(accounts) > 1:
		return Status{Schedule: out.Schedule, Source: source, AsOf: a.asOf, Unknown: "several PagerDuty accounts on call have the same e-mail address"}
	case !out.On && nameless:
		out.Unknown = "PagerDuty did not say the e-mail address of somebody on call"
	}
	return out
}
