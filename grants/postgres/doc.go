// Package postgres issues and takes back logins on PostgreSQL 15 and later.
//
// # What it needs
//
// An administrator login that is no superuser: CREATEROLE and membership in pg_signal_backend, or functions that stand in
// for both. What else has to be there
// (access roles, the quarantine role, who may connect) [Driver.Plan] computes, [Driver.Apply] makes and [Driver.Check]
// watches. All of it is printed as SQL that a DBA can read and run instead.
//
// # How it works
//
// Each step is one message: facts, guards, the change, COMMIT, and what the catalogs say afterwards. A guard is a
// SELECT that divides by zero unless the facts are as they must be, so that the server itself refuses: another cluster,
// a role that is not ours, a clock that is wrong, an order that came too late. The facts come back in any case and say
// which guard it was. Nothing here depends on a second look that a crash could prevent.
//
//   - Issue: the login, its stamp (COMMENT ON ROLE), its membership in the access role; no other privilege. The last
//     guard stands right before COMMIT and compares the server's clock with the order's NotAfter; locks are waited for
//     at most [lockTimeout], and a commit waits for no standby (synchronous_commit = local), so no login appears late.
//   - Secure: NOLOGIN, VALID UNTIL '-infinity', CONNECTION LIMIT 0; then every session with the login's OID is
//     terminated on the primary and on every node until none is left. The OID, since a session that ran SET ROLE, or
//     whose role was dropped, is still found by it. A node counts only once it has replayed the log past the lock: one that shows no login and no
//     session may be one that has not heard of the login yet, and would let it in.
//   - Clean: what the login owned goes to the quarantine role, database by database as pg_shdepend lists them; its
//     prepared transactions are rolled back; then DROP ROLE and a last look at roles, memberships and sessions.
//
// What somebody set for the administrator's role or for a database (default_transaction_read_only, timeouts, a role to act as,
// formats) is of no consequence: the driver asks for what it needs when it connects, and for what not every supported version
// has (transaction_timeout, createrole_self_grant) in the first message of the connection.
//
// # Without rights of its own
//
// In the least-privilege mode the administrator has no attribute and no membership. It calls functions that a superuser
// installed ([Driver.PlanLeastPrivilege]), and [door] is where the two modes differ: the statements that need rights, and
// nothing else. Guards, transactions and what is read back are the same.
//
//   - Which mode: the functions, where the administrator may call them and they are their owner's; else its own rights. The
//     driver looks once, and again when it is refused, so that a DBA may change the mode while it runs. Every message that
//     calls a function asks first whether it is theirs. Nothing is configured. Plan and Check take a cluster that has the role prodaccess_functions to be in the mode.
//   - The owner is prodaccess_functions: NOLOGIN CREATEROLE, in no need of being a superuser, and therefore none. From 16 on it
//     has power over the roles it made and the access roles alone; on 15 CREATEROLE is nearly a superuser, and less.
//   - A function promises: names are of the closed alphabet, and none that a profile's roles or prodaccess's own could have;
//     a login is found by name, stamp and OID, compared byte by byte; it is made a member only of roles on which its owner
//     holds ADMIN OPTION, which is how a plan registers them; passwords are SCRAM verifiers; no end lies further away than
//     the policy's longest access; only installations that a plan registered get logins, passwords and time (the list is the
//     comment of prodaccess_functions), and rehearsals for minutes; settings are seat belts from a list; sessions are of
//     logins that carry a stamp, or of roles that are gone; a login that has a session is not dropped; objects go to the
//     quarantine role. A login that somebody gave attributes, other roles or privileges of its own gets no new password and
//     no more time; it can be locked and dropped, whatever became of it. NULL is refused.
//   - What only the login itself may do (be set to act as its durable owner, roll back its prepared transactions) no function
//     can do. For that the login is lent to the administrator, while it has no access: before it gets any, which ends the
//     loan, or after it lost it, when the drop does. Access is given by the transaction that made the login and by no other,
//     so that no session which became it during a loan has any.
//   - A failure leaves what the same statement would have left: each function is part of its caller's transaction. Where a
//     database lacks the functions, what was left there stays, the login is locked and not dropped, and the error says how
//     to mend it.
//   - Versions: prodaccess.version() is [functionsVersion]. Names and arguments stay for as long as a supported binary calls
//     them, so that functions are upgraded first and the binary follows. A plan replaces what differs, in one transaction
//     for each database; where somebody's view stands on a function that differs, the plan stops and is told as busy, and
//     goes on once the view is dropped. docs/operating.md has the way back.
//
// # Profiles
//
// A profile is an access role. A table that the profile limits (rows, mask) is not granted: the role sees a view of that
// name, in a schema of the profile's, with security_barrier, owned by a role that may do nothing but read what its views
// need. Row-level security applies to that owner; it is never the owner of a table. EXECUTE on functions in a view is
// checked against whoever queries it, so that the key of hash masks is read by a sub-select, with the owner's rights.
//
// Values of parameters are rows keyed by the login's name, written before there is such a login and looked up by
// session_user. A condition also asks whether the login has values at all: none means no rows. Settings of a role do not
// reach its members, so what a login needs (search_path, the durable owner it acts as, seat belts) stands in the access
// role's comment, and Issue copies it; a guard compares the comment with what the driver remembers.
//
// What a login with CREATE makes is born owned by a durable role, which it acts as (ALTER ROLE … SET role); CREATE is that
// role's, not the login's.
//
// # How it fails
//
// Every error is a *grants.Failure with words of ours. Errors of pgx are never wrapped: a pgconn.ConnectError carries
// its whole configuration, password included. A server's message is cut clear of anything like a verifier.
//
// # What the versions differ in
//
// From 16 on CREATEROLE administers only roles it made or holds ADMIN OPTION on, and a membership says separately
// whether it inherits and may be assumed; REASSIGN OWNED needs both on the quarantine role. On 15 it may alter any role
// that is no superuser, and grant itself any role that is none. On all of them REASSIGN OWNED by anybody but a superuser
// wants the quarantine role to have CREATE on the schemas in which visitors could create. pg_control_system(), where the fingerprint comes from, may be executed by everybody on
// all of them, and a standby answers with the same value.
package postgres
