package policy

// BreakGlassRule is the name decisions give to the file's break_glass section.
const BreakGlassRule = "break-glass"

// DecideBreakGlass decides a request for access now, approved by nobody: Approved with a Review, or Denied. Denying rules
// win here too, and a fact that is not known never helps. Duration 0 asks for the longest.
func (p *Policy) DecideBreakGlass(request Request, facts Facts) Decision {
	return Decision{Outcome: Denied, Why: "Breaking glass is not decided yet.", Duration: request.Duration, Policy: p.hash}
}

// BreakGlassLookups says which facts DecideBreakGlass could need.
func (p *Policy) BreakGlassLookups(request Request) Lookups { return Lookups{} }
