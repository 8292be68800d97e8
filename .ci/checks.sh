# What the scripts that run clients' tools share; sourced, never run. They set work, a directory for output, and match=-F if
# TEXT is a fixed string; it is an extended pattern otherwise. They read passed and failed, and files before they dump.
T=.ci/kafka/tool.sh
export match=${match:--E}
passed=0 failed=0

# ok NAME COMMAND...: runs a command; its output is kept and shown when it fails.
ok() {
  local name=$1; shift
  if "$@" >"$work/out" 2>"$work/err"; then passed=$((passed+1)); echo "ok    $name"
  else failed=$((failed+1)); echo "FAIL  $name"; tail -n 15 "$work/out" "$work/err" | cut -c -300 | sed 's/^/      /'; fi
}
# has NAME TEXT COMMAND...: the command succeeds and prints TEXT.
has() { local name=$1 text=$2; shift 2; ok "$name" bash -c 'want=$1; shift; out=$("$@" 2>&1); rc=$?; echo "$out"; [ $rc = 0 ] && grep -q "$match" -- "$want" <<<"$out"' _ "$text" "$@"; }
# lacks NAME TEXT COMMAND...: the command succeeds and prints no TEXT.
lacks() { local name=$1 text=$2; shift 2; ok "$name" bash -c 'bad=$1; shift; out=$("$@" 2>&1); rc=$?; echo "$out"; [ $rc = 0 ] && ! grep -q "$match" -- "$bad" <<<"$out"' _ "$text" "$@"; }
# lines NAME N COMMAND...: the command succeeds and prints N lines.
lines() { local name=$1 n=$2; shift 2; ok "$name" bash -c 'n=$1; shift; out=$("$@" 2>/dev/null); rc=$?; got=$(printf "%s" "$out" | grep -c ""); echo "$got lines, rc $rc"; head -3 <<<"$out"; [ $rc = 0 ] && [ "$got" = "$n" ]' _ "$n" "$@"; }
# soon NAME TEXT COMMAND...: has, within 30 s: the tool is asked again until it says so.
soon() {
  local name=$1 text=$2 end=$((SECONDS+30)); shift 2
  until "$@" 2>&1 | tee "$work/soon" | grep -q "$match" -- "$text"; do [ "$SECONDS" -lt "$end" ] || break; done
  has "$name" "$text" cat "$work/soon"
}
# refused NAME TEXT COMMAND...: the command fails, and prints TEXT.
refused() { local name=$1 text=$2; shift 2; ok "$name" bash -c 'want=$1; shift; out=$("$@" 2>&1); rc=$?; echo "$out"; [ $rc != 0 ] && grep -q "$match" -- "$want" <<<"$out"' _ "$text" "$@"; }
# dump KIND FILES...: DumpLogSegments reads them all and finds no fault. A log that was cleaned has gaps: then cleaned is set.
dump() {
  local out; out=$("$T" kafka-dump-log "${@:2}" --files "$(IFS=,; echo "${files[*]}")" 2>&1) || { echo "$out" | tail -n 20; return 1; }
  if grep -E 'isvalid: false|Found timestamp mismatch|Index offset mismatch|Mismatches|corrupt|Exception|invalid|Could not decode' <<<"$out" | head -n 5 | grep .; then return 1; fi
  if [ -z "${cleaned:-}" ] && grep -m 5 Non-consecutive <<<"$out"; then return 1; fi
  local n; n=$(grep -cE "$1" <<<"$out"); echo "$n rows"; [ "$n" -gt 0 ]
}

# tools: starts one JVM for tool, below. The caller ends it: its process id is in toolbox.
tools() {
  mkdir -p "$work/tools" && mkfifo "$work/tools/orders" || return 1
  export work
  .ci/kafka/java.sh .ci/kafka/Tools.java "$work/tools" <>"$work/tools/orders" >"$work/tools/log" 2>&1 &
  toolbox=$!
}
# tool CLASS ARGS...: runs a tool, named by the class, in that JVM; no argument has a tab in it.
tool() {
  local name=$BASHPID-$RANDOM rc IFS=$'\t' end=$((SECONDS+90))
  printf '%s\n' "$name"$'\t'"$*" >"$work/tools/orders"
  until [ -e "$work/tools/$name.rc" ]; do
    [ "$SECONDS" -lt "$end" ] || { cat "$work/tools/log"; echo "no answer of $1"; return 1; }
    sleep 0.02
  done
  cat "$work/tools/$name.out"; rc=$(cat "$work/tools/$name.rc"); rm "$work/tools/$name".*
  return "$rc"
}
export -f tool
