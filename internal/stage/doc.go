// Package stage is the little world that the demo, the acceptance tests and the benchmarks play in: a workspace and an
// on-call service that stand in for Slack and PagerDuty, a real Postgres for the store, a real Postgres with an orders
// database and personal data in it, five people, a policy, and the real binary serving them.
//
// # Who is who
//
//	ana    backend, on call for payments      asks
//	bo     backend                            asks
//	dora   dba                                approves
//	sam    security                           approves schema changes
//	cy     contractor                         never writes
//
// # What it promises
//
// [Open] returns when everything answers; [Stage.Close] leaves no process, directory or role behind. The bot is a child
// process: it can be killed like a real one. Nothing here is used by `prodaccess serve`.
package stage
