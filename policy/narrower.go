package policy

import "slices"

// Narrower lists the profiles that give less than this one on an engine: no privilege that it lacks, no row or value that it
// hides, no longer statements and no more connections, no parameter of their own to fill. They are what an approver may give
// instead, in the order of the file. For how long is not the profile's matter here: whoever gives less gives it for no longer
// than was asked for, and no longer than the narrower profile's own MaxDuration where it has one.
func (p *Policy) Narrower(profile, engine string) []Profile {
	wide, ok := p.Profile(profile)
	if !ok || !wide.on(engine) {
		return nil
	}
	var out []Profile
	for _, narrow := range p.Profiles() {
		if narrow.on(engine) && exceeds(narrow, wide) == "" && exceeds(wide, narrow) != "" && narrow.fillableBy(wide) {
			out = append(out, narrow)
		}
	}
	return out
}

// on says whether a profile is for an engine.
func (p Profile) on(engine string) bool {
	return len(p.Engines) == 0 || slices.Contains(p.Engines, engine)
}

// fillableBy says whether the parameters of a request for another profile are all that this one asks for.
func (p Profile) fillableBy(other Profile) bool {
	for _, own := range p.Parameters {
		if !slices.ContainsFunc(other.Parameters, func(o Parameter) bool {
			return o.Name == own.Name && o.Type == own.Type && (o.Required || !own.Required)
		}) {
			return false
		}
	}
	return true
}
