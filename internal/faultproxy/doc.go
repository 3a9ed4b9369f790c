// Package faultproxy stands between a client and a database server, Postgres or MySQL, and stops the client at a step of a test's choosing,
// so that the test can kill it there: before the server heard of the step, or after the server carried it out and before
// the client learned of it, which is also how the answer to a COMMIT is lost.
//
// # What a step is
//
// A step is what a client asks for in one round trip: a simple query, or everything up to a Sync that executes something.
// Preparing a statement is no step of its own, because whether it happens depends on what a connection has done before.
// Steps are counted over all connections, and only those that a [Trap] says it counts, in the order they arrive.
//
// # What it promises
//
//   - Until a trap springs the proxy passes everything on unchanged, notifications and requests to cancel included.
//   - A sprung trap holds one connection, for as long as its client keeps it open; all others go on. One trap springs once.
//   - Before: the server has not seen the step. It ends the open transaction as soon as the client is gone.
//   - Amid: the same as After, but that the server got only so many of the step's statements.
//   - After: when [Armed.Reached] says so, the server has carried the step out, and the client got nothing of the answer.
//
// It speaks just enough of version 3 of Postgres' protocol, or of MySQL's, to see where steps begin and end. TLS is refused, so the
// connection must allow plain text. COPY passes, and is no step. Only tests use it.
package faultproxy
