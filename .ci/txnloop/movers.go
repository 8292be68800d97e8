package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"klamm/.ci/nodes"
)

// workers is how many processes or sessions share the work of a line.
const workers = 2

// line is one kind of client that moves records from a topic of its own to another.
type line struct {
	*loop
	name, in, out string
	records       int // in the time that the fire lasts at least
	sent          atomic.Int64
	deaths        nodes.Deaths // of processes or sessions
	wrong         error
	committed     int
	aborted       int   // or more
	unread        error // why these are not known
}

func (m *line) id(i int) string { return fmt.Sprintf("%s-%d", m.name, i) }

// prepare compiles and installs what the processes of a client need, so that it takes none of the time under fire.
func (l *loop) prepare(name string) (err error) {
	var out []byte
	switch name {
	case "java", "java848":
		out, err = exec.Command(".ci/kafka/java.sh", ".ci/txnloop/Mover.java", "--compile").CombinedOutput()
	case "librdkafka":
		out, err = exec.Command(".ci/confluent.sh", "-c", "import confluent_kafka").CombinedOutput()
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// least is how long a process lives at least before it is killed: it shall have begun.
func (m *line) least() time.Duration {
	switch m.name {
	case "java", "java848":
		return 6 * time.Second
	case "librdkafka":
		return 3 * time.Second
	}
	return 2 * time.Second
}

func (m *line) diesInMidst() bool { return m.name != "franz" && m.name != "klamm" }

// command is the process that moves records. Java's and librdkafka's die by themselves in the midst of one of their transactions, unless
// midst is 0: a kill at any time seldom finds records in the log whose transaction is open.
func (m *line) command(id string, midst int) *exec.Cmd {
	servers, instance := strings.Join(m.c.Addrs(), ","), ""
	if id == m.id(0) { // a static member, whose successor has its partitions at once; the other's wait for the end of a session
		instance = id
	}
	switch m.name {
	case "java":
		return exec.Command(".ci/kafka/java.sh", ".ci/txnloop/Mover.java", servers, m.in, m.out, m.in, id, "classic", instance, strconv.Itoa(midst))
	case "java848":
		return exec.Command(".ci/kafka/java.sh", ".ci/txnloop/Mover.java", servers, m.in, m.out, m.in, id, "consumer", instance, strconv.Itoa(midst))
	case "librdkafka":
		return exec.Command(".ci/confluent.sh", ".ci/txnloop/mover.py", servers, m.in, m.out, m.in, id, "classic", instance, strconv.Itoa(midst))
	}
	return exec.Command(m.bin, "transact", m.in, m.out, "--bootstrap", servers, "--group", m.in, "--transactional-id", id,
		"--batch", "100", "--session-timeout", "6s", "--transaction-timeout", "10s")
}

// feed produces the numbers from 0 on, once each, for as long as the fire lasts.
func (m *line) feed(cl *kgo.Client, span time.Duration) {
	const burst = 20
	for pause := span / time.Duration(max(m.records/burst, 1)); m.fire.Err() == nil; time.Sleep(pause) {
		for range burst {
			n := m.sent.Add(1) - 1
			cl.Produce(context.Background(), &kgo.Record{Topic: m.in, Value: []byte(strconv.FormatInt(n, 10))}, func(_ *kgo.Record, err error) {
				if err != nil {
					fmt.Println("not sent:", err)
				}
			})
		}
	}
}

func (m *line) move(ctx context.Context, id string) {
	if m.name == "franz" {
		m.franz(ctx, id)
	} else {
		m.processes(ctx, id)
	}
}

// franz moves records with franz-go, in sessions that are given up now and then in the midst of a transaction.
func (m *line) franz(ctx context.Context, id string) {
	for ctx.Err() == nil {
		s, err := kgo.NewGroupTransactSession(m.c.Options(kgo.TransactionalID(id), kgo.ConsumerGroup(m.in), kgo.ConsumeTopics(m.in), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second), kgo.RebalanceTimeout(6*time.Second),
			kgo.TransactionTimeout(10*time.Second), kgo.RequireStableFetchOffsets(), kgo.FetchMaxWait(200*time.Millisecond))...)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		until := time.Now().Add(time.Duration(4+rand.IntN(10)) * time.Second)
		for ctx.Err() == nil && time.Now().Before(until) {
			if !m.step(ctx, s) {
				break
			}
		}
		if ctx.Err() == nil {
			m.deaths.Killed.Add(1)
			s.Client().CloseAllowingRebalance()
		} else {
			s.Close()
		}
	}
}

// step moves one batch; it reports false if the session is of no more use.
func (m *line) step(ctx context.Context, s *kgo.GroupTransactSession) bool {
	poll, cancel := context.WithTimeout(ctx, time.Second)
	fetches := s.PollRecords(poll, 100)
	cancel()
	if fetches.NumRecords() == 0 {
		return true
	}
	if err := s.Begin(); err != nil {
		return false
	}
	bounded, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	var failed atomic.Bool
	fetches.EachRecord(func(r *kgo.Record) {
		s.Produce(bounded, &kgo.Record{Topic: m.out, Value: r.Value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(true)
			}
		})
	})
	if rand.IntN(60) == 0 && ctx.Err() == nil { // the process is gone, with its transaction open
		return false
	}
	if err := s.Client().Flush(bounded); err != nil {
		failed.Store(true)
	}
	_, err := s.End(bounded, kgo.TransactionEndTry(!failed.Load()))
	return err == nil
}

// processes moves records with processes of their own that are killed in the midst.
func (m *line) processes(ctx context.Context, id string) {
	err := m.fire.Revive(ctx, filepath.Join(m.dir, id+".log"), &m.deaths, func() (*exec.Cmd, time.Duration) {
		// Once the brokers are left alone, so are the movers. Of one that is killed while its JoinGroup waits the coordinator
		// learns a session after the round: two that live for seconds only may never share a generation, with any coordinator.
		if m.fire.Err() != nil {
			return m.command(id, 0), 0
		}
		if m.diesInMidst() && rand.IntN(2) == 0 {
			return m.command(id, 2+rand.IntN(4)), 0
		}
		return m.command(id, 0), m.least() + rand.N(8*time.Second)
	})
	if err != nil {
		fmt.Println(id, "does not move:", err)
	}
}
