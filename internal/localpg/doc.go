// Package localpg runs real Postgres servers on this machine, for tests and for the demo.
//
// [Start] makes a cluster, starts it on a free port of 127.0.0.1 and returns when it answers. The server is ours alone:
//
//   - It listens on 127.0.0.1 and on a unix socket in its own directory. Everybody, the superuser included, needs a
//     password (SCRAM-SHA-256); the superuser's is random and only in [Server.URL].
//   - Postgres refuses to run as root. When we are root it runs as "postgres", else as "nobody", in a directory outside
//     root's home.
//   - It does not outlive us: on Linux the kernel shuts it down when this process dies, however it dies. What a killed
//     process left on the disk is removed by the next start.
//   - Its settings are those of this package and of [Options.Settings]; nothing comes from the machine's environment,
//     time zone or locale.
//
// Tests want [Options.Fast], which gives up safety against a crash of the machine, and only that: a server that is
// killed and started again still has everything it acknowledged. Clusters of Fast servers are copies of one cached
// cluster and so share a system identifier, unless [Options.Fresh] asks for a cluster of its own. Where memory is plentiful
// their directories are in /dev/shm, and their superuser is quick to let in (see [Verifier]).
//
// A test package needs one server:
//
//	func TestMain(m *testing.M) { os.Exit(localpg.Main(m, localpg.Options{})) }
//
//	func TestSomething(t *testing.T) {
//		srv := localpg.Shared(t)
//		db := localpg.NewDatabase(t, srv, "")
//		pool := connect(t, srv.URL(db)) // roles are cluster-wide: give them random names
//	}
//
// To look for leaked goroutines as well: goleak.VerifyTestMain(localpg.Around(m, localpg.Options{})).
// A test that takes its server down and up again, or reads the whole server log, starts its own with [Start].
// Start must not be called inside a testing/synctest bubble; [Shared] and [NewDatabase] may be.
package localpg
