package client

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// CommitID numbers the commits of one consumer, from 1.
type CommitID uint64

// CommitOffset says up to where a partition was worked on: Offset is that of the next record.
type CommitOffset struct {
	At       core.TopicPartition
	Offset   core.Offset
	Epoch    core.Epoch // of the last record; -1 if not known
	Metadata string
}

// commit is one that is not over.
type commit struct {
	id         CommitID // 0: automatic, about which nobody is told
	list       []CommitOffset
	generation int32
	request    uint64
	sent       bool // it may have been carried out
	retryAt    core.Time
	fails      int
	deadline   core.Time
}

const commitsMax = 1 << 10 // commits not over, of one consumer

// Commit commits offsets, or with none the position of everything that is read. A Committed tiding
// follows. A zero id means that there are too many that are not over.
func (c *Consumer) Commit(now core.Now, list []CommitOffset, out *core.Out) CommitID {
	g := &c.group
	if c.opt.Group.ID == "" || len(g.commits) >= commitsMax {
		return 0
	}
	if list == nil {
		for i := range c.parts {
			if r := &c.parts[i]; r.placed {
				list = append(list, CommitOffset{At: r.at, Offset: r.position, Epoch: r.passedOf})
				r.committed = r.position
			}
		}
	}
	g.lastCommit++
	g.commits = append(g.commits, commit{id: g.lastCommit, list: slices.Clone(list), generation: g.generation, deadline: now.Mono.After(2 * c.opt.RequestTime)})
	c.advance(now, out)
	return g.lastCommit
}

// autoCommit commits what has been worked on in these partitions, if commits are automatic.
func (c *Consumer) autoCommit(of []core.TopicPartition) {
	g := &c.group
	if c.opt.Group.AutoCommitTime < 0 || c.opt.Group.ID == "" || len(g.commits) >= commitsMax {
		return
	}
	k := commit{generation: g.generation, deadline: core.Never}
	for _, at := range of {
		if r := c.reading(at); r != nil && r.placed && r.passed != r.committed {
			k.list = append(k.list, CommitOffset{At: r.at, Offset: r.passed, Epoch: r.passedOf})
			r.committed = r.passed
		}
	}
	if len(k.list) > 0 {
		g.commits = append(g.commits, k)
	}
}

// tendAuto commits now and then.
func (c *Consumer) tendAuto(now core.Now) {
	g, every := &c.group, c.opt.Group.AutoCommitTime
	if every < 0 || len(c.parts) == 0 {
		return
	}
	if now.Mono >= g.autoAt {
		g.autoAt = now.Mono.After(every)
		c.autoCommit(c.Reading())
	}
	if slices.ContainsFunc(c.parts, func(r reading) bool { return r.placed && r.passed != r.committed }) {
		c.pool.WakeAt(g.autoAt)
	}
}

// tendCommits sends the first commit. One at a time, or they might overtake each other.
func (c *Consumer) tendCommits(now core.Now, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	for len(g.commits) > 0 && g.commits[0].request == 0 {
		k := &g.commits[0]
		if o.Consumer && k.generation >= 0 && g.generation >= 0 && g.owns(k.list) {
			k.generation = g.generation // epochs rise without anything being lost
		}
		switch {
		case k.generation != g.generation:
			c.finishCommit(Failure{Code: wire.IllegalGeneration, Text: "the group has moved on since"})
			continue
		case now.Mono >= k.deadline:
			c.finishCommit(Failure{Code: wire.RequestTimedOut, Text: "not committed in time (" + c.Trouble().Error() + ")"})
			continue
		case len(k.list) == 0:
			c.finishCommit(Failure{})
			continue
		}
		c.pool.WakeAt(k.deadline)
		if now.Mono < k.retryAt {
			c.pool.WakeAt(k.retryAt)
			return
		}
		to := c.coordinator(now, o.ID, general, out)
		if to == nil {
			return
		}
		v, ok := versionOf(to, int16(kmsg.OffsetCommit), -1)
		if !ok {
			c.finishCommit(Failure{Code: wire.UnsupportedVersion, Text: "OffsetCommit"})
			continue
		}
		q := kmsg.NewOffsetCommitRequest()
		q.SetVersion(v)
		q.Group, q.Generation, q.MemberID = o.ID, k.generation, g.id
		if k.generation < 0 {
			q.MemberID = ""
		} else if o.Instance != "" {
			q.InstanceID = kmsg.StringPtr(o.Instance)
		}
		q.Topics = commitTopics(k.list)
		c.lastAsk++
		k.request, k.sent = c.lastAsk, true
		c.pool.Send(now, to, link.Ask{Kind: askCommit, A: k.request}, &q, c.opt.RequestTime, out)
	}
}

// owns reports whether the member still owns all of these.
func (g *member) owns(list []CommitOffset) bool {
	return !slices.ContainsFunc(list, func(o CommitOffset) bool {
		_, found := slices.BinarySearchFunc(g.owned, o.At, core.TopicPartition.Compare)
		return !found
	})
}

func commitTopics(list []CommitOffset) (topics []kmsg.OffsetCommitRequestTopic) {
	for _, o := range list {
		k := slices.IndexFunc(topics, func(t kmsg.OffsetCommitRequestTopic) bool { return t.Topic == o.At.Topic })
		if k < 0 {
			k = len(topics)
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = o.At.Topic
			topics = append(topics, t)
		}
		m := kmsg.NewOffsetCommitRequestTopicPartition()
		m.Partition, m.Offset, m.LeaderEpoch, m.Metadata = o.At.Partition, int64(o.Offset), int32(o.Epoch), kmsg.StringPtr(o.Metadata)
		topics[k].Partitions = append(topics[k].Partitions, m)
	}
	return topics
}

// finishCommit ends the first commit.
func (c *Consumer) finishCommit(why Failure) {
	k := c.group.commits[0]
	c.group.commits = slices.Delete(c.group.commits, 0, 1)
	if k.id == 0 {
		return
	}
	t := Tiding{Kind: Committed, Commit: k.id, Generation: k.generation, Failure: why}
	switch {
	case why.None():
		t.Fate = Did
	case k.sent:
		t.Fate = MayHave // an earlier attempt whose answer was lost
	default:
		t.Fate = DidNot
	}
	c.tell(t)
}

func (c *Consumer) committed(now core.Now, r *link.Reply, out *core.Out) {
	g := &c.group
	if len(g.commits) == 0 || g.commits[0].request != r.Ask.A {
		return
	}
	k := &g.commits[0]
	k.request = 0
	again := func(why Failure) {
		if now.Mono.After(c.backoff(k.fails)) >= k.deadline {
			c.finishCommit(why)
			return
		}
		k.retryAt = now.Mono.After(c.backoff(k.fails))
		k.fails++
	}
	resp, ok := r.Resp.(*kmsg.OffsetCommitResponse)
	if !ok {
		again(Failure{Errno: link.OrGone(r.Errs), Text: "no answer to OffsetCommit"})
		return
	}
	k.sent = k.fails > 0 && k.sent
	why := Failure{}
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			if code := wire.Code(p.ErrorCode); code != wire.None && (why.None() || why.Code.Retriable()) {
				why = Failure{Code: code, Text: "committing offsets of " + resp.Topics[i].Topic}
			}
		}
	}
	switch code := why.Code; {
	case code == wire.None:
		c.finishCommit(Failure{})
	case code == wire.NotCoordinator || code == wire.CoordinatorNotAvailable:
		c.lostCoordinator(now, c.opt.Group.ID)
		again(why)
	case code.Retriable() || code == wire.StaleMemberEpoch: // the next heartbeat tells the newest epoch
		again(why)
	case code == wire.UnknownMemberID || code == wire.IllegalGeneration || code == wire.FencedInstanceID:
		c.finishCommit(why)
		if k := g.state; c.isMember() && (k == stable || k == revoking) {
			c.failedGroup(now, code, 0, "OffsetCommit", out)
		}
	default:
		c.finishCommit(why)
	}
}

// fetchCommitted asks for the committed offsets of the partitions that wait for one.
func (c *Consumer) fetchCommitted(now core.Now, out *core.Out) {
	g, o := &c.group, &c.opt.Group
	if g.fetching != 0 || !slices.ContainsFunc(c.parts, waitsForCommitted) {
		return
	}
	if now.Mono < g.fetchAt {
		c.pool.WakeAt(g.fetchAt)
		return
	}
	to := c.coordinator(now, o.ID, general, out)
	if to == nil {
		return
	}
	v, ok := versionOf(to, int16(kmsg.OffsetFetch), -1)
	if !ok {
		g.fetchAt = now.Mono.After(c.opt.RetryMax)
		g.why = Failure{Code: wire.UnsupportedVersion, Text: "OffsetFetch"}
		c.pool.WakeAt(g.fetchAt)
		return
	}
	q := kmsg.NewOffsetFetchRequest()
	q.SetVersion(v)
	q.Group, q.RequireStable = o.ID, c.opt.ReadCommitted
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = o.ID
	q.Topics = []kmsg.OffsetFetchRequestTopic{}
	c.lastAsk++
	a := partsAsk{id: c.lastAsk}
	for i := range c.parts {
		r := &c.parts[i]
		if !waitsForCommitted(*r) {
			continue
		}
		if n := len(q.Topics); n == 0 || q.Topics[n-1].Topic != r.at.Topic {
			t, u := kmsg.NewOffsetFetchRequestTopic(), kmsg.NewOffsetFetchRequestGroupTopic()
			t.Topic, u.Topic = r.at.Topic, r.at.Topic
			q.Topics, of.Topics = append(q.Topics, t), append(of.Topics, u)
		}
		t, u := &q.Topics[len(q.Topics)-1], &of.Topics[len(of.Topics)-1]
		t.Partitions, u.Partitions = append(t.Partitions, r.at.Partition), append(u.Partitions, r.at.Partition)
		a.list = append(a.list, partGen{r.at, r.gen})
	}
	q.Groups = append(q.Groups, of)
	c.asks = append(c.asks, a)
	g.fetching = a.id
	c.pool.Send(now, to, link.Ask{Kind: askCommitted, A: a.id}, &q, c.opt.RequestTime, out)
}

func waitsForCommitted(r reading) bool { return r.wait && r.start.From == FromCommitted }

func (c *Consumer) committedFetched(now core.Now, rep *link.Reply, out *core.Out) {
	g := &c.group
	a, ok := c.asked1(rep.Ask.A)
	if !ok {
		return
	}
	g.fetching = 0
	resp, ok := rep.Resp.(*kmsg.OffsetFetchResponse)
	rows, code := committedRows(resp)
	if !ok || code != wire.None {
		g.why = Failure{Code: code, Errno: rep.Errs, Text: "fetching committed offsets of group " + c.opt.Group.ID}
		if code == wire.NotCoordinator || code == wire.CoordinatorNotAvailable {
			c.lostCoordinator(now, c.opt.Group.ID)
		}
		g.fetchAt = now.Mono.After(c.backoff(g.fetchFails))
		g.fetchFails++
		return
	}
	for _, pg := range a.list {
		r := c.reading(pg.at)
		if r == nil || r.gen != pg.gen || !waitsForCommitted(*r) {
			continue
		}
		i := slices.IndexFunc(rows, func(row CommittedOffset) bool { return row.At == pg.at })
		if i < 0 || rows[i].Code != wire.None { // an open transaction, mostly: it will be decided
			g.fetchAt = now.Mono.After(c.backoff(g.fetchFails))
			g.fetchFails++
			continue
		}
		g.fetchFails, g.why = 0, Failure{}
		if rows[i].Offset < 0 {
			c.set(r, Start{From: FromPolicy})
			continue
		}
		c.put(r, rows[i].Offset, rows[i].Epoch)
	}
}

// CommittedOffset is a group's offset for one partition; Offset -1 if it has none.
type CommittedOffset struct {
	At       core.TopicPartition
	Offset   core.Offset
	Epoch    core.Epoch
	Metadata string
	Code     wire.Code
}

// committedRows reads an OffsetFetch response of any version, for one group.
func committedRows(resp *kmsg.OffsetFetchResponse) (rows []CommittedOffset, code wire.Code) {
	if resp == nil {
		return nil, wire.None
	}
	add := func(topic string, p int32, off int64, epoch int32, meta *string, code int16) {
		row := CommittedOffset{core.TopicPartition{Topic: topic, Partition: p}, core.Offset(off), core.Epoch(epoch), "", wire.Code(code)}
		if meta != nil {
			row.Metadata = *meta
		}
		rows = append(rows, row)
	}
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			add(resp.Topics[i].Topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
		}
	}
	code = wire.Code(resp.ErrorCode)
	for k := range resp.Groups {
		if code = wire.Code(resp.Groups[k].ErrorCode); code != wire.None {
			return nil, code
		}
		for i := range resp.Groups[k].Topics {
			for _, p := range resp.Groups[k].Topics[i].Partitions {
				add(resp.Groups[k].Topics[i].Topic, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode)
			}
		}
	}
	for i := range rows { // version 1 has no field for the group's own errors
		if c := rows[i].Code; c == wire.NotCoordinator || c == wire.CoordinatorLoadInProgress || c == wire.CoordinatorNotAvailable {
			return nil, c
		}
	}
	return rows, code
}
