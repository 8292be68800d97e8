package broker

import (
	"klamm/core"
	"klamm/core/log"
	"klamm/core/shard"
)

// Store lets a simulator look at the logs between two Steps. It only looks: nil before boot has come to the logs.
func (b *Broker) Store() *log.Store { return b.store }

// Ready is what Report says of it, without the rest.
func (b *Broker) Ready() bool { return b.stage == stageReady }

// OldestUnused is the deadline of the member id that was given out longest ago, of those that nobody has used yet, and
// its group; Never if there is none. A broker that serves nobody any more forgets none either: its coordinators rest until
// the next life, which knows of no such id.
func (b *Broker) OldestUnused() (deadline core.Time, of string) {
	deadline = core.Never
	if b.stage != stageReady && b.stage != stageHandover {
		return deadline, ""
	}
	for i := range b.coords.list {
		c := &b.coords.list[i]
		if c.shard.Phase() != shard.Active {
			continue
		}
		if at, name := c.groups.OldestUnused(); at < deadline {
			deadline, of = at, name
		}
	}
	return deadline, of
}

// Completing is how many transactions are decided here and not known to be over: some of their markers are not where they
// belong, or what says that they are complete is not committed. A partition that is being loaded counts as one.
func (b *Broker) Completing() (n int) {
	for i := range b.txns.list {
		switch c := &b.txns.list[i]; c.shard.Phase() {
		case shard.Loading:
			n++
		case shard.Active:
			n += c.state.Unsettled(b.store.Log(c.shard.Log()).High())
		}
	}
	return n
}
