package broker

import (
	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Task is a request, or a job, that outlives its Step. See core.Task.
type Task = core.Task[Broker]

// waitKind says what a Task waits for.
type waitKind uint8

const (
	waitPartition waitKind = iota // what clients may see of a log: high watermark, start, state. ID: log.LogID
	waitWritten                   // how far a log is written and synced. ID: log.LogID
	waitImage                     // a newer image, or a partition that became usable
	waitTicket                    // a read or seek of the store. ID: log.Ticket
	waitShard                     // a coordinator's shard. ID: its partition
	waitVerify                    // an answer about a transaction. ID: the number of the question
	waitTxns                      // a coordinator's shard of __transaction_state. ID: its partition
	waitGroup                     // a group. Name: its id
	waitWork                      // a piece of work of table 1. ID: its core.Op
	waitIDs                       // a block of producer ids
	waitLed                       // the beginning of a leadership here
	waitCreate                    // a topic that the controller is asked to make. Name: its name
	waitForward                   // the answer to a forwarded request. ID: its number
	waitQuorum                    // an answer of the quorum's node. ID: its ticket
	waitLeader                    // another leader of the metadata log
)

// waitKey is one thing that a Task waits for. Whoever changes the thing calls wake with the same key.
type waitKey struct {
	kind waitKind
	id   uint64
	name string
}

// TasksMax bounds the Tasks of one broker. Connections have at most RequestsPerConnMax requests each,
// so that it is reached only by very many connections; then a request closes its connection.
const TasksMax = 1 << 20

// PeerTasksMax bounds the Tasks of other nodes' requests that find room when clients have filled TasksMax.
const PeerTasksMax = 4096

const timerTask uint8 = 1 // A: slot, B: generation

// tasks is the table of everything that waits.
//
// Invariants: a used slot's registrations (waits, linked through sibling) are each in the list of their
// key; ready holds each slot at most once (slot.queued).
type tasks struct {
	slots []taskSlot
	free  []int32
	waits []wait                // nodes of the lists, by index; 0 is none
	spare int32                 // first free node
	heads map[plainKey]waitList // of keys without a name,
	named map[waitKey]waitList  // and of those with one
	ready []int32
	live  int
	at    int32 // the slot that is being advanced, or -1

	results []result
}

type taskSlot struct {
	task     Task
	conn     core.ConnID // whose request it is, or 0
	seq      uint64
	deadline core.Time
	timerAt  core.Time // the earliest timer set for this slot, in whichever life; 0: none
	gen      uint32
	first    int32 // its registrations
	queued   bool
}

type wait struct {
	key        waitKey
	slot       int32
	prev, next int32 // in the list of key
	sibling    int32 // the next registration of the same task, or the next free node
}

type waitList struct{ first, last int32 }

// plainKey is a waitKey without a name: it is hashed in one piece, which is most of what waking costs.
type plainKey struct{ kind, id uint64 }

// list is the list of those who wait for a key.
func (t *tasks) list(k waitKey) waitList {
	if k.name == "" {
		return t.heads[plainKey{uint64(k.kind), k.id}]
	}
	return t.named[k]
}

func (t *tasks) setList(k waitKey, l waitList) {
	p := plainKey{uint64(k.kind), k.id}
	switch {
	case k.name != "" && l.first == 0:
		delete(t.named, k)
	case k.name != "":
		t.named[k] = l
	case l.first == 0:
		delete(t.heads, p)
	default:
		t.heads[p] = l
	}
}

func (t *tasks) init() {
	t.heads, t.named = map[plainKey]waitList{}, map[waitKey]waitList{}
	t.waits = make([]wait, 1)
	t.at = -1
}

// park keeps a Task until its Advance returns true. It is advanced when one of keys is woken, when the
// deadline comes (core.Never: it has none), and when its connection is closed. It has been advanced once
// by its maker before, if that is needed: park does not.
//
// r names the request that the Task answers; the zero request is for jobs of the broker's own.
func (b *Broker) park(r request, task Task, deadline core.Time, keys ...waitKey) {
	t := &b.tasks
	core.Must(t.live < TasksMax+PeerTasksMax, "room for a task was made sure of at the door")
	var i int32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		i = int32(len(t.slots))
		t.slots = append(t.slots, taskSlot{})
	}
	s := &t.slots[i]
	s.task, s.conn, s.seq, s.deadline, s.first, s.queued = task, r.conn, r.seq, deadline, 0, false
	s.gen++
	t.live++
	for _, k := range keys {
		t.register(i, k)
	}
	b.setTaskTimer(i)
	if c := b.conns.find(r.conn); c != nil {
		if p := c.find(r.seq); p != nil {
			p.task = i + 1
		}
	}
}

// alsoWait adds a key to the Task that is being advanced.
func (b *Broker) alsoWait(k waitKey) {
	core.Must(b.tasks.at >= 0, "a task is being advanced")
	b.tasks.register(b.tasks.at, k)
}

// deadline is that of the Task that is being advanced; core.Never if there is none.
func (b *Broker) deadline() core.Time {
	if b.tasks.at < 0 {
		return core.Never
	}
	return b.tasks.slots[b.tasks.at].deadline
}

// wakeAt has the Task that is being advanced woken at another time than its deadline so far.
func (b *Broker) wakeAt(t core.Time) {
	core.Must(b.tasks.at >= 0, "a task is being advanced")
	b.tasks.slots[b.tasks.at].deadline = t
	b.setTaskTimer(b.tasks.at)
}

// setTaskTimer makes sure that a timer comes no later than the deadline. Timers cannot be taken out, so
// one that an earlier life of the slot has set is used again: there are about as many as slots.
func (b *Broker) setTaskTimer(i int32) {
	s := &b.tasks.slots[i]
	if s.deadline != core.Never && (s.timerAt == 0 || s.deadline < s.timerAt) {
		b.timers.Set(s.deadline, timerTask, uint64(i), 0)
		s.timerAt = s.deadline
	}
}

// wake marks the Tasks that wait for k: they are advanced before this Step ends, in the order in which
// they registered.
func (b *Broker) wake(k waitKey) {
	t := &b.tasks
	for n := t.list(k).first; n != 0; n = t.waits[n].next {
		t.queue(t.waits[n].slot)
	}
}

func (t *tasks) queue(i int32) {
	if s := &t.slots[i]; !s.queued {
		s.queued = true
		t.ready = append(t.ready, i)
	}
}

// taskTimer is called when a timer of a slot has come.
func (b *Broker) taskTimer(now core.Now, tm core.Timer) {
	i := int32(tm.A)
	s := &b.tasks.slots[i]
	if s.timerAt == tm.At {
		s.timerAt = 0
	}
	if s.task == nil {
		return
	}
	if s.deadline <= now.Mono {
		b.tasks.queue(i)
		return
	}
	b.setTaskTimer(i)
}

// advance runs every Task that was woken, until none is left. It reports whether there was any.
func (b *Broker) advance(now core.Now, out *core.Out) bool {
	t := &b.tasks
	if len(t.ready) == 0 {
		return false
	}
	for at := 0; at < len(t.ready); at++ {
		i := t.ready[at]
		s := &t.slots[i]
		s.queued = false
		if s.task == nil {
			continue
		}
		t.at = i
		over := s.task.Advance(b, now, out)
		t.at = -1
		if over {
			t.end(i)
		}
	}
	t.ready = t.ready[:0]
	clear(t.results)
	t.results = t.results[:0]
	return true
}

// end takes a task out.
func (t *tasks) end(i int32) {
	s := &t.slots[i]
	for n := s.first; n != 0; {
		w := &t.waits[n]
		next := w.sibling
		l := t.list(w.key)
		if w.prev != 0 {
			t.waits[w.prev].next = w.next
		} else {
			l.first = w.next
		}
		if w.next != 0 {
			t.waits[w.next].prev = w.prev
		} else {
			l.last = w.prev
		}
		t.setList(w.key, l)
		*w = wait{sibling: t.spare}
		t.spare = n
		n = next
	}
	s.task, s.first, s.conn = nil, 0, 0
	t.free = append(t.free, i)
	t.live--
}

func (t *tasks) register(i int32, k waitKey) {
	n := t.spare
	if n != 0 {
		t.spare = t.waits[n].sibling
	} else {
		n = int32(len(t.waits))
		t.waits = append(t.waits, wait{})
	}
	l := t.list(k)
	t.waits[n] = wait{key: k, slot: i, prev: l.last, sibling: t.slots[i].first}
	t.slots[i].first = n
	if l.last != 0 {
		t.waits[l.last].next = n
	} else {
		l.first = n
	}
	l.last = n
	t.setList(k, l)
}

// result is what a ticket or a piece of work came to. It is there for the Tasks that were woken by it, until they
// have been advanced.
type result struct {
	key       waitKey
	err       core.Errno
	data      []byte
	offset    core.Offset
	timestamp int64
	epoch     core.Epoch
	code      wire.Code
	resp      kmsg.Response
}

// deliver hands a result to the Tasks that wait for its key; without one it is forgotten.
func (b *Broker) deliver(r result) {
	if b.tasks.list(r.key).first == 0 {
		return
	}
	b.tasks.results = append(b.tasks.results, r)
	b.wake(r.key)
}

// found is the result with that key, if it has just come.
func (b *Broker) found(k waitKey) (result, bool) {
	for i := range b.tasks.results {
		if b.tasks.results[i].key == k {
			return b.tasks.results[i], true
		}
	}
	return result{}, false
}

// WakeAll marks every Task. A test calls it after each Step, twice: waking for nothing changes nothing.
func (b *Broker) WakeAll() {
	for i := range b.tasks.slots {
		if b.tasks.slots[i].task != nil {
			b.tasks.queue(int32(i))
		}
	}
}
