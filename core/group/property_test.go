package group

import (
	"fmt"
	"slices"
	"testing"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// client is one consumer, which follows the protocol as far as the draws let it.
type client struct {
	id       string
	instance string
	gen      int32
	leads    bool
	owes     bool // a SyncGroup, since it joined
	members  []string
	join     *Wait
	sync     *Wait
	version  int16
}

// player lets clients play against one State with a log whose durability lags, and keeps what they were told.
type player struct {
	*world
	t       *rapid.T
	clients []client
	late    []told // answers that wait for their end

	gen    int32             // the newest that anybody was told
	leader map[int32]string  // of each generation, as told
	owner  map[string]string // "generation/partition" to member or instance, as told
}

// told is an answer that was given for a client and is not durable yet.
type told struct {
	who  int
	end  core.Offset
	join *JoinResult
	sync *SyncResult
}

func (p *player) poll() {
	p.st.Woken()
	for i := range p.clients {
		c := &p.clients[i]
		if c.join != nil {
			if res, done := p.st.Joined(*c.join); done {
				again, _ := p.st.Joined(*c.join)
				require.Equal(p.t, res, again, "asking for nothing changes nothing")
				c.join = nil
				p.late = append(p.late, told{who: i, end: res.End, join: &res})
			}
		}
		if c.sync != nil {
			if res, done := p.st.Synced(*c.sync); done {
				c.sync = nil
				p.late = append(p.late, told{who: i, end: res.End, sync: &res})
			}
		}
	}
	var still []told
	for _, a := range p.late {
		switch {
		case int(a.end) > p.log.durable:
			still = append(still, a)
		case a.join != nil:
			p.hearJoin(&p.clients[a.who], a.join)
		default:
			p.hearSync(&p.clients[a.who], a.sync)
		}
	}
	p.late = still
}

func (p *player) hearJoin(c *client, r *JoinResult) {
	switch r.Code {
	case wire.None:
	case wire.MemberIDRequired:
		c.id = r.MemberID
		return
	case wire.UnknownMemberID, wire.FencedInstanceID:
		c.id, c.gen = "", -1
		return
	default:
		return
	}
	c.id, c.gen, c.leads, c.owes, c.members = r.MemberID, r.Generation, r.Leader == r.MemberID && !r.Skip, true, nil
	for _, m := range r.Members {
		c.members = append(c.members, m.MemberID)
	}
	// I48: a generation is new when it is told first, or it is one that was told before, and has the one leader.
	if r.Generation > p.gen {
		p.gen = r.Generation
	} else {
		require.NotEmpty(p.t, p.leader[r.Generation], "generation %d was told after %d, and not before it", r.Generation, p.gen)
	}
	if p.leader[r.Generation] == "" {
		p.leader[r.Generation] = r.Leader
	}
}

func (p *player) hearSync(c *client, r *SyncResult) {
	if r.Code != wire.None {
		if r.Code == wire.UnknownMemberID || r.Code == wire.FencedInstanceID {
			c.id, c.gen = "", -1
		}
		return
	}
	c.owes = false
	// I46: in one generation a partition has one owner.
	for _, part := range r.Assignment {
		key, who := fmt.Sprintf("%d/%c", c.gen, part), c.id
		if c.instance != "" {
			who = c.instance
		}
		if p.owner[key] == "" {
			p.owner[key] = who
		}
		require.Equal(p.t, p.owner[key], who, "two owners of %s", key)
	}
}

func (p *player) join(i int) {
	c := &p.clients[i]
	req := kmsg.NewJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = c.version, "g", c.id, ptr(c.instance)
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = 10000, 15000, "consumer"
	sub := assign.Subscription{Topics: []string{rapid.SampledFrom([]string{"t", "t", "u"}).Draw(p.t, "topic")}}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: sub.Append(nil)}}
	c.sync = nil
	w, res, done := p.st.Join(p.env(), &req, Client{ID: fmt.Sprintf("c%d", i)})
	if c.join = nil; !done {
		c.join = &w
		return
	}
	p.late = append(p.late, told{who: i, end: res.End, join: &res})
}

func (p *player) sync(i int) {
	c := &p.clients[i]
	req := kmsg.NewSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 4, "g", c.id, ptr(c.instance), c.gen
	if c.leads {
		for k, part := range "abcdef" {
			if n := len(c.members); n > 0 {
				req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: c.members[k%n], MemberAssignment: []byte(string(part))})
			}
		}
		req.GroupAssignment = oneEach(req.GroupAssignment)
	}
	w, res, done := p.st.Sync(p.env(), &req)
	if c.sync = nil; !done {
		c.sync = &w
		return
	}
	p.late = append(p.late, told{who: i, end: res.End, sync: &res})
}

// oneEach joins the rows of one member.
func oneEach(rows []kmsg.SyncGroupRequestGroupAssignment) (out []kmsg.SyncGroupRequestGroupAssignment) {
	for _, r := range rows {
		k := slices.IndexFunc(out, func(o kmsg.SyncGroupRequestGroupAssignment) bool { return o.MemberID == r.MemberID })
		if k < 0 {
			out = append(out, r)
		} else {
			out[k].MemberAssignment = append(out[k].MemberAssignment, r.MemberAssignment...)
		}
	}
	return out
}

func (p *player) commit(i int) {
	c := &p.clients[i]
	rows := []CommitRow{{Partition: core.TopicPartition{Topic: "t"}, Offset: core.Offset(len(p.log.records)), LeaderEpoch: -1}}
	p.st.Commit(p.env(), &Committer{Group: "g", Member: c.id, Instance: ptr(c.instance), Generation: c.gen, Retention: -1}, rows)
	if c.gen >= 0 && rows[0].Code == wire.None { // I49
		require.GreaterOrEqual(p.t, c.gen, p.gen, "a commit of an old generation was taken")
	}
}

func (p *player) crash() {
	p.reload()
	p.late = nil
	for i := range p.clients {
		p.clients[i].join, p.clients[i].sync = nil, nil
	}
}

// check looks inside.
func (p *player) check() {
	t := p.t
	g := p.st.groups["g"]
	replay := New(DefaultConfig())
	p.log.fold(&replay, &core.Out{}) // I52: the state is the fold of the log
	r := replay.groups["g"]
	require.Equal(t, r == nil, g == nil)
	require.Equal(t, replay.names, p.st.names)
	if g == nil {
		return
	}
	require.Equal(t, r.stored, g.stored)
	require.Equal(t, r.offsets, g.offsets)
	require.Equal(t, r.staged, g.staged)
	require.Equal(t, r.exists, g.exists)
	instances := map[string]bool{}
	for i := range g.members {
		m := &g.members[i]
		require.False(t, i > 0 && g.members[i-1].id >= m.id, "members are sorted")
		if m.instance != nil { // I54
			require.False(t, instances[*m.instance], "one member for each instance id")
			instances[*m.instance] = true
		}
		require.False(t, m.joining && m.syncing)
		require.False(t, m.joining && g.phase != PreparingRebalance, "who joins waits for a round")
		require.False(t, m.syncing && g.phase != CompletingRebalance)
		// I53: somebody will look after it.
		require.True(t, m.timerAt != 0 || m.joining || m.syncing, "a silent member is noticed")
	}
	require.Equal(t, len(g.members) == 0 && g.phase != PreparingRebalance, g.phase == Empty)
	if len(g.members) > 0 {
		require.NotNil(t, g.member(g.leader), "the leader is a member")
	}
	require.False(t, g.phase == PreparingRebalance && g.joinAt == core.Never, "a round ends")
	if g.phase == Stable { // I47: what is stored is what the members have
		require.Len(t, g.stored.Members, len(g.members))
		for i := range g.members {
			require.Equal(t, g.members[i].assignment, g.stored.Members[slices.IndexFunc(g.stored.Members, func(m kmsg.GroupMetadataValueMember) bool { return m.MemberID == g.members[i].id })].Assignment)
		}
	}
}

func newPlayer(t *rapid.T) *player {
	p := &player{world: newWorld(), t: t, leader: map[int32]string{}, owner: map[string]string{}}
	p.hold = true
	for i := range rapid.IntRange(1, 5).Draw(t, "clients") {
		c := client{gen: -1, version: rapid.SampledFrom([]int16{3, 9}).Draw(t, "version")}
		if c.version == 9 && rapid.Bool().Draw(t, "static") { // two processes may have one instance id
			c.instance = fmt.Sprintf("i%d", i/2)
		}
		p.clients = append(p.clients, c)
	}
	return p
}

// live does what a client would do next, if it is not waiting.
func (p *player) live(i int) {
	c := &p.clients[i]
	if c.join != nil || c.sync != nil || slices.ContainsFunc(p.late, func(a told) bool { return a.who == i }) {
		return
	}
	req := kmsg.NewHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = "g", c.id, ptr(c.instance), c.gen
	code, _ := p.st.Heartbeat(p.env(), &req)
	g := p.st.groups["g"]
	switch {
	case code == wire.UnknownMemberID || code == wire.FencedInstanceID:
		if g == nil || g.findPending(c.id) < 0 {
			c.id, c.gen = "", -1
		}
		p.join(i)
	case code != wire.None:
		p.join(i)
	case c.owes:
		p.sync(i)
	}
}

func TestRandomGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayer(t)
		steps := rapid.IntRange(1, 120).Draw(t, "steps")
		for range steps {
			i := rapid.IntRange(0, len(p.clients)-1).Draw(t, "client")
			switch rapid.IntRange(0, 12).Draw(t, "what") {
			case 0, 1, 2, 3:
				p.live(i)
			case 4:
				p.join(i)
			case 5:
				p.sync(i)
			case 6:
				p.commit(i)
			case 7:
				c := &p.clients[i]
				p.st.Leave(p.env(), "g", []Leaver{{ID: c.id, Instance: ptr(c.instance)}})
			case 8, 9:
				p.at(p.now.Mono.Millis() + int64(rapid.IntRange(1, 8000).Draw(t, "ms")))
			case 10, 11:
				p.log.durable = rapid.IntRange(p.log.durable, len(p.log.records)).Draw(t, "durable")
			case 12:
				if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
					p.crash()
				}
			}
			p.poll()
			p.check()
		}
		p.converges()
	})
}

// converges is I53: with clients that do as they should, the group comes to rest, and when they fall silent it empties.
func (p *player) converges() {
	p.hold = false
	for i := range p.clients { // of two processes with one instance id the second is turned off: they would fence each other for ever
		if i > 0 && p.clients[i].instance != "" && p.clients[i].instance == p.clients[i-1].instance {
			p.clients[i] = client{gen: -1, version: 9}
			p.late = slices.DeleteFunc(p.late, func(a told) bool { return a.who == i })
		}
	}
	calm := 0
	for range 2000 { // rounds with members that never come cost a rebalance timeout each
		if g := p.st.groups["g"]; g != nil && g.phase == Stable && len(g.members) == len(p.clients) {
			calm++
		} else {
			calm = 0
		}
		if calm == 30 {
			break
		}
		p.settle()
		for i := range p.clients {
			p.live(i)
			p.settle()
			p.poll()
		}
		p.at(p.now.Mono.Millis() + 500)
		p.poll()
		p.check()
	}
	g := p.st.groups["g"]
	require.NotNil(p.t, g)
	require.Equal(p.t, Stable, g.phase, "the group comes to rest")
	for i := range p.clients {
		require.True(p.t, p.clients[i].join == nil && p.clients[i].sync == nil, "nobody is left waiting")
	}
	p.at(p.now.Mono.Millis() + 60_000)
	require.Equal(p.t, Empty, p.st.groups["g"].phase, "who is silent is removed")
}

// What a reader of a broken or foreign log does: no panic, and what can be read is kept.
func TestApplyAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := New(DefaultConfig())
		var out core.Out
		for range rapid.IntRange(1, 10).Draw(t, "records") {
			s := Stored{ProtocolType: "consumer", Generation: 3, Members: []kmsg.GroupMetadataValueMember{{MemberID: "m"}, {MemberID: "m"}}}
			c := Commit{Offset: 4, ExpireAt: -1}
			r := rapid.SampledFrom([]shard.Record{s.record("g"), c.record("g", "t", 0), {Key: metadataKey("g")}, {Key: offsetKey("g", "t", 0)}}).Draw(t, "record")
			key, value := slices.Clone(r.Key), slices.Clone(r.Value)
			if n := rapid.IntRange(0, 3).Draw(t, "cut"); len(value) > n {
				value = value[:len(value)-n]
			}
			if rapid.Bool().Draw(t, "flip") && len(value) > 0 {
				value[rapid.IntRange(0, len(value)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
			}
			if rapid.Bool().Draw(t, "flip key") {
				key[rapid.IntRange(0, len(key)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
			}
			st.Apply(&Record{Key: key, Value: value, Producer: rapid.Int64Range(-1, 1).Draw(t, "producer")}, &out)
			if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
				st.EndTransaction(rapid.Int64Range(0, 1).Draw(t, "of"), rapid.Bool().Draw(t, "commit"), 0, &out)
			}
		}
		w := newWorld()
		w.log.records = make([]shard.Record, 5)
		st.Loaded(w.env(), 5)
		for range 5 {
			w.now.Mono = max(w.now.Mono, st.Next())
			w.now.Wall = w.now.Mono
			st.Tick(w.env())
		}
	})
}
