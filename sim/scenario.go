package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"klamm/core"
)

// Scenario is all that a run is made of: its Config, its Plan and its Script, and the seed from which all else is drawn that
// nobody lists: delays of the network and of disks, what a crash leaves of unsynced bytes, keys of machines, the options of clients. Its text is what scenario
// files hold; docs/scenarios.md says what each line means.
type Scenario struct {
	Seed   uint64
	Config Config
	Plan   []Fault
	Script []Op
	Drawn  []Drawn // clients of which not all is in Script
	Breaks string  // the rule that the run broke when it was saved; empty: none
	names  []string
}

// scenarioHead is the first line of every scenario file: the number grows when older files would mean something else.
const scenarioHead = "klamm scenario 1"

// String is the scenario as text.
func (s *Scenario) String() string { return strings.Join(s.lines(), "\n") + "\n" }

func (s *Scenario) lines() []string {
	lines := []string{scenarioHead, "seed " + strconv.FormatUint(s.Seed, 10)}
	if s.Breaks != "" {
		lines = append(lines, "breaks "+s.Breaks)
	}
	lines = append(lines, s.Config.configLines()...)
	names := s.nodeNames()
	for _, d := range s.Drawn {
		lines = append(lines, "drawn "+d.Client+" until="+span(d.Until))
	}
	for i := range s.Plan {
		lines = append(lines, s.Plan[i].line(names))
	}
	for i := range s.Script {
		lines = append(lines, s.Script[i].String())
	}
	return lines
}

// nodeNames are the names of the world's nodes, in their order.
func (s *Scenario) nodeNames() []string {
	if s.names == nil {
		s.names = s.Config.names()
	}
	return s.names
}

// names builds the world of a configuration to learn the names of its nodes.
func (c *Config) names() (names []string) {
	r := &run{w: NewWorld(NewKeyed(0)), opt: &Options{}, oracle: NewOracle(), cfg: *c}
	r.build()
	for _, n := range r.w.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// line writes a fault.
func (f *Fault) line(names []string) string {
	w := &fields{}
	f.words(w)
	return strings.Join(append([]string{"fault", span(f.At), f.Kind.String(), names[f.Node]}, w.words...), " ")
}

// faultWords are the names of a kind's numbers: how strong, and the other one; lasts says whether it has a length.
func (k FaultKind) faultWords() (p, q string, lasts bool) {
	switch k {
	case Kill, PowerLoss, StopProcess, KillAll, PowerAll:
		return "", "", false
	case KillClient, KillController:
		return "", "power", false
	case KillLeader, KillSeveral:
		return "of", "power", false
	case CrashAtEffect:
		return "effects", "power", false
	case CrashAfterSync:
		return "syncs", "power", false
	case CrashLoop:
		return "effects", "then", false
	case CrashTwice:
		return "ready-ms", "then", false
	case CrashWhenTold:
		return "told", "power", false
	case PauseProcess, PauseLong:
		return "", "", true
	case ClockForward, ClockBackward:
		return "ms", "", false
	case ClockDrift:
		return "ppm", "", false
	case DiskRot:
		return "file", "not-metadata", false
	case RollingRestart:
		return "ms", "", false
	case WipeDisk, WipeVoter:
		return "", "", false
	}
	return "p", "q", true
}

// words are a fault's numbers.
func (f *Fault) words(w *fields) {
	p, q, lasts := f.Kind.faultWords()
	if lasts {
		w.time("for", &f.For, 0)
	}
	const most = 1 << 40
	if p != "" {
		integer(w, p, &f.P, 0, -most, most)
	}
	switch q {
	case "":
	case "power", "not-metadata":
		bit := f.Q&1 == 1
		if w.flag(q, &bit); w.reading && bit {
			f.Q = 1
		}
	default:
		integer(w, q, &f.Q, 0, 0, most)
	}
}

// sane reports whether a fault that somebody wrote can come.
func (f *Fault) sane(c *Config) bool {
	nodes := int64(c.topology.nodes())
	switch f.Kind {
	case CrashWhenTold:
		return f.P >= 0 && f.P < toldKinds
	case DiskAimed:
		return f.P >= 0 && f.Q < int64(len(aims))
	case DirFails:
		return f.P >= 1 && f.P < int64(c.topology.places[min(f.Node, int(nodes)-1)]) && int64(f.Node) < nodes
	case ClockDrift:
		return f.P >= -1000 && f.P <= 1000
	case WipeDisk, WipeVoter, CutBridge, RollingRestart, IsolateBoth, IsolateIn, IsolateOut, CutControl, DiskRot:
		return int64(f.Node) < nodes && f.P >= 0
	case CrashInRecovery, Restart, StoppedClean, GaveUp:
		return false
	}
	return f.P >= 0 && (f.Kind < HostileTLS || f.Kind.planned())
}

// parser reads a scenario.
type parser struct {
	s    *Scenario
	kv   [2][][2]string // of the brokers; of the servers of a cluster
	seen []string       // clients that have a line
}

// ParseScenario reads the text of a scenario. An error names the line.
func ParseScenario(text string) (*Scenario, error) {
	p := &parser{s: &Scenario{}}
	c := &p.s.Config
	for _, read := range []func(f *fields){c.world, c.others, c.topology.cluster} { // what has no line is usual
		read(&fields{reading: true})
	}
	first := true
	for i, line := range strings.Split(text, "\n") {
		line, says, _ := strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		err := error(nil)
		if first {
			if first = false; strings.Join(words, " ") != scenarioHead {
				err = fmt.Errorf("this is no scenario: its first line should be %q", scenarioHead)
			}
		} else {
			err = p.line(words, strings.TrimSpace(says))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if first {
		return nil, fmt.Errorf("line 1: there is nothing: its first line should be %q", scenarioHead)
	}
	if len(c.Topics) == 0 {
		return nil, fmt.Errorf("line 1: a scenario needs a topic")
	}
	return p.s, p.finish()
}

// line reads a line.
func (p *parser) line(words []string, says string) error {
	c := &p.s.Config
	head, rest := words[0], words[1:]
	one := func() string { // the word after the first
		if len(rest) == 0 {
			return ""
		}
		w := rest[0]
		rest = rest[1:]
		return w
	}
	f := &fields{reading: true}
	read := func(line func(f *fields)) error {
		f.words = slices.Clone(rest)
		line(f)
		return f.rest()
	}
	switch head {
	case "seed":
		n, err := strconv.ParseUint(one(), 10, 64)
		if err != nil || len(rest) > 0 {
			return fmt.Errorf("seed: give a whole number")
		}
		p.s.Seed = n
	case "breaks":
		p.s.Breaks = one()
	case "world":
		set := slices.Index(Profiles(), one())
		if set < 0 {
			return fmt.Errorf("world: name the set of faults first: one of %v", Profiles())
		}
		c.Set = FaultSet(set)
		return read(c.world)
	case "cluster":
		return read(c.topology.cluster)
	case "clients":
		return read(c.others)
	case "absent":
		for _, name := range rest {
			if mustTakePart(name) || strings.HasPrefix(name, "broker") {
				return fmt.Errorf("absent: %s must take part", name)
			}
			c.absent = append(c.absent, name)
		}
	case "topic":
		return p.topic(one(), read)
	case "producer", "group", "writer", "pipe":
		return p.client(head, one(), read)
	case "broker", "servers":
		return read(func(f *fields) { f.settings(&p.kv[map[string]int{"broker": 0, "servers": 1}[head]]) })
	case "fault":
		return p.fault(one(), one(), one(), read)
	case "drawn":
		d := Drawn{Client: one()}
		if p.node(d.Client) < c.topology.nodes() {
			return fmt.Errorf("drawn: there is no client %q", d.Client)
		}
		err := read(func(f *fields) { f.time("until", &d.Until, core.Hour) })
		p.s.Drawn = append(p.s.Drawn, d)
		return err
	case "at":
		return p.op(one(), one(), rest, says)
	default:
		return fmt.Errorf("%q begins no line", head)
	}
	return nil
}

func (p *parser) topic(name string, read func(func(*fields)) error) error {
	c := &p.s.Config
	if name == "" || strings.ContainsAny(name, "=/") || len(c.Topics) == mostTopics || c.topic(name).name != "" {
		return fmt.Errorf("topic: give each of at most %d topics a name of its own", mostTopics)
	}
	t := topicConfig{name: name}
	err := read(func(f *fields) { t.line(f, c) })
	c.Topics = append(c.Topics, t)
	return err
}

// client reads a producer, a group, a writer or a pipe. Those whose numbers are left out are absent.
func (p *parser) client(kind, number string, read func(func(*fields)) error) error {
	c := &p.s.Config
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= mostClients || slices.Contains(p.seen, kind+number) {
		return fmt.Errorf("%s: give each a number of its own, from 0 to %d", kind, mostClients-1)
	}
	if len(c.Topics) == 0 {
		return fmt.Errorf("%s: topics come first", kind)
	}
	if p.seen = append(p.seen, kind+number); kind == "group" && i >= groupsMax {
		return fmt.Errorf("group: there are at most %d", groupsMax)
	}
	x := &c.exactly
	for n := 0; n <= i; n++ {
		usual := func(line func(f *fields, c *Config)) { line(&fields{reading: true}, c) }
		switch {
		case kind == "producer" && n == len(c.Producers):
			c.Producers = append(c.Producers, producerConfig{})
			c.Producers[n].options.ClientID = "producer" + strconv.Itoa(n)
			usual(c.Producers[n].line)
		case kind == "group" && n == len(c.Groups):
			c.Groups, c.assignors, c.consumers, c.rolls = append(c.Groups, 1), append(c.assignors, 0), append(c.consumers, false), append(c.rolls, false)
		case kind == "writer" && n == len(x.writers):
			x.writers = append(x.writers, writerConfig{})
			usual(x.writers[n].line)
		case kind == "pipe" && n == len(x.pipes):
			x.pipes = append(x.pipes, pipeConfig{})
			usual(x.pipes[n].line)
		}
	}
	switch kind {
	case "producer":
		return read(func(f *fields) { c.Producers[i].line(f, c) })
	case "group":
		return read(func(f *fields) { c.groupLine(f, i) })
	case "writer":
		return read(func(f *fields) { x.writers[i].line(f, c) })
	}
	return read(func(f *fields) { x.pipes[i].line(f, c) })
}

// settle completes the configuration from what was read; names of nodes are known from then on.
func (p *parser) settle() {
	c, s := &p.s.Config, p.s
	if s.names != nil {
		return
	}
	mark := func(kind string, n int) {
		for i := range n {
			if name := kind + strconv.Itoa(i); !slices.Contains(p.seen, name) && !slices.Contains(c.absent, name) {
				c.absent = append(c.absent, name)
			}
		}
	}
	mark("producer", len(c.Producers))
	mark("group", len(c.Groups))
	mark("writer", len(c.exactly.writers))
	mark("pipe", len(c.exactly.pipes))
	c.Broker = propertiesText(brokerBase, p.kv[0])
	c.topology.common = propertiesText(commonBase, p.kv[1])
	if !c.topology.many() {
		c.topology.common = ""
	}
	c.buildServers()
	c.count()
	s.names = c.names()
	c.absent = slices.DeleteFunc(c.absent, func(name string) bool { return c.listed(name) && !slices.Contains(s.names, name) })
}

// finish completes what was read.
func (p *parser) finish() error {
	p.settle()
	if c := &p.s.Config; len(c.Groups) == 0 && (c.foreign || c.Workload == Groups) {
		return fmt.Errorf("line 1: the foreign member and the workload of groups need a group")
	}
	brokers := len(p.s.Config.topology.brokers())
	for _, t := range p.s.Config.Topics {
		if int(t.factor) > brokers {
			return fmt.Errorf("line 1: topic %s has more copies than there are brokers", t.name)
		}
	}
	if p.s.Config.Set == SetRepair && brokers < 2 {
		return fmt.Errorf("line 1: what one disk loses, with the faults of repair, only another broker has")
	}
	return nil
}

// node finds a node; faults and operations come after everything that names one.
func (p *parser) node(name string) int {
	p.settle()
	return slices.Index(p.s.names, name)
}

func (p *parser) fault(at, kind, node string, read func(func(*fields)) error) error {
	f := Fault{Node: p.node(node)}
	ok := false
	if f.At, ok = parseSpan(at); !ok || f.At > core.Hour {
		return fmt.Errorf("fault: %q is no instant below an hour, such as 1.5s", at)
	}
	k := slices.Index(faultNames[:], kind)
	if k < 0 {
		return fmt.Errorf("fault: there is no kind %q", kind)
	}
	if f.Kind = FaultKind(k); f.Node < 0 {
		return fmt.Errorf("fault: there is no node %q", node)
	}
	if err := read(f.words); err != nil {
		return err
	}
	if !f.sane(&p.s.Config) {
		return fmt.Errorf("fault: %s can't come to %s with these numbers", kind, node)
	}
	p.s.Plan = append(p.s.Plan, f)
	return nil
}

func (p *parser) op(at, client string, draws []string, says string) error {
	op := Op{Client: client, Says: says}
	ok := false
	if op.At, ok = parseSpan(at); !ok || op.At > core.Hour {
		return fmt.Errorf("at: %q is no instant below an hour, such as 1.5s", at)
	}
	if p.node(client) < p.s.Config.topology.nodes() {
		return fmt.Errorf("at: there is no client %q", client)
	}
	for _, w := range draws {
		v, err := strconv.ParseUint(w[1:], 16, 64)
		if err != nil || !strings.Contains(drawLetters, w[:1]) {
			return fmt.Errorf("at: %q is no draw: one of the letters %s and a hexadecimal number", w, drawLetters)
		}
		op.Draws = append(op.Draws, Draw{w[0], v})
	}
	p.s.Script = append(p.s.Script, op)
	return nil
}

// mustTakePart reports whether a run is nothing without a client.
func mustTakePart(name string) bool {
	return name == "admin" || name == "audit" || name == "committed-audit"
}

// isAbsent reports whether a name is on the list of those that do not take part.
func (c *Config) isAbsent(name string) bool { return slices.Contains(c.absent, name) }

// isGone reports whether a client does not take part, by itself or with its group.
func (c *Config) isGone(name string) bool {
	if len(c.absent) == 0 {
		return false
	}
	if rest, member := strings.CutPrefix(name, "group"); member {
		group, _, _ := strings.Cut(rest, ".")
		return c.isAbsent(name) || c.isAbsent("group"+group)
	}
	return c.isAbsent(name)
}

// groupGone reports whether no member of a group takes part.
func (c *Config) groupGone(g int) bool {
	for m := range c.Groups[g] {
		if !c.isGone(fmt.Sprintf("group%d.%d", g, m)) {
			return false
		}
	}
	return true
}

// listed reports whether the name of one that is absent has to be written: those that have lines of their own have none.
func (c *Config) listed(name string) bool {
	kind := strings.TrimRight(name, ".0123456789")
	if kind != "group" {
		return kind != "producer" && kind != "writer" && kind != "pipe"
	}
	g, _, member := strings.Cut(name[len(kind):], ".")
	n, err := strconv.Atoi(g)
	return err == nil && member && n < len(c.Groups) && !c.groupGone(n)
}
