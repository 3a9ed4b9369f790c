package audit

// StandingAccess is what a digest says of logins that reach data and that no grant explains.
type StandingAccess struct {
	// Logins are there now, Superusers among them, on Targets many targets.
	Logins, Superusers, Targets int
	// New, Changed (in what they may do) and Gone are those of the period. A target's first survey makes none new.
	New, Changed, Gone []StandingChange
}

// StandingChange is a standing login that came, changed or went.
type StandingChange struct {
	Target, Login, Power string
	Why                  []string
}
