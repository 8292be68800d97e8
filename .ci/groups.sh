#!/usr/bin/env bash
# Groups as Kafka's own tools see and change them, on three Klamm nodes: the Java consumer as a member of groups (Members.java),
# kafka-verifiable-producer and -consumer, every form of kafka-consumer-groups; then a restart, after which every group is as it
# was, and DumpLogSegments with its decoders over the topics in which groups and transactions are kept.
#
#   .ci/groups.sh [PORT]              ports PORT.. for clients, PORT+10 for health
#   PEER=HOST:PORT .ci/groups.sh      the same questions to another cluster, such as Apache Kafka (settings: see start), without the last two parts
#
# Needs: go, curl, java 17 with javac, mvn.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
port=${1:-26500}
B=${PEER:-127.0.0.1:$port}
export KAFKA_TOOL_TIER=1 KAFKA_TOOL_HEAP=256M # short-lived tools: compile little
work=$(mktemp -d)
. .ci/checks.sh
pid= toolbox= background=()

cleanup() {
  [ -z "$toolbox" ] || { kill -KILL "$toolbox"; wait "$toolbox"; } 2>/dev/null
  [ ${#background[@]} = 0 ] || kill -KILL "${background[@]}" 2>/dev/null
  [ -z "$pid" ] || { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null
  [ "$failed" = 0 ] && rm -rf "$work" || echo "logs and data are in $work"
}
trap cleanup EXIT

start() {
  local s sets=()
  for s in consumer.session.timeout.ms=6000 consumer.min.session.timeout.ms=6000 consumer.heartbeat.interval.ms=1000 consumer.min.heartbeat.interval.ms=1000; do sets+=(--set "group.$s"); done
  for s in log.roll.ms=2000 log.cleaner.backoff.ms=500 log.cleaner.min.cleanable.ratio=0.01; do sets+=(--set "$s"); done # what is read at the end was cleaned
  ./klamm dev --nodes 3 --listen "$B" --admin "127.0.0.1:$((port+10))" --data "$work/data" "${sets[@]}" >>"$work/klamm.log" 2>&1 &
  pid=$!
  for _ in $(seq 300); do
    if curl -sf "http://127.0.0.1:$((port+10))/readyz" >/dev/null; then return 0; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the nodes did not come up:"; tail -n 20 "$work/klamm.log"; failed=1; exit 1
}
stop() { kill -TERM "$pid"; wait "$pid"; local rc=$?; pid=; return $rc; }

cg() { tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$B" "$@"; }
export T B; export -f cg
# where GROUP: where the group is in partition 0 of its topic.
where() { cg --describe --offsets --group "$1" 2>/dev/null | awk -v g="$1" '$1==g && $3==0 {print $4}'; }
# reset NAME OFFSET ARGS...: the group r is set to OFFSET, as the tool says and as it is afterwards.
reset() {
  local name=$1 want=$2; shift 2
  has "reset-offsets: $name" "^r +old +0 +$want\$" cg --reset-offsets --group r "$@" --execute
  ok "  and there it is" [ "$(where r)" = "$want" ]
}
# background NAME ARGS...: a tool that runs until the end; its output is in $work/NAME.
background() { local name=$1; shift; "$T" "$@" >"$work/$name" 2>&1 & background+=($!); }

if [ -z "${PEER:-}" ]; then go build -o klamm ./cmd/klamm || exit 1; fi
.ci/kafka/fetch.sh >/dev/null || exit 1
.ci/kafka/java.sh .ci/Members.java --compile || exit 1
[ -n "${PEER:-}" ] || start
tools

echo "-- the Java consumer: static members, cooperative rebalances, both protocols"
if timeout 240 .ci/kafka/java.sh .ci/Members.java "$B" >"$work/members" 2>&1; then :; else echo "      see $work/members"; fi
grep -E '^(ok|FAIL) ' "$work/members"
passed=$((passed+$(grep -c '^ok ' "$work/members"))) failed=$((failed+$(grep -c '^FAIL ' "$work/members")))
ok    "that was all of it" grep -q '^13 passed, 0 failed' "$work/members"

echo "-- the verifiable producer and consumer"
for t in "old 1" "wide 4"; do has "topics: create ${t% *}" 'Created topic' tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$B" --create --topic "${t% *}" --partitions "${t#* }"; done
yesterday=$(($(date +%s%3N)-36*3600*1000))
has   "verifiable-producer: 300 records of the day before yesterday" '"sent":300,"acked":300' "$T" kafka-verifiable-producer --bootstrap-server "$B" --topic old --max-messages 300 --message-create-time "$yesterday"
has   "verifiable-producer: 300 of now, with keys" '"sent":300,"acked":300' "$T" kafka-verifiable-producer --bootstrap-server "$B" --topic old --max-messages 300 --repeating-keys 10
has   "verifiable-producer: 400 to more partitions, acks=1" '"sent":400,"acked":400' "$T" kafka-verifiable-producer --bootstrap-server "$B" --topic wide --max-messages 400 --acks 1 --repeating-keys 40 --value-prefix 7
# verifiable GROUP TOPIC COUNT ARGS...: the consumer is given partitions, reads COUNT records and commits them.
verifiable() {
  local group=$1 topic=$2 count=$3; shift 3
  timeout 60 "$T" kafka-verifiable-consumer --bootstrap-server "$B" --topic "$topic" --group-id "$group" --max-messages "$count" "$@" >"$work/verifiable" 2>&1 || { cat "$work/verifiable"; return 1; }
  tail -n 20 "$work/verifiable" | cut -c -200
  grep -q '"name":"partitions_assigned"' "$work/verifiable" && grep -q '"name":"offsets_committed".*"success":true' "$work/verifiable" || grep -q '"success":true.*"name":"offsets_committed"' "$work/verifiable" || return 1
  [ "$(grep -o '"name":"records_consumed","count":[0-9]*\|"count":[0-9]*,"name":"records_consumed"' "$work/verifiable" | grep -o '[0-9]\+' | awk '{n+=$1} END{print n}')" = "$count" ]
}
ok    "verifiable-consumer: classic" verifiable r old 600
ok    "verifiable-consumer: classic, static, cooperative" verifiable c wide 400 --group-instance-id i1 --session-timeout 6000 --assignment-strategy org.apache.kafka.clients.consumer.CooperativeStickyAssignor
ok    "verifiable-consumer: consumer protocol" verifiable k wide 400 --group-protocol consumer --group-remote-assignor range
ok    "verifiable-consumer: consumer protocol, static" verifiable ks old 600 --group-protocol consumer --group-instance-id i1

echo "-- groups with members"
background live1 kafka-verifiable-consumer --bootstrap-server "$B" --topic wide --group-id live --group-instance-id one --session-timeout 30000
background live2 kafka-verifiable-consumer --bootstrap-server "$B" --topic wide --group-id live --group-instance-id two --session-timeout 30000
background live3 kafka-verifiable-consumer --bootstrap-server "$B" --topic wide --group-id live848 --group-protocol consumer --group-remote-assignor uniform
# assigned NAME...: each of these verifiable consumers has told of its partitions; three JVMs take their time.
assigned() { local n; for n in "$@"; do for _ in $(seq 450); do grep -q partitions_assigned "$work/$n" && continue 2; sleep 0.2; done; cat "$work/$n"; return 1; done; }
ok    "verifiable-consumer: three that stay" assigned live1 live2 live3
soon  "consumer-groups: describe, state" '^live .*range +Stable +2' cg --describe --state --group live
soon  "consumer-groups: describe, offsets" '^live +wide +[0-3] +[0-9]+ +[0-9]+ +0 +one-' cg --describe --group live
has   "consumer-groups: describe, offsets, verbose" '^live +wide +3 +[0-9-]+ +[0-9]+ ' cg --describe --offsets --verbose --group live
has   "consumer-groups: describe, members" '^live +(one|two)-[^ ]+ +(one|two) +/[^ ]+ +[^ ]+ +2' cg --describe --members --group live
has   "consumer-groups: describe, members, verbose" '^live +.* wide:[0-3],[0-3]' cg --describe --members --verbose --group live
soon  "consumer-groups: describe, state, consumer protocol" '^live848 .*uniform +Stable +1' cg --describe --state --group live848
has   "consumer-groups: describe, state, verbose, consumer protocol" '^live848 .*uniform +Stable +[0-9]+ +[0-9]+ +1' cg --describe --state --verbose --group live848
has   "consumer-groups: describe, members, verbose, consumer protocol" '^live848 .* wide:0,1,2,3' cg --describe --members --verbose --group live848
all() { cg --describe --all-groups "$@" 2>/dev/null; }
# every COLUMNS...: the output has a row of each of these groups.
every() { local out g; out=$("$@"); echo "$out"; for g in c k ks r live live848; do grep -qE "^$g +" <<<"$out" || { echo "$g is missing"; return 1; }; done; }
ok    "consumer-groups: describe, all groups, offsets" every all --offsets
ok    "consumer-groups: describe, all groups, state" every all --state
has   "consumer-groups: describe, all groups, members" '^live848 +' cg --describe --all-groups --members
has   "consumer-groups: list, by state" '^live848 +Stable' cg --list --state stable
lacks "consumer-groups: list, by state, no other" '^(r|k|c) ' cg --list --state stable
has   "consumer-groups: list, by type" '^live848 +Consumer' cg --list --type consumer
has   "consumer-groups: validate a regular expression" 'valid' cg --validate-regex 'wi.*'
has   "consumer-groups: no reset of a group that has members" 'Assignments can only be reset if the group .live. is inactive' cg --reset-offsets --group live --topic wide --to-earliest --execute
has   "consumer-groups: nor a delete" 'GroupNotEmptyException' cg --delete --group live
has   "consumer-groups: nor a delete of the other protocol's" 'GroupNotEmptyException' cg --delete --group live848
has   "consumer-groups: nor a delete of offsets that it reads" 'GroupSubscribedToTopicException' cg --delete-offsets --group live --topic wide
has   "consumer-groups: nor of the other protocol's" 'GroupSubscribedToTopicException' cg --delete-offsets --group live848 --topic wide
kill -TERM "${background[@]}"; wait "${background[@]}"; background=()
soon  "consumer-groups: the member that leaves is gone" '^live848 .*Empty +0' cg --describe --state --group live848

echo "-- reset-offsets"
reset "to-earliest" 0 --topic old --to-earliest
reset "to-latest" 600 --all-topics --to-latest
reset "to-offset" 123 --topic old --to-offset 123
reset "shift-by" 130 --topic old:0 --shift-by 7
reset "shift-by, back" 120 --topic old --shift-by -10
reset "shift-by, before the beginning" 0 --topic old --shift-by -1000
reset "to-offset, behind the end" 600 --topic old --to-offset 100000
reset "by-duration" 300 --topic old --by-duration PT24H
reset "to-datetime" 0 --topic old --to-datetime "$(date -u -d '3 days ago' +%FT%T.000)"
reset "to-datetime, between" 300 --topic old --to-datetime "$(date -u -d '1 day ago' +%FT%T.000)"
reset "to-current" 300 --topic old --to-current
has   "reset-offsets: dry-run" '^r +old +0 +600$' cg --reset-offsets --group r --topic old --to-latest --dry-run
ok    "  and nothing has changed" [ "$(where r)" = 300 ]
cg --reset-offsets --group r --topic old --to-offset 77 --dry-run --export >"$work/reset.csv" 2>"$work/err"
ok    "reset-offsets: export" grep -qx old,0,77 "$work/reset.csv"
reset "from-file" 77 --from-file "$work/reset.csv"
cg --reset-offsets --group r --group k --all-topics --to-offset 5 --dry-run --export >"$work/two.csv" 2>"$work/err"
ok    "reset-offsets: export, two groups" bash -c "grep -qx r,old,0,5 '$work/two.csv' && [ \$(grep -c '^k,wide,[0-3],5\$' '$work/two.csv') = 4 ]"
has   "reset-offsets: from-file, two groups" '^k +wide +2 +5$' cg --reset-offsets --group r --group k --from-file "$work/two.csv" --execute
ok    "  and there they are" [ "$(where r) $(where k)" = "5 5" ]
has   "reset-offsets: a group that is not there yet" '^fresh +old +0 +600$' cg --reset-offsets --group fresh --topic old --to-latest --execute
has   "reset-offsets: all groups" '^ks +old +0 +600$' cg --reset-offsets --all-groups --all-topics --to-latest --dry-run
ok    "a group of the consumer protocol goes on where it was set to" verifiable k wide 380 --group-protocol consumer

echo "-- delete"
has   "consumer-groups: delete-offsets" '^wide +0 +Successful' cg --delete-offsets --group c --topic wide:0
lacks "  and they are gone" '^c +wide +0 ' cg --describe --group c
has   "consumer-groups: delete-offsets of a whole topic" '^wide +3 +Successful' cg --delete-offsets --group c --topic wide
has   "consumer-groups: delete" "Deletion of requested consumer groups \('fresh'\) was successful" cg --delete --group fresh
has   "consumer-groups: delete, one that is not there" 'GroupIdNotFoundException' cg --delete --group nobody
has   "consumer-groups: delete, of the consumer protocol" "\('ks'\) was successful" cg --delete --group ks
lacks "  and it is gone" '^ks( |$)' cg --list
has   "groups: list" '^r +Classic' tool org.apache.kafka.tools.GroupsCommand --bootstrap-server "$B" --list

if [ -z "${PEER:-}" ]; then
  echo "-- a restart, and the files"
  has "transactions: some are in the log" "1000 records sent" timeout 60 "$T" kafka-producer-perf-test --topic wide --num-records 1000 --record-size 100 --throughput -1 --bootstrap-server "$B" --transactional-id perf --transaction-duration-ms 50
  state() { { cg --describe --all-groups --offsets; cg --list --state; cg --list --type; tool org.apache.kafka.tools.TransactionsCommand --bootstrap-server "$B" list; } 2>/dev/null | grep -v '^$' | sed 's/  */ /g' | awk '$1=="TransactionalId" || $2~/^[0-9]+$/ && $4~/^Complete/ {$2=""} {print}' | sort; }
  state >"$work/before"
  ok  "clean stop" stop
  start
  soon "the groups are there again" '^r +old +0 ' cg --describe --group r
  state >"$work/after"
  ok  "every group and transaction is as it was" diff "$work/before" "$work/after"
  ok  "and there were some" [ "$(grep -c . "$work/before")" -gt 15 ]
  ok  "clean stop" stop
  shopt -s nullglob
  # decoded DECODER KINDS...: DumpLogSegments tells each record by its kind, and there are some of every kind.
  decoded() {
    local rows kind cleaned=yes
    rm -f "$work/rows"
    dump '^\| offset: ' --deep-iteration "$1" || return 1
    rows=$("$T" kafka-dump-log --deep-iteration "$1" --files "$(IFS=,; echo "${files[*]}")" 2>/dev/null | grep '^| offset: ' | grep -v endTxnMarker)
    if grep -v ' key: {"type":"' <<<"$rows" | cut -c -300 | head -n 3 | grep .; then return 1; fi
    printf '%s\n' "$rows" >"$work/rows"
    for kind in "${@:2}"; do grep -q " key: {\"type\":\"$kind\"" <<<"$rows" || { echo "no record of kind $kind"; return 1; }; done
  }
  for i in 1 2 3; do
    d=$work/data/node-$i
    # Kinds 1 and 2 are the classic protocol's records, the others the consumer protocol's; 16 is a regular expression.
    files=("$d"/__consumer_offsets-*/*.log)
    ok "node $i: dump: ${#files[@]} logs of offsets" decoded --offsets-decoder 1 2 3 5 6 7 8 16
    # The group r was set eighteen times, with one record each in one partition; of these, no more than the last few can be left.
    ok "node $i: they were cleaned" bash -c "n=\$(grep -c '\"group\":\"r\",\"topic\":\"old\"' '$work/rows'); echo \$n; [ \$n -gt 0 ] && [ \$n -lt 10 ]"
    files=("$d"/__transaction_state-*/*.log)
    ok "node $i: dump: ${#files[@]} logs of transactions" decoded --transaction-log-decoder 0
  done
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
