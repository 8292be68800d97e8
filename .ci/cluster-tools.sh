#!/usr/bin/env bash
# Kafka's own tools, unmodified, against three Klamm nodes that are broker and controller each, started with
# `klamm server` and config/combined; then DumpLogSegments and the metadata shell over the files of every node. What a
# tool needs and Klamm does not have yet is listed as not there; should it work one day, this fails until it is a check.
#
#   .ci/cluster-tools.sh [BASE]     ports BASE+1.. for clients, BASE+101.. for controllers, BASE+201.. for health
#
# Needs: go, curl, java 17, mvn.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
base=${1:-26100}
. .ci/checks.sh
export KAFKA_TOOL_TIER=1 KAFKA_TOOL_HEAP=256M # short-lived tools: compile little
ID=4L6g3nShT-eMCtK--X86sw
work=$(mktemp -d)
absent=0
pids=(0 0 0 0 0 0)
list() { local s= i; for i in 1 2 3; do s+=${s:+,}$(printf "$1" "$i" "$(($2+i))"); done; echo "$s"; }
B=$(list '%.0s127.0.0.1:%d' "$base")
C=$(list '%.0s127.0.0.1:%d' $((base+100)))
export KLAMM_CONTROLLER_QUORUM_VOTERS; KLAMM_CONTROLLER_QUORUM_VOTERS=$(list '%d@127.0.0.1:%d' $((base+100)))
export KLAMM_METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS=4000 # so that there are snapshots to look at
export KLAMM_GROUP_INITIAL_REBALANCE_DELAY_MS=0
# The first lives only: long enough that a frozen node counts as alive until a tool has asked it for something.
export KLAMM_BROKER_SESSION_TIMEOUT_MS=20000 KLAMM_BROKER_HEARTBEAT_INTERVAL_MS=500

cleanup() {
  local i
  for i in 1 2 3 4 5; do [ "${pids[$i]}" = 0 ] || { kill -KILL "${pids[$i]}"; wait "${pids[$i]}"; } 2>/dev/null; done
  [ "$failed" = 0 ] && rm -rf "$work" || echo "logs and data are in $work"
}
trap cleanup EXIT

# missing NAME TEXT COMMAND...: Klamm has not got this yet, and says so in the protocol's words (TEXT).
missing() {
  local name=$1 text=$2; shift 2
  if "$@" >"$work/out" 2>&1; then failed=$((failed+1)); echo "FAIL  $name: it works now: make it a check"
  elif grep -qE -- "$text" "$work/out"; then absent=$((absent+1)); echo "not there  $name"
  else failed=$((failed+1)); echo "FAIL  $name: refused in other words than $text"; tail -n 8 "$work/out" | cut -c -300 | sed 's/^/      /'; fi
}

# start NODE...: starts them and waits until they serve.
start() {
  local i
  for i in "$@"; do
    (
      export KLAMM_LISTENERS="PLAINTEXT://127.0.0.1:$((base+i)),CONTROLLER://127.0.0.1:$((base+100+i))" KLAMM_LOG_DIRS="$work/node-$i"
      [ -e "$work/node-$i/meta.properties" ] || ./klamm storage format --cluster-id "$ID" --config "config/combined/node-$i.properties" >/dev/null || exit 1
      exec ./klamm server --config "config/combined/node-$i.properties" --admin "127.0.0.1:$((base+200+i))" >>"$work/node-$i.log" 2>&1
    ) &
    pids[$i]=$!
  done
  for i in "$@"; do ready "$i" || { echo "node $i did not come up:"; tail -n 20 "$work/node-$i.log"; failed=1; exit 1; }; done
}
ready() {
  local n
  for n in $(seq 300); do
    curl -sf "http://127.0.0.1:$((base+200+$1))/readyz" >/dev/null && return 0
    kill -0 "${pids[$1]}" 2>/dev/null || return 1
    sleep 0.2
  done
  return 1
}
stop() { local rc; kill -TERM "${pids[$1]}"; wait "${pids[$1]}"; rc=$?; pids[$1]=0; return $rc; }
crash() { kill -KILL "${pids[$1]}"; wait "${pids[$1]}" 2>/dev/null; pids[$1]=0; }
broker() { echo "127.0.0.1:$((base+$1))"; }

go build -o klamm ./cmd/klamm || exit 1
.ci/kafka/fetch.sh >/dev/null || exit 1
start 1 2 3

echo "-- topics"
ok    "topics: create, 3 replicas" "$T" kafka-topics --bootstrap-server "$B" --create --topic t --partitions 6 --replication-factor 3
has   "topics: describe" 'PartitionCount: 6.*ReplicationFactor: 3' "$T" kafka-topics --bootstrap-server "$(broker 3)" --describe --topic t
lines "topics: no under-replicated partitions" 0 "$T" kafka-topics --bootstrap-server "$B" --describe --under-replicated-partitions
ok    "topics: create, by assignment" "$T" kafka-topics --bootstrap-server "$B" --create --topic pair --replica-assignment 1:2,2:1
ok    "topics: create, by assignment, one in sync is enough" "$T" kafka-topics --bootstrap-server "$B" --create --topic frail --replica-assignment 3:1 --config min.insync.replicas=1
ok    "topics: add partitions" "$T" kafka-topics --bootstrap-server "$(broker 2)" --alter --topic t --partitions 7

echo "-- the quorum and features"
for way in "--bootstrap-server $B" "--bootstrap-controller $C"; do
  has "metadata-quorum: status, ${way%% *}" 'LeaderId: +[123]$' "$T" kafka-metadata-quorum $way describe --status
  has "metadata-quorum: replication, ${way%% *}" 'Follower' "$T" kafka-metadata-quorum $way describe --replication --human-readable
  has "features: describe, ${way%% *}" 'metadata.version.*FinalizedVersionLevel: 4.3-IV0' "$T" kafka-features $way describe
done
has   "features: downgrade" 'eligible.leader.replicas.version was downgraded to 0' "$T" kafka-features --bootstrap-server "$B" downgrade --feature eligible.leader.replicas.version=0
has   "features: upgrade" 'eligible.leader.replicas.version was upgraded to 1' "$T" kafka-features --bootstrap-server "$B" upgrade --feature eligible.leader.replicas.version=1
{ cat config/combined/node-3.properties; echo "log.dirs=$work/node-3"; echo "listeners=PLAINTEXT://127.0.0.1:$((base+3)),CONTROLLER://127.0.0.1:$((base+103))"; } >"$work/add.properties"
directory() { sed -n 's/^directory.id=//p' "$work/node-$1/meta.properties"; }
refused "metadata-quorum: add-controller, while the configuration names the voters" "the kraft.version feature is 0" "$T" kafka-metadata-quorum --bootstrap-server "$B" --command-config "$work/add.properties" add-controller
has   "features: kraft.version 1" 'kraft.version was upgraded to 1' "$T" kafka-features --bootstrap-server "$B" upgrade --feature kraft.version=1
refused "features: not back" "downgrade" "$T" kafka-features --bootstrap-server "$B" downgrade --feature kraft.version=0
has   "metadata-quorum: voters have directories and endpoints" "\"id\": 3, \"directoryId\": \"$(directory 3)\", \"endpoints\": \[\"CONTROLLER://127.0.0.1:$((base+103))\"\]" "$T" kafka-metadata-quorum --bootstrap-server "$B" describe --status
refused "metadata-quorum: add-controller, one that is there" "already part of the set of voters" "$T" kafka-metadata-quorum --bootstrap-server "$B" --command-config "$work/add.properties" add-controller
has   "metadata-quorum: remove-controller" 'Removed +KRaft controller 3' "$T" kafka-metadata-quorum --bootstrap-server "$B" remove-controller --controller-id 3 --controller-directory-id "$(directory 3)"
has   "metadata-quorum: it observes" 'CurrentObservers:.*"id": 3' "$T" kafka-metadata-quorum --bootstrap-server "$B" describe --status
has   "metadata-quorum: add-controller" 'Added controller 3' "$T" kafka-metadata-quorum --bootstrap-server "$B" --command-config "$work/add.properties" add-controller
has   "klamm cluster quorum: three voters" '^3 +follower' ./klamm cluster quorum --bootstrap "$B"

echo "-- directories that kafka-storage formatted, and those of klamm storage format"
# controller NODE: the configuration of a controller that is found by bootstrap servers.
controller() {
  printf '%s\n' "process.roles=controller" "node.id=$1" "listeners=CONTROLLER://127.0.0.1:$((base+100+$1))" controller.listener.names=CONTROLLER "log.dirs=$work/node-$1" \
    "controller.quorum.bootstrap.servers=127.0.0.1:$((base+104)),127.0.0.1:$((base+105))" controller.quorum.auto.join.enable=true >"$work/$1.properties"
}
for i in 4 5 6; do controller $i; done
serve() { ( unset KLAMM_CONTROLLER_QUORUM_VOTERS; exec ./klamm server --config "$work/$1.properties" --admin "127.0.0.1:$((base+200+$1))" >>"$work/node-$1.log" 2>&1 ) & pids[$1]=$!; ready "$1"; }
ok    "storage: kafka-storage format --standalone" "$T" kafka-storage format --cluster-id "$ID" --standalone --config "$work/4.properties"
ok    "klamm storage format --no-initial-controllers" env -u KLAMM_CONTROLLER_QUORUM_VOTERS ./klamm storage format --cluster-id "$ID" --no-initial-controllers --config "$work/5.properties"
ok    "a controller on the directory of kafka-storage" serve 4
ok    "a controller that joins" serve 5
soon  "metadata-quorum: it has let itself in among the voters" 'CurrentVoters:.*"id": 5, .*CONTROLLER' "$T" kafka-metadata-quorum --bootstrap-controller "127.0.0.1:$((base+104))" describe --status
ok    "klamm storage format --initial-controllers" env -u KLAMM_CONTROLLER_QUORUM_VOTERS ./klamm storage format --cluster-id "$ID" --config "$work/6.properties" --initial-controllers "6@127.0.0.1:$((base+106)):AAAAAAAAAAAAAAAAAAAABg,7@127.0.0.1:$((base+107)):AAAAAAAAAAAAAAAAAAAABw"
has   "dump: the voters that it names" 'KRaftVoters .*"voterId":6.*"voterId":7' "$T" kafka-dump-log --cluster-metadata-decoder --files "$work/node-6/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"
has   "storage: kafka-storage info, on a directory of klamm" "Found metadata: .*$ID" "$T" kafka-storage info --config "$work/6.properties"
for i in 4 5; do ok "clean stop of controller $i" stop $i; done

echo "-- configs"
has   "configs: topic" 'Completed' "$T" kafka-configs --bootstrap-server "$B" --alter --entity-type topics --entity-name t --add-config retention.ms=86400000
has   "configs: topic, described by another node" 'DYNAMIC_TOPIC_CONFIG:retention.ms=86400000' "$T" kafka-configs --bootstrap-server "$(broker 3)" --describe --entity-type topics --entity-name t
has   "configs: broker 2" 'Completed' "$T" kafka-configs --bootstrap-server "$(broker 1)" --alter --entity-type brokers --entity-name 2 --add-config log.cleaner.threads=2
has   "configs: broker 2, described" 'DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2' "$T" kafka-configs --bootstrap-server "$B" --describe --entity-type brokers --entity-name 2
has   "configs: all brokers" 'Completed' "$T" kafka-configs --bootstrap-server "$B" --alter --entity-type brokers --entity-default --add-config log.retention.ms=77777777
has   "configs: all brokers, described" 'DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=77777777' "$T" kafka-configs --bootstrap-server "$B" --describe --entity-type brokers --entity-default
has   "configs: all brokers, asked of a controller" 'log.retention.ms=77777777' "$T" kafka-configs --bootstrap-controller "$C" --describe --entity-type brokers --entity-default
has   "configs: the topic inherits it" 'DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=77777777' "$T" kafka-configs --bootstrap-server "$(broker 2)" --describe --all --entity-type topics --entity-name pair
has   "configs: delete" 'Completed' "$T" kafka-configs --bootstrap-server "$B" --alter --entity-type brokers --entity-default --delete-config log.retention.ms

echo "-- the cluster"
has   "cluster: cluster-id" "Cluster ID: $ID" "$T" kafka-cluster cluster-id --bootstrap-server "$B"
has   "cluster: list-endpoints" "^3 .*$((base+3)).*unfenced" "$T" kafka-cluster list-endpoints --bootstrap-server "$B" --include-fenced-brokers
has   "cluster: list-endpoints of controllers" "^2 .*$((base+102)).*controller" "$T" kafka-cluster list-endpoints --bootstrap-controller "$C"
has   "broker-api-versions" "$((base+3)) \(id: 3 rack: null" "$T" kafka-broker-api-versions --bootstrap-server "$B"
has   "log-dirs" 'brokers 1,2,3' "$T" kafka-log-dirs --bootstrap-server "$B" --describe

echo "-- producers, consumers and groups"
# With keys, so that there is something in every partition: a consumer commits none that it has not yet looked where to begin in.
ok    "console producer, by node 1" bash -c "seq 3000 | sed 's/.*/&:&/' | $T kafka-console-producer --bootstrap-server $(broker 1) --topic t --reader-property parse.key=true --reader-property key.separator=:"
lines "console consumer, by node 2, in a group" 3000 "$T" kafka-console-consumer --bootstrap-server "$(broker 2)" --topic t --from-beginning --max-messages 3000 --group g --timeout-ms 60000
has   "consumer-groups: describe, by node 3" 'g +t +6 +[0-9]+ +[0-9]+ +0 ' "$T" kafka-consumer-groups --bootstrap-server "$(broker 3)" --describe --group g
lines "console consumer, by node 1, goes on where the group was" 100 bash -c "seq 100 | $T kafka-console-producer --bootstrap-server $(broker 2) --topic t && exec $T kafka-console-consumer --bootstrap-server $(broker 1) --topic t --max-messages 100 --group g --timeout-ms 60000"
has   "get-offsets" 't:6:[0-9]+' "$T" kafka-get-offsets --bootstrap-server "$(broker 2)" --topic t

echo "-- reassignment"
echo '{"version":1,"topics":[{"topic":"t"}]}' >"$work/topics.json"
echo '{"version":1,"partitions":[{"topic":"pair","partition":0,"replicas":[3,1]},{"topic":"pair","partition":1,"replicas":[2,3]}]}' >"$work/move.json"
ok    "console producer, to what will move" bash -c "seq 2000 | $T kafka-console-producer --bootstrap-server $B --topic pair"
has   "reassign: generate" 'Proposed partition reassignment' "$T" kafka-reassign-partitions --bootstrap-server "$B" --topics-to-move-json-file "$work/topics.json" --broker-list 3,2,1 --generate
has   "reassign: execute, with a throttle" 'Successfully started partition reassignments' "$T" kafka-reassign-partitions --bootstrap-server "$B" --reassignment-json-file "$work/move.json" --execute --throttle 50000000
soon  "reassign: verify" 'Reassignment of partition pair-1 is completed' "$T" kafka-reassign-partitions --bootstrap-server "$B" --reassignment-json-file "$work/move.json" --verify
has   "reassign: it has moved" 'Partition: 0.*Replicas: 3,1.*Isr: (3,1|1,3)' "$T" kafka-topics --bootstrap-server "$B" --describe --topic pair
lines "reassign: every record has moved" 2000 "$T" kafka-console-consumer --bootstrap-server "$B" --topic pair --from-beginning --max-messages 2000 --timeout-ms 60000
has   "reassign: list" 'No partition reassignments' "$T" kafka-reassign-partitions --bootstrap-server "$B" --list
echo '{"version":1,"partitions":[{"topic":"slow","partition":0,"replicas":[2]}]}' >"$work/slow.json"
ok    "topics: create, with one replica" "$T" kafka-topics --bootstrap-server "$B" --create --topic slow --replica-assignment 1
has   "producer-perf-test, to what will move slowly" '4000 records sent' "$T" kafka-producer-perf-test --bootstrap-server "$B" --topic slow --num-records 4000 --record-size 1024 --throughput -1
# throttled: 4 MB at 100 kB/s take 40 s; that it still moves after 5 s shows that the throttle is kept to.
throttled() {
  "$T" kafka-reassign-partitions --bootstrap-server "$B" --reassignment-json-file "$work/slow.json" --execute --throttle 100000 || return 1
  sleep 5; "$T" kafka-reassign-partitions --bootstrap-server "$B" --list | tee "$work/slow"; grep -q slow-0 "$work/slow"
}
ok    "reassign: a throttle of replication that is kept to" throttled
soon  "reassign: verify, and take the throttles away" 'Reassignment of partition slow-0 is completed' "$T" kafka-reassign-partitions --bootstrap-server "$B" --reassignment-json-file "$work/slow.json" --verify

echo "-- node 2 freezes and is killed: what is asked of it cannot end"
echo '{"version":1,"partitions":[{"topic":"frail","partition":0,"replicas":[3,2]}]}' >"$work/stuck.json"
stuck="--bootstrap-server $(broker 1) --reassignment-json-file $work/stuck.json"
kill -STOP "${pids[2]}" # the tool asks for live brokers only: until its session ends, this one is
has   "reassign: execute, to the frozen node" 'Successfully started' "$T" kafka-reassign-partitions $stuck --execute
crash 2
unset KLAMM_BROKER_SESSION_TIMEOUT_MS KLAMM_BROKER_HEARTBEAT_INTERVAL_MS
soon  "topics: under-replicated partitions" 'Topic: t' "$T" kafka-topics --bootstrap-server "$(broker 1)" --describe --under-replicated-partitions
has   "reassign: list" 'frail-0: replicas: 3,2,1. adding: 2. removing: 1' "$T" kafka-reassign-partitions --bootstrap-server "$(broker 3)" --list
has   "reassign: verify" 'frail-0 is still in progress' "$T" kafka-reassign-partitions $stuck --verify --preserve-throttles # else it asks the dead node
has   "reassign: cancel" 'Successfully cancelled.*frail-0' "$T" kafka-reassign-partitions $stuck --cancel --preserve-throttles
has   "reassign: all is as before" 'Replicas: 3,1.*Isr: (3,1|1,3)' "$T" kafka-topics --bootstrap-server "$(broker 1)" --describe --topic frail
has   "cluster: unregister" 'no longer registered' "$T" kafka-cluster unregister --bootstrap-server "$(broker 1)" --id 2
lacks "cluster: list-endpoints without it" '^2 ' "$T" kafka-cluster list-endpoints --bootstrap-server "$(broker 1)" --include-fenced-brokers
start 2
soon  "cluster: it comes back, and is registered anew" '^2 .*unfenced' "$T" kafka-cluster list-endpoints --bootstrap-server "$(broker 1)" --include-fenced-brokers

echo "-- elections"
soon  "topics: nothing under-replicated any more" '^none$' bash -c "$T kafka-topics --bootstrap-server $B --describe --under-replicated-partitions | grep . || echo none"
has   "leader-election: preferred" 'Successfully completed leader election \(PREFERRED\)|Valid replica already elected' "$T" kafka-leader-election --bootstrap-server "$B" --election-type preferred --topic t --partition 1
ok    "leader-election: all preferred" "$T" kafka-leader-election --bootstrap-server "$B" --election-type preferred --all-topic-partitions
# preferred: every partition of t is led by its first replica.
preferred() { "$T" kafka-topics --bootstrap-server "$B" --describe --topic t | tee /dev/stderr | awk '/Partition: /{n++; for(i=1;i<NF;i++){if($i=="Leader:")l=$(i+1); if($i=="Replicas:")split($(i+1),r,",")} if(l!=r[1])bad=1} END{exit bad||n!=7}'; }
ok    "leader-election: the first replicas lead" preferred
crash 1
soon  "topics: only node 3 is in sync" 'Leader: 3.*Isr: 3[^,]' "$T" kafka-topics --bootstrap-server "$(broker 3)" --describe --topic frail
ok    "console producer, to the last one standing" bash -c "seq 50 | $T kafka-console-producer --bootstrap-server $(broker 3) --topic frail"
crash 3
start 1
soon  "topics: nobody leads" 'Topic: frail' "$T" kafka-topics --bootstrap-server "$(broker 1)" --describe --unavailable-partitions
has   "leader-election: unclean" 'Successfully completed leader election \(UNCLEAN\) for partitions frail-0' "$T" kafka-leader-election --bootstrap-server "$(broker 1)" --election-type unclean --topic frail --partition 0
has   "topics: node 1 leads" 'Leader: 1' "$T" kafka-topics --bootstrap-server "$(broker 2)" --describe --topic frail
ok    "console producer, after the unclean election" bash -c "seq 20 | $T kafka-console-producer --bootstrap-server $(broker 1) --topic frail"
start 3
soon  "topics: node 3 follows" 'Leader: 1.*Isr: (1,3|3,1)' "$T" kafka-topics --bootstrap-server "$(broker 2)" --describe --topic frail
lines "console consumer: what the new leader had" 20 "$T" kafka-console-consumer --bootstrap-server "$(broker 2)" --topic frail --from-beginning --max-messages 20 --timeout-ms 60000

echo "-- a producer with acks=-1 while a node dies and comes back"
ok    "topics: create" "$T" kafka-topics --bootstrap-server "$B" --create --topic v --replica-assignment 2:1:3
printf 'retries=1000000\nenable.idempotence=true\n' >"$work/producer.properties" # the tool's own default is to give up at the first error
"$T" kafka-verifiable-producer --bootstrap-server "$B" --topic v --acks -1 --max-messages 6000 --throughput 300 --command-config "$work/producer.properties" >"$work/verifiable" 2>&1 & producer=$!
for _ in $(seq 300); do grep -q '"value":"600"' "$work/verifiable" && break; sleep 0.2; done
crash 2
sleep 6
start 2
has   "verifiable-producer: every record is acknowledged" '"sent":6000,"acked":6000' bash -c "while kill -0 $producer 2>/dev/null; do sleep 0.2; done; tail -n 2 '$work/verifiable'"
# every: the 6000 numbers that were sent are there, and nothing else.
every() { "$T" kafka-console-consumer --bootstrap-server "$(broker 2)" --topic v --from-beginning --max-messages 6000 --timeout-ms 60000 2>/dev/null >"$work/read"; sort -n "$work/read" | cmp - <(seq 0 5999); }
ok    "console consumer: every one is there, once" every
has   "get-offsets: none is there twice" '^v:0:6000$' "$T" kafka-get-offsets --bootstrap-server "$B" --topic v
soon  "topics: all three in sync" 'Isr: [123],[123],[123]' "$T" kafka-topics --bootstrap-server "$B" --describe --topic v
soon  "klamm cluster health says so too" 'is green: 3 brokers' ./klamm cluster health --bootstrap "$B"

echo "-- transactions"
ok    "topics: create" "$T" kafka-topics --bootstrap-server "$B" --create --topic x --partitions 6 --replication-factor 3
has   "producer-perf-test: transactions" '10000 records sent' timeout 60 "$T" kafka-producer-perf-test --topic x --num-records 10000 --record-size 100 --throughput -1 --bootstrap-server "$B" --transactional-id perf --transaction-duration-ms 100
lines "console consumer: committed records" 10000 timeout 90 "$T" kafka-console-consumer --bootstrap-server "$B" --topic x --from-beginning --max-messages 10000 --isolation-level read_committed --timeout-ms 60000
has   "transactions: list" 'perf .*CompleteCommit' "$T" kafka-transactions --bootstrap-server "$B" list
has   "transactions: describe" 'perf .*CompleteCommit' "$T" kafka-transactions --bootstrap-server "$(broker 2)" describe --transactional-id perf
has   "transactions: describe-producers" 'None' "$T" kafka-transactions --bootstrap-server "$B" describe-producers --topic x --partition 3
has   "transactions: find-hanging" 'StartOffset' "$T" kafka-transactions --bootstrap-server "$B" find-hanging --topic x
has   "klamm txn list" 'perf .*CompleteCommit' ./klamm txn list --bootstrap "$B"
has   "features: transaction.version 1" 'transaction.version was (downgraded|upgraded) to 1|updated' "$T" kafka-features --bootstrap-server "$B" downgrade --feature transaction.version=1
has   "features: transaction.version 2" 'transaction.version was (downgraded|upgraded) to 2|updated' "$T" kafka-features --bootstrap-server "$B" upgrade --feature transaction.version=2

echo "-- files of every node"
for i in 3 1 2; do ok "clean stop of node $i" stop $i; done
shopt -s nullglob
for i in 1 2 3; do
  d=$work/node-$i
  files=("$d"/[a-z]*-*/*.log);                     ok "node $i: dump: ${#files[@]} logs" dump 'isvalid: true' --deep-iteration
  files=("$d"/__consumer_offsets-*/*.log);         ok "node $i: dump: ${#files[@]} logs of offsets" dump 'offset: .* key: |Dumping' --deep-iteration --offsets-decoder
  files=("$d"/__transaction_state-*/*.log);        ok "node $i: dump: ${#files[@]} logs of transactions" dump 'offset: .* key: |Dumping' --deep-iteration --transaction-log-decoder
  files=("$d"/__cluster_metadata-0/*.log);         ok "node $i: dump: metadata log" dump 'PARTITION_CHANGE_RECORD' --cluster-metadata-decoder --deep-iteration
                                                   ok "node $i: dump: its voters" dump 'KRaftVoters' --cluster-metadata-decoder
  files=("$d"/__cluster_metadata-0/*.checkpoint);  ok "node $i: dump: ${#files[@]} metadata snapshots" dump 'TOPIC_RECORD' --cluster-metadata-decoder
  [ ${#files[@]} -gt 0 ] && last=${files[-1]} || last=none
  # The shell may run the command before it has published what it has read: then it prints nothing.
  soon "node $i: metadata-shell, on a snapshot" '^t$' bash -c "$T kafka-metadata-shell --snapshot '$last' ls /image/topics/byName | tr -s ' ' '\n'"
  files=("$d"/*/*.index);                          ok "node $i: dump: ${#files[@]} offset indexes" dump '^offset: |^Dumping' --index-sanity-check
  files=("$d"/*/*.timeindex);                      ok "node $i: dump: ${#files[@]} time indexes" dump 'timestamp: |^Dumping' --verify-index-only
  files=("$d"/*/*.snapshot);                       ok "node $i: dump: ${#files[@]} producer snapshots" dump 'producerId: |^Dumping'
done
# same LOG...: the replicas of each are one log, byte for byte.
same() { local l i; for l in "$@"; do for i in 1 2 3; do cat "$work/node-$i/$l"/*.log | sha256sum; done | sort -u | wc -l | grep -qx 1 || { echo "$l differs"; return 1; }; done; }
ok "the replicas of t and v are equal, byte for byte" same t-{0..6} v-0

echo
echo "$passed passed, $failed failed, $absent not there yet"
[ "$failed" = 0 ]
