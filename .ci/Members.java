import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.function.BooleanSupplier;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * The Java consumer as a member of groups: static members that restart, are replaced and stay away, cooperative rebalances that
 * interrupt nobody who keeps a partition, members that vanish; with the classic protocol and with the consumer protocol.
 *
 * Argument: bootstrap servers of a broker with group.consumer.session.timeout.ms=6000 and group.initial.rebalance.delay.ms=0.
 */
public class Members {
    static final int PARTITIONS = 6;
    static final long SESSION = 6000;
    static final String RUN = Long.toString(System.currentTimeMillis(), 36); // so that topics and groups are new
    static String servers;

    public static void main(String[] args) throws Exception {
        servers = args[0];
        Map<String, Scenario> all = new LinkedHashMap<>();
        for (String protocol : List.of("classic", "consumer")) {
            all.put(protocol + ": a static member that restarts keeps its partitions, and nobody notices", () -> restart(protocol));
            all.put(protocol + ": a static member that stays away loses its partitions with its session", () -> away(protocol));
            all.put(protocol + ": one of two with the same instance id is shut out", () -> twins(protocol));
            all.put(protocol + ": cooperative members keep what need not move, and read on", () -> cooperate(protocol));
            all.put(protocol + ": what a member had that vanishes goes to the other", () -> vanish(protocol));
        }
        all.put("classic: eager members give all back", Members::eager);
        all.put("classic: from eager to cooperative, one member after the other", Members::rolling);
        all.put("consumer: a subscription by regular expression sees topics come", Members::pattern);
        ExecutorService pool = Executors.newFixedThreadPool(4);
        Map<String, Future<?>> running = new LinkedHashMap<>();
        all.forEach((name, s) -> running.put(name, pool.submit(() -> {
            s.run();
            return null;
        })));
        int failed = 0;
        for (Map.Entry<String, Future<?>> e : running.entrySet()) {
            try {
                e.getValue().get();
                System.out.println("ok    " + e.getKey());
            } catch (ExecutionException x) {
                failed++;
                System.out.println("FAIL  " + e.getKey() + ": " + x.getCause());
            }
        }
        System.out.println(running.size() - failed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    interface Scenario {
        void run() throws Exception;
    }

    // Of the scenarios, each has a topic and a group of its own.

    static void restart(String protocol) throws Exception {
        String topic = topic("restart-" + protocol);
        Member a = new Member(topic, protocol, "a", Map.of()), b = new Member(topic, protocol, "b", Map.of());
        shared(List.of(a, b));
        for (int round = 0; round < 2; round++) { // the leader of the classic protocol is one of the two
            Set<Integer> had = a.owned;
            int generation = b.generation, events = b.events.size();
            a.close(CloseOptions.GroupMembershipOperation.DEFAULT);
            Member again = new Member(topic, protocol, a.instance, Map.of());
            await("the one that restarted has partitions", 5000, () -> !again.owned.isEmpty());
            Thread.sleep(2500); // heartbeats of the other, which would tell of a rebalance
            same("partitions after the restart", had, again.owned);
            same("the other's generation", generation, b.generation);
            same("what the other was told", events, b.events.size());
            a = b;
            b = again;
        }
        a.close(CloseOptions.GroupMembershipOperation.LEAVE_GROUP); // and one that says so does leave
        Member rest = b;
        await("the rest has all at once", 5000, () -> rest.owned.size() == PARTITIONS);
        b.close(CloseOptions.GroupMembershipOperation.LEAVE_GROUP);
    }

    static void away(String protocol) throws Exception {
        String topic = topic("away-" + protocol);
        Member a = new Member(topic, protocol, "a", Map.of()), b = new Member(topic, protocol, "b", Map.of());
        shared(List.of(a, b));
        a.close(CloseOptions.GroupMembershipOperation.DEFAULT);
        long gone = System.nanoTime();
        await("the rest has all", 3 * SESSION, () -> b.owned.size() == PARTITIONS);
        long after = (System.nanoTime() - gone) / 1_000_000;
        must("only after a session, not after " + after + " ms", after > SESSION / 2);
        b.close(CloseOptions.GroupMembershipOperation.LEAVE_GROUP);
    }

    static void twins(String protocol) throws Exception {
        String topic = topic("twins-" + protocol);
        Member a = new Member(topic, protocol, "a", Map.of());
        shared(List.of(a));
        Member twin = new Member(topic, protocol, "a", Map.of());
        await("one of them is shut out", 10000, () -> a.error != null || twin.error != null);
        if (protocol.equals("classic")) {
            must("the elder is fenced, not " + a.error + ", " + twin.error, a.error instanceof FencedInstanceIdException && twin.error == null);
            shared(List.of(twin));
        } else {
            must("the younger is told that the id is in use, not " + a.error + ", " + twin.error, twin.error instanceof UnreleasedInstanceIdException && a.error == null);
        }
        a.close(CloseOptions.GroupMembershipOperation.LEAVE_GROUP);
        twin.close(CloseOptions.GroupMembershipOperation.LEAVE_GROUP);
    }

    static void cooperate(String protocol) throws Exception {
        String topic = topic("cooperate-" + protocol);
        Map<String, Object> how = protocol.equals("classic") ? Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName()) : Map.of();
        AtomicBoolean stop = new AtomicBoolean();
        AtomicInteger sent = new AtomicInteger();
        Thread feed = new Thread(() -> feed(topic, stop, sent));
        feed.start();
        Member a = new Member(topic, protocol, "", how);
        shared(List.of(a));
        a.quiet();
        Member b = new Member(topic, protocol, "", how);
        shared(List.of(a, b));
        same("what the first gave up", 3, a.revoked());
        a.quiet();
        b.quiet();
        Member c = new Member(topic, protocol, "", how);
        shared(List.of(a, b, c));
        same("what the first gave up to the third", 1, a.revoked());
        same("what the second gave up to the third", 1, b.revoked());
        a.quiet();
        c.quiet();
        b.close(CloseOptions.GroupMembershipOperation.DEFAULT);
        shared(List.of(a, c));
        same("what was given up when one left", 0, a.revoked() + c.revoked());
        stop.set(true);
        feed.join();
        List<Member> members = List.of(a, b, c);
        must("nothing is lost without being revoked", members.stream().noneMatch(m -> m.events.stream().anyMatch(e -> e.startsWith("lost"))));
        await("every record is read", 20000, () -> members.stream().mapToInt(m -> m.values.size()).sum() >= sent.get());
        Thread.sleep(500);
        List<String> read = members.stream().flatMap(m -> m.values.stream()).sorted().collect(Collectors.toList());
        same("records read, each once", sent.get(), (int) read.stream().distinct().count());
        same("records read", sent.get(), read.size());
        a.close(CloseOptions.GroupMembershipOperation.DEFAULT);
        c.close(CloseOptions.GroupMembershipOperation.DEFAULT);
    }

    static void vanish(String protocol) throws Exception {
        String topic = topic("vanish-" + protocol);
        Member a = new Member(topic, protocol, "", Map.of()), b = new Member(topic, protocol, "", Map.of());
        shared(List.of(a, b));
        a.close(CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP);
        await("the rest has all", 3 * SESSION, () -> b.owned.size() == PARTITIONS);
        b.close(CloseOptions.GroupMembershipOperation.DEFAULT);
    }

    static void eager() throws Exception {
        String topic = topic("eager");
        Map<String, Object> how = Map.of("partition.assignment.strategy", RoundRobinAssignor.class.getName());
        Member a = new Member(topic, "classic", "", how);
        shared(List.of(a));
        a.quiet();
        Member b = new Member(topic, "classic", "", how);
        shared(List.of(a, b));
        same("what the first gave up", PARTITIONS, a.revoked());
        a.close(CloseOptions.GroupMembershipOperation.DEFAULT);
        b.close(CloseOptions.GroupMembershipOperation.DEFAULT);
    }

    static void rolling() throws Exception {
        String topic = topic("rolling");
        Map<String, Object> eager = Map.of("partition.assignment.strategy", RangeAssignor.class.getName());
        Map<String, Object> both = Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName() + "," + RangeAssignor.class.getName());
        Map<String, Object> cooperative = Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
        List<Member> now = new ArrayList<>(List.of(new Member(topic, "classic", "", eager), new Member(topic, "classic", "", eager)));
        shared(now);
        for (Map<String, Object> how : List.of(both, cooperative)) {
            for (int i = 0; i < 2; i++) {
                now.get(i).close(CloseOptions.GroupMembershipOperation.DEFAULT);
                now.set(i, new Member(topic, "classic", "", how));
                shared(now);
            }
        }
        now.get(0).quiet();
        Member third = new Member(topic, "classic", "", cooperative);
        now.add(third);
        shared(now);
        same("what one gave up to a third, cooperative now", 1, now.get(0).revoked());
        for (Member m : now) {
            m.close(CloseOptions.GroupMembershipOperation.DEFAULT);
        }
    }

    static void pattern() throws Exception {
        String first = topic("pattern-1");
        Member a = new Member(new SubscriptionPattern("pattern-[0-9]-" + RUN), "pattern-" + RUN, "consumer", "", Map.of("group.remote.assignor", "range"));
        await("the first topic's partitions", 15000, () -> a.owned.size() == PARTITIONS);
        topic("pattern-2");
        await("the second topic's too", 15000, () -> a.owned.size() == 2 * PARTITIONS);
        a.close(CloseOptions.GroupMembershipOperation.DEFAULT);
        must("the topic is there", !first.isEmpty());
    }

    /** Member is a consumer with a thread of its own; what it is told and reads can be looked at from outside. */
    static class Member {
        final String instance;
        final List<String> events = new CopyOnWriteArrayList<>();
        final List<String> values = new CopyOnWriteArrayList<>();
        volatile Set<Integer> owned = Set.of(); // partitions, with the hash of the topic
        volatile int generation;
        volatile RuntimeException error;
        private volatile int seen; // events before this one do not count in revoked
        private volatile CloseOptions.GroupMembershipOperation end;
        private final Thread thread;

        Member(String topic, String protocol, String instance, Map<String, Object> more) {
            this(topic, topic, protocol, instance, more);
        }

        Member(Object what, String group, String protocol, String instance, Map<String, Object> more) {
            this.instance = instance;
            Map<String, Object> c = new HashMap<>(more);
            c.put("bootstrap.servers", servers);
            c.put("group.id", group);
            c.put("group.protocol", protocol);
            c.put("auto.offset.reset", "earliest");
            c.put("enable.auto.commit", false);
            c.put("metadata.max.age.ms", 1000);
            if (protocol.equals("classic")) {
                c.put("session.timeout.ms", (int) SESSION);
                c.put("heartbeat.interval.ms", 1000);
            }
            if (!instance.isEmpty()) {
                c.put("group.instance.id", instance);
            }
            KafkaConsumer<String, String> consumer = new KafkaConsumer<>(c, new StringDeserializer(), new StringDeserializer());
            thread = new Thread(() -> run(consumer, what));
            thread.start();
        }

        private void run(KafkaConsumer<String, String> consumer, Object what) {
            ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> p) {
                    events.add("revoked " + p.size());
                    consumer.commitSync();
                }
                public void onPartitionsAssigned(Collection<TopicPartition> p) {
                    events.add("assigned " + p.size());
                }
                public void onPartitionsLost(Collection<TopicPartition> p) {
                    events.add("lost " + p.size());
                }
            };
            try {
                if (what instanceof SubscriptionPattern) {
                    consumer.subscribe((SubscriptionPattern) what, listener);
                } else {
                    consumer.subscribe(List.of((String) what), listener);
                }
                while (end == null) {
                    for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
                        values.add(r.value());
                    }
                    owned = consumer.assignment().stream().map(p -> p.partition() + 100 * p.topic().hashCode()).collect(Collectors.toSet());
                    generation = consumer.groupMetadata().generationId();
                }
            } catch (RuntimeException e) {
                error = e;
            }
            try {
                consumer.close(CloseOptions.groupMembershipOperation(end == null ? CloseOptions.GroupMembershipOperation.DEFAULT : end).withTimeout(Duration.ofSeconds(5)));
            } catch (RuntimeException e) {
                if (error == null) {
                    error = e;
                }
            }
        }

        void close(CloseOptions.GroupMembershipOperation how) throws InterruptedException {
            end = how;
            thread.join();
        }

        /** From now on revoked counts anew. */
        void quiet() {
            seen = events.size();
        }

        int revoked() {
            return events.subList(seen, events.size()).stream().filter(e -> e.startsWith("revoked")).mapToInt(e -> Integer.parseInt(e.substring(8))).sum();
        }
    }

    /** Waits until the members have all partitions, each as many as any other, and have all ended the same rebalance: one that is
     * closed in the midst of one loses its partitions without having been asked to commit. */
    static void shared(List<Member> members) throws Exception {
        await("the partitions are shared", 20000, () -> {
            Set<Integer> all = new HashSet<>();
            for (Member m : members) {
                if (m.error != null) {
                    throw new IllegalStateException("a member failed", m.error);
                }
                if (m.owned.size() != PARTITIONS / members.size() || m.generation != members.get(0).generation) {
                    return false;
                }
                all.addAll(m.owned);
            }
            return all.size() == PARTITIONS;
        });
    }

    static void feed(String topic, AtomicBoolean stop, AtomicInteger sent) {
        try (KafkaProducer<String, String> p = new KafkaProducer<>(Map.of("bootstrap.servers", servers), new StringSerializer(), new StringSerializer())) {
            while (!stop.get()) {
                int n = sent.getAndIncrement();
                p.send(new ProducerRecord<>(topic, n % PARTITIONS, null, Integer.toString(n)));
                Thread.sleep(5);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    static String topic(String kind) throws Exception {
        String name = kind + "-" + RUN;
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
            admin.createTopics(List.of(new NewTopic(name, Optional.of(PARTITIONS), Optional.empty()))).all().get(30, TimeUnit.SECONDS);
        }
        return name;
    }

    static void await(String what, long ms, BooleanSupplier done) throws Exception {
        for (long end = System.nanoTime() + ms * 1_000_000; !done.getAsBoolean(); Thread.sleep(20)) {
            must(what + ", within " + ms + " ms", System.nanoTime() < end);
        }
    }

    static void same(String what, Object want, Object got) {
        must(what + ": " + got + ", and not " + want, want.equals(got));
    }

    static void must(String what, boolean true_) {
        if (!true_) {
            throw new IllegalStateException("not so: " + what);
        }
    }
}
