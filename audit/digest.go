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
	// Waiting is how many requests are pending now, Live how many grants are live now.
	Waiting, Live int
	// MedianAnswer is the median time from asking to the last approval needed, 0 when nobody was asked.
	MedianAnswer time.Duration
	// Approvers lists who answered, most first.
	Approvers []Count
	// Targets lists what was issued where, most first.
	Targets []Count
	// Overdue lists grants past their end and not secured, now.
	Overdue []OpenItem
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

// OpenItem is a grant somebody should look at.
type OpenItem struct {
	Request, Grant, Target, Login, Holder string
	Since                                 time.Time
	Why                                   string
}
