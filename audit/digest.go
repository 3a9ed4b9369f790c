package audit

import "time"

// Head is the end of the chain at some instant: what an outside witness remembers.
type Head struct {
	// Seq is the number of the last seal, 0 for an empty chain.
	Seq int64 `json:"seq"`
	// Hash is the last seal's hash in lower-case hex.
	Hash string `json:"hash"`
}

// Digest is what happened between From (inclusive) and To (exclusive).
type Digest struct {
	From, To time.Time

	Asked, ApprovedAtOnce, ApprovedByPeople  int
	DeniedByPolicy, DeniedByPeople           int
	Cancelled, Lapsed, Refused               int
	Issued, Ended, EndedEarly, FailedToIssue int
	// BrokenGlass is how often somebody took access approved by nobody; it is part of Asked and of none of the approvals.
	BrokenGlass int
	// Escalated is how often others were told because nobody had answered or looked: requests and reviews together.
	// Withdrawn is how many approvers took their yes back.
	Escalated, Withdrawn int
	// Reviewed is what came of the reviews that were closed in the period.
	Reviewed Reviewed
	// OpenReviews lists the reviews of broken glass that are open now, the most urgent first; each is shown until somebody
	// closes it. Since is when glass was broken, Due when the review has to be closed, Grant and Login are empty where
	// nobody has taken the access, and Why is the person's own reason.
	OpenReviews []OpenItem
	// Waiting is how many requests are pending now, Live how many grants are live now.
	Waiting, Live int
	// Later is how many requests are approved now whose access starts later, and NextStart when the first of them does.
	Later     int
	NextStart time.Time
	// MedianAnswer is the median time from asking to the last approval needed, 0 when nobody was asked.
	MedianAnswer time.Duration
	// Approvers lists who answered, most first; an answer that was taken back is none.
	Approvers []Count
	// Targets lists what was issued where, most first.
	Targets []Count
	// Overdue lists grants past their end and not secured, now.
	Overdue []OpenItem
	// WrittenOff lists the grants that an operator ended without proof in the period. Since is when, Why by whom and why.
	WrittenOff []OpenItem
	// Leftovers lists grants locked out but not cleaned up yet, now.
	Leftovers []OpenItem
	// Orphans is how many logins no live grant explained in the period.
	Orphans int
	// Standing is what surveys of the targets found.
	Standing StandingAccess
	// Head is the head of the chain when the digest was made.
	Head Head
}

// Count is a name with a number.
type Count struct {
	Name string
	N    int
}

// Reviewed counts closed reviews by verdict. Unused ones closed by themselves, because nobody took the access.
type Reviewed struct{ Justified, NotJustified, Unused int }

// OpenItem is a grant, or a review, that somebody should look at.
type OpenItem struct {
	Request, Grant, Target, Login, Holder string
	Since                                 time.Time
	Why                                   string
	// Due is when it has to be done, and Overdue says that this has passed. Both are of reviews only.
	Due     time.Time
	Overdue bool
}
