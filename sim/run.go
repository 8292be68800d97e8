package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"klamm/checker"
	"klamm/core"
	"klamm/core/assign"
	"klamm/core/client"
	"klamm/disksim"
	"klamm/netsim"
)

// stage is how far a run has come.
type stage uint8

const (
	stageChaos stage = iota
	stageCalm        // healed: producers go on
	stageFlush       // producers finish
	stageAudit       // everything is read once more
	stageEnd         // the broker stops, so that its files can be judged
	stageDone
)

// run is one run of the whole: a world, its clients, and the oracle.
type run struct {
	seed        uint64
	throttled   bool // replication may be held back,
	lifted      bool // and is no longer, after healing
	w           *World
	cfg         Config
	opt         *Options
	oracle      *Oracle
	stage       stage
	calmFrom    core.Time
	refused     string
	producers   []*producing // the current life of each
	audit       *reading
	members     []*reading // of groups, former lives too
	auditNode   int
	admin       *asking
	crowd       *crowd            // nil: there is none
	watch       [ServersMax]watch // by node
	cluster     *cluster          // nil: the copies are not followed
	ledger      ledger
	voters      voterAdmin
	probes      probes
	owners      []checker.Ownership
	generations []checker.Generation
	damage      int     // entries of the disk's list that the oracle knows
	given       []given // to readers, by number, where disks lose what was synced
	exits       int     // of the broker, of its own, since healing
	lastLife    uint32  // of the broker, at stageEnd
	stageAt     core.Time
	player      player      // nil: the workload has none
	cleaning    *cleanWatch // nil: nothing is cleaned
	deeds       []uint64
	suspects    []suspect   // of the workload of groups
	departures  []departure // likewise
	script      *script     // nil: operations are drawn, and nobody wants to know them
}

const (
	pollPause   = 100 * core.Millisecond
	calmTime    = 90 * core.Second // how long healing may take: a few times the longest timeout
	eventsMax   = 3_000_000
	phasePoll   = 1
	phaseHealed = 2
)

// Run runs one seed to its end.
func Run(seed uint64, opt Options) Result {
	choices := opt.Choices
	if choices == nil {
		choices = NewKeyed(seed)
	}
	r := &run{w: NewWorld(choices), opt: &opt, oracle: NewOracle(), seed: seed}
	if opt.Memory != nil {
		r.w.memory = opt.Memory
	}
	if opt.Scenario != nil {
		r.cfg = opt.Scenario.Config
	} else {
		r.cfg = drawConfig(choices, &opt)
	}
	r.deeds = make([]uint64, len(r.cfg.Workload.row().deeds))
	if r.cfg.Workload != Mixed {
		r.w.Hash.Add(uint64(r.cfg.Workload), 0)
	}
	r.w.Trace, r.w.StepLog, r.w.To = opt.Trace, opt.Steps, opt.To
	r.w.record(opt.Record)
	r.oracle.rec = opt.Record
	r.w.Debug = r.cfg.Debug
	r.oracle.OnSkip = r.skipped
	r.startProbes()
	r.build()
	r.start()
	opt.Record.nodesKnown(&r.cfg)
	r.w.OnPhase = r.phase
	r.w.OnExit = r.exited
	r.w.OnFind, r.w.OnCrash, r.w.OnWipe = r.find, r.admit, r.mayWipe
	if r.cfg.Set != SetLying {
		r.w.OnStep, r.w.OnFall, r.w.OnStart = r.look, r.fallen, r.starting
		if r.cfg.topology.many() || r.cfg.Debug && r.cfg.Set != SetDamage {
			r.follow()
		}
	}
	if r.cfg.Set == SetRepair {
		r.w.OnRot = r.rot
	}
	r.w.PhaseAt(r.cfg.Chaos, phaseHealed)
	r.w.Run(r.cfg.Chaos+2*calmTime, eventsMax)
	stopped := ""
	if r.w.To > 0 && r.w.Steps >= r.w.To {
		stopped = r.stopped()
	}
	res := r.result(seed)
	res.Stopped = stopped
	return res
}

func (r *run) build() {
	w, cfg := r.w, &r.cfg
	w.base.net = netsim.Weather{Latency: cfg.latency, Jitter: cfg.latency / 2}
	w.base.disk = disksim.Weather{Latency: cfg.latency / 8, Jitter: cfg.latency / 16, SyncLatency: cfg.syncTime}
	w.Net.Assembly, w.Net.Check = cfg.assembly, cfg.Debug
	r.oracle.Rewritable = r.lossy() && cfg.Set != SetDamage
	r.oracle.LeaderOnly = cfg.topology.many()
	r.oracle.Headless = cfg.Set == SetLying
	for _, t := range cfg.Topics {
		for p := range t.partitions {
			r.oracle.Partition(core.TopicPartition{Topic: t.name, Partition: p}, t.removable)
		}
	}
	r.addServers()
	w.client(r, "admin", func(entity uint64, life uint32) core.Machine {
		if r.admin != nil && r.admin.state == askWaiting {
			r.admin.unanswered() // what the former life had asked for may still happen
		}
		r.admin = &asking{r: r, entity: entity, then: adminKinds}
		return r.admin
	})
	for i := range cfg.Producers {
		r.producers = append(r.producers, nil)
		w.client(r, fmt.Sprintf("producer%d", i), func(entity uint64, life uint32) core.Machine { return r.producer(i, entity) })
	}
	for i := range cfg.Readers {
		w.client(r, fmt.Sprintf("reader%d", i), func(entity uint64, life uint32) core.Machine { return r.reader(entity, false) })
	}
	for g, members := range cfg.Groups {
		for m := range members {
			w.client(r, fmt.Sprintf("group%d.%d", g, m), func(entity uint64, life uint32) core.Machine { return r.member(g, m, entity) })
		}
	}
	if cfg.hostile {
		w.client(r, "hostile", func(entity uint64, life uint32) core.Machine { return &hostile{r: r, entity: entity} })
	}
	if cfg.crowd > 0 {
		w.client(r, "crowd", func(entity uint64, life uint32) core.Machine {
			r.crowd = r.newCrowd(entity)
			return r.crowd
		})
	}
	if cfg.fair {
		w.client(r, "fair", func(entity uint64, life uint32) core.Machine {
			return &fair{r: r, entity: entity, line: line{name: "fair", table: 8}}
		})
	}
	if cfg.foreign {
		w.client(r, "foreign", func(entity uint64, life uint32) core.Machine { return r.newForeign(entity) })
	}
	if play := cfg.Workload.row().play; play != nil {
		r.player = play(r)
		r.player.build()
	}
	r.auditNode = w.client(r, "audit", func(entity uint64, life uint32) core.Machine {
		r.audit = r.reader(entity, true)
		return r.audit
	})
	w.weather()
}

func (r *run) producer(i int, entity uint64) core.Machine {
	conf := &r.cfg.Producers[i]
	number := r.oracle.Sender(!conf.options.NotIdempotent, []int8{-1, 1, 0}[conf.options.Acks])
	a := &producing{r: r, conf: conf, number: number, entity: entity, p: client.NewProducer(conf.options)}
	r.producers[i] = a
	return a
}

func (r *run) options(entity uint64) client.Options {
	return clientOptions(&r.cfg.topology, fmt.Sprintf("client%d", entity>>16), func(n uint64) int { return int(r.w.draw(siteConfig, entity<<8|255, n)) })
}

func (r *run) reader(entity uint64, audit bool) *reading {
	w := r.w
	o := client.ConsumerOptions{Options: r.options(entity), Reset: client.ResetEarliest}
	o.PartitionBytes = 200 << w.draw(siteConfig, entity, 12)
	o.MaxWait = core.Time(10+w.draw(siteConfig, entity, 500)) * core.Millisecond
	group := -1
	a := &reading{r: r, entity: entity, stay: core.Never, pause: core.Time(10+w.draw(siteConfig, entity, 100)) * core.Millisecond, limit: 1 + int(w.draw(siteConfig, entity, 100))}
	if audit {
		group, a.audit, a.pause, a.limit = auditBit, true, 5*core.Millisecond, 10000
		o.PartitionBytes = max(o.PartitionBytes, 20000)
	}
	a.number = r.oracle.Reader(group)
	a.c = client.NewConsumer(o)
	for i := range r.cfg.Topics {
		a.topics = append(a.topics, i)
	}
	return a
}

func (r *run) member(g, m int, entity uint64) core.Machine {
	w := r.w
	o := client.ConsumerOptions{Options: r.options(entity), Reset: client.ResetEarliest}
	o.Group = client.GroupOptions{ID: fmt.Sprintf("g%d", g), SessionTime: 6 * core.Second, HeartbeatTime: core.Second,
		RebalanceTime: 6 * core.Second, AutoCommitTime: core.Time(200+w.draw(siteConfig, entity, 2000)) * core.Millisecond}
	o.Group.Assignors = []assign.Assignor{r.cfg.assignors[g]}
	if o.Group.Consumer = r.cfg.consumers[g]; r.cfg.rolls[g] {
		o.Group.Consumer = r.rolls(entity)
	}
	if o.Group.Consumer && w.draw(siteConfig, entity, 3) == 0 {
		o.Group.ServerAssignor = "range"
	}
	if o.Group.Consumer && w.draw(siteConfig, entity, 3) == 0 { // it sends heartbeats while it still owns what it is to give up
		o.Group.RevokeTime = core.Time(500+w.draw(siteConfig, entity, 2500)) * core.Millisecond
	}
	for i := range r.cfg.Topics {
		o.Group.Topics = append(o.Group.Topics, r.cfg.Topics[i].name)
	}
	if w.draw(siteConfig, entity, 3) == 2 {
		o.Group.Instance = fmt.Sprintf("instance%d", m)
	}
	stay := core.Never
	if r.cfg.Workload == Groups {
		if stay = r.stay(&o.Group, m, entity, r.cfg.rolls[g]); r.departs(g, m) {
			r.departing(&o.Group)
		}
	}
	a := &reading{r: r, group: o.Group.ID, instance: o.Group.Instance, stay: stay, place: m, number: r.oracle.Reader(g), consumer: o.Group.Consumer, rolls: r.cfg.rolls[g], departs: r.departs(g, m), entity: entity, c: client.NewConsumer(o),
		pause: core.Time(10+w.draw(siteConfig, entity, 100)) * core.Millisecond, limit: 1 + int(w.draw(siteConfig, entity, 100))}
	r.members = append(r.members, a)
	return a
}

// resolved looks for signs of life.
func (r *run) resolved(a *producing, i int, f fate, res client.Result) {
	if f == did {
		r.w.told(toldRecord)
		r.acked(a, res)
	}
	if f == did && r.stage >= stageCalm && a.asked[i] >= r.calmFrom {
		a.calmed = true
	}
	if f == didNot {
		r.refused = res.Failure.Error()
	}
}

// truncated is a log that was cut below what a consumer had read.
func (r *run) truncated(at core.TopicPartition, from, to int64) {
	if !r.lossy() {
		r.oracle.fail("I29", "%s-%d: a consumer at %d was told that the log ends at %d", at.Topic, at.Partition, from, to)
	}
}

func (r *run) exited(node int, code int64) {
	n := r.w.Nodes[node]
	if !n.Broker {
		return
	}
	if code == 0 && n.stopping && r.watch[node].wasReady && (r.cfg.Set == SetSync || r.cfg.Set == SetCached) {
		for _, dir := range r.cfg.topology.dirs(n.at) {
			if _, clean := n.Disk.File(dir + marker); !clean {
				r.w.Fail("I13", n.Name+" was stopped in good order and left no marker in "+dir)
			}
		}
		r.files(n)
	}
	r.watch[node].stopped = code == 0
	if n.stopping { // a stop that came in the midst of recovery may be called unclean
		return
	}
	if r.stage == stageChaos {
		if code != 0 && (r.cfg.Set == SetSync || r.cfg.Set == SetCached || r.cfg.Set == SetUnsynced) {
			r.w.Fail("exit", fmt.Sprintf("the broker gave up (%d) although no disk failed: %s", code, n.lastNote))
		}
		return
	}
	if code != 0 {
		if r.exits++; r.exits > 3*r.cfg.topology.nodes() && !r.cfg.Set.Lossy() || r.exits > 200 {
			r.w.Fail("exit", fmt.Sprintf("the broker gave up again and again after healing (%d): %s", code, n.lastNote))
		}
	}
}

// phase is called at the borders of the run and, after healing, every now and then.
func (r *run) phase(p uint64) {
	w := r.w
	if r.oracle.Rule != "" {
		w.Fail(r.oracle.Rule, r.oracle.Text)
		return
	}
	for _, mark := range [...]string{"link.reply-unasked", "link.reply-unreadable"} {
		if w.Marks.Count(mark) > 0 {
			w.Fail("I81", "an answer that belongs to no request, or that cannot be read: "+mark)
		}
	}
	if p == phaseHealed {
		w.tracef("healed")
		w.Rec.row(RowHealed, -1, 0, 0, "")
		w.Heal()
		r.stage, r.calmFrom, r.stageAt = stageCalm, w.now, w.now
		r.mend()
	}
	r.judgeDepartures()
	if r.judgeSuspects(); r.stage == stageDone {
		return
	}
	w.PhaseAt(w.now+pollPause, phasePoll)
	switch r.stage {
	case stageCalm:
		if w.now >= r.calmFrom+core.Second && r.alive() {
			r.enter(stageFlush)
		}
	case stageFlush:
		if r.flushed() {
			r.enter(stageAudit)
			r.shake()
			w.StartAt(w.now+core.Millisecond, r.auditNode)
		}
	case stageAudit:
		if r.audited() {
			if r.judge(); (r.cfg.Set == SetSync || r.cfg.Set == SetCached) && w.draw(siteCrash, 2, 3) == 0 && w.Nodes[0].State == Up && !r.cfg.topology.many() {
				r.enter(stageEnd)
				r.lastLife = w.Nodes[0].Life
				w.Stop(0)
			} else {
				r.enter(stageDone)
			}
		}
	case stageEnd:
		if w.Nodes[0].Life != r.lastLife {
			r.enter(stageDone)
		}
	}
	if !r.over() {
		return
	}
	if r.cfg.Set == SetDamage || r.cfg.Set == SetLying {
		r.judge() // such disks need not come alive
		r.enter(stageDone)
		return
	}
	w.Fail("I87", "no progress after healing: "+r.stuck())
}

func (r *run) enter(s stage) {
	r.w.tracef("stage %d", s)
	r.w.Rec.row(RowStage, -1, int64(s), 0, "")
	r.stage, r.stageAt = s, r.w.now
	if s == stageDone {
		r.w.q.list = r.w.q.list[:0]
		r.w.queue, r.w.head = r.w.queue[:0], 0
	}
}

// over reports whether healing has taken too long. Nothing is appended during the audit, so it comes to an end as long as it goes on, and how
// long that takes is a matter of the configuration: a broker that lets four requests wait inside hands it a segment of three records
// for each long poll of the others. What is too long is a time in which it has read nothing.
func (r *run) over() bool {
	most, from := calmTime, r.stageAt
	if r.opt.Patience > 0 {
		most = r.opt.Patience
	}
	if r.cfg.Set == SetDamage || r.cfg.Set == SetLying {
		most = 8 * core.Second
	} else if r.stage == stageAudit && r.audit != nil {
		from = max(from, r.audit.gotAt)
	}
	return r.w.now > from+most && r.stage != stageDone
}

// mend restarts the broker after faults that only a restart mends, as an operator would.
func (r *run) mend() {
	if r.cfg.Set == SetErrors || r.cfg.Set == SetDamage || r.cfg.Set == SetLying {
		for i := range r.cfg.topology.nodes() {
			if e := uint64(i) << 8; r.w.draw(siteCrash, e, 2) == 0 {
				r.w.Crash(i, r.w.draw(siteCrash, e, 2) == 1)
			} else {
				r.w.Stop(i)
			}
		}
	}
}

// shake takes the broker down once more when nothing is under way: what was acknowledged is there afterwards.
func (r *run) shake() {
	v := r.w.draw(siteCrash, 1, 4)
	for i := range r.cfg.topology.nodes() {
		switch {
		case v == 1:
			r.w.Stop(i)
		case v >= 2:
			r.w.Crash(i, r.cfg.Set != SetCached && v == 3)
		}
	}
}

func (r *run) alive() bool {
	for i, p := range r.producers {
		if r.isAbsent("producer" + strconv.Itoa(i)) {
			continue
		}
		if p == nil || !p.calmed && p.conf.options.Acks != client.AcksNone {
			return false
		}
	}
	return r.admin != nil && r.admin.calmed && r.admin.made == len(r.cfg.Topics) && r.whole() == "" && (r.player == nil || r.player.alive() == "")
}

func (r *run) flushed() bool {
	for i, p := range r.producers {
		if r.isAbsent("producer" + strconv.Itoa(i)) {
			continue
		}
		if p == nil || p.p.Pending() > 0 || !p.ended {
			return false
		}
	}
	return (r.crowd == nil || r.crowd.idle()) && (r.player == nil || r.player.flushed() == "")
}

// audited reports whether the audit and the groups have read all that there is.
func (r *run) audited() bool {
	if r.audit == nil || !r.audit.atEnd {
		return false
	}
	for i := range r.oracle.logs {
		l := &r.oracle.logs[i]
		if l.removable || l.damaged || r.oracle.Rewritable {
			continue
		}
		if l.compacted {
			if !r.groupsAt(l) {
				return false
			}
			continue
		}
		for off := range l.ids {
			if l.ids[off] == 0 || l.read[off]>>auditBit == 0 {
				continue
			}
			for g := range r.cfg.Groups {
				if l.read[off]>>g&1 == 0 && !r.groupGone(g) {
					return false
				}
			}
		}
	}
	return r.whole() == "" && r.converged() == "" && r.unread() == "" && r.harmed() == "" && r.undecided() == "" && (r.player == nil || r.player.audited() == "")
}

// groupsAt reports whether a member of each group stands at the end of a compacted log: what lies between may be gone since the
// audit read it.
func (r *run) groupsAt(l *logOf) bool {
	for g := range r.cfg.Groups {
		if !r.groupGone(g) && !slices.ContainsFunc(r.members, func(m *reading) bool {
			position, _ := m.c.Position(l.at)
			return m.group == fmt.Sprintf("g%d", g) && int64(position) >= l.audited
		}) {
			return false
		}
	}
	return true
}

func (r *run) judge() {
	if groups := len(r.cfg.Groups); r.cfg.Set != SetLying && r.audit != nil && r.audit.atEnd {
		if r.cfg.Set == SetDamage { // nobody waited for them
			groups = 0
		}
		for g := range r.cfg.Groups {
			if r.groupGone(g) {
				r.oracle.Gone |= 1 << g
			}
		}
		r.oracle.Final(groups)
	}
	if r.admin != nil && r.admin.state == askWaiting {
		r.admin.unanswered()
	}
	r.oracle.Forgetful = r.cfg.Set == SetDamage && r.metadataHurt()
	r.judgeProbes()
	if r.cfg.Set != SetLying && !r.metadataHurt() && !r.groupsHurt() {
		r.judgeGroups()
	}
	r.assigned()
	if r.cfg.Set == SetDamage {
		r.order()
	} else if r.cfg.Set != SetLying && r.audit != nil && r.audit.atEnd {
		r.judgeTransactions()
	}
	if r.cfg.Set != SetLying {
		r.oracle.Judge(r.audit != nil && r.audit.atEnd)
		if r.player != nil {
			r.player.judge(r.audit != nil && r.audit.atEnd)
		}
	}
	if r.oracle.Rule != "" {
		r.w.Fail(r.oracle.Rule, r.oracle.Text)
	}
}

// stuck says who does not come forward.
func (r *run) stuck() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stage %d", r.stage)
	r.stuckServers(&b)
	for i, p := range r.producers {
		if p != nil {
			fmt.Fprintf(&b, "; producer %d: pending %d calmed %v (%s)", i, p.p.Pending(), p.calmed, p.p.Trouble().Error())
		}
	}
	if r.admin != nil {
		fmt.Fprintf(&b, "; admin: made %d of %d, calmed %v, state %d", r.admin.made, len(r.cfg.Topics), r.admin.calmed, r.admin.state)
	}
	if r.audit != nil {
		fmt.Fprintf(&b, "; audit at end %v, behind in %v (%s)", r.audit.atEnd, r.audit.behind(), r.audit.c.Trouble().Error())
	}
	for _, m := range r.members {
		for _, at := range m.c.Reading() {
			position, end := m.c.Position(at)
			fmt.Fprintf(&b, "; a member is at %d of %d in %s-%d", position, end, at.Topic, at.Partition)
		}
	}
	if r.player != nil {
		for _, what := range []string{r.player.alive(), r.player.flushed(), r.player.audited()} {
			if what != "" {
				b.WriteString("; " + what)
			}
		}
	}
	if r.refused != "" {
		fmt.Fprintf(&b, "; last refusal: %s", r.refused)
	}
	for i := range r.oracle.logs {
		l := &r.oracle.logs[i]
		for g := range r.cfg.Groups {
			n, last := 0, 0
			for off := range l.ids {
				if l.ids[off] != 0 && l.read[off]>>g&1 == 0 {
					n, last = n+1, off
				}
			}
			if n > 0 && !l.removable {
				fmt.Fprintf(&b, "; group %d has not read %d of %s-%d, the last at %d of %d", g, n, l.at.Topic, l.at.Partition, last, len(l.ids))
			}
		}
	}
	return b.String()
}

func (r *run) result(seed uint64) Result {
	w := r.w
	if r.oracle.Rule != "" {
		w.Fail(r.oracle.Rule, r.oracle.Text)
	}
	if w.Failure != nil && (r.cfg.topology.ledger || r.cfg.topology.wipes) {
		w.Failure.Text += "; " + r.ledger.String()
	}
	w.Rec.ended()
	marks := new(core.Marks)
	*marks = w.Marks // a pointer into the world would keep all of it alive as long as its result
	res := Result{Seed: seed, Set: r.cfg.Set, Failure: w.Failure, Hash: w.Hash, Events: w.Events, Steps: w.Steps, Acked: r.oracle.Acked,
		Read: r.oracle.Read, Calm: r.stage == stageDone, Time: w.now, Counts: w.Counts, Net: w.Net.Counts, Marks: marks, Deeds: r.deeds}
	for _, n := range w.Nodes {
		for i, c := range n.Disk.Counts {
			res.Disk[i] += c
		}
		n.Disk.Free()
	}
	w.Net.Free()
	for k, c := range w.Counts {
		switch FaultKind(k) {
		case Kill, PowerLoss:
			res.Crashes += int(c)
		}
		if FaultKind(k) != Restart && FaultKind(k) != StoppedClean && (FaultKind(k) < HostileTLS || FaultKind(k).planned()) {
			res.Faults += int(c)
		}
	}
	return res
}
