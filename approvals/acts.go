package approvals

import "time"

// Act is something that happens to a request.
type Act interface{ act() }

// What people do.
type (
	// Approve is one person's yes. Fills lists the requirements the person is entitled to fill now; TakeWithin is how long
	// approved access waits for its requester, where the policy does not say.
	Approve struct {
		By         Person
		Fills      []int
		TakeWithin time.Duration
		// Less is what the yes is to, nil when to all that was asked for. Above lists the profiles that give more than
		// Less.Profile, by the policy in force.
		Less  *Less
		Above []string
	}
	// Deny is one person's no, which is final. Fills as in Approve: whoever may never approve may not deny.
	Deny struct {
		By     Person
		Fills  []int
		Reason string
	}
	// Withdraw is an approver's change of mind before the quorum is met.
	Withdraw struct{ By Person }
	// Cancel is the requester's change of mind before activation.
	Cancel struct{ By Person }
	// Activate is the requester pressing Get credentials.
	Activate struct{ By Person }
	// CloseReview is what somebody else found about broken glass. Reviewer says whether the policy in force names them.
	CloseReview struct {
		By       Person
		Reviewer bool
		Verdict  ReviewVerdict
		Note     string
	}
)

// What time does.
type (
	// Remind reminds those who may answer a pending request.
	Remind struct{}
	// Escalate lets others answer a pending request as well.
	Escalate struct{}
	// Lapse is time running out.
	Lapse struct{}
	// Begin is the start of approved access, which was asked for to begin later.
	Begin struct{}
	// Reopen follows a grant that failed before anybody saw a password.
	Reopen struct{}
	// LookAtReview reminds of an open review, and lets others close it as well once it has been open for long.
	LookAtReview struct{}
)

func (Approve) act()      {}
func (Deny) act()         {}
func (Withdraw) act()     {}
func (Cancel) act()       {}
func (Activate) act()     {}
func (CloseReview) act()  {}
func (Remind) act()       {}
func (Escalate) act()     {}
func (Lapse) act()        {}
func (Begin) act()        {}
func (Reopen) act()       {}
func (LookAtReview) act() {}
