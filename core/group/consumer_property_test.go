package group

import (
	"fmt"
	"slices"
	"testing"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// testTopicID is a topic's id in these tests.
func testTopicID(n int) core.TopicID { return core.TopicID{0: byte(n), 15: 1} }

// withTopic adds a topic of so many partitions to an image, or makes it grow to them.
func withTopic(t require.TestingT, img *image.Image, n int, name string, partitions int) *image.Image {
	var records []wire.Record
	from := 0
	if old := img.Topic(name); old == nil {
		records = append(records, &wire.TopicRecord{Name: name, TopicID: testTopicID(n)})
	} else {
		from = len(old.Partitions)
	}
	for p := from; p < partitions; p++ {
		r := wire.NewPartitionRecord()
		r.PartitionID, r.TopicID, r.Replicas, r.ISR, r.Leader, r.LeaderEpoch, r.PartitionEpoch = int32(p), testTopicID(n), []core.NodeID{1}, []core.NodeID{1}, 1, 0, 0
		r.Directories = []core.TopicID{{15: 9}}
		records = append(records, r)
	}
	next, _, err := img.Apply(records, img.End()+core.Offset(len(records)), 1)
	require.NoError(t, err)
	return next
}

// reader is one consumer of the consumer protocol, as its clients are: it gives up what is taken from it, takes up what it gets, and
// begins anew when it is fenced.
type reader struct {
	id, instance string
	epoch        int32
	owns         []held
	wants        []held // what it was told to have
	topics       []string
	regex        string
	told         int32 // highest epoch since it joined
	asked        int   // heartbeats so far: only the answer to the last one is listened to
	dead         bool
}

// hall lets readers play against one State with a log whose durability lags.
type hall struct {
	*world
	t       *rapid.T
	readers []*reader
	born    int
	late    []beaten
}

type beaten struct {
	who  *reader
	n    int
	end  core.Offset
	resp *kmsg.ConsumerGroupHeartbeatResponse
}

func (h *hall) beat(r *reader, full bool) {
	q := kmsg.NewConsumerGroupHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis = 1, "g", r.id, r.epoch, -1
	if r.instance != "" {
		q.InstanceID = &r.instance
	}
	if r.epoch == epochJoin || full {
		q.RebalanceTimeoutMillis = 15000
		q.SubscribedTopicNames = append([]string{}, r.topics...)
		q.SubscribedTopicRegex = &r.regex
	}
	q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, o := range r.owns {
		q.Topics = append(q.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: o.topic, Partitions: []int32{o.partition}})
	}
	resp, end := h.st.ConsumerHeartbeat(h.env(), &q, Client{ID: "c", Host: "h"})
	r.asked++
	h.late = append(h.late, beaten{r, r.asked, end, resp})
}

// hear gives the readers the answers that are durable by now. Some are lost on the way.
func (h *hall) hear(lose func() bool) {
	var still []beaten
	for _, a := range h.late {
		switch {
		case int(a.end) > h.log.durable:
			still = append(still, a)
		case !a.who.dead && a.n == a.who.asked && !lose():
			h.told(a.who, a.resp)
		}
	}
	h.late = still
}

func (h *hall) told(r *reader, resp *kmsg.ConsumerGroupHeartbeatResponse) {
	switch wire.Code(resp.ErrorCode) {
	case wire.None:
	case wire.FencedMemberEpoch, wire.UnknownMemberID, wire.GroupIDNotFound:
		r.epoch, r.told, r.owns, r.wants = epochJoin, 0, nil, nil
		return
	case wire.UnreleasedInstanceID, wire.FencedInstanceID:
		r.dead = true
		return
	default:
		require.Fail(h.t, "refused", "%v %v", wire.Code(resp.ErrorCode), resp.ErrorMessage)
	}
	require.Equal(h.t, r.id, *resp.MemberID)
	require.GreaterOrEqual(h.t, resp.MemberEpoch, r.told, "a member's epoch fell")
	r.epoch, r.told = resp.MemberEpoch, resp.MemberEpoch
	if resp.Assignment != nil {
		r.wants = nil
		for _, t := range resp.Assignment.Topics {
			for _, p := range t.Partitions {
				r.wants = append(r.wants, held{t.TopicID, p})
			}
		}
		for _, w := range r.wants { // taken up at once; to give up takes time
			if !slices.Contains(r.owns, w) {
				r.owns = append(r.owns, w)
			}
		}
	}
}

// obey has a reader give up what it is to give up.
func (h *hall) obey(r *reader) { r.owns = slices.Clone(r.wants) }

// judge holds I46 against what is: of those that the coordinator takes for members no two own a partition.
func (h *hall) judge() {
	g := h.st.groups["g"]
	if g == nil || g.consumers == nil {
		return
	}
	seen := map[held]string{}
	for _, o := range h.st.Owners("g") {
		k := held{o.Topic, o.Partition}
		require.Empty(h.t, seen[k], "%v is held twice", k)
		seen[k] = o.Member
	}
	owner := map[held]string{}
	for _, r := range h.readers {
		m := g.consumers.member(r.id)
		if r.dead || m == nil || m.is == nil || r.epoch == epochJoin || m.epoch == epochLeaveStatic {
			continue
		}
		for _, o := range r.owns {
			require.Empty(h.t, owner[o], "%s and %s own %v", owner[o], r.id, o)
			owner[o] = r.id
			require.Equal(h.t, r.id, g.consumers.holder[o], "%s owns %v, of which the coordinator does not know", r.id, o)
		}
	}
}

func (h *hall) newReader() *reader {
	h.born++
	r := &reader{id: fmt.Sprintf("m%03d", h.born)}
	h.resubscribe(r)
	if rapid.IntRange(0, 3).Draw(h.t, "static") == 0 {
		r.instance = fmt.Sprintf("i%d", rapid.IntRange(0, 2).Draw(h.t, "instance"))
	}
	h.readers = append(h.readers, r)
	return r
}

func (h *hall) resubscribe(r *reader) {
	r.topics, r.regex = nil, ""
	switch rapid.IntRange(0, 5).Draw(h.t, "subscription") {
	case 0:
		r.topics = []string{"u"}
	case 1:
		r.topics = []string{"t", "u"}
	case 2:
		r.regex = "^[tu]$"
	case 3:
		r.topics, r.regex = []string{"t"}, "v.*"
	default:
		r.topics = []string{"t"}
	}
}

// A group of the consumer protocol under everything at once: members that come, go, fall silent and change their minds, answers that are
// lost, a coordinator that moves and forgets what was not durable, topics that come and grow. No partition ever has two
// owners, no epoch falls, and when all is quiet every partition has one.
func TestConsumersOneOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hall{world: newWorld(), t: t}
		h.hold = true
		h.img = withTopic(t, withTopic(t, h.img, 1, "t", 5), 2, "u", 2)
		pick := func() *reader {
			var live []*reader
			for _, r := range h.readers {
				if !r.dead {
					live = append(live, r)
				}
			}
			if len(live) == 0 {
				return h.newReader()
			}
			return live[rapid.IntRange(0, len(live)-1).Draw(t, "who")]
		}
		never := func() bool { return false }
		grown := 5
		t.Repeat(map[string]func(*rapid.T){
			"":         func(*rapid.T) { h.judge() },
			"join":     func(*rapid.T) { h.beat(h.newReader(), true) },
			"beat":     func(*rapid.T) { h.beat(pick(), false) },
			"beatFull": func(*rapid.T) { h.beat(pick(), true) },
			"sync":     func(*rapid.T) { h.log.durable = len(h.log.records); h.hear(never) },
			"syncLossy": func(t *rapid.T) {
				h.log.durable = len(h.log.records)
				h.hear(func() bool { return rapid.Bool().Draw(t, "lost") })
			},
			"obey": func(*rapid.T) { h.obey(pick()) },
			"wait": func(t *rapid.T) {
				h.at((h.now.Mono + core.Millis(int64(rapid.SampledFrom([]int{100, 1100, 6000, 20000, 50000}).Draw(t, "ms")))).Millis())
			},
			"resubscribe": func(*rapid.T) {
				r := pick()
				h.resubscribe(r)
				h.beat(r, true)
			},
			"leave": func(t *rapid.T) {
				r := pick()
				q := kmsg.NewConsumerGroupHeartbeatRequest()
				q.Version, q.Group, q.MemberID, q.MemberEpoch = 1, "g", r.id, epochLeave
				if r.instance != "" {
					q.InstanceID = &r.instance
					if rapid.Bool().Draw(t, "for a while") {
						q.MemberEpoch = epochLeaveStatic
					}
				}
				h.st.ConsumerHeartbeat(h.env(), &q, Client{})
				r.dead = true
			},
			"die":    func(*rapid.T) { pick().dead = true },
			"reload": func(*rapid.T) { h.late = nil; h.world.reload() },
			"grow": func(*rapid.T) {
				if grown++; grown < 9 {
					h.img = withTopic(t, h.img, 1, "t", grown)
				} else {
					h.img = withTopic(t, h.img, grown, fmt.Sprintf("v%d", grown), 1)
				}
			},
			"refuse": func(t *rapid.T) {
				h.log.refuse = wire.NotCoordinator
				r := pick()
				h.st.ConsumerHeartbeat(h.env(), &kmsg.ConsumerGroupHeartbeatRequest{Version: 1, Group: "g", MemberID: r.id, MemberEpoch: r.epoch, RebalanceTimeoutMillis: -1}, Client{})
				h.log.refuse = wire.None
			},
		})
		h.settleAll(never)
	})
}

// settleAll lets the readers that are left do what clients do, and asks that all is well in the end.
func (h *hall) settleAll(never func() bool) {
	h.log.durable = len(h.log.records)
	h.hear(never)
	for round := range 30 {
		for _, r := range h.readers {
			if !r.dead {
				h.beat(r, round == 0) // what may have been lost is said again, as clients do
				h.log.durable = len(h.log.records)
				h.hear(never)
				h.obey(r)
				h.judge()
			}
		}
		h.at((h.now.Mono + 5*core.Second).Millis())
		h.log.durable = len(h.log.records)
	}
	owned, wanted := map[held]bool{}, map[held]bool{}
	live := 0
	for _, r := range h.readers {
		if r.dead {
			continue
		}
		live++
		for _, o := range r.owns {
			owned[o] = true
		}
		names := slices.Clone(r.topics)
		for topic := range h.img.Topics() {
			if re, err := compile(r.regex); r.regex != "" && err == nil && re.MatchString(topic.Name) {
				names = append(names, topic.Name)
			}
		}
		for _, name := range names {
			if topic := h.img.Topic(name); topic != nil {
				for p := range topic.Partitions {
					wanted[held{topic.ID, int32(p)}] = true
				}
			}
		}
	}
	require.Equal(h.t, wanted, owned, "all that somebody wants has an owner")
	if g := h.st.groups["g"]; live > 0 {
		require.Equal(h.t, "Stable", g.consumers.phaseName())
	} else if g != nil && g.consumers != nil {
		require.Equal(h.t, "Empty", g.consumers.phaseName())
	}
}
