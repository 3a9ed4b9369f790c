package grants

import (
	"context"
	"time"
)

// DoctorInstallation stamps the logins of rehearsals. The sweep of an installation leaves them alone for as long as a
// rehearsal may take; the next rehearsal takes back what one that died left behind, and so does, where the driver is
// [Rehearsing], the sweep.
const DoctorInstallation = "doctor"

// Rehearsing is implemented by drivers that can list the logins of rehearsals, whoever made them. Without it they would be a
// stamp under which a login could live that no sweep looks at.
type Rehearsing interface {
	Rehearsals(ctx context.Context) ([]Login, error)
}

// Rehearser is a driver that can show that a target works, by making, using and taking back a throw-away login. The driver
// must have been opened with DoctorInstallation.
type Rehearser interface {
	// Rehearse never fails as a whole: what went wrong is in its steps. Whatever happens it takes back what it made; when
	// even that fails, the server refuses the login's password from RehearsalLasts on.
	Rehearse(ctx context.Context, accessRole string) Rehearsal
}

// RehearsalLasts is how long the server itself accepts the login of a rehearsal.
const RehearsalLasts = 2 * time.Minute

// Rehearsal is what came of one.
type Rehearsal struct {
	// Server is what answers: "PostgreSQL 15.18".
	Server string
	// Steps in the order they were tried. Those after a failed one are missing, but for the taking back.
	Steps []RehearsalStep
	// Warnings are what works and should not be left as it is.
	Warnings []Finding
}

// RehearsalStep is one thing that was tried.
type RehearsalStep struct {
	// What is a plain statement, true when Err is nil: "a login can be made".
	What string
	Took time.Duration
	// Err is nil or a *Failure, whose Mend says what puts it right.
	Err error
}

// OK says whether every step worked.
func (r Rehearsal) OK() bool {
	for _, s := range r.Steps {
		if s.Err != nil {
			return false
		}
	}
	return len(r.Steps) > 0
}

// Warn adds a warning; mend is what puts it right, empty where nothing simple does.
func (r *Rehearsal) Warn(what, mend string) {
	r.Warnings = append(r.Warnings, Finding{What: what, Mend: mend})
}
