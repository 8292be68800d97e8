package group

import (
	"klamm/core"
	"klamm/core/shard"
	"klamm/core/wire"
)

// toClassic makes an empty consumer group one of the classic protocol. Its record comes first, so that there always is a group.
func (s *State) toClassic(env Env, g *Group) wire.Code {
	env.Out.Mark("group.consumer-to-classic")
	created := Stored{At: env.Now.Wall.Millis()}
	records := append([]shard.Record{created.record(g.name)}, g.consumerTombstones()...)
	if code := s.commit(env, g, records...); code != wire.None {
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

// removeConsumer takes a member out on behalf of an operator: by its instance id, or its id.
func (s *State) removeConsumer(env Env, g *Group, l *Leaver) wire.Code {
	m := g.consumers.member(l.ID)
	if l.Instance != nil {
		m = g.consumers.findInstance(*l.Instance)
		if m != nil && l.ID != "" && m.id != l.ID {
			return wire.FencedInstanceID
		}
	}
	if m == nil || m.is == nil {
		return wire.UnknownMemberID
	}
	return s.takeOut(env, g, m.id)
}

// checkCommit says whether a member of the consumer protocol may commit (KIP-848, KIP-1251): at its epoch, or at an older one as long as
// it has owned the partitions since then. Rows for which it may not get their code. Whoever is no member may commit into a group that has none.
func (c *consumers) checkCommit(env Env, by *Committer, rows []CommitRow) wire.Code {
	if by.Generation < 0 && c.known() == 0 {
		return wire.None
	}
	m := c.member(by.Member)
	switch {
	case m == nil || m.is == nil:
		return wire.UnknownMemberID
	case by.Old:
		return wire.UnsupportedVersion
	case by.Generation == m.epoch:
		return wire.None
	case by.Generation > m.epoch || by.Generation < 0:
		return wire.StaleMemberEpoch
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
			r.Code = wire.StaleMemberEpoch
		}
	}
	return wire.None
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
		return wire.StaleMemberEpoch
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
