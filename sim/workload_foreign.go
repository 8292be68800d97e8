package sim

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/wire"
)

// foreign is somebody else's member of a group: it speaks the group protocol by hand, and does what our consumer never
// would. It claims partitions that it owned generations ago, or never; leaves without a word; asks for member ids that
// it does not use, in groups that nobody else knows; offers subscriptions that no record can hold; commits offsets that
// expire at once; and lets a static member of a group of its own go while nobody else has joined.
type foreign struct {
	r          *run
	entity     uint64
	lines      [2]line
	move       foreignMove
	step       int
	group      int // of the run
	id         string
	generation int32
	rounds     int
	next       core.Time
}

type foreignMove uint8

const (
	moveClaim    foreignMove = iota
	moveStray                // an id that is not used, in some group
	moveLarge                // a subscription that is too large for a record
	moveExpire               // a commit that expires at once
	moveSegments             // the coordinators' logs get segments smaller than what a large subscription needs
	moveDeserts              // two static members, one of which leaves while the other does not come back
	moveCount
)

func (r *run) newForeign(entity uint64) *foreign {
	a := &foreign{r: r, entity: entity}
	for i := range a.lines {
		a.lines[i] = line{name: "foreign", conn: core.ConnID(2 * i), table: core.Op(8)}
	}
	return a
}

func (a *foreign) Next() core.Time { return a.next }

func (a *foreign) wait(now core.Now, ms uint64) {
	a.next = now.Mono + core.Time(1+a.r.choose(a.entity, siteWork, a.entity, ms))*core.Millisecond
}

func (a *foreign) Step(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Kind == core.Boot {
		a.wait(now, 3000)
	}
	for i := range a.lines {
		_, resp, lost := a.lines[i].step(a.r, now, ev, out)
		if len(lost) > 0 {
			a.over(now)
		}
		if resp != nil {
			a.heed(now, resp, out)
			a.elsewhere(resp, out)
		}
	}
	if now.Mono < a.next {
		return
	}
	if a.next = now.Mono + lineRetry; a.r.stage >= stageCalm {
		a.leave(out)
		a.next = core.Never
		return
	}
	if a.lines[1].state == askIdle {
		a.lines[1].node = a.lines[0].node
	}
	if one, two := a.lines[0].open(a.r, a.entity, now, out), a.lines[1].openTo(a.r, now, out); !one || !two || a.r.probes.made < len(a.r.cfg.Topics) {
		return
	}
	if len(a.lines[0].waits)+len(a.lines[1].waits) > 0 && a.step != stepHeld {
		if a.lines[0].oldest() < a.r.w.now-8*core.Second {
			a.lines[0].hangUp(out)
		}
		return
	}
	if a.step == stepBegin && !a.r.turn(a.entity, now, &a.next) {
		return
	}
	a.act(now, out)
}

// elsewhere hangs up where another broker coordinates the group: the next one that is dialled may be that one.
func (a *foreign) elsewhere(resp kmsg.Response, out *core.Out) {
	code := wire.None
	switch p := resp.(type) {
	case *kmsg.JoinGroupResponse:
		code = wire.Code(p.ErrorCode)
	case *kmsg.OffsetCommitResponse:
		if len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 {
			code = wire.Code(p.Topics[0].Partitions[0].ErrorCode)
		}
	}
	if code == wire.NotCoordinator {
		a.lines[0].hangUp(out)
		a.lines[1].hangUp(out)
	}
}

// Steps of a move.
const (
	stepBegin = iota
	stepJoined
	stepHeld // the second of two static members waits for the first
)

// over ends a move.
func (a *foreign) over(now core.Now) {
	a.step, a.id, a.rounds = stepBegin, "", 0
	a.wait(now, 800)
}

func (a *foreign) act(now core.Now, out *core.Out) {
	draw := func(n uint64) uint64 { return a.r.choose(a.entity, siteWork, a.entity, n) }
	if a.step == stepBegin {
		a.move = foreignMove(draw(uint64(moveCount)))
		a.group = int(draw(uint64(len(a.r.cfg.Groups))))
	}
	l := &a.lines[0]
	switch a.move {
	case moveClaim:
		if a.step == stepJoined { // it stays a little, then looks whether there is something new
			q := kmsg.NewPtrHeartbeatRequest()
			q.Group, q.Generation, q.MemberID = a.name(), a.generation, a.id
			l.send(a.r, q, 4, 0, 0, out)
			return
		}
		l.send(a.r, a.join(a.name(), "", 6000, 6000), 9, 0, 0, out)
	case moveStray:
		if a.r.settled() {
			for range 6 {
				name := "stray" + strconv.Itoa(int(draw(16)))
				if draw(4) == 0 {
					name = a.name()
				}
				l.send(a.r, a.join(name, "", 800, 6000), 9, 0, 0, out)
			}
			return
		}
		a.over(now)
	case moveLarge:
		q := a.join("large", "", 6000, 1000)
		q.Protocols[0].Metadata = append(q.Protocols[0].Metadata, make([]byte, 20_000)...)
		l.send(a.r, q, 3, 0, 0, out) // this version needs no second request
	case moveSegments:
		size := "15000"
		l.send(a.r, alter(kmsg.ConfigResourceTypeTopic, "__consumer_offsets", "internal.segment.bytes", &size), 1, 0, 0, out)
	case moveExpire:
		if !a.r.settled() {
			a.over(now)
			return
		}
		q := commitRequest("brief", "", -1, a.r.cfg.Topics[0].name, 1).(*kmsg.OffsetCommitRequest)
		q.RetentionTimeMillis = 1
		l.send(a.r, q, 3, 0, 0, out)
	case moveDeserts:
		a.desert(now, out)
	}
}

// desert lets one static member join and never come back, and a second one join and go while the first is waited for.
func (a *foreign) desert(now core.Now, out *core.Out) {
	switch a.step {
	case stepBegin:
		a.lines[0].send(a.r, a.join("desert", "here", 30000, 600), 5, 0, 0, out)
	case stepJoined:
		a.lines[1].send(a.r, a.join("desert", "there", 30000, 600), 5, 0, 0, out)
		a.step = stepHeld
		a.wait(now, 300)
	case stepHeld:
		there := "there"
		q := kmsg.NewPtrLeaveGroupRequest()
		q.Group = "desert"
		m := kmsg.NewLeaveGroupRequestMember()
		m.InstanceID = &there
		q.Members = append(q.Members, m)
		a.lines[0].send(a.r, q, 3, 0, 0, out)
		a.over(now)
		a.next = now.Mono + 1500*core.Millisecond
	}
}

func (a *foreign) name() string { return "g" + strconv.Itoa(a.group) }

// join is a JoinGroup with whatever claims it makes.
func (a *foreign) join(group, instance string, session, rebalance int32) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Group, q.ProtocolType, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis, q.MemberID = group, "consumer", session, rebalance, a.id
	if instance != "" {
		q.InstanceID = &instance
	}
	s := assign.Subscription{Version: 3, Generation: -1}
	for i := range a.r.cfg.Topics {
		t := &a.r.cfg.Topics[i]
		s.Topics = append(s.Topics, t.name)
		for p := range t.partitions {
			if a.move == moveClaim && a.r.choose(a.entity, siteWork, a.entity, 4) != 0 { // whoever has it claims it with a newer generation
				s.Owned = append(s.Owned, core.TopicPartition{Topic: t.name, Partition: p})
			}
		}
	}
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = a.r.cfg.assignors[a.group].String(), s.Append(nil)
	q.Protocols = append(q.Protocols, p)
	return q
}

// settled reports that the groups of the run are all there, so that strangers cannot keep them out.
func (r *run) settled() bool {
	known := 0
	for g := range r.cfg.Groups {
		for _, h := range r.watch[0].handed {
			if h.group == "g"+strconv.Itoa(g) {
				known++
			}
		}
	}
	for _, c := range r.probes.commits {
		if c.Write && c.Outcome == 0 {
			return known == len(r.cfg.Groups)
		}
	}
	return false
}

func (a *foreign) heed(now core.Now, resp kmsg.Response, out *core.Out) {
	switch p := resp.(type) {
	case *kmsg.JoinGroupResponse:
		a.joined(now, p, out)
	case *kmsg.SyncGroupResponse:
		if a.move == moveClaim && p.ErrorCode == 0 {
			list, _, _ := assign.ParseAssignment(p.MemberAssignment)
			for _, at := range list {
				a.r.argue(a.name(), at, nil)
			}
			a.wait(now, 1500)
			return
		}
		a.over(now)
	case *kmsg.HeartbeatResponse:
		a.rounds++
		switch {
		case wire.Code(p.ErrorCode) == wire.RebalanceInProgress && a.rounds < 6:
			a.lines[0].send(a.r, a.join(a.name(), "", 6000, 6000), 9, 0, 0, out)
		case p.ErrorCode == 0 && a.rounds < 6:
			a.wait(now, 1500)
		case a.r.choose(a.entity, siteWork, a.entity, 2) == 0:
			a.leave(out)
			a.over(now)
		default: // it is gone without a word
			a.over(now)
		}
	default:
		a.over(now)
	}
}

func (a *foreign) joined(now core.Now, p *kmsg.JoinGroupResponse, out *core.Out) {
	l := &a.lines[0]
	switch code := wire.Code(p.ErrorCode); {
	case a.move == moveDeserts && a.step == stepBegin && code == wire.None:
		a.step = stepJoined
		a.wait(now, 100)
	case a.move == moveDeserts: // of the second member
	case a.move == moveStray:
		if len(l.waits) == 0 {
			a.over(now)
		}
	case code == wire.MemberIDRequired && a.move == moveClaim:
		a.id = p.MemberID
		l.send(a.r, a.join(a.name(), "", 6000, 6000), 9, 0, 0, out)
	case code == wire.None && a.move == moveClaim && p.LeaderID != p.MemberID:
		a.id, a.generation, a.step = p.MemberID, p.Generation, stepJoined
		q := kmsg.NewPtrSyncGroupRequest()
		q.Group, q.Generation, q.MemberID, q.ProtocolType, q.Protocol = a.name(), p.Generation, a.id, p.ProtocolType, p.Protocol
		l.send(a.r, q, 5, 0, 0, out)
	case code == wire.None && a.move == moveLarge: // the leader of its own group
		q := kmsg.NewPtrSyncGroupRequest()
		q.Group, q.Generation, q.MemberID = "large", p.Generation, p.MemberID
		x := kmsg.NewSyncGroupRequestGroupAssignment()
		x.MemberID, x.MemberAssignment = p.MemberID, make([]byte, 20_000)
		q.GroupAssignment = append(q.GroupAssignment, x)
		l.send(a.r, q, 3, 0, 0, out)
	default:
		a.id = p.MemberID
		a.leave(out) // it will not assign anything to anybody
		a.over(now)
	}
}

// leave gives up the membership, if there is one.
func (a *foreign) leave(out *core.Out) {
	if a.id == "" || a.move != moveClaim || a.lines[0].state != askOpen {
		return
	}
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Group = a.name()
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = a.id
	q.Members = append(q.Members, m)
	a.lines[0].send(a.r, q, 4, 0, 0, out)
	a.id = ""
}
