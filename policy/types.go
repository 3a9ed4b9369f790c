package policy

import "time"

// Person is somebody as rules see them.
type Person struct {
	// ID is the Slack user ID.
	ID string `json:"id"`
	// Email is the confirmed address; rules compare it case-insensitively.
	Email string `json:"email"`
}

// Target is a database cluster as rules see it.
type Target struct {
	Name        string `json:"name"`
	Engine      string `json:"engine"`
	Environment string `json:"environment"`
}

// Request is what is to be decided.
type Request struct {
	User    Person `json:"user"`
	Target  Target `json:"target"`
	Profile string `json:"profile"`
	// Duration asked for; 0 asks for the default of the rule that decides.
	Duration time.Duration     `json:"duration"`
	Ticket   string            `json:"ticket,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Params   map[string]string `json:"params,omitempty"`
	At       time.Time         `json:"at"`
	// StartsAt is when the access is to begin; zero is at once.
	StartsAt time.Time `json:"starts_at,omitzero"`
}

// Membership is whether somebody is in a Slack user group, or why that is not known.
type Membership struct {
	Member bool `json:"member"`
	// Unknown is empty when the answer is known; otherwise one clause that completes "because …".
	Unknown string `json:"unknown,omitempty"`
}

// Standing is whether somebody is on call for a schedule, with the proof, or why that is not known.
type Standing struct {
	On bool `json:"on"`
	// Unknown is empty when the answer is known; otherwise one clause that completes "because …".
	Unknown string `json:"unknown,omitempty"`
	// Schedule is the name the policy gives the schedule, Source the identity at its source ("pagerduty PABC123").
	Schedule string `json:"schedule,omitempty"`
	Source   string `json:"source,omitempty"`
	Level    int    `json:"level,omitempty"`
	// Start and End bound the shift; a grant that rests on it ends at End at the latest.
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	// AsOf is when the source said so.
	AsOf time.Time `json:"as_of,omitzero"`
}

// Facts are what the world says about one person. A group or schedule that is absent counts as unknown.
type Facts struct {
	// Usergroups by Slack user group ID.
	Usergroups map[string]Membership `json:"usergroups,omitempty"`
	// Schedules by the name the policy gives them.
	Schedules map[string]Standing `json:"schedules,omitempty"`
	// History is what was approved automatically for this person so far. Nil counts as unknown; it is needed only where
	// Lookups.History says so.
	History *History `json:"history,omitempty"`
}

// History lists automatic approvals of one person, so that a budget can be counted.
type History struct {
	// Since is how far back Uses goes. A budget that counts from earlier is unknown.
	Since time.Time `json:"since"`
	// Uses are requests that a rule approved automatically, whether or not they were activated.
	Uses []Use `json:"uses,omitempty"`
	// Unknown is empty when the answer is known; otherwise one clause that completes "because …".
	Unknown string `json:"unknown,omitempty"`
}

// Use is one automatic approval.
type Use struct {
	Rule string `json:"rule"`
	// At is when the access may begin: when it was asked for, or its start where that is later.
	At time.Time `json:"at"`
}

// Schedule is an on-call schedule the policy names.
type Schedule struct {
	Name string
	// PagerDuty is the schedule's ID there.
	PagerDuty string
	// Levels are the escalation levels that count; never empty after loading (default: level 1 only).
	Levels []int
}

// Lookups says which facts a decision may need.
type Lookups struct {
	// Usergroups are Slack user group IDs.
	Usergroups []string
	Schedules  []Schedule
	// History says that a budget may have to be counted: at least the last 31 days of Facts.History are wanted.
	History bool
}

// Outcome is what a decision says.
type Outcome string

// The outcomes. The values are stored.
const (
	Denied        Outcome = "denied"
	Approved      Outcome = "approved" // automatically, by nobody
	NeedsApproval Outcome = "needs-approval"
)

// Requirement is a number of approvals from different people out of some groups.
type Requirement struct {
	// From lists selectors as the policy writes them: "group:dba", "oncall:payments", "user:ana@example.com".
	From  []string `json:"from"`
	Count int      `json:"count"`
}

// Step says why one rule did or did not match.
type Step struct {
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	// Why is one clause: "ana@example.com is in group backend", "profile ddl is not among read-only".
	Why string `json:"why"`
	// Unknown is set when the rule might have matched had a fact been known.
	Unknown bool `json:"unknown,omitempty"`
}

// Waits are how long things may wait. A zero duration is not said by the policy.
type Waits struct {
	// Answer is how long a request waits for approval (lapse_after), Take how long approved access waits for its requester
	// (activate_within).
	Answer time.Duration `json:"answer,omitempty"`
	Take   time.Duration `json:"take,omitempty"`
	// Remind is the pause before the first reminder to whoever may approve; each later pause is twice as long.
	Remind time.Duration `json:"remind,omitempty"`
	// OrSooner says that a shorter waiting time of the configuration wins over Answer and Take: a rule that was passed over
	// for an unknown fact says nothing about them.
	OrSooner bool `json:"or_sooner,omitempty"`
}

// Escalation is who may answer as well, once nobody has for some time.
type Escalation struct {
	// After is the silence since the request was filed or last answered.
	After time.Duration `json:"after"`
	// To lists selectors; they may fill every requirement that is still open.
	To []string `json:"to"`
}

// Extend bounds how live access may be extended without anybody being asked again.
type Extend struct {
	Times int `json:"times"`
	// Total is the longest the access may last in all, from its activation.
	Total time.Duration `json:"total"`
}

// Spend is what an automatic approval draws on: at most Grants by this rule since Since.
type Spend struct {
	Grants int       `json:"grants"`
	Since  time.Time `json:"since"`
}

// Review is what must follow when glass is broken.
type Review struct {
	// Reviewers lists selectors of those who may close it; never the requester.
	Reviewers []string      `json:"reviewers"`
	Within    time.Duration `json:"within"`
	// Remind is the pause between reminders.
	Remind time.Duration `json:"remind"`
	// Escalate is who is told, and may close it as well, when it stays open; nil for nobody.
	Escalate *Escalation `json:"escalate,omitempty"`
	// Notify lists where it is said at once: security_channel, pagerduty.
	Notify []string `json:"notify"`
}

// Extending is a wish for more time.
type Extending struct {
	// Request is as it was filed, with At now and Duration the whole time from activation to the new deadline.
	Request Request
	// Decision is the one the access rests on.
	Decision Decision
	// Before is how often it was extended already.
	Before int
}

// Decision is what the policy says about a request, with its explanation. It is stored with the request.
type Decision struct {
	Outcome Outcome `json:"outcome"`
	// Rule is the name of the rule that decided; empty when none matched.
	Rule string `json:"rule,omitempty"`
	// Why is one or two sentences for a person, never empty. For a denial it says what to do instead where that is known.
	Why   string `json:"why"`
	Steps []Step `json:"steps"`
	// Approvals are the requirements, all of which must be met by different people. Only with NeedsApproval.
	Approvals []Requirement `json:"approvals,omitempty"`
	// Field is the part of the request that a denial is about, one of the Field constants or what ParameterField gives; empty where
	// no single part is at fault.
	Field string `json:"field,omitempty"`
	// Duration is what may be granted: the request's, or the default when it asked for none.
	Duration time.Duration `json:"duration"`
	// MaxDuration is the longest the deciding rule and the profile allow; 0 when nothing matched.
	MaxDuration time.Duration `json:"max_duration,omitempty"`
	// StartWithin is how far ahead of the request access may begin; 0 when it begins at once or not at all, and when nothing
	// matched.
	StartWithin time.Duration `json:"start_within,omitempty"`
	// Shift is the shift an automatic approval rests on: the grant must end at Shift.End at the latest. Nil otherwise.
	Shift *Standing `json:"shift,omitempty"`
	// InOrder says that the approvals are asked for one after another: none counts before those ahead of it are met.
	InOrder bool `json:"in_order,omitempty"`
	// Waits are how long things may wait. Zero durations leave it to the configuration.
	Waits Waits `json:"waits,omitzero"`
	// Escalations are who is asked as well when nobody answers, in the order in which they happen.
	Escalations []Escalation `json:"escalations,omitempty"`
	// Extend bounds extensions; nil where the deciding rule does not speak of them. Access that nobody had to agree to may then
	// last up to MaxDuration in all, and any other cannot be extended. DecideExtension knows both.
	Extend *Extend `json:"extend,omitempty"`
	// Budget is the budget an automatic approval drew on, so that two at the same instant cannot both take its last part.
	Budget *Spend `json:"budget,omitempty"`
	// Review is what follows from breaking glass; nil for every other decision.
	Review *Review `json:"review,omitempty"`
	// Advice is the deciding rule's own text for requester and approver; may be empty.
	Advice string `json:"advice,omitempty"`
	// Unknowns are facts that could not be learned and might have changed the answer, each a sentence.
	Unknowns []string `json:"unknowns,omitempty"`
	// Policy is the hash of the policy that decided.
	Policy string `json:"policy"`
}

// Verdict is whether a person may give one of a requirement's approvals.
type Verdict struct {
	OK bool `json:"ok"`
	// Why is one clause, never empty: "ana@example.com is in group dba".
	Why string `json:"why"`
	// Unknown is set when the answer might be yes had a fact been known.
	Unknown bool `json:"unknown,omitempty"`
}
