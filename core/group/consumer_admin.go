package group

import (
	"slices"

	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"
)

// toClassic makes an empty consumer group one of the classic protocol.
func (s *State) toClassic(env Env, g *Group) wire.Code {
	env.Out.Mark("group.consumer-to-classic")
	created := Stored{Generation: g.consumers.epoch, At: env.Now.Wall.Millis()}
	g.changing = true
	code := s.commit(env, g, append(g.consumerTombstones(), created.record(g.name))...)
	if g.changing = false; code != wire.None {
		return code
	}
	g.phase, g.kind = Empty, ""
	return wire.None
}

// groupTombstones removes all records of a group but its offsets.
func (g *Group) groupTombstones() []shard.Record {
	if g.consumers != nil {
		return g.consumerTombstones()
	}
	return []shard.Record{{Key: metadataKey(g.name)}}
}

// leaver finds a member that leaves or that an operator takes out: by its instance id, or its id.
func (c *consumers) leaver(l *Leaver) (id string, code wire.Code) {
	m := c.member(l.ID)
	if l.Instance != nil {
		m = c.findInstance(*l.Instance)
		if m != nil && l.ID != "" && m.id != l.ID {
			return "", wire.FencedInstanceID
		}
	}
	if m == nil || m.is == nil {
		return "", wire.UnknownMemberID
	}
	return m.id, wire.None
}

// leaveConsumers takes members out of a group of the consumer protocol, all at once.
func (s *State) leaveConsumers(env Env, g *Group, leavers []Leaver) {
	var ids []string
	for i := range leavers {
		l := &leavers[i]
		var id string
		if id, l.Code = g.consumers.leaver(l); l.Code == wire.None && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	if code := s.takeOut(env, g, ids...); code != wire.None {
		for i := range leavers {
			if leavers[i].Code == wire.None {
				leavers[i].Code = code
			}
		}
	}
}

// checkCommit says whether a member of the consumer protocol may commit (KIP-848, KIP-1251): at its epoch, or at an older one as long as
// it has owned the partitions since then. Rows for which it may not get their code. Whoever is no member may commit into a group that has
// none, and a transaction may whatever the group is about.
func (c *consumers) checkCommit(env Env, by *Committer, rows []CommitRow) wire.Code {
	if by.Generation < 0 && (c.known() == 0 || by.InTransaction && by.Member == "" && by.Instance == nil) {
		return wire.None
	}
	m := c.member(by.Member)
	if m == nil || m.is == nil {
		return wire.UnknownMemberID
	}
	stale := m.staleEpoch()
	switch {
	case by.Old && m.classic() == nil:
		return wire.UnsupportedVersion
	case by.Generation == m.epoch:
		return wire.None
	case by.Generation > m.epoch || by.Generation < 0:
		return stale
	}
	env.Out.Mark("group.commit-at-older-epoch")
	for i := range rows {
		r := &rows[i]
		if r.Code != wire.None {
			continue
		}
		s := slot{partition: r.Partition.Partition}
		if t := env.Image.Topic(r.Partition.Topic); t != nil {
			s.topic = t.ID
		}
		if since, owned := m.since(s); !owned || by.Generation < since {
			r.Code = stale
		}
	}
	return wire.None
}

// staleEpoch is how a member is told that it speaks of another epoch than its own.
func (m *consumer) staleEpoch() wire.Code {
	if m.classic() != nil {
		return wire.IllegalGeneration
	}
	return wire.StaleMemberEpoch
}

// since is the epoch at which a member got a partition that it holds.
func (m *consumer) since(s slot) (epoch int32, held bool) {
	for _, list := range [...][]slot{m.assigned, m.revoking} {
		if at, found := findSlot(list, s); found {
			return list[at].epoch, true
		}
	}
	return 0, false
}

// CheckFetch says whether a member may ask for the group's offsets at its epoch (OffsetFetch from v9 on); without a member's id anybody may.
func (s *State) CheckFetch(group string, member *string, epoch int32) wire.Code {
	g := s.groups[group]
	if member == nil && epoch < 0 || g == nil || g.consumers == nil {
		return wire.None
	}
	id := ""
	if member != nil {
		id = *member
	}
	switch m := g.consumers.member(id); {
	case m == nil || m.is == nil:
		return wire.UnknownMemberID
	case m.epoch != epoch:
		return m.staleEpoch()
	}
	return wire.None
}

// Owners lists who holds which partitions, for those who judge: a member that was told of a partition holds it until a record says
// otherwise.
func (s *State) Owners(group string) (rows []Owner) {
	g := s.groups[group]
	if g == nil || g.consumers == nil {
		return nil
	}
	for i := range g.consumers.members {
		m := &g.consumers.members[i]
		for _, list := range [...][]slot{m.assigned, m.revoking} {
			for _, x := range list {
				rows = append(rows, Owner{Topic: x.topic, Partition: x.partition, Member: m.id, Epoch: m.epoch})
			}
		}
	}
	return rows
}

// Owner says that a member holds a partition.
type Owner struct {
	Topic     core.TopicID
	Partition int32
	Member    string
	Epoch     int32
}
