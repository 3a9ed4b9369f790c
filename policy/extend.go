package policy

// DecideExtension decides whether live access may last longer: Approved, with the shift that bounds it if it rests on one,
// or Denied with what to do instead. The rules are asked afresh; where people had to agree, the time they agreed to can be
// exceeded only as the rule's extend says.
func (p *Policy) DecideExtension(e Extending, facts Facts) Decision {
	return Decision{Outcome: Denied, Why: "Extensions are not decided yet.", Duration: e.Request.Duration, Policy: p.hash}
}
