// Package bot is prodaccess in Slack: commands, forms, buttons and messages. It holds no state that matters; every
// decision is asked of a [Service], and every message is drawn from what is stored.
//
// # What is promised
//
//   - Acknowledged means committed. A command, press or submission is answered after the service's call returned, within
//     Slack's three seconds. What follows (opening a window, making a login) runs in goroutines [Bot.Drain] waits for.
//   - Who acted is what Slack says in the delivery, never what a button's value says.
//   - Both transports, Socket Mode and signed HTTP, end in the same handler. A panic in it answers "something went wrong" and
//     leaves the process alive.
//   - Messages are level-triggered: [Bot.Draw] and its siblings draw what is stored now, however late or often they run.
//     A message is posted once ([Outbox]); a message that was deleted, or a person who left, never blocks anything.
//   - A channel of the configuration that cannot be written to loses nothing: its messages wait for somebody to mend it. What the
//     security channel must not miss (broken glass, its reminders, alarms, findings) stands in the audit or the approvals channel meanwhile.
//   - The Home tab is drawn from what is stored when somebody opens it, and for an hour afterwards when they act or when anything on it
//     changes: requests that wait for them, reviews, and for operators what does not end. What others do publishes a Home every three
//     seconds at most and only if something on it changed. A Home that fell behind is put right when it is opened.
//     Its buttons are those of the messages.
//   - Who may neither ask nor answer is told so by every command, window, button and Home tab, and nothing of what there is.
//   - A message that stays says "at most" of the time that is left, which time makes no less true; instants are in each reader's own zone.
//     Every copy about live access, and its holder's Home where it is open, is drawn anew when 4h, 2h, 1h, 30m, 15m and 5m are left, which
//     notifies nobody and goes behind all other drawings.
//   - The text of a request's message says in one line where it stands, who, what, where and for how long.
//   - Who is refused is offered what the policy would let through, and only their own requests are repeated by a press.
//   - A credential is shown in a modal and nowhere else: no message, response_url, private_metadata, log line or error of
//     this package ever holds one.
//   - Broken glass is announced in the security channel, in one message that is kept true until its review is closed. The approvals
//     channel has its card too, with nothing to approve. Nothing happens before the window that says what will is sent.
//   - A requester is told each milestone once, in the thread of their own copy, and nothing of what they did themselves.
//   - A nudge mentions everybody at most once, never the requester and never who answered, and is posted once or not at all.
//   - Text written by people does nothing: no mention, no formatting, no direction marks.
//
// # When there is more to draw than Slack takes
//
// Slack takes about one message a second in a channel and fifty updates a minute in all of them. What is filed or decided faster than
// that is answered at once, in the acknowledgement, and drawn when its turn comes:
//
//   - Each channel has a queue, and a person's direct messages are a channel of their own: nobody's own copy waits behind the
//     approvals channel. What somebody has to act on, or was not told yet, goes before what is there to be looked up (a card that is
//     decided and over, a receipt); otherwise the first goes first.
//   - A message that waits holds no worker, no claim and no connection: its job is asked back when its turn is near, and draws what is
//     stored then. A card that was decided before its turn came is posted once, as it is; many changes are one update.
//   - Slack's limits are kept before Slack has to say so. What it says all the same (Retry-After) holds for that lane alone.
//   - The queues are this replica's, and only say when to come back: after a restart, or at another replica, a message stands in line
//     anew. Two replicas are faster than Slack allows, which then tells both to wait.
//   - Who presses is looked up afresh at Slack, about a hundred times a minute. While more people press than that, what Slack said of
//     them within the last minute holds, so that look-ups are left for those of whom nothing is known.
//
// # Errors
//
// An [approvals.Refusal] carries words for its actor. Any other error becomes a reference number in Slack and a line with
// that reference in the log, in one place. The drawing methods return [*Undelivered], which says whether trying again
// helps, and when.
//
// # What a failure leaves behind
//
// A post that may or may not have arrived is looked for in the channel before it is posted again. A login made for a window that could
// not be opened is given back. A login whose window was closed before the credential arrived stays live and is shown again with a new
// password.
package bot
