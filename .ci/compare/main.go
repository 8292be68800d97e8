// Compare measures Klamm beside Apache Kafka: one machine, one client, interleaved rounds, medians.
//
//	go run ./.ci/compare [-rounds 5] [-mb 512] [-warm 20s] [-out FILE.json]
//	go run ./.ci/compare -nodes 3 [-warm 40s]
//
// Three brokers stand side by side: Apache Kafka, Klamm in Kafka's durability (replicate) and Klamm in
// its own (sync). Kafka is warmed up first. A round runs each load against each broker in turn, into a
// new topic that is deleted afterwards. CPU is the broker process's own, user and system apart, read
// from /proc before and after. With three nodes, one cluster of each stands beside the other, topics have three replicas, and CPU is
// that of all nodes together.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"klamm/.ci/nodes"
)

// broker is one system under measurement: one process, or those of a cluster.
type broker struct {
	name     string
	addr     string
	pids     []int
	ready    time.Duration // from exec to the first metadata reply
	idle     int64         // resident bytes, idle
	replicas int16         // of a topic; 0 is 1
	stop     func()
}

// cpu is the time that a process has used.
type cpu struct{ user, system float64 }

func procStat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:])), nil
}

func cpuOf(pids []int) (sum cpu) {
	for _, pid := range pids {
		c := cpuOfOne(pid)
		sum.user, sum.system = sum.user+c.user, sum.system+c.system
	}
	return sum
}

func cpuOfOne(pid int) cpu {
	f, err := procStat(pid)
	if err != nil {
		fail("the broker of pid %d is gone: %v", pid, err)
	}
	u, _ := strconv.ParseFloat(f[11], 64)
	s, _ := strconv.ParseFloat(f[12], 64)
	return cpu{u / 100, s / 100}
}

func rssOf(pids []int) (sum int64) {
	for _, pid := range pids {
		f, err := procStat(pid)
		if err != nil {
			return 0
		}
		n, _ := strconv.ParseInt(f[21], 10, 64)
		sum += n * int64(os.Getpagesize())
	}
	return sum
}

// age is how long a process has been running.
func age(pid int) time.Duration {
	f, err := procStat(pid)
	if err != nil {
		return 0
	}
	start, _ := strconv.ParseFloat(f[19], 64)
	b, _ := os.ReadFile("/proc/uptime")
	up, _ := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
	return time.Duration((up - start/100) * float64(time.Second))
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "compare: "+format+"\n", args...)
	for _, b := range started {
		b.stop()
	}
	os.Exit(1)
}

var started []*broker

func waitServing(addr string, limit time.Duration) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if c, err := dial(addr); err == nil {
			ok := serves(c)
			c.conn.Close()
			if ok {
				return nil
			}
		}
	}
	return fmt.Errorf("%s did not serve within %v", addr, limit)
}

func startKlamm(bin, dir, durability string, port int) *broker {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	log, err := os.Create(filepath.Join(dir, durability+".log"))
	if err != nil {
		fail("%v", err)
	}
	cmd := exec.Command(bin, "dev", "--listen", addr, "--admin", "", "--data", filepath.Join(dir, durability), "--durability", durability)
	cmd.Stdout, cmd.Stderr = log, log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		fail("start klamm: %v", err)
	}
	b := &broker{name: "klamm-" + durability, addr: addr, pids: []int{cmd.Process.Pid}}
	b.stop = func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }
	started = append(started, b)
	if err := waitServing(addr, 20*time.Second); err != nil {
		fail("klamm: %v; see %s", err, log.Name())
	}
	b.ready = time.Since(began)
	return b
}

func startKafka(script string, nodes, port int, run string) *broker {
	env := append(os.Environ(), "KAFKA_RUN="+run, "KAFKA_PROPS=log.retention.check.interval.ms=3600000;log.segment.delete.delay.ms=1000")
	call := func(args ...string) string {
		cmd := exec.Command(script, args...)
		cmd.Env, cmd.Stderr = env, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			fail("%s %s: %v", script, strings.Join(args, " "), err)
		}
		return string(out)
	}
	b := &broker{name: "kafka", addr: fmt.Sprintf("127.0.0.1:%d", port)}
	b.stop = func() { exec.Command("env", "KAFKA_RUN="+run, script, "stop", strconv.Itoa(port)).Run() }
	started = append(started, b)
	out := call("start", strconv.Itoa(nodes), strconv.Itoa(port))
	for _, line := range strings.Split(out, "\n") {
		if v, ok := strings.CutPrefix(line, "pids="); ok {
			for _, one := range strings.FieldsFunc(v, func(r rune) bool { return r < '0' || r > '9' }) {
				pid, _ := strconv.Atoi(one)
				b.pids = append(b.pids, pid)
			}
		}
	}
	if len(b.pids) != nodes {
		fail("kafka.sh start printed %d pids for %d nodes", len(b.pids), nodes)
	}
	if err := waitServing(b.addr, 30*time.Second); err != nil {
		fail("kafka: %v", err)
	}
	b.ready = age(b.pids[0]) // formatting, done by another process before, does not count
	return b
}

// row is what one load against one broker measured in one round.
type row struct {
	Broker, Load string
	MBps         float64
	User, System float64 // CPU seconds a GB
	P50, P99     float64
}

func (r row) cpu() float64 { return r.User + r.System }

func measure(b *broker, load string, f func() (result, error)) row {
	before := cpuOf(b.pids)
	res, err := f()
	if err != nil {
		fail("%s %s: %v", b.name, load, err)
	}
	after := cpuOf(b.pids)
	gb := float64(res.Bytes) / 1e9
	return row{b.name, load, float64(res.Bytes) / 1e6 / res.Seconds, (after.user - before.user) / gb, (after.system - before.system) / gb, res.P50, res.P99}
}

func main() {
	rounds := flag.Int("rounds", 5, "rounds; the median of each figure is printed")
	count := flag.Int("nodes", 1, "nodes of each system; with 3, topics have three replicas")
	mb := flag.Int64("mb", 512, "megabytes a load (synced loads: a quarter)")
	warm := flag.Duration("warm", 20*time.Second, "load on Kafka before the first figure: a young JVM takes 2-4 times the CPU")
	out := flag.String("out", "", "also write every figure as JSON to this file")
	flag.Parse()
	dir, err := os.MkdirTemp("", "klamm-compare-")
	if err != nil {
		fail("%v", err)
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "klamm")
	if msg, err := exec.Command("go", "build", "-o", bin, "./cmd/klamm").CombinedOutput(); err != nil {
		fail("build: %v\n%s", err, msg)
	}
	if *count > 1 {
		compareClusters(dir, bin, *count, *rounds, *mb, *warm, *out)
		return
	}
	kafka := startKafka(".ci/kafka/kafka.sh", 1, 22392, dir)
	replicate := startKlamm(bin, dir, "replicate", 19792)
	synced := startKlamm(bin, dir, "sync", 19793)
	time.Sleep(5 * time.Second)
	for _, b := range started {
		b.idle = rssOf(b.pids)
	}
	warmUp(kafka, *warm)
	var rows []row
	for i := range *rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, *rounds)
		for _, s := range shapes(*mb << 20) {
			rows = append(rows, both(kafka, s, nil)...)
			rows = append(rows, both(replicate, s, nil)...)
			s.Bytes /= 4
			s.Name = "synced " + s.Name
			rows = append(rows, both(kafka, s, map[string]string{"flush.messages": "1"})...)
			rows = append(rows, both(synced, s, nil)...)
		}
	}
	print(rows, kafka, replicate, synced)
	end(rows, *out)
}

func end(rows []row, out string) {
	if out != "" {
		b, _ := json.MarshalIndent(rows, "", " ")
		if err := os.WriteFile(out, b, 0o644); err != nil {
			fail("%v", err)
		}
	}
	for _, b := range started {
		b.stop()
	}
}

// startCluster starts nodes of Klamm in Kafka's durability, or in its own.
func startCluster(bin, dir, durability string, count, port int) *broker {
	c, err := nodes.New(filepath.Join(dir, durability), count, port, "", map[string]string{"klamm.durability": durability})
	if err != nil {
		fail("%v", err)
	}
	began := time.Now()
	b := &broker{name: "klamm-" + durability, addr: c.Nodes[0].Addr(), stop: c.Stop, replicas: int16(count)}
	started = append(started, b)
	for _, n := range c.Nodes {
		if err := n.Start(bin); err != nil {
			fail("start klamm: %v", err)
		}
		b.pids = append(b.pids, n.PID())
	}
	for _, n := range c.Nodes {
		if err := waitServing(n.Addr(), 30*time.Second); err != nil {
			fail("klamm: %v; see %s", err, n.Log())
		}
	}
	b.ready = time.Since(began)
	return b
}

// compareClusters produces to topics with a replica on each node.
func compareClusters(dir, bin string, count, rounds int, mb int64, warm time.Duration, out string) {
	kafka := startKafka(".ci/kafka/kafka.sh", count, 22392, dir)
	kafka.replicas = int16(count)
	replicate := startCluster(bin, dir, "replicate", count, 19792)
	synced := startCluster(bin, dir, "sync", count, 19797)
	time.Sleep(5 * time.Second)
	for _, b := range started {
		b.idle = rssOf(b.pids)
	}
	warmUp(kafka, warm)
	var rows []row
	for i := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", i+1, rounds)
		s := shapes(mb << 20)[0]
		rows = append(rows, both(kafka, s, nil)...)
		rows = append(rows, both(replicate, s, nil)...)
		s.Bytes /= 4
		s.Name = "synced " + s.Name
		rows = append(rows, both(kafka, s, map[string]string{"flush.messages": "1"})...)
		rows = append(rows, both(synced, s, nil)...)
	}
	print(rows, kafka, replicate, synced)
	end(rows, out)
}

func shapes(bytes int64) []shape {
	return []shape{
		{Name: "1KiB/64K", RecordBytes: 1024, BatchBytes: 64 << 10, Conns: 2, InFlight: 5, Bytes: bytes},
		{Name: "1KiB/1M", RecordBytes: 1024, BatchBytes: 1000 << 10, Conns: 2, InFlight: 5, Bytes: bytes},
		{Name: "100B/64K", RecordBytes: 100, BatchBytes: 64 << 10, Conns: 2, InFlight: 5, Bytes: bytes},
	}
}

var topics int

// both produces to a new topic and consumes it.
func both(b *broker, s shape, configs map[string]string) []row {
	topics++
	topic := fmt.Sprintf("compare-%d", topics)
	configs = maps.Clone(configs)
	if configs == nil {
		configs = map[string]string{}
	}
	configs["file.delete.delay.ms"] = "1000" // what one load leaves behind is not the next one's burden
	if err := createTopic(b.addr, topic, int32(s.Conns), max(b.replicas, 1), configs); err != nil {
		fail("%s: %v", b.name, err)
	}
	rows := []row{measure(b, "produce "+s.Name, func() (result, error) { return produce(b.addr, topic, s) })}
	if !strings.HasPrefix(s.Name, "synced") {
		rows = append(rows, measure(b, "consume "+s.Name, func() (result, error) { return consume(b.addr, topic, s) }))
	}
	if err := deleteTopic(b.addr, topic); err != nil {
		fail("%s: %v", b.name, err)
	}
	time.Sleep(300 * time.Millisecond)
	return rows
}

func warmUp(b *broker, d time.Duration) {
	fmt.Fprintf(os.Stderr, "warming Kafka for %v\n", d)
	for end := time.Now().Add(d); time.Now().Before(end); {
		s := shapes(64 << 20)[topics%3]
		both(b, s, nil)
	}
}

func median(rows []row, broker, load string, f func(row) float64) float64 {
	var v []float64
	for _, r := range rows {
		if r.Broker == broker && r.Load == load {
			v = append(v, f(r))
		}
	}
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func print(rows []row, kafka, replicate, synced *broker) {
	fmt.Printf("%-24s %-16s %9s %9s %8s %8s %8s %8s | %7s %7s\n", "load", "broker", "MB/s", "CPU s/GB", "user", "system", "p50 ms", "p99 ms", "MB/s x", "CPU x")
	var loads []string
	for _, r := range rows {
		if !slices.Contains(loads, r.Load) {
			loads = append(loads, r.Load)
		}
	}
	for _, load := range loads {
		ours := replicate
		if strings.Contains(load, "synced") {
			ours = synced
		}
		for _, b := range []*broker{kafka, ours} {
			m := func(f func(row) float64) float64 { return median(rows, b.name, load, f) }
			fmt.Printf("%-24s %-16s %9.0f %9.2f %8.2f %8.2f %8.2f %8.2f |", load, b.name, m(func(r row) float64 { return r.MBps }),
				m(row.cpu), m(func(r row) float64 { return r.User }), m(func(r row) float64 { return r.System }),
				m(func(r row) float64 { return r.P50 }), m(func(r row) float64 { return r.P99 }))
			if b == ours {
				mb := m(func(r row) float64 { return r.MBps }) / median(rows, kafka.name, load, func(r row) float64 { return r.MBps })
				fmt.Printf(" %7.2f %7.2f", mb, m(row.cpu)/median(rows, kafka.name, load, row.cpu))
			}
			fmt.Println()
		}
	}
	for _, b := range []*broker{kafka, replicate, synced} {
		fmt.Printf("%-16s start to ready %6.0f ms, idle memory %4.0f MB, now %4.0f MB\n", b.name, float64(b.ready.Microseconds())/1000, float64(b.idle)/1e6, float64(rssOf(b.pids))/1e6)
	}
	fmt.Println("Writing into fresh page-cache pages is most of the system time on virtual machines; part of that lead goes on bare metal.")
}
