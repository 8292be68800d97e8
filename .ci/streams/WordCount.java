import java.time.Duration;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;

/**
 * Counts words, exactly once, with Apache Kafka's Streams: lines in, and a record out for every change of a word's count.
 *
 * Arguments: bootstrap servers, application id, topic in, topic out, directory of the state, threads.
 */
public class WordCount {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("application.id", args[1]);
        p.put("state.dir", args[4]);
        p.put("num.stream.threads", args[5]);
        p.put("processing.guarantee", "exactly_once_v2");
        p.put("default.key.serde", Serdes.String().getClass().getName());
        p.put("default.value.serde", Serdes.String().getClass().getName());
        p.put("statestore.cache.max.bytes", 0); // every count comes out, so that the reader sees each of them once
        p.put("commit.interval.ms", 1000); // with records in the log at once, so that a kill finds some whose transaction is open
        p.put("producer.linger.ms", 0);
        p.put("consumer.session.timeout.ms", 6000);
        p.put("consumer.heartbeat.interval.ms", 1000);
        p.put("consumer.auto.offset.reset", "earliest");
        p.put("producer.transaction.timeout.ms", 10000);
        p.put("num.standby.replicas", 1);
        p.put("reconnect.backoff.max.ms", 500);
        StreamsBuilder b = new StreamsBuilder();
        b.<String, String>stream(args[2])
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .selectKey((key, word) -> word)
            .groupByKey() // through a topic of its own, for the key has changed
            .count(Materialized.as("counts"))
            .toStream()
            .mapValues(n -> Long.toString(n))
            .to(args[3], Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(b.build(), p);
        streams.setUncaughtExceptionHandler(e -> {
            System.out.println("a thread ended: " + e + ", " + e.getCause());
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> System.out.println(System.currentTimeMillis() + " " + before + " -> " + now));
        CountDownLatch stop = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(10));
            stop.countDown();
        }));
        streams.start();
        stop.await();
    }
}
