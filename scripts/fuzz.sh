#!/bin/sh
# Runs every fuzz test of the module, one after the other: scripts/fuzz.sh [TIME EACH, default 30s]
set -eu
cd "$(dirname "$0")/.."
each=${1:-30s}
grep -rlE '^func Fuzz[A-Za-z0-9_]*\(' --include='*_test.go' . | sort | while read -r file; do
	package=./$(dirname "$file" | sed 's|^\./||')
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file" | while read -r name; do
		echo "==> $package $name for $each"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$each" -fuzzminimizetime 10x "$package"
	done
done
