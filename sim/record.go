package sim

import (
	"strconv"

	"klamm/checker"
	"klamm/core"
	"klamm/core/image"
	"klamm/core/quorum"
)

// Recording is a run as typed values, for those who show it to a person. A run that is recorded is the same run: nothing is
// drawn, nothing is asked of the world, and what it looks at it only reads. A run that is not recorded has none, and every
// hook ends at that.
//
// Invariants: the lists are in the order in which things happened, but for what a later event fills in (Until, Got, Settled);
// a Name is an index of Names; nothing is kept of what came after Limit entries, but for the rule that broke.
type Recording struct {
	Nodes    []RecordedNode
	Rows     []Row
	Frames   []FrameSent
	Deeds    []Deed
	Subjects []Subject
	Changes  []Change
	Names    []string
	Plan     []Fault // as it was in the end: with what followed from other faults

	Topics []RecordedTopic

	// Picture is porcupine's page of the history that no order explains, if that is what broke; PictureOf says whose history it is.
	Picture, PictureOf string

	Config string // of the run, for a reader
	From   uint64 // the first step of which all is kept; of those before only lives, faults and what changed
	Limit  int    // entries of all lists together; 0 is recordMax
	Cut    bool   // more happened than was kept
	CutAt  uint64 // then: the step

	w      *World
	node   int // whose Step is under way, or -1
	names  map[string]int32
	eyes   []eye
	lines  map[lineKey]*recordedLine
	deeds  map[uint64]int32 // pending, by record
	cutsTo []core.Time

	linesMade int
}

// recordMax bounds a recording: some 100 bytes an entry, and the frames themselves.
const recordMax = 1_500_000

// Moment is when something happened.
type Moment struct {
	Step uint64
	At   core.Time // of the world
}

// Came reports whether there is such a moment.
func (m Moment) Came() bool { return m.At != core.Never }

// Name is an index of Recording.Names.
type Name int32

// RecordedNode is a node of the world.
type RecordedNode struct {
	Name   string
	Broker bool
	Roles  string // of a server: process.roles
}

// RecordedTopic is a topic that there has been. A name may have had several ids, one after the other.
type RecordedTopic struct {
	Name string
	ID   core.TopicID
}

// RowKind says what a Row tells.
type RowKind uint8

// The kinds of rows; what A, B and Text are of each.
const (
	RowStarts     RowKind = iota // a life begins; A: its number
	RowReady                     // it says that it serves
	RowKilled                    // its process ends at once
	RowPowerLost                 // and what was not synced may be lost
	RowStopAsked                 // in good order
	RowExits                     // of its own; A: the code; Text: the last note
	RowPaused                    // A: for how long, ns
	RowResumed                   //
	RowFault                     // A: index of the plan
	RowFaultEnd                  // likewise
	RowCut                       // what travels from this node to node A is held back; B: until, ns
	RowHealed                    // all faults end; Node -1
	RowStage                     // A: the stage; Node -1
	RowNote                      // A: level; Text
	RowDial                      // A: the node; Text: the address
	RowDialled                   // Err: what came of it
	RowClosed                    // a connection ended; Err: how; A: the other node
	RowOpen                      // of a file; Text: its path. Until: when the answer came; Err: what it was
	RowWrite                     // likewise; A: offset, B: bytes
	RowSync                      // likewise
	RowRead                      // likewise; A: offset, B: bytes
	RowTruncate                  // likewise; A: the size
	RowDisk                      // any other effect on files; A: its core.EffectKind
	RowRegistered                // the newest metadata that any node has; Text: partition; A: leader; B: leader epoch
	RowBroken                    // a rule broke; Text: what
	RowKinds
)

// Row is one thing that happened at a node.
type Row struct {
	Moment
	Until Moment // of what is answered: when it was
	Kind  RowKind
	Err   core.Errno
	Node  int16 // -1: of none, or of all
	Life  uint32
	A, B  int64
	Text  Name
}

// FrameSent is a frame on its way from one node to another.
type FrameSent struct {
	Sent, Got Moment // Got: never, if the connection broke first or the receiver was no more
	From, To  int16
	Line      int32  // which connection: all that belong together have the same
	Asks      int32  // of an answer: the index of the request it answers; -1: none is known
	Request   bool   // from the side that dialled
	Bytes     []byte // the whole frame; of one that never came, what the sender gave itself, without ranges of files
	Size      int    // length of the frame
}

// DeedKind is what a client did.
type DeedKind uint8

// The kinds.
const (
	DeedProduce DeedKind = iota // one record
	DeedRead                    // one record that it was given
)

// Outcome is what a client knows of what it did.
type Outcome uint8

// The outcomes.
const (
	OutcomeOpen    Outcome = iota // the run ended before it was known
	OutcomeDone                   // it was told that it is done
	OutcomeRefused                // it was told that it is not, and will not be
	OutcomeUnknown                // it may be or not
	OutcomeLost                   // the client itself ended meanwhile
)

// Deed is one thing that a client did.
type Deed struct {
	Asked, Settled Moment
	Kind           DeedKind
	Outcome        Outcome
	Node           int16
	Record         uint64 // as the judge names it
	Partition      int32
	Topic          Name
	Offset         int64 // -1: not known
}

// record begins to record.
func (w *World) record(rec *Recording) {
	if w.Rec = rec; rec == nil {
		return
	}
	if rec.Limit == 0 {
		rec.Limit = recordMax
	}
	rec.w, rec.node = w, -1
	rec.names, rec.lines, rec.deeds = map[string]int32{}, map[lineKey]*recordedLine{}, map[uint64]int32{}
	rec.name("")
	rec.topic(quorum.Partition.Topic, quorum.TopicID)
}

// nodesKnown notes the run's configuration and its nodes, once all are there.
func (rec *Recording) nodesKnown(cfg *Config) {
	if rec == nil {
		return
	}
	rec.Config = cfg.String()
	roles := cfg.topology.roles
	for i, n := range rec.w.Nodes {
		x := RecordedNode{Name: n.Name, Broker: n.Broker}
		if i < len(roles) {
			x.Roles = roleNames[roles[i]]
		}
		rec.Nodes = append(rec.Nodes, x)
	}
	rec.eyes = make([]eye, len(rec.Nodes))
	rec.cutsTo = make([]core.Time, len(rec.Nodes)*len(rec.Nodes))
}

// never is what did not come.
var never = Moment{At: core.Never}

func (rec *Recording) now() Moment { return Moment{rec.w.Steps, rec.w.now} }

func (rec *Recording) name(s string) Name {
	i, known := rec.names[s]
	if !known {
		i = int32(len(rec.Names))
		rec.names[s] = i
		rec.Names = append(rec.Names, s)
	}
	return Name(i)
}

// full reports that no more is kept.
func (rec *Recording) full() bool {
	if !rec.Cut && len(rec.Rows)+len(rec.Frames)+len(rec.Deeds)+len(rec.Changes) >= rec.Limit {
		rec.Cut, rec.CutAt = true, rec.w.Steps
	}
	return rec.Cut
}

// early reports that what happens now is left out, but for what a reader has to know of the time before From.
func (rec *Recording) early() bool { return rec.w.Steps < rec.From }

// row notes what happened at a node, now.
func (rec *Recording) row(kind RowKind, node int, a, b int64, text string) {
	if rec == nil || rec.full() && kind != RowBroken || kind > RowStage && kind != RowBroken && rec.early() {
		return
	}
	r := Row{Moment: rec.now(), Until: never, Kind: kind, Node: int16(node), A: a, B: b, Text: rec.name(text)}
	if node >= 0 {
		r.Life = rec.w.Nodes[node].Life
	}
	rec.Rows = append(rec.Rows, r)
	if node >= 0 && len(rec.eyes) > 0 {
		rec.lookNode(node)
	}
}

// broken notes the rule that broke, at the node whose Step is under way, if one is.
func (rec *Recording) broken(rule, text string) {
	if rec != nil {
		rec.row(RowBroken, rec.node, 0, 0, rule+": "+text)
	}
}

// topicHistory and registerHistory keep the picture of the first history that no order explains.
func (rec *Recording) topicHistory(of string, list []checker.TopicOp) {
	if rec != nil && rec.Picture == "" {
		rec.Picture, rec.PictureOf = checker.DrawTopic(list), of
	}
}

func (rec *Recording) registerHistory(of string, list []checker.Register) {
	if rec != nil && rec.Picture == "" {
		rec.Picture, rec.PictureOf = checker.DrawRegister(list), of
	}
}

// crashed notes a crash.
func (rec *Recording) crashed(node int, power bool) {
	if power {
		rec.row(RowPowerLost, node, 0, 0, "")
		return
	}
	rec.row(RowKilled, node, 0, 0, "")
}

// lookNow looks at a node between two Steps.
func (rec *Recording) lookNow(node int) {
	if rec != nil {
		rec.lookNode(node)
	}
}

// registered notes what the newest metadata say of a partition.
func (rec *Recording) registered(t *image.Topic, p *image.Partition) {
	if rec == nil {
		return
	}
	if n := len(rec.Topics); n == 0 || rec.Topics[n-1].ID != t.ID {
		rec.topic(t.Name, t.ID)
	}
	isr := rec.Names[rec.nodesName(p.ISR)]
	rec.row(RowRegistered, -1, int64(p.Leader), int64(p.LeaderEpoch), t.Name+"-"+strconv.Itoa(int(p.ID))+" isr "+isr)
}

func (rec *Recording) topic(name string, id core.TopicID) {
	for _, t := range rec.Topics {
		if t.ID == id {
			return
		}
	}
	rec.Topics = append(rec.Topics, RecordedTopic{name, id})
}

// ended notes what is known when the run is over.
func (rec *Recording) ended() {
	if rec != nil {
		rec.Plan, rec.w = rec.w.plan, nil
	}
}

// died notes that a machine, or the world, has panicked: the result is told when and where.
func (rec *Recording) died(res *Result) {
	if rec == nil || rec.w == nil {
		return
	}
	res.Steps, res.Time, res.Hash, res.Failure.Step, res.Failure.At = rec.w.Steps, rec.w.now, rec.w.Hash, rec.w.Steps, rec.w.now
	rec.broken(res.Failure.Rule, res.Failure.Text)
	rec.ended()
}

// cuts notes which links a fault has cut.
func (rec *Recording) cuts() {
	if rec == nil {
		return
	}
	n := len(rec.Nodes)
	for from := range n {
		for to := range n {
			if until := rec.w.Net.Held(from, to); until != rec.cutsTo[from*n+to] {
				if rec.cutsTo[from*n+to] = until; until > rec.w.now {
					rec.row(RowCut, from, int64(to), int64(until), "")
				}
			}
		}
	}
}

// fell notes that a node's life is over: what it had asked for is answered no more.
func (rec *Recording) fell(node int) {
	if rec == nil {
		return
	}
	rec.dropLines(node)
	e := &rec.eyes[node]
	e.open, e.files = nil, nil
	rec.closeEye(node)
	if n := rec.w.Nodes[node]; !n.Broker {
		for i := e.deedsFrom; i < len(rec.Deeds); i++ {
			if d := &rec.Deeds[i]; int(d.Node) == node && d.Outcome == OutcomeOpen {
				d.Outcome, d.Settled = OutcomeLost, rec.now()
			}
		}
		e.deedsFrom = len(rec.Deeds)
	}
}

// sent notes a record that a client is given to produce.
func (rec *Recording) sent(id uint64, topic string) {
	if rec == nil || rec.node < 0 || rec.full() || rec.early() {
		return
	}
	rec.deeds[id] = int32(len(rec.Deeds))
	rec.Deeds = append(rec.Deeds, Deed{Asked: rec.now(), Settled: never, Kind: DeedProduce, Node: int16(rec.node), Record: id, Partition: -1, Topic: rec.name(topic), Offset: -1})
}

// resolved notes what a client was told of a record.
func (rec *Recording) resolved(id uint64, at core.TopicPartition, offset int64, f fate) {
	if rec == nil {
		return
	}
	i, known := rec.deeds[id]
	if !known {
		return
	}
	delete(rec.deeds, id)
	d := &rec.Deeds[i]
	d.Settled = rec.now()
	switch f {
	case did:
		d.Outcome = OutcomeDone
	case didNot:
		d.Outcome = OutcomeRefused
	case mayHave:
		d.Outcome = OutcomeUnknown
	}
	if at.Topic != "" {
		d.Partition, d.Offset = at.Partition, offset
	}
}

// got notes a record that a client was given.
func (rec *Recording) got(at core.TopicPartition, offset int64, id uint64) {
	if rec == nil || rec.node < 0 || rec.full() || rec.early() {
		return
	}
	rec.Deeds = append(rec.Deeds, Deed{Asked: rec.now(), Settled: rec.now(), Kind: DeedRead, Outcome: OutcomeDone, Node: int16(rec.node), Record: id,
		Partition: at.Partition, Topic: rec.name(at.Topic), Offset: offset})
}
