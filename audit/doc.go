// Package audit is the append-only, hash-chained record of everything that was asked, decided, done and refused.
//
// # Invariants
//
//   - An event is inserted in the transaction of the change it records, so there is no act without its event. Refused
//     attempts are events too.
//   - Events and seals are never updated or deleted. The service's database role has no right to, and triggers refuse
//     it even to the owner.
//   - What one delivery of Slack asks for is recorded, and so done, once ([Once]).
//   - No event contains a secret: every field is one of the closed set below, and none of them ever holds a password,
//     a verifier, a token or a connection URL.
//
// # The chain
//
// Committing events and chaining them are two steps, because chaining inside the transaction would make every request
// wait for every other one. Right after the commit, one sealer at a time (an advisory lock) takes the events that no
// seal covers yet, in the order of their ids, and appends one [Seal] each: the hash of the previous seal and of the
// event's canonical form. An event older than [SealWithin] without a seal, a seal without its event, an event whose
// canonical form no longer gives its hash, or a gap in the sequence is a finding of [Verify].
//
// The head of the chain goes into every digest, so Slack is its outside witness: [Verify] takes remembered heads and
// says whether they are still on the chain, which finds a chain rewritten from some point on.
//
// # What a failure leaves behind
//
// A crash between commit and seal leaves events unsealed; the next sealer on any replica takes them. Until then [Verify] finds
// those that are older than [SealWithin], for it cannot tell them from forged ones. What stops in order seals last. Two sealers
// cannot fork the chain: the sequence number and the previous hash are unique.
package audit
