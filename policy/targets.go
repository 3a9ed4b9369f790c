package policy

import "slices"

// CheckTargets warns about entries of targets that match none of the configured ones: a typo there makes a rule silent.
func (p *Policy) CheckTargets(targets []Target) []Warning {
	var names, environments []string
	for _, target := range targets {
		names, environments = append(names, target.Name), append(environments, target.Environment)
	}
	var out []Warning
	rules := p.rules
	if p.glass != nil {
		rules = append(slices.Clone(rules), p.glass)
	}
	for _, r := range rules {
		for _, id := range r.targets {
			selector := p.targets.values[id]
			if slices.ContainsFunc(targets, selector.matches) {
				continue
			}
			hint := didYouMean(selector.pattern, names)
			if selector.environment {
				hint = didYouMean(selector.pattern, sorted(environments))
			}
			out = append(out, Warning{
				Position: Position{p.file, r.at.line, r.at.column},
				Text:     "the rule \"" + r.name + "\" names " + selector.String() + ", and no configured target is that" + hint,
			})
		}
	}
	return out
}
