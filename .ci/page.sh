#!/usr/bin/env bash
# Makes pages of simulated runs (klamm sim trace --html), opens them in a headless Chromium and uses them as a person would: a run of at
# least 100,000 events, which must be ready within 3 s, and one that a planted bug breaks, whose verdict must lead somewhere. It installs
# Chromium from Debian's packages where there is none, and fails without one.
#
#   .ci/page.sh [DIR]      pages and pictures are left in DIR; without it, nowhere
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ $# -gt 0 ]]; then dir=$1; mkdir -p "$dir"; else dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; fi
if ! command -v chromium >/dev/null; then apt-get update -q >/dev/null; apt-get install -qy chromium >/dev/null; fi
go build -o "$dir/look" ./.ci/page
go build -o "$dir/klamm" ./cmd/klamm

# A commit may shift what a seed is, so that the first one that will do is taken.
long() {
  local seed out
  for seed in {1..12}; do
    out=$("$dir/klamm" sim trace --seed "$seed" --nodes 7 --workload exactly-once --html "$dir/long.html" || true)
    echo "seed $seed: $(head -n 1 <<<"$out")"
    [[ $(sed -nE '1s/.*, ([0-9]+) events$/\1/p' <<<"$out") -lt 100000 ]] || return 0
  done
  echo "no run of 12 seeds has 100,000 events" >&2; return 1
}
broken() {
  local seed
  go run ./scenarios/mutants -build -only M024 -keep "$dir"
  for seed in {0..9}; do
    if ! "$dir/klamm-M024" sim trace --seed "$seed" --nodes 3 --html "$dir/broken.html" >"$dir/broken.txt"; then sed -n '2,3p' "$dir/broken.txt" | cut -c -300; return 0; fi
  done
  echo "a planted bug that is found at once was not found within 10 seeds" >&2; return 1
}

long
size=$(stat -c %s "$dir/long.html")
[[ $size -lt 30000000 ]] || { echo "the page of a long run has $size bytes" >&2; exit 1; }
"$dir/look" -html "$dir/long.html" -least 100000 -within 3s -shot "$dir/long.png"
broken
"$dir/look" -html "$dir/broken.html" -broken -shot "$dir/broken.png"
"$dir/look" -html "$dir/broken.html" -broken -dark -shot "$dir/broken-dark.png"
for f in long broken broken-dark; do
  [[ $(stat -c %s "$dir/$f.png") -gt 20000 ]] || { echo "the picture $f.png shows nothing" >&2; exit 1; }
done
echo "page: kept"
