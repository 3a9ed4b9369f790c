// Package approvals is the life of a request, from the wish to the login and the end of it. Its [Service] is the one choke point
// that authorises and audits: every act of a person goes through it, and there is no second path.
//
// # States
//
//	          ┌─ denied      by the policy at filing, or by an approver
//	pending ──┼─ cancelled   by the requester, before activation
//	   │      └─ lapsed      nobody answered in time, or nobody took what was approved
//	   └─► approved ──► activated
//	           ▲            │ issuing failed before anybody saw a password
//	           └────────────┘
//
// A request is pending until every required approval is in. Approved access has its own short expiry. Activated means
// that a grant exists or did; package grants has its life.
//
// # Waiting for people
//
// While a request is pending, time does three things: it reminds those who may answer, with pauses that double; after a
// silence it escalates, so that others may answer too, each in place of anybody who was asked first; it lets the request
// lapse. [Case.Upcoming] says what comes next and when, [Case.Needs] who is waited for.
//
// A request may be for access that begins later. It waits for people as any other does, and lapses unanswered under the same rule,
// before its start or after. Approved before its start, it cannot be taken until then, and the time to take it counts from there;
// when the start comes that is written down, and its requester told. The policy is asked once more when such access is taken: what
// nobody agreed to is given only where nobody has to agree by then either.
//
// An approver may take their yes back until the quorum is met, and may answer again after that; a no is final. A yes may be
// to less than was asked for: shorter, a profile that gives less, or both. What is given is the least that any standing yes
// said; a profile that gives neither less nor the same as the one agreed to before is refused, so that there always is a least.
//
// # Broken glass
//
// Somebody the policy names takes access approved by nobody. The request is approved when it is filed, and its [Review]
// opens in the same transaction, together with the jobs that say so loudly. The review is closed by somebody else, once the
// access is over; by itself when nobody ever took the access. Until then it is reminded of, escalated, after its time
// reminded of every day for ever, and stands in the way of the same person breaking glass again, which the schema enforces.
//
// # Invariants
//
// [Next] is the whole state machine, a pure function. These hold for every step it takes, and a property test asserts each
// by its name:
//
//   - arrows: only those of the picture. Taken access goes back only when nobody can have seen a password.
//   - own: nobody answers their own request or closes the review of it, whoever they are. The requester is compared by Slack
//     ID and by e-mail address.
//   - one human: at most one answer of a human stands, whichever account it was given with.
//   - quorum: a request becomes approved when, and only when, its standing approvals can be assigned to its requirements
//     so that each is met by different people; a yes that brings it no nearer is refused.
//   - order: where approvals are asked for one after another, a yes never counts for a requirement ahead of which another
//     was open when it was given. One taken back opens its requirement again; those given after it rest until it is met.
//   - least: what is given is never more than was asked for, nor than any standing yes said, and does not change once the
//     request is approved.
//   - final: denied, cancelled and lapsed are left by nothing. No answer is changed or forgotten; a yes is taken back by its
//     giver only, while the request is pending.
//   - time: nothing is taken before its start, and nothing answered or taken after its time, also when the job that writes so
//     down has not run.
//   - reminders: only while pending, each once, never early. An outage is not made up for by a burst.
//   - escalation: only while pending and after the policy's silence, one step at a time; it adds people and takes away nobody.
//   - review: goes forward only; closed once, by a reviewer, with a word, over access that is over, tries that failed
//     included; closed by itself only over access that nobody took.
//   - always ends: as long as a request or a review is open, something is to come.
//
// Of the service:
//
//   - It asks the state machine under the request's row lock and writes its answer, the audit event and the jobs in one
//     transaction. Two presses at the same instant are one after the other, and the second sees the first.
//   - Who acts is what Slack says of the presser, looked up afresh, or within the last minute while Slack limits how often it
//     may be asked; bots, guests, strangers and people who left are refused. Authority is what the policy in force says at that moment; which requirements there are, and who reviews, is
//     what was decided at filing.
//   - Refused attempts are audit events too. Carrying out the audit log of a request step by step gives what the store has.
//   - What a rule's budget or an extension's count has left is taken once, however many ask at the same instant. So is the last place
//     among the pending requests that one person may have.
//   - What is delivered twice is done once, on one replica or two, at once or late: a filing is recognised by its key, which gives the
//     request it made the first time, and every other act by the delivery in its audit event, of which the store keeps one. The second
//     time it is answered like the first, unless that would show a password. A release or an extension that names no request means
//     the access that there is: where none is left, the second time is told so.
//
// # Jobs
//
// Start, Lapse, Remind, Escalate and Review are filed with the change that sets their time, and again with every change that moves
// it. A job that comes twice, or after the request is over, does nothing; one that comes too early fails with an
// [Early], to be tried again when its time has come. Nudge posts what Remind, Escalate and Review wrote down, tells a holder of the
// end that is near, and has the messages about live access drawn anew as it comes nearer.
//
// # What a failure leaves behind
//
// Either the transaction committed, then everything that follows from it is a job, or it did not, then nothing happened
// and the person is told so. Facts that cannot be learned (Slack, PagerDuty) make the answer more careful, never faster.
package approvals
