// Package policy turns one reviewed file into decisions: denied, approved at once, or which people must agree.
//
// It is pure: no clock, no network, no store. Whoever asks brings the facts (who the person is, which Slack user groups
// they are in, who is on call and since when that is known), and the same facts always give the same decision.
//
// # How a request is decided
//
//  1. Every rule that denies and matches wins over everything else.
//  2. Otherwise the first rule that matches decides: at once (`approve: automatically`) or by approvals.
//  3. Otherwise the answer is no.
//
// A rule matches when its `who`, `targets` and `profiles` all match, the request is within its `hours`, and its `budget` is
// not used up; a key left out matches everything and several entries mean any of them. The first rule that matches also
// decides how long at most (`max_duration`) and what the request must say (`require`): what is too long or too little
// said is denied with what would do, and no later rule is asked.
//
// # Facts that are not known
//
// Slack or PagerDuty may not answer. A fact is then unknown, with the reason, and it never helps the requester:
//
//   - an allowing rule does not match on an unknown fact; the decision says that it might have and why it did not, so
//     that an unreachable PagerDuty means "ask a person" and not "error";
//   - a denying rule does match on an unknown fact;
//   - a rule that was passed over for an unknown fact still holds the answer back: it is never laxer than it would be
//     had that rule matched. So nobody gains by making a fact unknown. This holds for every key: the approvals of all such
//     rules are asked for, in order if one of them asks in order; things wait as long as the least patient rule says;
//     those are asked late whom every rule that asks people would ask; access is extended as far as the strictest lets it.
//     One thing cannot be held back: the end of a shift that is unknown. Where such a rule would have approved only until
//     then, and a later one approves without that shift, the access may last beyond it; but the rules give the same person
//     at least as much off call. Who wants a person to be asked while PagerDuty is away must let the later rule ask one.
//
// A name that the file uses and does not define (a group, a schedule) is an unknown fact too, and a warning.
//
// # A later start
//
// A request may be for access that begins later (Request.StartsAt). Its hours are those of the start. Who is on call then nobody
// knows, so a rule that denies takes every on-call selector for an unknown fact, and one that allows takes it for no: what a shift would have
// approved by itself is a question for the next rule, and the bounds of a rule for people on call bind nobody else. A rule
// says how far ahead access may begin (start_within), 7 days where it does not. Broken glass never starts later.
//
// # More time
//
// DecideExtension asks the rules afresh, as of now. A rule that approves automatically lets access last as long as might
// have been asked for, or as its `extend` says; a rule that asks people only as its `extend` says, and only when it is the
// rule the access rests on and asks for no more than was agreed to. Broken glass is never extended.
//
// # Broken glass
//
// DecideBreakGlass looks at the rules that deny, which win, and at the `break_glass` section, which is a rule by the name
// [BreakGlassRule] in steps and decisions. It approves at once, with the review that must follow.
//
// # What a decision carries
//
// Its explanation: one step for every rule that was looked at, and one sentence for a person. A decision names the rule
// that made it, or says that none matched. It also carries the hash of the policy that made it; where a rule rests on a
// shift, that shift, which the grant must not outlive; the budget it draws on; and what is to follow: how long things wait,
// who is asked late, how far access can be extended, who reviews. A denial carries none of these.
package policy
