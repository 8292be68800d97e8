package sim

import (
	"iter"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/group"
	"klamm/core/log"
	"klamm/core/quorum"
	"klamm/core/txn"
)

// This file records what a node is like after each Step: only what differs from the last look.

// SubjectKind is what a Subject is about.
type SubjectKind uint8

// The kinds.
const (
	SubjectNode SubjectKind = iota
	SubjectQuorum
	SubjectLog
	SubjectGroup
	SubjectTxn
	SubjectKinds
)

// Subject is something at a node that changes.
type Subject struct {
	Node int16
	Kind SubjectKind
	Name Name // of a partition, a group, a transactional id
}

// Field is what of a subject changes. Each kind has its own.
type Field uint8

// The fields. Those of names hold a Name.
const (
	NodeState Field = iota // State
	NodeLife
	NodeReady
	NodeStopping
	NodeJumped // of the wall clock, ms
	NodeDrift  // parts per million
	NodeFields
)

// Of the part in the metadata quorum.
const (
	QuorumRole Field = iota // name
	QuorumEpoch
	QuorumLeader
	QuorumVoted
	QuorumVoters // name
	QuorumHigh
	QuorumEnd
	QuorumImage // end of the metadata that the node goes by
	QuorumFields
)

// Of a log.
const (
	LogRole Field = iota
	LogEpoch
	LogStart
	LogEnd
	LogHigh
	LogDurable
	LogStable
	LogISR   // name; of a leader
	LogAsked // likewise: the in-sync set that it has asked for
	LogMin   // likewise: min.insync.replicas
	LogFields
)

// The roles of a log. Of one that loads nothing else is known.
const (
	LogLoads int64 = iota
	LogOffline
	LogFollows
	LogLeads
)

// Of a group, at its coordinator.
const (
	GroupPhase Field = iota // name
	GroupGeneration
	GroupMembers
	GroupFields
)

// Of a transactional id, likewise.
const (
	TxnStatus Field = iota // name
	TxnProducer
	TxnEpoch
	TxnPartitions
	TxnUnmarked
	TxnFields
)

// fieldsMax is at least how many fields any kind has.
const fieldsMax = 10

// Change is one field of one subject that has another value from a moment on.
type Change struct {
	Moment
	Subject int32
	Field   Field
	Value   int64
}

// Vanished is the value of the first field of what is no more.
const Vanished = -1 << 62

// eye is the last look at a node.
type eye struct {
	node, quorum seenNow
	logs         []seenNow // by log id
	coords       []seenNow // groups and transactional ids
	ready        bool
	voters       []quorum.Voter
	votersName   Name

	conns     []core.ConnID
	accepted  []acceptedLine
	open      map[core.Op]int32    // rows that have no answer; look-up only
	files     map[core.FileID]Name // look-up only
	deedsFrom int
}

type acceptedLine struct {
	remote string
	line   *recordedLine
}

// seenNow is a subject's last values.
type seenNow struct {
	subject int32 // plus one; 0: it is not known yet
	name    string
	kind    SubjectKind
	fresh   bool
	there   bool
	topic   core.TopicID // of a log
	values  [fieldsMax]int64
}

func (e *eye) bind(f core.FileID, path Name) {
	if e.files == nil {
		e.files = map[core.FileID]Name{}
	}
	e.files[f] = path
}

func (e *eye) file(f core.FileID) Name { return e.files[f] }

func (e *eye) wait(op core.Op, row int32) {
	if e.open == nil {
		e.open = map[core.Op]int32{}
	}
	e.open[op] = row
}

// set notes a value if it is another one.
func (rec *Recording) set(s *seenNow, f Field, v int64) {
	if s.there && s.values[f] == v || rec.full() {
		return
	}
	s.values[f] = v
	rec.Changes = append(rec.Changes, Change{rec.now(), s.subject - 1, f, v})
}

// see notes all values of a subject.
func (rec *Recording) see(s *seenNow, node int, kind SubjectKind, name string, values ...int64) {
	if s.subject == 0 {
		rec.Subjects = append(rec.Subjects, Subject{int16(node), kind, rec.name(name)})
		s.subject, s.name, s.kind = int32(len(rec.Subjects)), name, kind
	}
	for f, v := range values {
		rec.set(s, Field(f), v)
	}
	s.there = true
}

// vanish notes that a subject is no more.
func (rec *Recording) vanish(s *seenNow) {
	if s.there {
		rec.set(s, 0, Vanished)
		s.there = false
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// lookNode notes how a node is.
func (rec *Recording) lookNode(node int) {
	n, e := rec.w.Nodes[node], &rec.eyes[node]
	rec.see(&e.node, node, SubjectNode, n.Name, int64(n.State), int64(n.Life), truth(e.ready), truth(n.stopping), n.jumped.Millis(), n.drift)
}

// closeEye notes that all that was known of a node's life is over.
func (rec *Recording) closeEye(node int) {
	e := &rec.eyes[node]
	e.ready = false
	rec.vanish(&e.quorum)
	for i := range e.logs {
		rec.vanish(&e.logs[i])
	}
	for i := range e.coords {
		rec.vanish(&e.coords[i])
	}
	rec.lookNode(node)
}

// coordinating is a broker that lets its groups and transactions be looked at.
type coordinating interface {
	Groups() iter.Seq2[int32, group.Now]
	Transactions() iter.Seq2[int32, txn.Now]
}

// stepped looks at a server after its Step.
func (rec *Recording) stepped(node int) {
	n, e := rec.w.Nodes[node], &rec.eyes[node]
	if rec.node = -1; !n.Broker {
		return
	}
	if r, ok := n.Machine.(interface{ Ready() bool }); ok {
		if ready := r.Ready(); ready != e.ready {
			if e.ready = ready; ready {
				rec.row(RowReady, node, int64(n.Life), 0, "")
			}
			rec.lookNode(node)
		}
	}
	m, ok := n.Machine.(member)
	if !ok {
		return
	}
	s := m.Store()
	if q := m.Quorum(); q != nil && s != nil {
		rec.lookQuorum(node, m, q, s)
	}
	if s != nil {
		rec.lookLogs(node, n, m, s)
	}
	if c, ok := n.Machine.(coordinating); ok {
		rec.lookCoords(node, c)
	}
}

func (rec *Recording) lookQuorum(node int, m member, q *quorum.Node, s *log.Store) {
	e := &rec.eyes[node]
	epoch, leader, voted := q.Ballot()
	voters := q.Voters()
	if e.votersName == 0 || !equalVoters(voters, e.voters) {
		var b strings.Builder
		for i, v := range voters {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.Itoa(int(v.ID)))
		}
		e.voters, e.votersName = append(e.voters[:0], voters...), rec.name("["+b.String()+"]")
	}
	end, image := int64(-1), int64(-1)
	if _, ok := q.Log(); ok {
		end = int64(q.End(s))
	}
	if img := m.Image(); img != nil {
		image = int64(img.End())
	}
	rec.see(&e.quorum, node, SubjectQuorum, "", int64(rec.name(q.Role().String())), int64(epoch), int64(leader), int64(voted), int64(e.votersName), int64(q.High()), end, image)
}

func equalVoters(a, b []quorum.Voter) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// lookLogs looks at the logs of a server.
func (rec *Recording) lookLogs(node int, n *Node, m member, s *log.Store) {
	e := &rec.eyes[node]
	for _, id := range s.IDs() {
		l := s.Log(id)
		for len(e.logs) <= int(id) {
			e.logs = append(e.logs, seenNow{})
		}
		x := &e.logs[id]
		if p := l.Partition(); x.subject == 0 || !isOf(x.name, p) {
			name := p.Topic + "-" + strconv.Itoa(int(p.Partition))
			rec.vanish(x)
			*x = seenNow{subject: rec.subject(node, SubjectLog, name), name: name, kind: SubjectLog}
		}
		if id := l.TopicID(); id != x.topic {
			if x.topic = id; !id.IsZero() {
				rec.topic(l.Partition().Topic, id)
			}
		}
		role, epoch, isr, asked, least := LogFollows, int64(l.Epoch()), Name(0), Name(0), int64(0)
		lead := m.Leading(id)
		switch {
		case !l.Online() && l.Offline() == "":
			rec.see(x, node, SubjectLog, x.name, LogLoads, -1, -1, -1, -1, -1, -1, 0, 0, 0)
			continue
		case !l.Online():
			role = LogOffline
		case lead != nil:
			role, epoch, least = LogLeads, int64(lead.Epoch()), int64(lead.Min())
			isr, asked = rec.nodesName(lead.ISR()), rec.nodesName(lead.Asked())
		case l.Partition() == quorum.Partition && m.Quorum() != nil && m.Quorum().Leads():
			role = LogLeads
		}
		rec.see(x, node, SubjectLog, x.name, role, epoch, int64(l.Start()), int64(l.End()), int64(l.High()), int64(l.Durable()), int64(l.LastStable()), int64(isr), int64(asked), least)
	}
}

// isOf reports whether a name is a partition's, without making it.
func isOf(name string, p core.TopicPartition) bool {
	n := len(p.Topic)
	if len(name) < n+2 || name[:n] != p.Topic || name[n] != '-' {
		return false
	}
	v := int32(0)
	for _, c := range name[n+1:] {
		v = v*10 + int32(c-'0')
	}
	return v == p.Partition
}

// subject finds or makes a subject; the result is its index plus one.
func (rec *Recording) subject(node int, kind SubjectKind, name string) int32 {
	at := rec.name(name)
	for i, s := range rec.Subjects {
		if int(s.Node) == node && s.Kind == kind && s.Name == at {
			return int32(i + 1)
		}
	}
	rec.Subjects = append(rec.Subjects, Subject{int16(node), kind, at})
	return int32(len(rec.Subjects))
}

// nodesName is a list of nodes, for a reader.
func (rec *Recording) nodesName(list []core.NodeID) Name {
	if list == nil {
		return 0
	}
	var buf [64]byte
	b := append(buf[:0], '[')
	for i, n := range list {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	b = append(b, ']')
	if i, known := rec.names[string(b)]; known {
		return Name(i)
	}
	return rec.name(string(b))
}

// lookCoords looks at the groups and transactional ids that a server coordinates.
func (rec *Recording) lookCoords(node int, c coordinating) {
	e := &rec.eyes[node]
	for i := range e.coords {
		e.coords[i].fresh = false
	}
	for _, g := range c.Groups() {
		rec.see(rec.coord(node, SubjectGroup, g.Name), node, SubjectGroup, g.Name, int64(rec.name(g.Phase)), int64(g.Generation), int64(g.Members))
	}
	for _, t := range c.Transactions() {
		rec.see(rec.coord(node, SubjectTxn, t.ID), node, SubjectTxn, t.ID, int64(rec.name(t.Status.String())), t.Producer.ID, int64(t.Producer.Epoch), int64(t.Partitions), int64(t.Unmarked))
	}
	for i := range e.coords {
		if x := &e.coords[i]; !x.fresh {
			rec.vanish(x)
		}
	}
}

// coord is what was seen of a group or transactional id last.
func (rec *Recording) coord(node int, kind SubjectKind, name string) *seenNow {
	e := &rec.eyes[node]
	for i := range e.coords {
		if x := &e.coords[i]; x.kind == kind && x.name == name {
			x.fresh = true
			return x
		}
	}
	e.coords = append(e.coords, seenNow{subject: rec.subject(node, kind, name), kind: kind, name: name, fresh: true})
	return &e.coords[len(e.coords)-1]
}
