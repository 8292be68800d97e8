package sim

import (
	"encoding/binary"
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/client"
)

// The workload: machines of core/client, each with an owner here that gives it work drawn from the seed and
// tells the oracle what came of it. A node that is killed gets a new machine, which shares nothing with the old.

const valueHead = 12

// makeValue makes the value of a record: its id, its length, then bytes that follow from both.
func makeValue(id uint64, size int) []byte {
	b := make([]byte, valueHead+size)
	binary.BigEndian.PutUint64(b, id)
	binary.BigEndian.PutUint32(b[8:], uint32(size))
	words, step, body := filler(id), uint64(0), b[valueHead:]
	for ; len(body) >= 8; body = body[8:] {
		binary.LittleEndian.PutUint64(body, addBytes(words, step))
		step = addBytes(step, fillerStep)
	}
	for i, w := 0, addBytes(words, step); i < len(body); i++ {
		body[i] = byte(w >> (8 * i))
	}
	return b
}

// filler is the first eight bytes that follow from an id: byte i is byte(id>>(i%4*4)) + 7*i. Each further eight are
// fillerStep more, byte by byte.
func filler(id uint64) uint64 {
	four := id&0xff | id>>4&0xff<<8 | id>>8&0xff<<16 | id>>12&0xff<<24
	return addBytes(four|four<<32, 0x312a231c150e0700)
}

const fillerStep = 0x3838383838383838

// addBytes adds eight bytes to eight bytes, each without a carry into the next.
func addBytes(x, y uint64) uint64 {
	const high = 0x8080808080808080
	return (x&^high + y&^high) ^ (x^y)&high
}

// readValue checks a value and returns its id.
func readValue(b []byte) (id uint64, ok bool) {
	if len(b) < valueHead || int(binary.BigEndian.Uint32(b[8:])) != len(b)-valueHead {
		return 0, false
	}
	id = binary.BigEndian.Uint64(b)
	words, step, body := filler(id), uint64(0), b[valueHead:]
	for ; len(body) >= 8; body = body[8:] {
		if binary.LittleEndian.Uint64(body) != addBytes(words, step) {
			return id, false
		}
		step = addBytes(step, fillerStep)
	}
	for i, w := 0, addBytes(words, step); i < len(body); i++ {
		if body[i] != byte(w>>(8*i)) {
			return id, false
		}
	}
	return id, true
}

// producing owns a producer.
type producing struct {
	r      *run
	conf   *producerConfig
	number int // at the oracle
	entity uint64
	p      *client.Producer
	ids    []uint64 // by RecordID, from 1
	next   core.Time
	asked  []core.Time
	calmed bool // a record that was sent after healing was stored
	ended  bool
}

func (a *producing) Next() core.Time { return min(a.next, a.p.Next()) }

func (a *producing) Step(now core.Now, ev *core.Event, out *core.Out) {
	if a.p.Mine(ev) {
		a.p.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		a.next = now.Mono + a.conf.start
	}
	a.drain()
	for now.Mono >= a.next {
		if a.r.stage >= stageFlush {
			a.next = core.Never
			if !a.ended {
				a.ended = true
				a.p.Flush(now, out)
			}
			break
		}
		if !a.r.turn(a.entity, now, &a.next) {
			break
		}
		a.burst(now, out)
	}
	a.drain()
}

// burst sends a few records.
func (a *producing) burst(now core.Now, out *core.Out) {
	w := a.r.w
	v := a.r.choose(a.entity, siteWork, a.entity, 1<<32)
	a.next = now.Mono + a.conf.pause/2 + a.conf.pause*core.Time(v&0xff)>>8
	if a.p.Pending() > 200 {
		return
	}
	for range 1 + int(v>>8&0xff)*a.conf.burst>>8 {
		x := a.r.choose(a.entity, siteWork, a.entity, 1<<40)
		t := &a.r.cfg.Topics[a.conf.topics[int(x&0xff)%len(a.conf.topics)]]
		id := a.r.oracle.Sent(a.number, t.name, w.now)
		rec := client.Record{Topic: t.name, Partition: int32(x>>8&0xff) % t.partitions, Value: makeValue(id, int(x>>16&0xffff)*a.conf.size>>16)}
		switch x >> 32 & 3 {
		case 0:
			rec.Partition = client.AnyPartition
		case 1:
			rec.Partition = client.AnyPartition
			rec.Key = []byte{byte(x >> 34 & 7)}
		}
		if t.compacted.on {
			t.compacted.record(a.r.oracle, &rec, id, x>>20^x<<3)
		}
		a.r.says(a.entity, "%s %d bytes", t.name, len(rec.Value))
		if a.p.Send(now, rec, out) == 0 {
			a.r.oracle.Resolved(id, core.TopicPartition{}, -1, didNot, w.now)
			return
		}
		a.ids = append(a.ids, id)
		a.asked = append(a.asked, w.now)
		a.drain()
	}
}

func (a *producing) drain() {
	a.r.mistaken(a.p, "producer "+strconv.Itoa(a.number))
	for _, res := range a.p.Results() {
		i := int(res.ID) - 1
		f := []fate{did, didNot, mayHave}[res.Fate]
		a.r.oracle.Resolved(a.ids[i], res.At, int64(res.Offset), f, a.r.w.now)
		a.r.resolved(a, i, f, res)
	}
}

// mistaken hears of refusals that no producer deserves.
func (r *run) mistaken(p *client.Producer, who string) {
	for _, at := range p.Mistaken() {
		if !r.cfg.Set.Lossy() {
			r.oracle.Refused(at, who)
		}
	}
}

// reading owns a consumer, by offset or in a group.
type reading struct {
	r         *run
	group     string    // whose member it is, or empty
	place     int       // which of its members
	instance  string    // its instance id, if it is static
	stay      core.Time // how long it stays in the group; then when it leaves of its own
	leaving   bool
	departs   bool // it leaves for good in the calm
	owned     []core.TopicPartition
	toldAt    int64
	argued    []argument            // owned here, and another was given them meanwhile
	number    int                   // at the oracle
	consumer  bool                  // a member by the consumer protocol
	rolls     bool                  // of a group that may be of either, at any time
	giving    []core.TopicPartition // what it was told to give up, and reads still
	accused   []accusation
	counted   core.Time // of its clock: when it sent the last heartbeat that was answered as a member's
	countedAt core.Time // the same of the world, about
	entity    uint64
	c         *client.Consumer
	topics    []int // by offset: what it reads
	next      core.Time
	pause     core.Time
	limit     int
	audit     bool
	booted    bool
	at        []core.TopicPartition
	atEnd     bool
	got       int
	gotAt     core.Time // of the world: when it last read a record
	errors    int
	stepped   core.Time // of the world: when it last looked
	exit      bool      // the group refuses it: its process ends, and is started again
}

func (a *reading) Next() core.Time { return min(a.next, a.stay, a.c.Next()) }

func (a *reading) Step(now core.Now, ev *core.Event, out *core.Out) {
	if a.c.Mine(ev) {
		if a.r.cfg.Set == SetDamage {
			a.r.givenTo(a.number).takes(ev)
		}
		a.c.Step(now, ev, out)
	}
	if ev.Kind == core.Boot {
		a.next = now.Mono
		a.stay = now.Mono.After(a.stay)
		for _, t := range a.topics {
			for p := range a.r.cfg.Topics[t].partitions {
				a.at = append(a.at, core.TopicPartition{Topic: a.r.cfg.Topics[t].name, Partition: p})
			}
		}
		if len(a.at) > 0 {
			a.c.Assign(now, client.Start{From: client.FromEarliest}, out, a.at...)
		}
	}
	a.heard(now)
	a.tidings()
	if ev.Kind == core.Frame { // something may have come: it is looked at a little later
		a.next = min(a.next, now.Mono+a.pause)
	}
	if now.Mono >= a.next {
		a.next = now.Mono + idlePoll
		if a.poll(now, out) {
			a.next = now.Mono + a.pause
		}
		a.tidings()
	}
	if a.r.cfg.Set == SetDamage {
		a.r.givenTo(a.number).sends(out.Effects)
	}
	if a.leaves(now, out); a.departs {
		a.depart(now, out)
	}
	if a.exit {
		out.Exit(1)
	}
}

// idlePoll is how often a reader looks for records although nothing came.
const idlePoll = 2 * core.Second

func (a *reading) tidings() {
	list := a.c.Tidings()
	if a.group != "" && len(list) > 0 {
		a.belongings(list)
	}
	if len(a.giving) > 0 {
		a.givenUp()
	}
	for _, t := range list {
		switch t.Kind {
		case client.Assigned, client.Revoked, client.Lost, client.Moved, client.Truncated:
			for _, at := range t.Partitions {
				a.r.oracle.Repositioned(a.number, at)
				if t.Kind == client.Truncated {
					a.r.truncated(at, int64(t.From), int64(t.To))
				}
			}
		case client.Refused:
			a.exit = true
		case client.Stuck:
			a.errors++
		}
	}
}

// poll takes what has come; it reports whether there may be more.
func (a *reading) poll(now core.Now, out *core.Out) bool {
	limit := a.limit
	if a.r.stage >= stageFlush { // slow readers need not stay slow
		limit = 10000
	}
	list := a.c.Poll(now, limit, out)
	for _, m := range list {
		id, ok := readID(&m)
		if !ok {
			a.r.oracle.fail("I06", "%s-%d offset %d: the bytes of record %s are wrong", m.At.Topic, m.At.Partition, m.Offset, name(id))
			return false
		}
		a.got++
		a.gotAt = a.r.w.now
		a.r.oracle.Got(a.number, m.At, int64(m.Offset), id, a.r.w.now)
	}
	if a.audit {
		a.atEnd = true
		for _, at := range a.at {
			position, end := a.c.Position(at)
			if end < 0 || position < end {
				a.atEnd = false
				continue
			}
			a.r.oracle.Audited(at, int64(position))
		}
	}
	return len(list) == limit
}

// behind lists the partitions that an audit has not read to the end, for reports.
func (a *reading) behind() (list []core.TopicPartition) {
	for _, at := range a.at {
		if position, end := a.c.Position(at); end < 0 || position < end {
			list = append(list, at)
		}
	}
	return slices.Clip(list)
}
