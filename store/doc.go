// Package store keeps everything that must survive, in one Postgres: requests, approvals, grants, the audit log, the
// outbox of Slack messages and the jobs that follow from changes. It implements the Store interfaces that packages
// approvals and grants declare.
//
// # Transactions
//
// Every change is one transaction: the row is locked, the caller's change function decides on what it finds under the
// lock, and the new row, the audit events and the jobs are committed together or not at all. A change function runs again
// after a serialization failure or a deadlock, so it must be pure. Locks are taken in one order (grant, then request);
// whoever changes a request locks no grant.
//
// Versions count the changes of a row and are compared and set; the schema itself refuses a version that does not follow.
// A change of a grant is also a change of its request, because cards are drawn from both.
//
// # Jobs
//
// Jobs are River's, all of one kind ([JobArgs]); the work is told apart by [jobs.Kind]. What ends
// access or moves a request waits in [QueueSecurity], what waits for Slack in [QueueSlack], Home tabs that nobody waits for in
// [QueueHomes], what waits for PagerDuty in [QueuePager], so that an outage of Slack or of PagerDuty never delays a revocation, nor one of the two the other. Two
// unfinished jobs are one when kind, subject and version are the same:
//
//   - A job of a Change gets the request's new version (unless it has one), which no other change has. So a job that
//     follows from a change is never swallowed: not by one that is still running on an earlier state, not by one that
//     ended a moment ago and is not marked finished yet, and not by one that waits for a later instant.
//   - A job given to Record keeps version 0: asking for the same work again while it is unfinished does nothing, whenever
//     it was to run, so that a sweep which asks every minute for what is outstanding does not pile up jobs.
//   - Finished jobs (completed, cancelled, discarded) never stand in the way of new ones.
//
// # What the schema holds
//
// Replicas of two versions run at once during an upgrade, and code has bugs, so what matters most does not rest on it:
//
//   - A request that needs people becomes approved only with as many standing answers as its decision asks for. Looked at
//     during COMMIT. One human has one standing answer; an answer that was taken back stays, and can never stand again.
//   - Once a request is approved, what was agreed to ([approvals.Request.Less]) is fixed, and no grant is made for more.
//   - Broken glass has a review, open from the same transaction on; a person has one open review; nobody closes their own
//     or one of access that is not over, and closed ones stay as they are.
//   - The parameters a grant was made with never change.
//   - A grant is not begun before the start that its request asked for, which never changes.
//   - Of all that is done for one delivery of Slack ([audit.Once]) one event is written, and with it one transaction.
//
// Two promises code alone keeps, a budget and how many requests of somebody are pending: CreateRequest counts under an advisory lock
// for each requester.
//
// # Time, text and secrets
//
// Instants come from the caller and are cut to microseconds in UTC; what a method returns is what a later read gives.
// Bytes that Postgres cannot keep in a text (NUL, broken UTF-8) become U+FFFD instead of failing the change. Nothing that
// comes here is a secret; the store's own URL is in no error and in no log line. What somebody typed into a form and did not send is
// kept for a day, for them alone.
//
// # What a failure leaves behind
//
// An error means that nothing was changed, unless nobody knows: when the connection breaks during COMMIT, when the time that
// several changes share is over before COMMIT is answered, and when a caller's context ends after its change was decided along
// with others, which are committed without it being waited for. Callers may repeat a change: it finds the state it made. Whoever's
// context ends before their change was decided changes nothing.
package store
