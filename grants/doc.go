// Package grants is the life of an issued login: intent, issue, deadline, revocation, proof.
//
// # States
//
//		provisioning ─► active ─► revoking ─► cleanup ─► revoked
//		      └───────────────────────►┘
//
//	  - provisioning: the intent is committed; the login may or may not exist on the target.
//	  - active: the login exists, was read back from the catalogs, and its OID is recorded.
//	  - revoking: it must go. From here on there is no way back, whatever fails.
//	  - cleanup: locked out, no session left on any node, verified. What it owned may still be there.
//	  - revoked: no trace in the catalogs; the receipt says what was looked at.
//
// # Invariants
//
//   - The row exists before the login does, so a login without a row is never ours to lose: its name is derived from
//     the grant's id and its stamp names installation and grant.
//   - States change by compare-and-set in the store, in one transaction with the audit event and the jobs that follow.
//   - A grant freezes what it was issued against: fingerprint of the target, profile version, access role, login name,
//     OID. "Not found" counts as revoked only on the same fingerprint.
//   - The password lives in the memory of the replica that got the press, for the length of one call. The target sees a
//     verifier, the store and the logs see nothing.
//   - Security (lock, kill on every node, verify) never waits for hygiene (reassign, drop, verify).
//   - Retries never stop. The pause between two tries of the security step is at most [MaxSecurityPause].
//
// # Who drives it
//
// Activation runs in the replica that got the press. Everything else can be run by anybody at any time and is
// idempotent: the [Reaper] moves due grants to revoking and carries out the security step at once; the Revoke job
// committed in the same transaction is its safety net; the sweep compares every target with the store, for ever.
//
// No target delays another, however many of its grants are due and however long it keeps silent. What waits for a target
// waits in that target's lane; the job only begins a try ([Service.TakeUp]), holds no worker of the job engine while that is
// under way, and looks again until the store says that the grant is over. Sweeps of targets are independent of each
// other ([Service.SweepTarget]).
//
// # What a failure leaves behind
//
//   - Died before the intent committed: nothing.
//   - Died after the intent: a row in provisioning. The Recover job moves it to revoking after [RecoverAfter], whether
//     or not the login exists by then; the request reopens and its holder may press again. The driver makes sure that
//     no login can appear after [IssueWithin], so that the revocation cannot look too early.
//   - Died after issuing, before showing: the same, or an active grant whose holder presses again and gets a new
//     password for the same login.
//   - The store is away at a deadline: every replica knows the next deadlines by heart and locks the login out all the
//     same; the revocation is written down and finished when the store is back. So it does with a grant whose row somebody
//     holds in the store for more than a moment after its deadline (a replica that froze, a person at the console).
//   - Died during revocation: the state says how far it came; every step is safe to repeat.
//   - A cluster that is gone for good: its grants stay in revoking until an operator writes them off, which proves nothing and
//     says so.
//   - A physical copy of a cluster, as a target of its own: the logins that it brought along are left alone and reported while
//     their grants are live, and taken away afterwards.
//   - Another cluster under a target's name: nobody is given a login on it until an operator trusts it.
//   - The store was restored from a backup: each target remembers a link of the audit chain that the restored one does not
//     have. Logins that the store then does not know are reported, and left alone until their own end or an operator's
//     decision. What the backup knows is believed: a deadline that was moved since is kept as it was, and an intent that was
//     open when the backup was made is taken back.
//
// # Many at once
//
// Where a driver implements [Many], logins of one target that are to be taken back at the same time share messages to it,
// and their new states share transactions of the store. Of a crowd all are locked before the first is dropped; a login that
// comes alone is locked, looked for and dropped in one message, and goes from revoking to revoked in one transaction.
package grants
