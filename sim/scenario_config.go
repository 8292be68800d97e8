package sim

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/batch"
	"klamm/core/client"
)

// This file says how a Config is written into a scenario and read from it: a line for each thing, each with its words.

// most bounds the numbers of a scenario, so that one written by hand does not ask for more than there is room for.
const (
	mostTopics     = 16
	mostPartitions = 64
	mostClients    = 64
	mostMillis     = 1 << 30
)

// world is what the run as a whole is like.
func (c *Config) world(f *fields) {
	choice(f, "workload", &c.Workload, Mixed, Workloads())
	f.time("for", &c.Chaos, 5*core.Second)
	f.flag("debug", &c.Debug)
	f.time("latency", &c.latency, 100*core.Microsecond)
	f.time("sync", &c.syncTime, core.Millisecond)
	integer(f, "assembly", &c.assembly, 64<<20, 1000, 1<<30)
	integer(f, "full", &c.FullBytes, 300_000, 0, 1<<30)
	f.time("admin-pause", &c.adminPause, 100*core.Millisecond)
	f.time("quiet", &c.quiet, 0)
	integer(f, "epoch-last", &c.epochLast, 32766, 1, 32766)
}

// others are the clients that have no line of their own.
func (c *Config) others(f *fields) {
	integer(f, "readers", &c.Readers, 0, 0, mostClients)
	f.flag("hostile", &c.hostile)
	integer(f, "crowd", &c.crowd, 0, 0, mostClients)
	f.flag("fair", &c.fair)
	f.flag("foreign", &c.foreign)
	integer(f, "committed", &c.exactly.readers, 0, 0, mostClients)
	f.flag("levels", &c.exactly.levels)
}

// cluster is the nodes.
func (t *topology) cluster(f *fields) {
	names := []string{"both", "broker", "controller"}
	var words []string
	for _, k := range t.roles {
		words = append(words, names[k])
	}
	nodes := len(words)
	integer(f, "nodes", &nodes, 1, 1, ServersMax)
	all := strings.Join(words, ",")
	if !slices.ContainsFunc(t.roles, func(k role) bool { return k != both }) {
		all = ""
	}
	f.text("roles", &all, "")
	var roles []int
	for _, w := range strings.FieldsFunc(all, func(c rune) bool { return c == ',' }) {
		i := slices.Index(names, w)
		if roles = append(roles, max(i, 0)); i < 0 {
			f.wrong("roles=%s: %s is none of %s", all, w, strings.Join(names, ", "))
		}
	}
	places := t.places
	if !slices.ContainsFunc(places, func(n int) bool { return n != 1 }) {
		places = nil
	}
	list(f, "directories", &places, DirsMax)
	integer(f, "replication", &t.factor, 1, 1, ServersMax)
	f.flag("ledger", &t.ledger)
	f.flag("wipes", &t.wipes)
	f.flag("moves", &t.moves)
	integer(f, "victim", &t.victim, 0, 0, ServersMax-1)
	choice(f, "voters", &t.voting, votersFixed, votingNames[:])
	list(f, "first", &t.first, ServersMax)
	f.flag("auto-join", &t.autoJoin)
	f.flag("loses-voters", &t.losesVoters)
	integer(f, "racks", &t.racks, 0, 0, ServersMax)
	if !f.reading {
		return
	}
	t.roles, t.places = make([]role, nodes), make([]int, nodes)
	for i := range nodes {
		if t.places[i] = 1; i < len(places) {
			t.places[i] = max(places[i], 1)
		}
		if i < len(roles) {
			t.roles[i] = role(roles[i])
		}
	}
	if len(roles) > nodes || len(places) > nodes || t.victim >= nodes {
		f.wrong("more roles, directories or a higher victim than %d nodes", nodes)
	}
	if len(t.brokers()) == 0 || len(t.voters()) == 0 {
		f.wrong("a cluster needs a broker and a controller")
	}
}

func (t *topicConfig) line(f *fields, _ *Config) {
	integer(f, "partitions", &t.partitions, 1, 1, mostPartitions)
	integer(f, "replication", &t.factor, 1, 1, ServersMax)
	f.flag("removable", &t.removable)
	f.flag("compacted", &t.compacted.on)
	integer(f, "keys", &t.compacted.keys, 0, 0, mostMillis)
	integer(f, "graves", &t.compacted.graves, 0, 0, mostMillis)
	f.time("graves-kept", &t.compacted.retention, 0)
	f.settings(&t.configs)
	if f.reading {
		t.fix()
		for _, kv := range t.configs { // the judges must know what these do
			t.removable = t.removable || strings.HasPrefix(kv[0], "retention.")
			t.compacted.on = t.compacted.on || kv[0] == "cleanup.policy" && strings.Contains(kv[1], "compact")
		}
		if t.compacted.on && t.compacted.keys == 0 {
			t.compacted.keys = 1
		}
	}
}

// line is the options that clients share.
func optionsLine(f *fields, o *client.Options, c *Config) {
	bootstrap, all := strings.Join(o.Bootstrap, ","), strings.Join(c.topology.bootstrap(1<<ServersMax-1), ",")
	f.text("bootstrap", &bootstrap, all)
	f.time("request", &o.RequestTime, 5*core.Second)
	f.time("retry", &o.RetryMin, 50*core.Millisecond)
	integer(f, "in-flight", &o.InFlight, 5, 1, 5)
	if f.reading {
		o.Bootstrap, o.Conns, o.DialTime = strings.Split(bootstrap, ","), 2, 3*core.Second
	}
}

func codecNames() (names []string) {
	for c := batch.None; c <= batch.Zstd; c++ {
		names = append(names, c.String())
	}
	return names
}

func (p *producerConfig) line(f *fields, c *Config) {
	list(f, "topics", &p.topics, len(c.Topics)-1)
	f.time("pause", &p.pause, 50*core.Millisecond)
	integer(f, "burst", &p.burst, 1, 1, 1000)
	integer(f, "size", &p.size, 40, 0, 1<<20)
	f.time("start", &p.start, 0)
	o := &p.options
	optionsLine(f, &o.Options, c)
	f.flag("not-idempotent", &o.NotIdempotent)
	acks := int(o.Acks)
	choice(f, "acks", &acks, 0, []string{"all", "1", "0"})
	o.Acks = client.Acks(acks)
	choice(f, "codec", &o.Codec, batch.None, codecNames())
	f.time("linger", &o.Linger, 0)
	integer(f, "batch", &o.BatchBytes, 16384, 1, 1<<20)
	f.time("delivery", &o.DeliveryTime, 30*core.Second)
	if f.reading && len(p.topics) == 0 {
		p.topics = []int{0}
	}
	if f.reading && p.options.Acks != client.AcksAll && !p.options.NotIdempotent {
		f.wrong("an idempotent producer has acks=all")
	}
}

// groupLine is a group of consumers.
func (c *Config) groupLine(f *fields, i int) {
	integer(f, "members", &c.Groups[i], 1, 1, mostClients)
	choice(f, "assignor", &c.assignors[i], assign.Range, []string{assign.Range.String(), assign.RoundRobin.String(), assign.Sticky.String(), assign.CooperativeSticky.String()})
	f.flag("consumer", &c.consumers[i])
	f.flag("rolls", &c.rolls[i])
}

func (w *writerConfig) line(f *fields, c *Config) {
	f.text("id", &w.id, "writer0")
	f.flag("twin", &w.twin)
	f.flag("deserts", &w.deserts)
	f.flag("gushes", &w.gushes)
	list(f, "topics", &w.topics, len(c.Topics)-1)
	f.time("pause", &w.pause, 0)
	f.time("start", &w.start, 0)
	integer(f, "records", &w.records, 1, 1, 1000)
	integer(f, "size", &w.size, 20, 0, 1<<20)
	integer(f, "aborts", &w.aborts, 0, 0, 8)
	f.time("open", &w.open, 0)
	f.time("lasts", &w.lasts, 5*core.Second)
	if f.reading && len(w.topics) == 0 {
		w.topics = []int{0}
	}
}

func (p *pipeConfig) line(f *fields, c *Config) {
	f.text("group", &p.group, "pipe0")
	f.text("id", &p.id, "pipe0.0")
	f.flag("twin", &p.twin)
	integer(f, "stage", &p.stage, 0, 0, 1)
	list(f, "from", &p.from, len(c.Topics)-1)
	integer(f, "to", &p.to, 0, 0, len(c.Topics)-1)
	integer(f, "records", &p.records, 8, 1, 1000)
	f.time("start", &p.start, 0)
	f.time("lasts", &p.lasts, 5*core.Second)
	if f.reading && len(p.from) == 0 {
		f.wrong("a pipe needs the topics it reads from")
	}
}

// properties are the lines of a configuration file without those that every run has.
func properties(text, base string) (kv [][2]string) {
	for _, line := range strings.Split(strings.TrimPrefix(text, base), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			kv = append(kv, [2]string{k, v})
		}
	}
	return kv
}

// propertiesText is a configuration file.
func propertiesText(base string, kv [][2]string) string {
	var b strings.Builder
	b.WriteString(base)
	for _, x := range kv {
		b.WriteString(x[0] + "=" + x[1] + "\n")
	}
	return b.String()
}

// configLines writes a configuration.
func (c *Config) configLines() (lines []string) {
	line := func(head string, write func(f *fields)) {
		f := &fields{}
		write(f)
		if words := append(strings.Fields(head), f.words...); len(words) > 1 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	numbered := func(kind string, i int, write func(f *fields, c *Config)) {
		if kind == "group" && c.groupGone(i) || c.isAbsent(kind+strconv.Itoa(i)) {
			return
		}
		line(kind+" "+strconv.Itoa(i), func(f *fields) { write(f, c) })
	}
	line("world "+c.Set.String(), c.world)
	line("cluster", c.topology.cluster)
	line("clients", c.others)
	line("absent", func(f *fields) {
		for _, name := range c.absent {
			if c.listed(name) {
				f.words = append(f.words, name)
			}
		}
	})
	for i := range c.Topics {
		line("topic "+c.Topics[i].name, func(f *fields) { c.Topics[i].line(f, c) })
	}
	for i := range c.Producers {
		numbered("producer", i, c.Producers[i].line)
	}
	for i := range c.Groups {
		numbered("group", i, func(f *fields, c *Config) { c.groupLine(f, i) })
	}
	for i := range c.exactly.writers {
		numbered("writer", i, c.exactly.writers[i].line)
	}
	for i := range c.exactly.pipes {
		numbered("pipe", i, c.exactly.pipes[i].line)
	}
	lines = append(lines, settingLines("broker", properties(c.Broker, brokerBase))...)
	return append(lines, settingLines("servers", properties(c.topology.common, commonBase))...)
}

// settingLines writes configurations, a few on each line.
func settingLines(head string, kv [][2]string) (lines []string) {
	line := head
	for _, x := range kv {
		word := " " + x[0] + "=" + x[1]
		if len(line)+len(word) > 110 && line != head {
			lines, line = append(lines, line), head
		}
		line += word
	}
	if line != head {
		lines = append(lines, line)
	}
	return lines
}
