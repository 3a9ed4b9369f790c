// Package localmysql runs real MariaDB and MySQL servers on this machine, for tests.
//
// [Start] makes a data directory, starts a server on a free port of 127.0.0.1 and returns when it answers. The server is
// ours alone:
//
//   - It listens on 127.0.0.1 and on a unix socket in its own directory. root's password is random and only in
//     [Server.Root]; nobody else has a login.
//   - It never runs as root: when we are root it runs as "mysql", else as "nobody".
//   - It does not outlive us: on Linux the kernel kills it when this process dies. What a killed process left on the disk
//     is removed by the next start.
//   - Nothing of the machine's own configuration is read (--no-defaults).
//
// It gives up safety against a crash of the machine, and only that. Everything the server writes to its error log, its
// general log (every statement as it arrived) and its slow log can be read back, so that a test can look for secrets in
// them.
//
// MariaDB is a package of most systems, and its packages and MySQL's exclude each other, so that MySQL is usually what
// scripts/setup.sh has put into the cache: a server with all its libraries, the C library and its loader included, in a
// directory of its own, of which nothing is installed.
package localmysql
