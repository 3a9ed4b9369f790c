#!/bin/sh
# Runs govulncheck. A database that cannot be reached is not a vulnerability: that is said, and is no failure.
set -u
cd "$(dirname "$0")/.." || exit 1
packages=${1:-./...}
echo "==> govulncheck $packages"
out=$(go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 "$packages" 2>&1)
status=$?
printf '%s\n' "$out"
case "$status:$out" in
0:*) ;;
*"govulncheck: fetching vulnerabilities:"*)
	echo "NOT CHECKED: the vulnerability database could not be reached from here. Run make vuln where it can be."
	status=0
	;;
esac
exit "$status"
