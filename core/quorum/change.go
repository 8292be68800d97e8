package quorum

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/log"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// changing is the change of the voters that a leader works on: one at a time (KIP-853). Its story: AddRaftVoter asks the new voter
// what it supports; then the changed set is appended, which puts it in force; when it is committed the answer leaves. A
// change whose time is over is answered and forgotten, but what it appended stays: the next one waits for that.
//
// Invariant: end is 0 until the set is appended; kind is notChanging if there is none, and then all else is zero.
type changing struct {
	kind     changeKind
	ticket   Ticket       // of the request that waits, 0 if nobody does
	ask      kmsg.Request // that one
	voter    wire.Voter   // to be added
	early    bool         // it is answered when the set is appended, not when it is committed (KIP-1186)
	token    uint64       // of ApiVersions, while it is in flight
	end      core.Offset  // exclusive, of the batch with the set
	deadline core.Time
}

type changeKind uint8

const (
	notChanging changeKind = iota
	adding                 // until the new voter has said what it supports
	waiting                // until the set is committed
)

// endChange answers the change that is under way, and forgets it.
func (n *Node) endChange(code wire.Code, text string) {
	if c := n.change; c.ticket != 0 {
		n.answer(c.ticket, changeAnswer(c.ask, code, text))
	}
	n.change = changing{}
}

// changeAnswer is the response to a change of the voters.
func changeAnswer(q kmsg.Request, code wire.Code, text string) kmsg.Response {
	r := refusal(q, code)
	var message *string
	if code != wire.None {
		message = &text
	}
	switch r := r.(type) {
	case *kmsg.AddRaftVoterResponse:
		r.ErrorMessage = message
	case *kmsg.RemoveRaftVoterResponse:
		r.ErrorMessage = message
	case *kmsg.UpdateFeaturesResponse:
		r.ErrorCode, r.ErrorMessage = int16(code), message
	}
	return r
}

// refuseChange is the reason why this leader cannot change its voters now, in Apache Kafka's order.
func (n *Node) refuseChange(now core.Now, what string) (wire.Code, string) {
	set := n.inForce()
	switch {
	case n.change.kind != notChanging:
		return wire.RequestTimedOut, "Request timed out waiting for leader to handle previous voter change request"
	case n.tellHigh() < 0 || n.overdue(now):
		// A leader that has committed nothing yet may hold a change of a former leader that is not committed either, and that another
		// leader may replace: two changes beside each other have majorities that do not meet (Ongaro, 2015).
		return wire.RequestTimedOut, "Request timed out waiting for leader to establish HWM and fence previous voter changes"
	case set.kraft < 1:
		return wire.UnsupportedVersion, "Cluster doesn't support " + what + " voter because the kraft.version feature is " + strconv.Itoa(int(set.kraft))
	case n.changedAt() > n.high:
		return wire.RequestTimedOut, "Request timed out waiting for voters to commit the latest voter change at " + strconv.FormatInt(int64(n.changedAt())-1, 10) +
			" with HWM " + strconv.FormatInt(int64(n.high), 10)
	}
	return wire.None, ""
}

// addAsked begins with AddRaftVoter, versions 0 and 1.
func (n *Node) addAsked(now core.Now, t Ticket, q *kmsg.AddRaftVoterRequest) {
	refuse := func(code wire.Code, text string) { n.answer(t, changeAnswer(q, code, text)) }
	v := wire.Voter{VoterID: core.NodeID(q.VoterID), VoterDirectoryID: q.VoterDirectoryID}
	for _, l := range q.Listeners {
		v.Endpoints = append(v.Endpoints, wire.VoterEndpoint{Name: strings.Clone(l.Name), Host: strings.Clone(l.Host), Port: l.Port})
	}
	addr := n.defaultAddr(v.Endpoints)
	set := n.inForce()
	code, text := wire.None, ""
	switch {
	case n.wrongCluster(q.ClusterID):
		code, text = wire.InconsistentClusterID, n.wrongClusterText(q.ClusterID)
	case n.role != Leader:
		code = wire.NotLeaderOrFollower
	case v.VoterID < 0 || v.VoterDirectoryID == wire.UUID{}:
		code, text = wire.InvalidRequest, "Add voter request didn't include a valid voter"
	case addr == "":
		code, text = wire.InvalidRequest, "Add voter request didn't include the endpoint for the default listener "+n.cfg.Listener
	default:
		code, text = n.refuseChange(now, "adding")
	}
	switch {
	case code != wire.None:
		refuse(code, text)
		return
	case set.find(v.VoterID) >= 0:
		refuse(wire.DuplicateVoter, "The voter id for "+keyText(v)+" is already part of the set of voters "+set.keysText()+".")
		return
	case len(set.voters) >= VotersMax:
		refuse(wire.InvalidRequest, "There are "+strconv.Itoa(len(set.voters))+" voters already, which is the most that there can be.")
		return
	}
	n.change = changing{kind: adding, ticket: t, ask: q, voter: v, early: q.Version >= 1 && !q.AckWhenCommitted, deadline: now.Mono.After(n.cfg.RequestTimeout)}
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.Version, versions.ClientSoftwareName, versions.ClientSoftwareVersion = 4, "klamm", "1" // older ones do not tell of features that begin at 0
	n.change.token = n.send(v.VoterID, addr, versions)
}

// VotersMax bounds the voters of a quorum.
const VotersMax = 99

// defaultAddr is where a voter listens for the others; empty if it does not say so.
func (n *Node) defaultAddr(endpoints []wire.VoterEndpoint) string {
	for _, e := range endpoints {
		if e.Name == n.cfg.Listener && e.Host != "" && e.Port != 0 {
			return hostPort(e.Host, e.Port)
		}
	}
	return ""
}

// versionsReplied goes on with AddRaftVoter when the new voter has said what it supports.
func (n *Node) versionsReplied(now core.Now, resp kmsg.Response, store *log.Store, out *core.Out) {
	c := &n.change
	c.token = 0
	if n.role != Leader || c.kind != adding {
		return
	}
	who := keyText(c.voter)
	r, ok := resp.(*kmsg.ApiVersionsResponse)
	if !ok || r.ErrorCode != 0 {
		why := wire.BrokerNotAvailable
		if ok {
			why = wire.Code(r.ErrorCode)
		}
		n.endChange(wire.RequestTimedOut, "Aborted add voter operation for "+who+" since API_VERSIONS returned an error "+why.String())
		return
	}
	level := n.KRaft()
	i := slices.IndexFunc(r.SupportedFeatures, func(f kmsg.ApiVersionsResponseSupportedFeature) bool { return f.Name == kraftVersion })
	if i < 0 {
		n.endChange(wire.InvalidRequest, "Aborted add voter operation for "+who+" since kraft.version is not supported.")
		return
	}
	has := &r.SupportedFeatures[i]
	if level < has.MinVersion || level > has.MaxVersion {
		n.endChange(wire.InvalidRequest, "Aborted add voter operation for "+who+" since kraft.version range "+strconv.Itoa(int(has.MinVersion))+"-"+
			strconv.Itoa(int(has.MaxVersion))+" doesn't support version "+strconv.Itoa(int(level))+".")
		return
	}
	c.voter.KRaftVersionFeature = wire.KRaftVersionFeature{MinSupportedVersion: has.MinVersion, MaxSupportedVersion: has.MaxVersion}
	if !n.caughtUp(now, &c.voter) {
		n.endChange(wire.RequestTimedOut, "Aborted add voter operation for "+who+" since it is lagging behind")
		return
	}
	set := n.inForce()
	next := set.with(c.voter)
	if why := n.wouldStop(now, &next, &c.voter); why != "" {
		n.endChange(wire.RequestTimedOut, "Aborted add voter operation for "+who+": "+why)
		return
	}
	out.Mark("quorum.voter-added")
	n.appendSet(now, next, store, out)
	if c.early && c.ticket != 0 {
		n.answer(c.ticket, changeAnswer(c.ask, wire.None, ""))
		c.ticket = 0
	}
}

const kraftVersion = "kraft.version"

// caughtUp reports whether an observer has all that a voter needs: else the high watermark would stand still until it does.
func (n *Node) caughtUp(now core.Now, v *wire.Voter) bool {
	return slices.ContainsFunc(n.readers, func(r reader) bool {
		return r.id == v.VoterID && r.dir == core.TopicID(v.VoterDirectoryID) && r.caught && now.Mono < r.caughtAt.After(n.quorumTime())
	})
}

// wouldStop says why a set could not commit even its own record: it has no majority of voters that fetch. Apache Kafka
// appends such a set, and a quorum that loses a voter for good at that moment never comes back.
func (n *Node) wouldStop(now core.Now, next *voterSet, joins *wire.Voter) string {
	alive := 0
	for i := range next.voters {
		v := &next.voters[i]
		p := findPeer(n.peers, v.VoterID)
		if v.VoterID == n.cfg.Self || joins != nil && v.VoterID == joins.VoterID || p != nil && p.fetchMillis >= 0 && now.Mono < p.fetchedAt.After(n.quorumTime()) {
			alive++
		}
	}
	if alive > len(next.voters)/2 {
		return ""
	}
	return "of the " + strconv.Itoa(len(next.voters)) + " voters that there would be only " + strconv.Itoa(alive) + " fetch from the leader, which is no majority."
}

// appendSet puts a set in force, and waits for it to be committed.
func (n *Node) appendSet(now core.Now, set voterSet, store *log.Store, out *core.Out) {
	core.Must(n.changedAt() <= n.high, "one change of the voters at a time")
	core.Must(n.tellHigh() >= 0, "a change of the voters comes after a commit of the leader's own epoch")
	records := set.records()
	if set.kraft == n.KRaft() {
		records = records[1:]
	}
	n.change.kind = waiting
	if !n.appendControl(now, store, out, records...) {
		n.endChange(wire.RequestTimedOut, "The metadata log takes no records.")
		return
	}
	n.change.end = n.changedAt()
	n.ownDurable(now, store, out) // fewer voters may be enough for what waited
}

// removeAsked begins with RemoveRaftVoter, version 0. The leader may remove itself: it leads on until that is committed.
func (n *Node) removeAsked(now core.Now, t Ticket, q *kmsg.RemoveRaftVoterRequest, store *log.Store, out *core.Out) {
	set := n.inForce()
	key := wire.Voter{VoterID: core.NodeID(q.VoterID), VoterDirectoryID: q.VoterDirectoryID}
	code, text := wire.None, ""
	switch {
	case n.wrongCluster(q.ClusterID):
		code, text = wire.InconsistentClusterID, n.wrongClusterText(q.ClusterID)
	case n.role != Leader:
		code = wire.NotLeaderOrFollower
	case key.VoterID < 0 || key.VoterDirectoryID == wire.UUID{}:
		code, text = wire.InvalidRequest, "Remove voter request didn't include a valid voter"
	default:
		code, text = n.refuseChange(now, "removing")
	}
	if code == wire.None {
		if i := set.find(key.VoterID); i < 0 || set.voters[i].VoterDirectoryID != key.VoterDirectoryID || len(set.voters) == 1 { // the last one stays
			code, text = wire.VoterNotFound, "Cannot remove voter "+keyText(key)+" from the set of voters "+set.keysText()
		}
	}
	next := set.without(key.VoterID)
	if code == wire.None {
		if why := n.wouldStop(now, &next, nil); why != "" {
			code, text = wire.RequestTimedOut, "Cannot remove voter "+keyText(key)+": "+why
		}
	}
	if code != wire.None {
		n.answer(t, changeAnswer(q, code, text))
		return
	}
	out.Mark("quorum.voter-removed")
	n.change = changing{ticket: t, ask: q, deadline: now.Mono.After(n.cfg.RequestTimeout)}
	n.appendSet(now, next, store, out)
}

// updateAsked answers UpdateRaftVoter, version 0: a voter says where it listens and what it supports. While the configuration names the
// voters it is only remembered, for the day when they enter the log. The answer does not wait for the commit, as in
// Apache Kafka.
func (n *Node) updateAsked(now core.Now, q *kmsg.UpdateRaftVoterRequest, store *log.Store, out *core.Out) kmsg.Response {
	if n.wrongCluster(q.ClusterID) {
		return refusal(q, wire.InconsistentClusterID)
	}
	v := wire.Voter{VoterID: core.NodeID(q.VoterID), VoterDirectoryID: q.VoterDirectoryID,
		KRaftVersionFeature: wire.KRaftVersionFeature{MinSupportedVersion: q.KRaftVersionFeature.MinSupportedVersion, MaxSupportedVersion: q.KRaftVersionFeature.MaxSupportedVersion}}
	for _, l := range q.Listeners {
		v.Endpoints = append(v.Endpoints, wire.VoterEndpoint{Name: strings.Clone(l.Name), Host: strings.Clone(l.Host), Port: l.Port})
	}
	code := n.leaderOnly(core.Epoch(q.CurrentLeaderEpoch))
	if code == wire.None {
		code = n.updateVoter(now, v, store, out)
	}
	r := q.ResponseKind().(*kmsg.UpdateRaftVoterResponse)
	r.Version, r.ErrorCode = q.Version, int16(code)
	r.CurrentLeader.LeaderID, r.CurrentLeader.LeaderEpoch = int32(n.state.leader), int32(n.state.epoch)
	if v, ok := n.endpoint(n.state.leader); ok {
		r.CurrentLeader.Host, r.CurrentLeader.Port = v.Host, int32(v.Port)
	}
	return r
}

func (n *Node) updateVoter(now core.Now, v wire.Voter, store *log.Store, out *core.Out) wire.Code {
	set := n.inForce()
	level := set.kraft
	switch {
	case v.VoterID < 0 || v.VoterDirectoryID == wire.UUID{} || n.defaultAddr(v.Endpoints) == "":
		return wire.InvalidRequest
	case n.change.kind != notChanging || n.tellHigh() < 0 || n.changedAt() > n.high:
		return wire.RequestTimedOut
	case level < v.KRaftVersionFeature.MinSupportedVersion || level > v.KRaftVersionFeature.MaxSupportedVersion:
		return wire.InvalidRequest
	}
	if level == 0 {
		p := findPeer(n.peers, v.VoterID)
		if p == nil {
			return wire.VoterNotFound
		}
		p.claims, p.claim = true, v
		return wire.None
	}
	i := set.find(v.VoterID)
	switch {
	case i < 0 || set.voters[i].VoterDirectoryID != v.VoterDirectoryID:
		return wire.VoterNotFound
	case sameVoter(&set.voters[i], &v):
		return wire.None
	}
	out.Mark("quorum.voter-updated")
	n.change = changing{deadline: now.Mono.After(n.cfg.RequestTimeout)}
	n.appendSet(now, set.with(v), store, out)
	return wire.None
}

func sameVoter(a, b *wire.Voter) bool {
	return a.VoterID == b.VoterID && a.VoterDirectoryID == b.VoterDirectoryID && a.KRaftVersionFeature == b.KRaftVersionFeature &&
		slices.Equal(byName(a.Endpoints), byName(b.Endpoints))
}

// byName sorts endpoints: they are a set, whose order others choose.
func byName(list []wire.VoterEndpoint) []wire.VoterEndpoint {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b wire.VoterEndpoint) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// self is this node as a voter.
func (n *Node) self() wire.Voter {
	return wire.Voter{VoterID: n.cfg.Self, VoterDirectoryID: wire.UUID(n.cfg.Directory), Endpoints: n.cfg.Endpoints,
		KRaftVersionFeature: wire.KRaftVersionFeature{MinSupportedVersion: kraftMin, MaxSupportedVersion: kraftMax}}
}

// changeTurn carries a leader's change on: it is committed, or its time is over. A leader that is no voter any more resigns when
// that is committed, and not before: until then the others may still need it to be. One whose own row is out of date puts
// it right.
func (n *Node) changeTurn(now core.Now, store *log.Store, out *core.Out) {
	if n.role != Leader {
		return
	}
	c := &n.change
	switch {
	case c.kind == waiting && c.end > 0 && n.high >= c.end:
		n.endChange(wire.None, "")
	case c.kind != notChanging && now.Mono >= c.deadline:
		out.Mark("quorum.change-timed-out")
		n.endChange(wire.RequestTimedOut, "")
	}
	if n.changedAt() > n.high || n.tellHigh() < 0 || c.kind != notChanging {
		return
	}
	set := n.inForce()
	if set.kraft == 0 {
		return
	}
	if !n.isVoter() {
		out.Mark("quorum.removed-leader-resigns")
		out.Note(core.Info, "this node is no voter of the metadata quorum any more, and resigns as leader of epoch "+strconv.Itoa(int(n.state.epoch)))
		n.resign(now, out)
		return
	}
	if self := n.self(); len(self.Endpoints) > 0 && !n.cfg.Directory.IsZero() && !n.overdue(now) {
		if i := set.find(n.cfg.Self); !sameVoter(&set.voters[i], &self) {
			out.Mark("quorum.voter-updated")
			n.change = changing{deadline: now.Mono.After(n.cfg.RequestTimeout)}
			n.appendSet(now, set.with(self), store, out)
		}
	}
}

// Upgradable says why kraft.version cannot be changed to a level now, or "" if it can be or is there already.
func (n *Node) Upgradable(level int16) string {
	now := n.KRaft()
	about := "Invalid upgrade of kraft.version from version " + strconv.Itoa(int(now)) + " to " + strconv.Itoa(int(level)) + " because "
	switch {
	case level == now:
		return ""
	case level < now:
		return about + "the new version is a downgrade"
	case n.change.kind != notChanging || n.tellHigh() < 0:
		return about + "the leader has not committed a record of its epoch yet, or is changing the voters"
	}
	for i := range n.peers {
		switch p := &n.peers[i]; {
		case !p.claims:
			return about + "the directory id and the endpoints of voter " + strconv.Itoa(int(p.id)) + " are not known to the leader yet"
		case level < p.claim.KRaftVersionFeature.MinSupportedVersion || level > p.claim.KRaftVersionFeature.MaxSupportedVersion:
			return about + "voter " + strconv.Itoa(int(p.id)) + " does not support it"
		}
	}
	if n.cfg.Directory.IsZero() || n.defaultAddr(n.cfg.Endpoints) == "" {
		return about + "the leader has no directory id, or no endpoint for the listener " + n.cfg.Listener
	}
	return ""
}

// Upgrade writes the voters into the log, and with them kraft.version 1, unless they are there. The ticket gets an UpdateFeatures
// response when that is committed; ticket 0 is nobody's. Upgradable has said "".
func (n *Node) Upgrade(now core.Now, t Ticket, level int16, store *log.Store, out *core.Out) {
	q := kmsg.NewPtrUpdateFeaturesRequest()
	if n.role != Leader || n.Upgradable(level) != "" || level == n.KRaft() {
		if t != 0 {
			n.answer(t, changeAnswer(q, wire.None, ""))
		}
		return
	}
	set := voterSet{kraft: level}
	for i := range n.peers {
		set.voters = append(set.voters, n.peers[i].claim)
	}
	if n.isVoter() {
		set = set.with(n.self())
	}
	out.Mark("quorum.voters-enter-log")
	n.change = changing{ticket: t, ask: q, deadline: now.Mono.After(n.cfg.RequestTimeout)}
	n.appendSet(now, set, store, out)
	n.settle(now, store, out)
}

func (n *Node) wrongClusterText(id *string) string {
	return "The given id " + strconv.Quote(*id) + " doesn't match the cluster id " + strconv.Quote(n.cfg.ClusterID)
}

// keyText names a voter as Apache Kafka does.
func keyText(v wire.Voter) string {
	return "ReplicaKey(id=" + strconv.Itoa(int(v.VoterID)) + ", directoryId=" + core.TopicID(v.VoterDirectoryID).String() + ")"
}

func (s *voterSet) keysText() string {
	b := "["
	for i, v := range s.voters {
		if i > 0 {
			b += ", "
		}
		b += keyText(v)
	}
	return b + "]"
}

// tending is what a follower asks its leader about its own place among the voters: that its row be put right, or, where
// controller.quorum.auto.join.enable says so, that it be let in, in the place of a former life whose disk is lost.
type tending struct {
	token uint64    // of the request in flight; 0: none
	at    core.Time // not before then
	told  bool      // this leader knows it, while the configuration names the voters
}

// place is what this follower has to ask about itself; nil: nothing.
func (n *Node) place() kmsg.Request {
	self, set := n.self(), n.inForce()
	i := set.find(n.cfg.Self)
	switch {
	case n.role != Follower || !n.follow.heard || n.cfg.Directory.IsZero() || n.defaultAddr(self.Endpoints) == "" || n.stopping:
		return nil
	case n.isVoter():
		if set.kraft == 0 && n.tend.told || set.kraft > 0 && sameVoter(&set.voters[i], &self) {
			return nil
		}
		q := kmsg.NewPtrUpdateRaftVoterRequest()
		q.ClusterID, q.CurrentLeaderEpoch, q.VoterID, q.VoterDirectoryID = n.clusterID(), int32(n.state.epoch), int32(n.cfg.Self), n.cfg.Directory
		for _, e := range self.Endpoints {
			l := kmsg.NewUpdateRaftVoterRequestListener()
			l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
			q.Listeners = append(q.Listeners, l)
		}
		q.KRaftVersionFeature.MinSupportedVersion, q.KRaftVersionFeature.MaxSupportedVersion = kraftMin, kraftMax
		return q
	case !n.cfg.AutoJoin || set.kraft == 0:
		return nil
	case i >= 0:
		q := kmsg.NewPtrRemoveRaftVoterRequest()
		q.ClusterID, q.VoterID, q.VoterDirectoryID = n.clusterID(), int32(n.cfg.Self), set.voters[i].VoterDirectoryID
		return q
	}
	q := kmsg.NewPtrAddRaftVoterRequest()
	q.Version, q.TimeoutMillis = 1, int32(n.cfg.RequestTimeout.Millis())
	q.ClusterID, q.VoterID, q.VoterDirectoryID, q.AckWhenCommitted = n.clusterID(), int32(n.cfg.Self), n.cfg.Directory, false
	for _, e := range self.Endpoints {
		l := kmsg.NewAddRaftVoterRequestListener()
		l.Name, l.Host, l.Port = e.Name, e.Host, e.Port
		q.Listeners = append(q.Listeners, l)
	}
	return q
}

// tendAt is when this follower asks about its place; Never if there is nothing to ask.
func (n *Node) tendAt() core.Time {
	if n.tend.token != 0 || n.place() == nil {
		return core.Never
	}
	return n.tend.at
}

// tendPlace asks what place says.
func (n *Node) tendPlace(now core.Now, out *core.Out) {
	if now.Mono < n.tendAt() {
		return
	}
	addr := n.leaderAddr()
	n.tend.at = now.Mono.After(n.cfg.FetchTimeout)
	if addr == "" {
		return
	}
	q := n.place()
	if _, joins := q.(*kmsg.AddRaftVoterRequest); joins {
		out.Mark("quorum.auto-join")
	}
	n.tend.token = n.send(n.state.leader, addr, q)
}

// tended takes the answer. A refusal is asked again later.
func (n *Node) tended(now core.Now, resp kmsg.Response, out *core.Out) {
	n.tend.token, n.tend.at = 0, now.Mono.After(n.cfg.FetchTimeout)
	switch r := resp.(type) {
	case *kmsg.UpdateRaftVoterResponse:
		if leader, epoch := core.NodeID(r.CurrentLeader.LeaderID), core.Epoch(r.CurrentLeader.LeaderEpoch); r.ErrorCode == 0 {
			n.tend.told = true
		} else if leader >= 0 && epoch > n.state.epoch {
			n.heard(now, leader, epoch, out)
		}
	case *kmsg.AddRaftVoterResponse:
		if r.ErrorCode != 0 && r.ErrorMessage != nil {
			out.Note(core.Info, "this node is not let in among the voters yet: "+*r.ErrorMessage)
		}
	case *kmsg.RemoveRaftVoterResponse:
		n.tend.at = now.Mono // to join comes next
	}
}
