package oncall

import (
	"slices"
	"time"
)

// rota says who is on call by this answer. addresses name an address for an account, where the configuration does.
func (a answer) rota(schedule Schedule, addresses map[string]string, now time.Time) Rota {
	out := Rota{Unknown: a.unknown, AsOf: a.asOf}
	if a.unknown != "" {
		return out
	}
	var on []entry
	for _, e := range a.entries {
		if !now.Before(e.start) && now.Before(e.end) && slices.Contains(schedule.levels(), e.level) {
			on = append(on, e)
		}
	}
	slices.SortStableFunc(on, func(a, b entry) int { return a.level - b.level })
	for _, e := range on {
		email := e.email
		if named := addresses[e.user]; named != "" {
			email = named
		}
		switch {
		case email == "":
			out.Nameless = true
		case !slices.Contains(out.Emails, email):
			out.Emails = append(out.Emails, email)
		}
	}
	return out
}
