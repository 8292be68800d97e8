#!/usr/bin/env bash
# One seed means one run: the same seeds in another process, with another GOMAXPROCS, with the collector off, and in a
# binary built with -race must give the same hash over all runs.
#
#   .ci/determinism.sh [SEEDS] [RACE_SEEDS]     default 5000 and 200
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seeds=${1:-5000} race=${2:-200}
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
go build -o "$dir/klamm" ./cmd/klamm
go build -race -o "$dir/klamm-race" ./cmd/klamm
# hash BINARY SEEDS CORES: the hash over all runs; a campaign that is not green for want of some fault still has one.
hash() { { "$1" sim run --seeds "$2" --cores "$3" --format json || true; } | sed -n 's/^ *"hash": "\([0-9a-f]*\)".*/\1/p'; }
same() { # NAME WANT GOT
  [ -n "$2" ] || { echo "no hash was printed"; exit 1; }
  [ "$2" = "$3" ] && echo "same  $1  $3" || { echo "DIFFERS  $1: $3, not $2"; exit 1; }
}
want=$(hash "$dir/klamm" "$seeds" 2)
same "$seeds seeds, another process, GOMAXPROCS=1" "$want" "$(GOMAXPROCS=1 hash "$dir/klamm" "$seeds" 1)"
want=$(hash "$dir/klamm" "$race" 2)
same "$race seeds, collector off, one core" "$want" "$(GOGC=off GOMEMLIMIT=4GiB hash "$dir/klamm" "$race" 1)"
same "$race seeds, built with -race" "$want" "$(hash "$dir/klamm-race" "$race" 2)"
