// Package acceptance tests prodaccess as people use it: the real binary, real Postgres servers, and the sandbox in place
// of Slack and PagerDuty. Tests read as people act. It holds no code of its own.
package acceptance
