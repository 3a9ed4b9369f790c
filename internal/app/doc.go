// Package app wires prodaccess together: one straight function makes every part from the configuration, and a list of
// named steps takes them down in reverse, also when making them failed half way.
//
// # What is refused at start, and what is waited for
//
// A mistake that only a person can mend stops the start: a configuration or a policy that does not load, a store without
// its schema or with a login that could rewrite the audit log. Something that may come back by itself is waited for,
// loudly: a store that does not answer (nothing can be decided without it, so nothing is), a Slack, PagerDuty or target
// that does not answer (everything else goes on). Revocations never wait for Slack.
//
// # What is said of it
//
// Each part is looked at by itself, so that one that hangs hides no other, and what it says, or that it says nothing, is recorded at
// once. A replica is ready from the end of Start to the beginning of Stop, while its store answers. Nothing is a fault longer
// than this replica can know of it.
//
// # Signals
//
// They belong to main. Start returns a running [App]; Stop first turns away what comes from Slack, then lets what is in
// hand finish within the configured time, then cuts it off, which loses nothing: every effect is a job, and whoever starts
// next goes on with it.
package app
