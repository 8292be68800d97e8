"""Moves records from one topic to another in transactions, with librdkafka, until it is interrupted.

What librdkafka calls abortable is aborted and done again; after anything else this ends, and its successor goes on.
Arguments: bootstrap servers, topic in, topic out, group, transactional id, group protocol (classic or consumer), group.instance.id or nothing,
in the midst of which transaction it dies as of kill -9, or 0.
"""
import os, random, signal, sys
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition, OFFSET_BEGINNING

servers, source, out, group, name, protocol, instance, left = sys.argv[1:]
left = int(left)
stop = []
signal.signal(signal.SIGINT, lambda *_: stop.append(True))
settings = {
    "bootstrap.servers": servers, "group.id": group, "group.protocol": protocol, "enable.auto.commit": False,
    "isolation.level": "read_committed", "auto.offset.reset": "earliest", "max.poll.interval.ms": 8000, "topic.metadata.refresh.interval.ms": 2000,
    "reconnect.backoff.max.ms": 500,
}
if instance:
    settings["group.instance.id"] = instance
if protocol == "classic":
    settings |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}
consumer = Consumer(settings)
producer = Producer({"bootstrap.servers": servers, "transactional.id": name, "transaction.timeout.ms": 10000, "reconnect.backoff.max.ms": 500})


def again(call):
    """Asks until the answer is not to ask again, or the time is over."""
    for left in reversed(range(20)):
        try:
            return call()
        except KafkaException as e:
            if not e.args[0].retriable() or left == 0 or stop:
                raise


def move(records):
    producer.begin_transaction()
    try:
        ends = {}
        for m in records:
            producer.produce(out, m.value(), m.key())
            ends[m.topic(), m.partition()] = m.offset() + 1
        offsets = [TopicPartition(t, p, o) for (t, p), o in ends.items()]
        producer.poll(random.uniform(0, 0.2))  # a moment, so that a kill often comes in the midst of a transaction
        if left == 1 and producer.flush(5) == 0:
            print("dies", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        again(lambda: producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 5))
        producer.poll(random.uniform(0, 0.2))
        again(lambda: producer.commit_transaction(5))
        print("moved", len(records), flush=True)
    except KafkaException as e:
        if not e.args[0].txn_requires_abort():
            raise
        print("aborts:", e, flush=True)
        again(lambda: producer.abort_transaction(5))
        for tp in again(lambda: consumer.committed(consumer.assignment(), 5)):
            consumer.seek(TopicPartition(tp.topic, tp.partition, tp.offset if tp.offset >= 0 else OFFSET_BEGINNING))


again(lambda: producer.init_transactions(5))
consumer.subscribe([source])
while not stop:
    got = consumer.consume(100, 0.2)
    for m in got:
        if m.error() is not None:
            print("poll:", m.error(), flush=True)
    got = [m for m in got if m.error() is None]
    if got:
        move(got)
        left -= 1
consumer.close()
