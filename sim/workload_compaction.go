package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"klamm/checker"
	"klamm/core"
	"klamm/core/batch"
	"klamm/core/client"
	"klamm/core/log"
)

// The workload of compaction: topics whose logs are cleaned, in segments so small and with ratios so low that they are cleaned many
// times while faults come; records with few keys, tombstones among them; policies that change. The coordinators' logs are
// cleaned as well.

// The deeds.
const (
	deedSuperseded    = iota // an acknowledged record was removed, and a newer one of its key is there
	deedBuried               // a tombstone was removed
	deedPassed               // a reader went over a gap that the cleaner had made
	deedSwapSeen             // a broker was started on a directory with a swap that had begun
	deedFollower             // a copy that does not lead was cleaned
	deedInternal             // a log of the coordinators was cleaned
	deedKeysCommitted        // a transaction over the keys was committed
	deedKeysAborted          // one was aborted on purpose
	deedMarks                // from here on: the cleaner came to a mark of cleanMarks, in a run
)

// cleanMarks are paths of the cleaner that a campaign must have taken.
func cleanMarks() []string {
	return []string{"log.clean-given-up", "log.clean-map-full", "log.clean-throttled", "log.clean-large-batch", "log.clean-shell", "log.swap-completed", "log.swap-undone",
		"log.clean-aborted", "log.clean-marker"}
}

func compactionDeeds() []deed {
	list := []deed{{name: "superseded"}, {name: "tombstone-gone"}, {name: "gap-passed"}, {name: "swap-interrupted"}, {name: "follower-cleaned", cluster: true}, {name: "coordinator-cleaned"},
		{name: "txn-committed"}, {name: "txn-aborted"}}
	for _, mark := range cleanMarks() {
		list = append(list, deed{name: mark})
	}
	return list
}

// compacted is what a topic's cleaning is like.
type compacted struct {
	on        bool
	keys      int       // how many
	graves    int       // one in so many records is a tombstone; 0: none
	retention core.Time // delete.retention.ms
}

// farJump is farther than any clock of a run jumps.
const farJump = 12 * core.Hour

func drawCompaction(cfg *Config, d *drawing) {
	for i := range cfg.Topics {
		t := &cfg.Topics[i]
		if i > 0 && d.n(4) == 3 {
			continue
		}
		t.compacted = compacted{on: true, keys: 1 + d.n(12), graves: []int{4, 0, 2, 10}[d.n(4)]}
		retention := d.of("500", "0", "86400000", "2000")
		t.compacted.retention = core.Millis(number(retention))
		policy := "compact"
		if t.removable {
			policy = "compact,delete"
		}
		drop := []string{"internal.segment.bytes", "max.message.bytes"}
		t.configs = slices.DeleteFunc(t.configs, func(kv [2]string) bool { return slices.Contains(drop, kv[0]) })
		for _, kv := range [][2]string{
			{"cleanup.policy", policy}, {"delete.retention.ms", retention}, {"internal.segment.bytes", d.of("1000", "600", "3000", "10000")},
			{"min.cleanable.dirty.ratio", d.of("0.1", "0.01", "0.5")},
		} {
			t.configs = append(t.configs, kv)
		}
		if d.n(4) == 3 {
			t.configs = append(t.configs, [2]string{"min.compaction.lag.ms", d.of("300", "1500")})
		}
		if d.n(4) == 3 {
			t.configs = append(t.configs, [2]string{"max.compaction.lag.ms", d.of("2000", "5000")})
		}
		if d.n(4) == 3 {
			t.configs = append(t.configs, [2]string{"compression.type", d.of("snappy", "lz4", "zstd", "gzip")})
		}
		t.fix()
	}
	cfg.fair = false
	line := func(name string, values ...string) { cfg.Broker += name + "=" + d.of(values...) + "\n" }
	line("log.cleaner.backoff.ms", "200", "20", "1000")
	line("log.cleaner.threads", "1", "2")
	line("log.cleaner.dedupe.buffer.size", "134217728", "200", "1000")
	line("log.cleaner.io.buffer.size", "524288", "0", "1000")
	line("log.cleaner.io.max.bytes.per.second", "1.7976931348623157E308", "1.7976931348623157E308", "100000")
	line("log.cleaner.min.cleanable.ratio", "0.05")
	line("klamm.internal.log.clean.rows", "4096", "1", "3")
	if d.n(3) == 2 {
		cfg.Broker += "log.flush.offset.checkpoint.interval.ms=500\n"
	}
	for i := range cfg.Producers { // what is cleaned has to be written first
		p := &cfg.Producers[i]
		p.pause, p.size = min(p.pause, 60*core.Millisecond), min(p.size, 300)
	}
	cfg.drawScribes(d)
}

// record gives a record a key, and makes some of them tombstones, which carry their id in a header.
func (c *compacted) record(o *Oracle, rec *client.Record, id, x uint64) {
	key := int32(x % uint64(c.keys))
	rec.Key = []byte("key" + strconv.Itoa(int(key)))
	grave := c.graves > 0 && x>>8%uint64(c.graves) == 0
	if grave {
		rec.Value, rec.Headers = nil, []batch.Header{{Key: "id", Value: binary.BigEndian.AppendUint64(nil, id)}}
	}
	o.Keyed(id, key, grave)
}

// readID reads the id of a record, which a tombstone has in its header, and checks its bytes.
func readID(m *client.Message) (id uint64, ok bool) {
	if m.Value == nil && len(m.Headers) == 1 && len(m.Headers[0].Value) == 8 {
		return binary.BigEndian.Uint64(m.Headers[0].Value), m.Headers[0].Key == "id"
	}
	return readValue(m.Value)
}

// compaction is the workload's player: it looks at the cleaner of every broker and judges what is left.
type compaction struct {
	r       *run
	janitor *janitor
	txns    *exactly // of the producers and readers with transactions
}

func playCompaction(r *run) player {
	r.cleaning = &cleanWatch{}
	for i := range r.cfg.Topics {
		if t := &r.cfg.Topics[i]; t.compacted.on {
			for p := range t.partitions {
				r.oracle.Compacted(core.TopicPartition{Topic: t.name, Partition: p})
			}
		}
	}
	return &compaction{r: r, txns: playExactly(r).(*exactly)}
}

func (c *compaction) build() {
	c.txns.build()
	c.r.w.client(c.r, "janitor", func(entity uint64, life uint32) core.Machine {
		o := client.AdminOptions{Options: c.r.options(entity), CallTime: 8 * core.Second}
		c.janitor = &janitor{r: c.r, entity: entity, a: client.NewAdmin(o)}
		return c.janitor
	})
}

// alive says that topics have not their policies back yet.
func (c *compaction) alive() string {
	if j := c.janitor; !c.r.isAbsent("janitor") && (j == nil || j.calm < len(c.r.cfg.Topics)) {
		return "the janitor has not put all policies back"
	}
	return c.txns.alive()
}

func (c *compaction) flushed() string { return c.txns.flushed() }

// audited says which log is not clean yet, of those that could be: with nothing written any more every one becomes so (I72).
func (c *compaction) audited() string {
	r := c.r
	if s := c.txns.audited(); s != "" {
		return s
	}
	if r.cfg.Set.Lossy() || r.cfg.Set == SetErrors {
		return ""
	}
	for at, n := range r.w.Nodes {
		b, ok := n.Machine.(storeOwner)
		if !ok || at >= r.cfg.topology.nodes() || b.Store() == nil || !n.ready {
			continue
		}
		for _, id := range b.Store().IDs() {
			l := b.Store().Log(id)
			if dirty, may := l.Dirty(n.clock(r.w.now)); l.Online() && may && l.Config().MinCompactionLag == 0 && (dirty > l.Config().MinDirtyShare || l.Cleaning().On) {
				return fmt.Sprintf("%s-%d of %s is not clean: %d millionths of it are dirty", l.Partition().Topic, l.Partition().Partition, n.Name, dirty)
			}
		}
	}
	return ""
}

func (c *compaction) judge(complete bool) {
	r := c.r
	for i, mark := range cleanMarks() {
		if r.w.Marks.Count(mark) > 0 {
			r.deed(deedMarks + i)
		}
	}
	if !complete || r.cfg.Set == SetLying {
		return
	}
	for i := range r.cfg.Topics {
		t := &r.cfg.Topics[i]
		for p := range t.partitions {
			if at := (core.TopicPartition{Topic: t.name, Partition: p}); t.compacted.on {
				r.judgeCompacted(t, at, c.txns)
			}
		}
	}
}

// judgeCompacted hands what is known of a partition to the checker.
func (r *run) judgeCompacted(t *topicConfig, at core.TopicPartition, e *exactly) {
	l, known := r.oracle.compactedLog(at)
	if !known {
		return
	}
	e.outcomes(&l, r.oracle.index[at])
	l.Copies = r.cfg.topology.many()
	l.Read, l.Retention = int64(r.w.now), checker.None
	if t.compacted.retention > farJump {
		l.Retention = int64(t.compacted.retention)
	}
	if t.removable {
		l.Start = r.startOf(at, l.Start)
	}
	for _, v := range checker.CheckCompacted(&l) {
		r.oracle.fail(v.Invariant, "%s: %s", v.Subject, v.Detail)
	}
	there := func(o int64) bool {
		return slices.ContainsFunc(l.Final, func(f checker.Record) bool { return f.Offset == o })
	}
	for _, x := range l.Records {
		if gone := x.Offset >= l.Start && !there(x.Offset) && x.Fate == checker.Counts; gone && x.Tombstone {
			r.deed(deedBuried)
		} else if gone {
			r.deed(deedSuperseded)
		}
	}
	r.deeds[deedPassed] += uint64(len(l.Passes))
}

// startOf is the greatest start that a copy of a partition has now.
func (r *run) startOf(at core.TopicPartition, start int64) int64 {
	for i := range r.cfg.topology.nodes() {
		if b, ok := r.w.Nodes[i].Machine.(storeOwner); ok && b.Store() != nil {
			if id, there := b.Store().Find(at); there {
				start = max(start, int64(b.Store().Log(id).Start()))
			}
		}
	}
	return start
}

// cleanWatch is the last look at the cleans of all brokers.
type cleanWatch struct {
	nodes [ServersMax][]cleanSeen // by log id
}

type cleanSeen struct {
	life  uint32
	high  core.Offset // the greatest high watermark in this life
	upTo  core.Offset
	swaps int
}

// lookClean judges a clean that is under way: it goes no farther than what is committed, and durable here (I69).
func (r *run) lookClean(n *Node, l *log.Log, leads bool) {
	list := &r.cleaning.nodes[n.at]
	for len(*list) <= int(l.ID()) {
		*list = append(*list, cleanSeen{})
	}
	s := &(*list)[l.ID()]
	if s.life != n.Life {
		*s = cleanSeen{life: n.Life}
	}
	s.high = max(s.high, l.High())
	if c := l.Cleaning(); c.On && c.UpTo > s.high {
		r.w.Fail("I69", fmt.Sprintf("%s-%d of %s is cleaned up to %d, and its high watermark was never above %d", l.Partition().Topic, l.Partition().Partition, n.Name, c.UpTo, s.high))
	} else if c.On && (c.UpTo > l.Durable() || c.UpTo > c.Active) {
		r.w.Fail("I69", fmt.Sprintf("%s-%d of %s is cleaned up to %d; durable below %d, the active segment begins at %d", l.Partition().Topic, l.Partition().Partition, n.Name, c.UpTo,
			l.Durable(), c.Active))
	}
	if swaps := l.Swaps(); swaps > s.swaps {
		s.swaps = swaps
		if !leads {
			r.deed(deedFollower)
		}
		if syncedAlways(l.Partition().Topic) {
			r.deed(deedInternal)
		}
	}
}

// cleansNow tells the judge of a partition's copies that one of them is being cleaned: the coordinators' logs may be, whatever the
// workload, once they are dirty enough. Until then all copies have the very same batches.
func (r *run) cleansNow(l *log.Log) {
	if r.cluster == nil || !l.Cleaning().On && l.Swaps() == 0 {
		return
	}
	if i, ok := r.cluster.index[copyKey{l.TopicID(), l.Partition().Partition}]; ok {
		r.cluster.copies[i].Compacted = true
	}
}

// isCleaned reports whether a topic's logs are sure to be cleaned in this run.
func (r *run) isCleaned(topic string) bool {
	return r.cfg.topic(topic).compacted.on || r.cfg.Workload == Compaction && topic == offsetsTopic
}

// janitor changes what is cleaned, and how, while it is cleaned: the policies of topics, and the settings of the coordinators' topic,
// which no file has. Its segments hold the largest record of a group. In the end every policy is as it was.
type janitor struct {
	r      *run
	entity uint64
	a      *client.Admin
	next   core.Time
	call   client.CallID
	calm   int // topics that have their policy back

	restoring bool // by the call under way
}

func (j *janitor) Next() core.Time {
	if j.call != 0 {
		return j.a.Next()
	}
	return min(j.next, j.a.Next())
}

func (j *janitor) Step(now core.Now, ev *core.Event, out *core.Out) {
	if j.a.Mine(ev) {
		j.a.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		j.next = now.Mono + 500*core.Millisecond
	}
	list := j.a.Answers()
	for i := range list {
		if list[i].Call != j.call {
			continue
		}
		if j.call = 0; j.r.stage >= stageCalm && j.calm < len(j.r.cfg.Topics) && list[i].Outcomes[0].Fate == client.Did && j.restoring {
			j.calm++
		}
	}
	if now.Mono >= j.next && j.call == 0 && j.r.turn(j.entity, now, &j.next) {
		j.change(now, out)
	}
}

// change makes the next change.
func (j *janitor) change(now core.Now, out *core.Out) {
	v := j.r.choose(j.entity, siteWork, j.entity, 1<<32)
	j.next = now.Mono + core.Time(100+v&0x1ff)*core.Millisecond
	set := func(topic, name, value string) {
		j.r.says(j.entity, "%s %s=%s", topic, name, value)
		j.call = j.a.AlterConfigs(now, []client.ConfigChange{{Resource: client.Resource{Type: client.TopicResource, Name: topic}, Name: name, Value: value}}, false, out)
	}
	if j.restoring = j.r.stage >= stageCalm; j.restoring {
		if j.calm == len(j.r.cfg.Topics) {
			j.next = core.Never
			return
		}
		t := &j.r.cfg.Topics[j.calm]
		set(t.name, "cleanup.policy", t.policy())
		return
	}
	t := &j.r.cfg.Topics[int(v>>10)%len(j.r.cfg.Topics)]
	switch v >> 14 & 7 {
	case 0, 1:
		set(offsetsTopic, "internal.segment.bytes", []string{"2500", "4000", "2500", "104857600"}[v>>17&3])
	case 2:
		set(offsetsTopic, "min.cleanable.dirty.ratio", []string{"0.01", "0.3"}[v>>17&1])
	case 3:
		set(offsetsTopic, "delete.retention.ms", []string{"0", "1000"}[v>>17&1])
	case 4:
		set(t.name, "min.cleanable.dirty.ratio", []string{"0.01", "0.2", "0.5"}[(v>>17)%3])
	case 5:
		if !t.removable {
			set(t.name, "cleanup.policy", "delete")
			return
		}
		set(t.name, "cleanup.policy", t.policy())
	default:
		set(t.name, "cleanup.policy", t.policy())
	}
}

// policy is the cleanup.policy that a topic was made with.
func (t *topicConfig) policy() string {
	for _, kv := range t.configs {
		if kv[0] == "cleanup.policy" {
			return kv[1]
		}
	}
	return "delete"
}
