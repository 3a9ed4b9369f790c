// Package crowd lets many people use prodaccess at once, on a stage, and keeps the books of what they did: the load for the
// benchmarks and the tests. Nothing here is used by `prodaccess serve`.
//
// # What it promises
//
//   - People act on the clock, whether or not what came before was answered (an open loop), and press only what prodaccess
//     put before them. Slack's rate limits therefore bound the presses as they do in life: a card that is not posted yet
//     cannot be pressed.
//   - Every command and every press that was acknowledged is written down, and [Crowd.Settle] holds the books against the
//     store: each accepted request is there once, each press has one answer in the audit log, nothing else is there.
//   - What was drawn is held against the store too: each message is posted once, none shows a state that had long passed,
//     and at the end each shows what is stored.
package crowd
