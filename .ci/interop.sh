#!/usr/bin/env bash
# Real clients, unmodified, against a Klamm broker: kcat, confluent-kafka, Kafka's own tools; then Kafka's
# DumpLogSegments over every file that Klamm wrote. A missing client is a failure, never a skip.
#
#   .ci/interop.sh [PORT]
#
# franz-go is run by `go test ./cmd/klamm`. Needs: go, kcat, python3 with venv, java 17, mvn.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
port=${1:-19692}
B=127.0.0.1:$port
match=-F
. .ci/checks.sh
export KAFKA_TOOL_TIER=1 # short-lived tools: compile little
work=$(mktemp -d)
pid=

cleanup() { [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; [ "$failed" = 0 ] && rm -rf "$work" || echo "logs are in $work"; }
trap cleanup EXIT

start() {
  ./klamm dev --listen "$B" --admin 127.0.0.1:$((port+1)) --data "$work/data" >>"$work/klamm.log" 2>&1 &
  pid=$!
  for _ in $(seq 100); do
    if curl -sf "http://127.0.0.1:$((port+1))/readyz" >/dev/null; then return 0; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the broker did not come up:"; tail -n 20 "$work/klamm.log"; exit 1
}
stop() { kill -TERM "$pid"; wait "$pid"; local rc=$?; pid=; return $rc; }

go build -o klamm ./cmd/klamm || exit 1
command -v kcat >/dev/null || { echo "kcat is missing: apt-get install kcat"; exit 1; }
.ci/kafka/fetch.sh >/dev/null || exit 1
.ci/confluent.sh -c 'import confluent_kafka' || exit 1

start
echo "-- kcat"
has   "kcat: metadata" "1 brokers" kcat -b "$B" -L
ok    "kcat: produce 1000" bash -c "seq 1000 | kcat -b $B -t kcat -P -X enable.idempotence=true"
lines "kcat: consume 1000" 1000 kcat -b "$B" -t kcat -C -o beginning -e -q
for c in gzip snappy lz4 zstd; do
  ok    "kcat: produce $c" bash -c "seq 500 | kcat -b $B -t kcat-$c -P -z $c"
  lines "kcat: consume $c" 500 kcat -b "$B" -t kcat-$c -C -o beginning -e -q
done
has   "kcat: offset by time" "kcat [0]" kcat -b "$B" -Q -t kcat:0:0
lines "kcat: group" 1000 timeout 30 kcat -b "$B" -G kcatgroup -e -X auto.offset.reset=earliest kcat

echo "-- confluent-kafka"
ok    "confluent-kafka: produce, consume, groups, admin" timeout 120 .ci/confluent.sh .ci/confluent.py "$B"

echo "-- Kafka's tools"
has   "broker-api-versions" "Produce(0): 0 to 13" "$T" kafka-broker-api-versions --bootstrap-server "$B"
ok    "topics: create" "$T" kafka-topics --bootstrap-server "$B" --create --topic t --partitions 3 --config segment.bytes=1048576
has   "topics: describe" "PartitionCount: 3" "$T" kafka-topics --bootstrap-server "$B" --describe --topic t
has   "topics: list" "kcat-zstd" "$T" kafka-topics --bootstrap-server "$B" --list
ok    "topics: add partitions" "$T" kafka-topics --bootstrap-server "$B" --alter --topic t --partitions 4
ok    "console producer" bash -c "seq 2000 | $T kafka-console-producer --bootstrap-server $B --topic t"
lines "console consumer" 2000 "$T" kafka-console-consumer --bootstrap-server "$B" --topic t --from-beginning --max-messages 2000
lines "console consumer, group" 2000 "$T" kafka-console-consumer --bootstrap-server "$B" --topic t --from-beginning --max-messages 2000 --group g1
has   "consumer-groups: describe" "g1" "$T" kafka-consumer-groups --bootstrap-server "$B" --describe --group g1
has   "consumer-groups: list" "g1" "$T" kafka-consumer-groups --bootstrap-server "$B" --list
has   "consumer-groups: reset" "0" "$T" kafka-consumer-groups --bootstrap-server "$B" --group g1 --topic t --reset-offsets --to-earliest --execute
lines "console consumer, group of the consumer protocol" 2000 "$T" kafka-console-consumer --bootstrap-server "$B" --topic t --from-beginning --max-messages 2000 --group g848 --command-property group.protocol=consumer
has   "consumer-groups: describe, consumer protocol" "Empty" "$T" kafka-consumer-groups --bootstrap-server "$B" --describe --group g848 --state
has   "consumer-groups: list, by type" "Consumer" "$T" kafka-consumer-groups --bootstrap-server "$B" --list --type consumer
# Two members of the consumer protocol share a topic: each is told to hand over its part, and both end up with some.
shared() {
  for i in 1 2; do
    timeout 60 "$T" kafka-console-consumer --bootstrap-server "$B" --topic shared --group g848b --command-property group.protocol=consumer --command-property client.id=c$i >"$work/member$i" 2>&1 &
    members+=($!)
    sleep 3
  done
  for _ in $(seq 10); do
    "$T" kafka-consumer-groups --bootstrap-server "$B" --describe --group g848b >"$work/shared" 2>&1
    if [ "$(awk '$2=="shared" {print $7}' "$work/shared" | sort -u | grep -vc '^-$')" = 2 ] && [ "$(grep -c ' shared ' "$work/shared")" = 4 ]; then break; fi
    sleep 2
  done
  kill "${members[@]}"; wait "${members[@]}"
  cat "$work/shared" "$work"/member*
  [ "$(awk '$2=="shared" {print $7}' "$work/shared" | sort -u | grep -vc '^-$')" = 2 ]
}
members=()
ok    "topics: create shared" "$T" kafka-topics --bootstrap-server "$B" --create --topic shared --partitions 4
ok    "console consumers, two of the consumer protocol" shared
# Three consumers of a group go from the classic protocol to the other and back, one after the other, while records come. Each is stopped in
# good order, so every record is read once: one that were lost, or owned by two, would be seen.
roll() {
  local live=(0 0 0) i n step=0
  run() { # I PROTOCOL
    "$T" kafka-console-consumer --bootstrap-server "$B" --topic roll --from-beginning --group roll --command-property group.protocol=$2 \
      --command-property client.id=r$1 --command-property auto.commit.interval.ms=500 >>"$work/roll$1" 2>>"$work/rollerr$1" &
    live[$1]=$!
  }
  settled() { # TYPE: the group is of that type, at rest, and all three own something
    for _ in $(seq 25); do
      "$T" kafka-consumer-groups --bootstrap-server "$B" --describe --group roll >"$work/rolldesc" 2>&1
      [ "$(awk '$2=="roll" && $7!="-" {print $7}' "$work/rolldesc" | sort -u | wc -l)" = 3 ] && [ "$(awk '$2=="roll" && $7!="-"' "$work/rolldesc" | wc -l)" = 6 ] &&
        "$T" kafka-consumer-groups --bootstrap-server "$B" --list --type "$1" 2>/dev/null | grep -q '^roll ' && return 0
      sleep 1
    done
    echo "not settled as $1:"; cat "$work/rolldesc"; return 1
  }
  for i in 0 1 2; do run $i classic; done
  settled classic || return 1
  (while [ ! -e "$work/rolled" ]; do seq $((step*100+1)) $((step*100+100)); step=$((step+1)); sleep 0.5; done) | kcat -b "$B" -P -t roll &
  local feeder=$!
  for n in consumer classic; do
    for i in 0 1 2; do
      kill "${live[$i]}"; wait "${live[$i]}"
      run $i $n
      # With a member of each protocol the group is a consumer group; the last one to go back takes it down again.
      if [ "$n$i" = classic2 ]; then settled classic || return 1; else settled consumer || return 1; fi
    done
  done
  touch "$work/rolled"; wait $feeder
  n=$("$T" kafka-get-offsets --bootstrap-server "$B" --topic roll 2>/dev/null | awk -F: '{n+=$3} END {print n}')
  for _ in $(seq 20); do [ "$(cat "$work"/roll[012] | wc -l)" -ge "$n" ] && break; sleep 1; done
  kill "${live[@]}"; wait "${live[@]}"
  cat "$work"/roll[012] | sort -n >"$work/rollall"
  echo "$n records, $(wc -l <"$work/rollall") read, $(sort -nu "$work/rollall" | wc -l) of them different"
  [ "$n" -gt 1000 ] && [ "$(wc -l <"$work/rollall")" = "$n" ] && [ "$(sort -nu "$work/rollall" | wc -l)" = "$n" ]
}
ok    "topics: create roll" "$T" kafka-topics --bootstrap-server "$B" --create --topic roll --partitions 6
ok    "console consumers: from the classic protocol to the other and back" roll
has   "consumer-groups: delete" "successful" "$T" kafka-consumer-groups --bootstrap-server "$B" --delete --group g1
has   "configs: alter" "Completed" "$T" kafka-configs --bootstrap-server "$B" --alter --entity-type topics --entity-name t --add-config retention.ms=86400000
has   "configs: describe" "retention.ms=86400000" "$T" kafka-configs --bootstrap-server "$B" --describe --entity-type topics --entity-name t
has   "configs: describe all" "segment.bytes=1048576" "$T" kafka-configs --bootstrap-server "$B" --describe --all --entity-type topics --entity-name t
has   "configs: broker" "log.retention" "$T" kafka-configs --bootstrap-server "$B" --describe --all --entity-type brokers --entity-name 1
has   "get-offsets" "kcat:0:1000" "$T" kafka-get-offsets --bootstrap-server "$B" --topic kcat --time latest
has   "get-offsets: earliest" "kcat:0:0" "$T" kafka-get-offsets --bootstrap-server "$B" --topic kcat --time earliest
echo '{"version":1,"partitions":[{"topic":"kcat","partition":0,"offset":100}]}' >"$work/delete.json"
has   "delete-records" "low_watermark: 100" "$T" kafka-delete-records --bootstrap-server "$B" --offset-json-file "$work/delete.json"
has   "get-offsets: after delete-records" "kcat:0:100" "$T" kafka-get-offsets --bootstrap-server "$B" --topic kcat --time earliest
has   "log-dirs" '"partition":"t-0"' "$T" kafka-log-dirs --bootstrap-server "$B" --describe
has   "producer-perf-test" "50000 records sent" "$T" kafka-producer-perf-test --topic perf --num-records 50000 --record-size 512 --throughput -1 --bootstrap-server "$B"
has   "consumer-perf-test" "50000" "$T" kafka-consumer-perf-test --bootstrap-server "$B" --topic perf --num-records 50000 --timeout 20000

echo "-- transactions"
has   "producer-perf-test: transactions" "20000 records sent" timeout 60 "$T" kafka-producer-perf-test --topic txn --num-records 20000 --record-size 100 --throughput -1 --bootstrap-server "$B" --transactional-id perf --transaction-duration-ms 200
lines "console consumer: committed records" 20000 timeout 60 "$T" kafka-console-consumer --bootstrap-server "$B" --topic txn --from-beginning --max-messages 20000 --isolation-level read_committed --timeout-ms 30000
has   "transactions: list" "CompleteCommit" "$T" kafka-transactions --bootstrap-server "$B" list
has   "transactions: describe" "perf" "$T" kafka-transactions --bootstrap-server "$B" describe --transactional-id perf
has   "transactions: describe-producers" "ProducerId" "$T" kafka-transactions --bootstrap-server "$B" describe-producers --topic txn --partition 0
# A producer that dies in the middle of a transaction: it stays open until its time is over, and is none that hangs.
timeout -s KILL 15 "$T" kafka-producer-perf-test --topic dead --num-records 100000 --record-size 100 --throughput 100 --bootstrap-server "$B" --transactional-id dead --transaction-duration-ms 60000 >/dev/null 2>&1
has   "transactions: the dead producer's is open" "Ongoing" "$T" kafka-transactions --bootstrap-server "$B" describe --transactional-id dead
lacks "transactions: find-hanging finds none that its coordinator knows" "dead" "$T" kafka-transactions --bootstrap-server "$B" find-hanging --topic dead --max-transaction-timeout 0
ok    "transactions: abort" "$T" kafka-transactions --bootstrap-server "$B" abort --topic dead --partition 0 --start-offset 0
has   "transactions: nothing is open there any more" "None" "$T" kafka-transactions --bootstrap-server "$B" describe-producers --topic dead --partition 0
has   "console consumer: nothing of it is read" "total of 0 messages" timeout 60 "$T" kafka-console-consumer --bootstrap-server "$B" --topic dead --from-beginning --isolation-level read_committed --timeout-ms 4000

has   "groups" "kcatgroup" "$T" kafka-groups --bootstrap-server "$B" --list
has   "cluster id" "Cluster ID:" "$T" kafka-cluster cluster-id --bootstrap-server "$B"

echo "-- restart and files"
ok "clean stop" stop
start
lines "all is there after a restart" 2000 "$T" kafka-console-consumer --bootstrap-server "$B" --topic t --from-beginning --max-messages 2000 --timeout-ms 20000
ok "topics: delete" "$T" kafka-topics --bootstrap-server "$B" --delete --topic kcat-gzip
ok "clean stop" stop

shopt -s nullglob
d=$work/data
files=("$d"/t-*/*.log "$d"/kcat*/*.log "$d"/perf*/*.log);                ok "dump: ${#files[@]} logs" dump 'isvalid: true' --deep-iteration
files=("$d"/__consumer_offsets-*/*.log);                                 ok "dump: offsets" dump 'offset: .* key: ' --deep-iteration --offsets-decoder
files=("$d"/__transaction_state-*/*.log);                                ok "dump: transactions" dump '"transactionStatus":4' --deep-iteration --transaction-log-decoder
files=("$d"/*/*.txnindex);                                               ok "dump: ${#files[@]} transaction indexes" dump 'version: |^Dumping'
files=("$d"/__cluster_metadata-0/*.log);                                 ok "dump: metadata log" dump 'TOPIC_RECORD' --cluster-metadata-decoder --deep-iteration
files=("$d"/__cluster_metadata-0/*.checkpoint "$d"/bootstrap.checkpoint); ok "dump: ${#files[@]} metadata snapshots" dump 'FEATURE_LEVEL_RECORD' --cluster-metadata-decoder
files=("$d"/*/*.index);                                                  ok "dump: ${#files[@]} offset indexes" dump '^offset: |^Dumping' --index-sanity-check
files=("$d"/*/*.index);                                                  ok "dump: offset indexes agree with the logs" dump '^offset: |^Dumping' --verify-index-only
files=("$d"/*/*.timeindex);                                              ok "dump: ${#files[@]} time indexes" dump 'timestamp: |^Dumping' --verify-index-only
files=("$d"/*/*.snapshot);                                               ok "dump: ${#files[@]} producer snapshots" dump 'producerId: |^Dumping'

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
