package policy

import (
	"slices"
	"time"
)

// Longest is how long access with a profile may last at most, from any moment on, whatever rule or broken glass gives it and
// however often it is extended; 0 where nothing gives it, or there is no such profile.
func (p *Policy) Longest(profile string) time.Duration {
	i := slices.IndexFunc(p.profiles, func(other Profile) bool { return other.Name == profile })
	if i < 0 {
		return 0
	}
	var longest time.Duration
	c := &consideration{p: p, profile: i}
	gives := slices.Clone(p.rules)
	if p.glass != nil {
		gives = append(gives, p.glass)
	}
	for _, r := range gives {
		if !r.deny && (len(r.profiles) == 0 || slices.Contains(r.profiles, profile)) {
			longest = max(longest, c.longest(r), c.inAll(r))
		}
	}
	return longest
}
