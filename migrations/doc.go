// Package migrations is the schema of the store and the only way it changes.
//
// [Up] brings a database to the newest version: our numbered files (embedded, run by goose), then River's own, then the
// rights of the service's login. It may be run at any time by anybody, also twice at once: an advisory lock lets one do
// the work and the others find it done. Nothing here is run by the service itself.
//
// # Two logins
//
// The owner runs migrations and owns every table. The service's login is another one, and has exactly the rights listed
// in [Tables]: it can add to the audit log and read it, but can neither change nor delete what is there. Triggers refuse
// that even to the owner. A database in which both are one login works, but the service then says so (see
// store.CheckPrivileges), because its audit log is only as honest as the process that writes it.
//
// # Compatibility
//
// A migration must be safe while the previous binary is still running, and the schema it leaves must be usable by it:
// add columns with defaults, widen checks, never rename or drop what the previous binary names. Statements name their
// columns, so an added column disturbs nobody. A migration that was ever released is never edited.
//
// Nor may it keep a running binary waiting: a table is waited for two seconds at most, and asked for again after a pause in
// which whatever waited behind it goes on. Somebody who holds one for two minutes, such as a backup, makes [Up] fail. Once it has the
// table it keeps writers waiting for as long as it works: to index the audit log (00011) about a second for a million events. The
// first release begins without events; a later index of a table that may be long is to be made CONCURRENTLY, in a file without a
// transaction, and one that is INVALID dropped first.
//
// # What a failure leaves behind
//
// Each file is one transaction, so a failed [Up] leaves the version before the failing file, and running it again goes
// on from there.
package migrations
