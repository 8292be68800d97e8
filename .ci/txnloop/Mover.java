import java.time.Duration;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * Moves records from one topic to another in transactions, with Java's consumer and producer, until it is interrupted.
 * What the producer calls abortable it aborts and does again; after anything else it ends, and its successor goes on.
 *
 * Arguments: bootstrap servers, topic in, topic out, group, transactional id, group protocol (classic or consumer), group.instance.id or nothing,
 * in the midst of which transaction it dies as of kill -9, or 0.
 */
public class Mover {
    public static void main(String[] args) throws Exception {
        String servers = args[0], in = args[1], out = args[2], group = args[3], id = args[4], protocol = args[5];
        Map<String, Object> p = new HashMap<>(), c = new HashMap<>();
        p.put("bootstrap.servers", servers);
        p.put("transactional.id", id);
        p.put("transaction.timeout.ms", 10000);
        p.put("max.block.ms", 20000);
        p.put("delivery.timeout.ms", 20000);
        p.put("request.timeout.ms", 5000);
        c.put("bootstrap.servers", servers);
        c.put("group.id", group);
        c.put("group.protocol", protocol);
        c.put("enable.auto.commit", false);
        c.put("isolation.level", "read_committed");
        c.put("auto.offset.reset", "earliest");
        c.put("max.poll.records", 100);
        c.put("max.poll.interval.ms", 8000);
        c.put("default.api.timeout.ms", 20000);
        c.put("request.timeout.ms", 5000);
        if (!args[6].isEmpty()) {
            c.put("group.instance.id", args[6]);
        }
        if (protocol.equals("classic")) {
            c.put("session.timeout.ms", 6000);
            c.put("heartbeat.interval.ms", 1000);
        }
        int left = Integer.parseInt(args[7]);
        AtomicBoolean stop = new AtomicBoolean();
        CountDownLatch gone = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stop.set(true);
            try {
                gone.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        int rc = 0;
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(c, new ByteArrayDeserializer(), new ByteArrayDeserializer());
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            consumer.subscribe(List.of(in));
            while (!stop.get()) {
                if (move(consumer, producer, out, left == 1)) {
                    left--;
                }
            }
        } catch (KafkaException e) {
            System.out.println("ends: " + e);
            rc = 1;
        } finally {
            gone.countDown();
        }
        if (!stop.get()) {
            System.exit(rc);
        }
    }

    /** Moves what a poll gives, and reports whether that was anything. */
    static boolean move(KafkaConsumer<byte[], byte[]> consumer, KafkaProducer<byte[], byte[]> producer, String out, boolean dies) {
        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
        if (records.isEmpty()) {
            return false;
        }
        producer.beginTransaction();
        try {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> r : records) {
                producer.send(new ProducerRecord<>(out, r.key(), r.value()));
                offsets.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
            }
            work();
            if (dies) {
                producer.flush();
                System.out.println("dies");
                Runtime.getRuntime().halt(137);
            }
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            work();
            producer.commitTransaction();
            System.out.println("moved " + records.count());
        } catch (ProducerFencedException | InvalidProducerEpochException | OutOfOrderSequenceException | AuthorizationException | UnsupportedVersionException | TimeoutException | InterruptException e) {
            throw e; // fatal, or of unknown outcome: whoever has the id next finds out
        } catch (KafkaException e) {
            System.out.println("aborts: " + e + ", " + e.getCause());
            producer.abortTransaction();
            for (TopicPartition tp : consumer.assignment()) {
                OffsetAndMetadata at = consumer.committed(Set.of(tp)).get(tp);
                if (at != null) {
                    consumer.seek(tp, at);
                } else {
                    consumer.seekToBeginning(List.of(tp));
                }
            }
        }
        return true;
    }

    /** Takes a moment, so that a kill often comes in the midst of a transaction. */
    static void work() {
        try {
            Thread.sleep((long) (Math.random() * 200));
        } catch (InterruptedException e) {
            throw new InterruptException(e);
        }
    }
}
