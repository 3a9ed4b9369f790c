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
// While it is pending, time does three things: it reminds those who may answer, with pauses that double; it escalates, so
// that others may answer too; it lets the request lapse. An approver may take their yes back until the quorum is met, and
// may say yes to less than was asked for; what is given is the least that any of them said.
//
// # Broken glass
//
// Somebody the policy names takes access approved by nobody. The request is approved when it is filed, and its [Review]
// opens in the same transaction, together with the jobs that say so loudly. The review is closed by somebody else, once the
// access is over; by itself when nobody ever took the access. Until then it is reminded of, escalated, and stands in the
// way of the same person breaking glass again, which the schema enforces.
//
// # Invariants
//
//   - [Next] is the whole state machine, a pure function. The service asks it under the request's row lock and writes
//     its answer, the audit event and the jobs in one transaction. Two presses at the same instant are one after the
//     other, and the second sees the first.
//   - Nobody approves or denies their own request, whoever they are. The requester is compared by Slack ID and by
//     e-mail address.
//   - One human fills one required approval: a request is approved when its approvals can be assigned to its
//     requirements so that each is met by different people.
//   - Who acts is what Slack says of the presser, looked up afresh; bots, guests, strangers and people who left are
//     refused. Authority is what the policy in force says at that moment.
//   - Refused attempts are audit events too.
//   - A redelivered command is recognised by its delivery key and gives the request it made the first time.
//
// # What a failure leaves behind
//
// Either the transaction committed, then everything that follows from it is a job, or it did not, then nothing happened
// and the person is told so. Facts that cannot be learned (Slack, PagerDuty) make the answer more careful, never faster.
package approvals
