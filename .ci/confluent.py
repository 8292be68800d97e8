"""confluent-kafka (librdkafka) against a broker: admin, idempotent produce, two members of one group, seek, delete, transactions."""
import sys, time
from confluent_kafka import Producer, Consumer, TopicPartition, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, NewPartitions, ConfigResource, ResourceType, ConfigEntry, AlterConfigOpType

addr, topic, n = sys.argv[1], "confluent", 3000
admin = AdminClient({"bootstrap.servers": addr})


def wait(futures):
    return {k: f.result(timeout=20) for k, f in futures.items()}


wait(admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)]))
try:
    wait(admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)]))
    raise SystemExit("creating a topic twice worked")
except KafkaException as e:
    assert e.args[0].name() == "TOPIC_ALREADY_EXISTS", e
wait(admin.create_partitions([NewPartitions(topic, 4)]))
end = time.time() + 10
while len(admin.list_topics(topic, timeout=10).topics[topic].partitions) != 4:
    assert time.time() < end, "the new partitions do not show in the metadata"
    time.sleep(0.1)

# Every codec, idempotent: each record is acknowledged once, and has an offset of its own.
acked = {}
for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    p = Producer({"bootstrap.servers": addr, "enable.idempotence": True, "compression.type": codec, "linger.ms": 5})

    def done(err, msg):
        assert err is None, err
        key = (msg.partition(), msg.offset())
        assert key not in acked, key
        acked[key] = msg.value()

    for i in range(n // 5):
        p.produce(topic, key=f"k{i}", value=f"{codec}-{i}" * 3, headers={"h": b"x"}, on_delivery=done)
        p.poll(0)
    assert p.flush(30) == 0
assert len(acked) == n, len(acked)

# Two members of one group share the partitions; together they read everything once.
conf = {"bootstrap.servers": addr, "group.id": "pair", "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 6000}
members = [Consumer(conf), Consumer(conf)]
for c in members:
    c.subscribe([topic])
end = time.time() + 40
while time.time() < end:
    for c in members:
        c.poll(0.1)
    if all(len(c.assignment()) == 2 for c in members):
        break
assert sorted(len(c.assignment()) for c in members) == [2, 2], [c.assignment() for c in members]
for c in members:
    for tp in c.assignment():
        c.seek(TopicPartition(topic, tp.partition, 0))
seen = {}
while len(seen) < n and time.time() < end:
    for c in members:
        for m in c.consume(500, 0.2):
            assert m.error() is None, m.error()
            assert acked[(m.partition(), m.offset())] == m.value()
            seen[(m.partition(), m.offset())] = True
assert len(seen) == n, len(seen)
for c in members:
    c.commit(asynchronous=False)
    for tp in c.committed(c.assignment(), timeout=10):
        assert tp.offset == max(o for p, o in seen if p == tp.partition) + 1, tp
groups = admin.list_consumer_groups(request_timeout=10).result()
assert "pair" in [g.group_id for g in groups.valid]
for c in members:
    c.close()

# Offsets by time and watermarks.
c = Consumer({"bootstrap.servers": addr, "group.id": "look"})
low, high = c.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
assert low == 0 and high > 0
assert c.offsets_for_times([TopicPartition(topic, 0, 0)], timeout=10)[0].offset == 0
c.close()

# Configurations, records deleted, group and topic deleted.
res = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[ConfigEntry("retention.ms", "3600000", incremental_operation=AlterConfigOpType.SET)])
wait(admin.incremental_alter_configs([res]))
assert wait(admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])).popitem()[1]["retention.ms"].value == "3600000"
deleted = wait(admin.delete_records([TopicPartition(topic, 0, 5)], request_timeout=20, operation_timeout=10))
assert [d.low_watermark for d in deleted.values()] == [5], deleted
wait(admin.delete_consumer_groups(["pair"]))

# Transactions: a commit is read whole, an abort not at all, a zombie is shut out, and offsets go with the records.
wait(admin.create_topics([NewTopic("tx-in", 2, 1), NewTopic("tx-out", 2, 1)]))
src = Producer({"bootstrap.servers": addr})
for i in range(100):
    src.produce("tx-in", value=f"{i}")
assert src.flush(30) == 0


def transactional(name):
    p = Producer({"bootstrap.servers": addr, "transactional.id": name, "transaction.timeout.ms": 20000})
    p.init_transactions(20)
    return p


worker = transactional("worker")
reader = Consumer({"bootstrap.servers": addr, "group.id": "workers", "auto.offset.reset": "earliest", "enable.auto.commit": False, "isolation.level": "read_committed"})
reader.subscribe(["tx-in"])
done, end = 0, time.time() + 40
while done < 100 and time.time() < end:
    got = [m for m in reader.consume(25, 1.0) if m.error() is None]
    if not got:
        continue
    for attempt in ("abort", "commit"):
        worker.begin_transaction()
        for m in got:
            worker.produce("tx-out", value=b"did " + m.value())
        worker.send_offsets_to_transaction(reader.position(reader.assignment()), reader.consumer_group_metadata(), 20)
        if attempt == "abort":
            worker.abort_transaction(20)
        else:
            worker.commit_transaction(20)
    done += len(got)
assert done == 100, done
heir = transactional("worker")
try:
    worker.begin_transaction()
    worker.produce("tx-out", value=b"zombie")
    worker.commit_transaction(20)
    raise SystemExit("a zombie's transaction was committed")
except KafkaException as e:
    assert e.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH), e
out = Consumer({"bootstrap.servers": addr, "group.id": "look-tx", "auto.offset.reset": "earliest", "isolation.level": "read_committed", "enable.partition.eof": True})
out.assign([TopicPartition("tx-out", p, 0) for p in range(2)])
values, ends = [], set()
while len(ends) < 2 and time.time() < end:
    m = out.poll(1)
    if m is None:
        continue
    if m.error() is not None:
        assert m.error().code() == KafkaError._PARTITION_EOF, m.error()
        ends.add(m.partition())
    else:
        values.append(m.value())
assert sorted(values) == sorted(f"did {i}".encode() for i in range(100)), (len(values), len(set(values)))
assert sum(tp.offset for tp in reader.committed(reader.assignment(), timeout=10)) == 100
reader.close()
out.close()
wait(admin.delete_topics([topic]))
print("all well")
