// Package bench measures what prodaccess promises about speed (docs/performance.md), beside what limits it, in one run.
//
// Every figure is taken with everything on: two durable Postgres servers (fsync), the store's transactions with their
// audit events and jobs, the sealer and the job engine at work, read-back and receipts. Where a figure has a limit to be
// compared with, ours and the limit take turns in small rounds, so that a noisy machine is unfair to both alike; the
// ratio is the median over the rounds.
//
// `make bench` runs it and ends with a table in Markdown.
package bench
