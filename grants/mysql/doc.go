// Package mysql issues and takes back logins on MariaDB 10.11 and later and MySQL 8.4 and later.
//
// Every test runs on both, on MariaDB 10.11 and MySQL 9.7. What differs stands behind a flavour, which the server's own
// VERSION() decides.
//
// # What it needs
//
// An administrator login that has no SUPER: [Bootstrap] lists its privileges, each with its reason. CREATE USER lets it
// set anybody's password, on MySQL anybody's without SYSTEM_USER, and on MariaDB SET DEFAULT ROLE for somebody else needs
// UPDATE on the schema mysql; keep its password as one keeps root's. Access roles, the ledger and the rest [Driver.Plan] computes, [Driver.Apply] makes and
// [Driver.Check] watches.
//
// # The ledger
//
// Neither server keeps a stamp on an account that both could read, or has an identity that outlives a failover, so that a
// schema of ours, prodaccess, is on every target and replicated with it:
//
//   - cluster: the fingerprint, made up once. A replica has it, and whoever is promoted keeps it; so does a copy or a
//     restore, as with PostgreSQL's system identifier. Check says when the server is not the one it was made on: after a
//     failover all is well, and a copy must be given a fingerprint of its own before it is used beside the original.
//   - logins: a row for each login, written before the account. Its number is what the rest of prodaccess calls OID; names
//     are never used twice. The row outlives the account by a day, so that a late order finds that it is over. Where row and
//     account are gone both (a restore, a failover that lost the last of it), taking back writes another row, whose number is
//     its own.
//   - profiles, parameters, views, bound_values, hash_key: what profiles with limits need. memory: a line of text for
//     each installation, and a number by which a replica shows how far it has come.
//
// # How it works
//
// Account statements cannot be rolled back, so each order of statements is chosen so that it may stop anywhere.
//
//   - Issue: the row, if the facts allow it (this cluster, clocks that agree, in time, a role, nobody of that name); the
//     account, locked, with a verifier; its role, and that role by default; what the catalogs say of it; and at last
//     ACCOUNT UNLOCK, if the server's clock is not past the order's NotAfter and the row still says that it is being made
//     by this connection. Until then nobody can use the account, and its row explains it.
//   - An account is ours when its row says that CREATE USER was seen to succeed, or while it has the verifier whose hash
//     the row took down beforehand. Somebody else's account of the same name has not, and is left alone.
//   - Extend: a login that the server has locked because its time was over is opened again, and then its end moves. What a
//     person locked stays locked, and keeps its end.
//   - Secure: the row says that there is no way back. The account is locked; whoever was still changing it (the row names
//     the connection) is killed and waited for, and the account locked again; the role is taken away; sessions are killed
//     on every node until none is left, on MariaDB one after the other, since two KILLs that meet can hold each other up. A node counts once it shows the row that says so, which it has before the lock, and
//     no account that is not locked: one that has no account may be about to make it. An account of the same name at another
//     host is not touched, but sessions of that name are ended, whichever they came through; it is reported when ours is
//     shut. On MariaDB a session keeps its role after it was revoked, on MySQL its database-level privileges: only killing
//     ends either. A handshake begun before the lock would succeed after it: on MariaDB it has the login's name in the
//     process list and is killed as a session; on MySQL it has none, and all that were under way at the lock are waited for,
//     and ended if they stand still.
//   - A prepared transaction of a session that is killed is rolled back where the server says whose it is (MySQL); others that
//     no session holds are reported by Clean, whoever left them.
//   - Clean: what the login is the definer of is listed, events are dropped, DROP USER, and a last look at accounts,
//     memberships, privileges, values and sessions. Routines, views and triggers stay, with a definer that does not exist
//     and whose name is never used again, so that the server refuses to run them.
//
// PASSWORD EXPIRE is never used: its user sets another password and is in. IF NOT EXISTS is never used for a login: it
// keeps the old password without a word.
//
// # The end that the server keeps
//
// There is no VALID UNTIL. An event of ours looks every ten seconds for live logins whose time is over, locks them, marks
// them as over, and ends their sessions. Check notices when it is not as this version makes it. It needs event_scheduler =
// ON, on the primary; where that is off, Check says so, and nothing ends a grant while prodaccess is gone.
//
// # Nodes
//
// Whoever looks for sessions needs PROCESS on each node, without which a server shows nobody and says nothing: the look
// fails then. A node that does not answer, or stands still, keeps every login from being secured, but none from
// being locked on the primary: those that wait for their turn are told, for some seconds, what was found out a moment ago. A
// connection that says nothing for ten
// seconds is given up, whatever its context allows; only Plan, Apply and Check may take longer.
//
// # Schemas, masks, rows
//
// A schema of a profile is a database here, of those that the target lists; "public" and "*" mean each of them, so that a
// profile can serve both engines. Where a profile limits a table of a database by name, there or not, tables of that database
// are granted one by one, so that a limited table that is made later is not reached until the next Apply. A profile with
// masks, rows or parameters gets a database of its own, called like its access role, with a view for each of its tables, and
// its holders are told to connect there ([Driver.Home]). Views with
// rows are materialised behind a LIMIT, so that a condition of the visitor's is never tried on a row outside; where a
// profile may also write through them they cannot be, and errors and timing can tell that a row exists: Check says which.
//
// # Not done
//
// CREATE is not given out, because what is made has no owner. MySQL has no statement timeout for an account; Check says so
// of a profile that asks for one. A session of somebody else's that changes its user to a login of ours and stands still in
// the middle keeps its old name in the process list: the login's role is gone by then, but whether it gets in was never
// tried. Nor were Galera, Group Replication and servers that somebody else manages.
//
// # How it fails
//
// Every error is a *grants.Failure with words of ours. Errors of the client library are never wrapped, and a server's
// message is cut clear of anything like a verifier; of a syntax error nothing that it quotes is kept.
package mysql
