// Package oncall says who is on call now, with proof: schedule, escalation level, shift, and when the source said so.
//
// # What counts
//
// An entry counts when it is of the schedule asked for, at one of the escalation levels asked for, and its shift has
// begun and not ended. The level matters: a last level that is "the whole team" must not let everybody in. Several
// people may be on one level at once; overrides count, because the source has already applied them. Entries without a
// schedule, or without a beginning or an end ("permanently on call"), do not count: there would be no shift to end a
// grant with.
//
// People are matched by e-mail address without regard to case, or by the PagerDuty user ID that the configuration names
// for their address. When two accounts carry the same address, who is meant is unknown.
//
// # Age
//
// An answer is kept for at most a minute and then asked for again; a burst of questions makes one call. Its AsOf is when
// the call began, not when it was read from memory. Whether a shift has begun or ended is looked at when the question is
// asked, so a hand-over within that minute is seen; the people of the shift to come are fetched with those of this one.
//
// # Failure
//
// Nothing here returns an error. Whatever keeps the source from answering becomes [Status.Unknown], one plain clause that
// completes "because …", which means that a person is asked. It never contains the token, an address or a URL. A failure
// is remembered for a few seconds only, so that a burst does not make a slow source slower.
//
// # Incidents
//
// [Incidents] tells PagerDuty about broken glass, so that somebody is woken. There an error matters: a [Failure] says, from a
// closed list, why PagerDuty was not told and whether trying again may help, and holds neither the routing key nor anything
// that was sent or answered.
package oncall
