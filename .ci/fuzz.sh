#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after the other, each for so many seconds, and fails if one of them
# finds something. What was found lies in that package's testdata/fuzz: keep it, it is a regression test from then on.
#
#   .ci/fuzz.sh [seconds]      default 600
#   FUZZ_PARALLEL=2 .ci/fuzz.sh 60
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-600}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "usage: .ci/fuzz.sh [seconds]" >&2; exit 2; }
targets=$(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's#^\./(.*)/[^/]*_test\.go:[0-9]+:func (Fuzz.*)#\1 \2#' | sort)
[[ -n $targets ]] || { echo "no fuzz target was found" >&2; exit 1; }
failed=()
while read -r package target; do
	echo "== $target in $package, $seconds s ($(date +%T))"
	go test "./$package" -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" -timeout 0 -parallel "${FUZZ_PARALLEL:-$(nproc)}" || failed+=("$package $target")
done <<<"$targets"
if ((${#failed[@]})); then
	printf 'found something: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "nothing found"
