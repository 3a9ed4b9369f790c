// Package sandbox is a strict stand-in for Slack and for PagerDuty's on-call and events APIs. The tests and the demo of
// prodaccess run on it; nothing in it knows prodaccess.
//
// # What is promised
//
// A [Workspace] is one Slack workspace with one app installed in it. It listens on a loopback port of its own and
// speaks Slack's wire formats, so any client works against it unchanged: slack-go and @slack/bolt both run against
// it in this package's tests. It keeps these promises:
//
//   - The Web API is under [Workspace.APIURL]: form and JSON bodies, bearer tokens, Slack's error codes, scopes,
//     rate limits with Retry-After. A method that takes no JSON at Slack takes none here.
//   - Every block, view and message is checked by a validator written from Slack's reference. What Slack refuses is
//     refused with invalid_blocks or invalid_arguments, and response_metadata.messages names the JSON pointer. Unknown
//     block types and unknown fields are refused.
//   - What people do reaches the app as Slack would send it: over Socket Mode when the app has no request URL, else as
//     signed HTTP. An app has three seconds to answer; then the person sees operation_timeout. When there is nobody to
//     deliver to, or the answer is an error, the person sees dispatch_failed.
//   - A trigger_id lives three seconds and works once. A response_url takes five posts in thirty minutes.
//   - An event that is not acknowledged is sent again, three times at most. A command or a press is sent again only
//     when the socket it went to broke before the answer came.
//   - A person sees what they would see in Slack and nothing else: messages of channels they are in, ephemeral messages
//     addressed to them, their own views. They can only press what is on the screen, except through
//     [Actor.ClicksStale], which presses what was on it once.
//   - Everything said between Slack and the app is kept in order, tokens taken out ([Workspace.Traffic]), and so is
//     every version of every message and view.
//   - [Workspace.Close] ends every goroutine and connection the workspace started.
//
// A [PagerDuty] serves GET /oncalls and GET /users of PagerDuty's REST API, and POST /v2/enqueue of its Events API, in the same
// spirit.
//
// # The page
//
// At [Workspace.URL] the workspace serves a page that looks and works like a small Slack: people to be, channels, direct
// messages, threads, the Home tab, windows, the box for commands. It draws every block and element the validator takes,
// and what is done on it goes the way of [Actor], so it can press only what is on its person's screen. A page listens to
// one stream of server-sent events for one person and connects again by itself. Nothing on it is made from HTML that
// came with a text, and it asks nobody but the workspace. [Workspace.SetPage] puts beside it what the workspace does
// not know: panes, read about once a second while a page is open, and a [Tour] whose steps end when what they wait for has
// happened. People can write ordinary messages on the page; the app does not hear of them.
//
// # From a terminal
//
// People can be driven from a terminal too, while the workspace runs:
//
//	curl -d '/prodaccess help' URL/sandbox/people/ana/command[?channel=approvals]
//	curl -d 'Approve'          URL/sandbox/people/bo/click
//	curl -d 'Reason: because'  URL/sandbox/people/bo/submit     one "Field: value" to a line
//	curl -d 'Colour: red'      URL/sandbox/people/bo/select
//	curl -d ''                 URL/sandbox/people/bo/close      and …/home
//	curl                       URL/sandbox/people/bo/sees       and URL/sandbox/people
//
// Only callers on this machine are answered, and no page of another origin.
//
// All methods of all types are safe for concurrent use.
//
// # What is faked
//
// Time: trigger, response_url and rate limits are counted on the clock in [Options]; the three seconds an app has
// to answer always pass on the real one. Identifiers are counters. Tokens are constants. Text is counted in
// characters (runes). Rate limits are token buckets, where Slack promises no algorithm; [Options.NoRateLimits] turns
// them off. The app is a member of every channel until [Workspace.RemoveBot].
//
// # What is not there
//
// Files, pictures (their words are shown), reactions, workflows, Enterprise Grid, OAuth installation, RTM, dialogs, link
// unfurling, message events (an app of ours does not listen to what people write). The video, file, table, plan,
// task_card and context_actions blocks and the file_input, rich_text_input, workflow_button, feedback_buttons and
// icon_button elements are refused, which is more than Slack would do. A view opened while another stack is open replaces it.
package sandbox
