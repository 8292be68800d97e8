package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"klamm/core"
	"klamm/core/assign"
	"klamm/core/image"
	"klamm/core/shard"
	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fakeLog is a log in memory: what is appended is durable when the test says so.
type fakeLog struct {
	records []shard.Record
	of      map[int]int64 // producers of records of transactions, markers included
	durable int
	refuse  wire.Code
}

func (l *fakeLog) AppendTxn(now core.Now, producer int64, _ int16, records []shard.Record) (core.Offset, wire.Code) {
	from := len(l.records)
	end, code := l.Append(now, records)
	for i := from; i < len(l.records); i++ {
		l.of[i] = producer
	}
	return end, code
}

// The markers of a fakeLog are records with these keys.
const commitMark, abortMark = "commit", "abort"

// fold replays the log into a state.
func (l *fakeLog) fold(s *State, out *core.Out) {
	for i, r := range l.records {
		producer, is := l.of[i]
		if !is {
			producer = -1
		}
		switch string(r.Key) {
		case commitMark, abortMark:
			s.EndTransaction(producer, string(r.Key) == commitMark, core.Offset(i+1), out)
		default:
			s.Apply(&Record{Key: r.Key, Value: r.Value, At: core.Offset(i), Producer: producer}, out)
		}
	}
}

// end appends a marker.
func (w *world) end(producer int64, commit bool) core.Offset {
	mark := abortMark
	if commit {
		mark = commitMark
	}
	end, _ := w.log.AppendTxn(w.now, producer, 0, []shard.Record{{Key: []byte(mark)}})
	w.st.EndTransaction(producer, commit, end, &w.out)
	return end
}

func (l *fakeLog) Append(_ core.Now, records []shard.Record) (core.Offset, wire.Code) {
	if l.refuse != wire.None {
		return 0, l.refuse
	}
	l.records = append(l.records, records...)
	return core.Offset(len(l.records)), wire.None
}

// asked is a request that has not been answered.
type asked struct {
	who  string
	kind string // join, sync, or empty: text is the answer, which waits for end
	wait Wait
	text string
	end  core.Offset
}

// world drives one State.
type world struct {
	st    State
	log   fakeLog
	rand  core.Rand
	marks core.Marks
	out   core.Out
	now   core.Now
	img   *image.Image
	t     testing.TB
	hold  bool // nothing becomes durable by itself
	open  []asked
	ids   map[string]string // member ids, by the names that the script gives
	names map[string]string // and back
	shown int               // records that were shown
}

func newWorld() *world {
	w := &world{img: image.Empty(), rand: core.NewRand([32]byte{7}), ids: map[string]string{"blanks": "  "}, names: map[string]string{}}
	w.log.of = map[int]int64{}
	w.st = New(DefaultConfig())
	w.out.Marks = &w.marks
	w.now.Wall = 1000 * core.Second
	w.st.Loaded(w.env(), 0)
	return w
}

func (w *world) env() Env {
	return Env{Now: w.now, Log: &w.log, Rand: &w.rand, Out: &w.out, Image: w.img}
}

// at moves both clocks to t milliseconds, ticking on the way whenever something is due.
func (w *world) at(ms int64) {
	to := core.Millis(ms)
	for w.st.Next() <= to {
		next := max(w.st.Next(), w.now.Mono)
		w.now.Wall += next - w.now.Mono
		w.now.Mono = next
		w.st.Tick(w.env())
		w.settle()
	}
	w.now.Wall += to - w.now.Mono
	w.now.Mono = to
}

func (w *world) settle() {
	if !w.hold {
		w.log.durable = len(w.log.records)
	}
	w.st.Woken()
}

// reload drops the state, and what is not durable, and folds the log anew.
func (w *world) reload() {
	w.log.records = w.log.records[:w.log.durable]
	w.shown = min(w.shown, len(w.log.records))
	w.st.Reset()
	w.log.fold(&w.st, &w.out)
	w.st.Loaded(w.env(), core.Offset(len(w.log.records)))
	w.open = nil
}

// name puts the script's names in the place of member ids.
func (w *world) name(text string) string {
	var ids []string
	for id := range w.names {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		text = strings.ReplaceAll(text, id, w.names[id])
	}
	return text
}

func (w *world) called(name, id string) {
	if name != "" && id != "" {
		w.ids[name], w.names[id] = id, name
	}
}

func (w *world) id(name string) string {
	if id, ok := w.ids[name]; ok {
		return id
	}
	return name
}

// answers asks on behalf of every waiting request, three times, and returns what may be told.
func (w *world) answers() string {
	w.settle()
	var b strings.Builder
	var still []asked
	for _, a := range w.open {
		var first string
		for i := range 3 {
			text, end, done := a.text, a.end, true
			switch a.kind {
			case "join":
				var res JoinResult
				if res, done = w.st.Joined(a.wait); done {
					text, end = joinText(&res), res.End
				}
			case "sync":
				var res SyncResult
				if res, done = w.st.Synced(a.wait); done {
					text, end = syncText(&res), res.End
				}
			}
			if !done || int(end) > w.log.durable {
				text = ""
			}
			if i == 0 {
				first = text
			} else if text != first {
				return "asking again changed the answer from " + first + " to " + text
			}
		}
		if first == "" {
			still = append(still, a)
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", a.who, w.name(first))
	}
	w.open = still
	return b.String()
}

func joinText(r *JoinResult) string {
	if r.Code != wire.None {
		return r.Code.String() + " id=" + r.MemberID
	}
	s := fmt.Sprintf("generation %d %s/%s leader=%s id=%s", r.Generation, *r.ProtocolType, *r.Protocol, r.Leader, r.MemberID)
	if r.Skip {
		s += " skip"
	}
	for _, m := range r.Members {
		sub, _ := assign.ParseSubscription(m.ProtocolMetadata)
		s += fmt.Sprintf(" [%s %s]", m.MemberID, strings.Join(sub.Topics, ","))
	}
	return s
}

func syncText(r *SyncResult) string {
	if r.Code != wire.None {
		return r.Code.String()
	}
	return fmt.Sprintf("%s/%s assigned %s", *r.ProtocolType, *r.Protocol, assignedText(r.Assignment))
}

// assignedText is what a member is assigned, if it says so in the bytes of the consumer protocol.
func assignedText(b []byte) string {
	list, _, ok := assign.ParseAssignment(b)
	if !ok || len(b) == 0 {
		return fmt.Sprintf("%q", b)
	}
	var text []string
	for _, p := range list {
		text = append(text, fmt.Sprintf("%s-%d", p.Topic, p.Partition))
	}
	return fmt.Sprintf("v%d (%s)", version(b), strings.Join(text, " "))
}

// partitions reads t:0;t:1.
func partitions(text string) (list []core.TopicPartition) {
	for _, o := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' }) {
		name, p, _ := strings.Cut(o, ":")
		var n int32
		fmt.Sscan(p, &n)
		list = append(list, core.TopicPartition{Topic: name, Partition: n})
	}
	return list
}

func ptr(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (w *world) join(args map[string]string) {
	req := kmsg.NewJoinGroupRequest()
	req.Version = int16(num(args, "v", 9))
	req.Group, req.MemberID, req.InstanceID = args["group"], w.id(args["id"]), ptr(args["instance"])
	req.SessionTimeoutMillis = int32(num(args, "session", 10000))
	req.RebalanceTimeoutMillis = int32(num(args, "rebalance", 20000))
	req.ProtocolType = "consumer"
	if t, ok := args["type"]; ok {
		req.ProtocolType = t
	}
	protocols := "range:t"
	if p, ok := args["protocols"]; ok {
		protocols = p
	}
	for _, p := range strings.Fields(strings.ReplaceAll(protocols, ";", " ")) {
		name, topics, _ := strings.Cut(p, ":")
		sub := assign.Subscription{Version: int16(num(args, "sub", 0)), Topics: strings.Split(topics, "+"), Owned: partitions(args["owned"]), Generation: -1}
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: sub.Append(nil)})
	}
	wait, res, done := w.st.Join(w.env(), &req, Client{ID: "c", Host: "/10.0.0.1"})
	who := args["as"]
	if who == "" {
		who = args["id"]
	}
	if done {
		if res.Code == wire.None || res.Code == wire.MemberIDRequired {
			w.called(args["as"], res.MemberID)
		}
		w.open = append(w.open, asked{who: "join " + who, text: joinText(&res), end: res.End})
		return
	}
	w.called(args["as"], wait.Member)
	w.open = append(w.open, asked{who: "join " + who, kind: "join", wait: wait})
}

func (w *world) sync(args map[string]string) {
	req := kmsg.NewSyncGroupRequest()
	req.Version = int16(num(args, "v", 5))
	req.Group, req.MemberID, req.InstanceID = args["group"], w.id(args["id"]), ptr(args["instance"])
	req.Generation = int32(num(args, "gen", 1))
	if req.Version >= 5 && args["protocol"] != "none" {
		kind, protocol := "consumer", "range"
		if args["protocol"] != "" {
			protocol = args["protocol"]
		}
		req.ProtocolType, req.Protocol = &kind, &protocol
	}
	for _, a := range strings.Fields(strings.ReplaceAll(args["assign"], ";", " ")) {
		id, what, _ := strings.Cut(a, ":")
		assigned := []byte(what)
		if list, is := strings.CutPrefix(what, "@"); is {
			assigned = assign.AppendAssignment(nil, 1, partitions(strings.ReplaceAll(list, "+", ";")), []byte(args["custom"]))
		}
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: w.id(id), MemberAssignment: assigned})
	}
	wait, res, done := w.st.Sync(w.env(), &req)
	a := asked{who: "sync " + args["id"], kind: "sync", wait: wait}
	if done {
		a.kind, a.text, a.end = "", syncText(&res), res.End
	}
	w.open = append(w.open, a)
}

func num(args map[string]string, key string, otherwise int64) int64 {
	if v, ok := args[key]; ok {
		var n int64
		if _, err := fmt.Sscan(v, &n); err == nil {
			return n
		}
	}
	return otherwise
}

func (w *world) say(who, text string, end core.Offset) {
	w.open = append(w.open, asked{who: who, text: text, end: end})
}

func (w *world) run(cmd string, args map[string]string) string {
	if t, ok := args["t"]; ok {
		var ms int64
		fmt.Sscan(t, &ms)
		w.at(ms)
	}
	switch cmd {
	case "join":
		w.join(args)
	case "sync":
		w.sync(args)
	case "heartbeat":
		req := kmsg.NewHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID, req.Generation = args["group"], w.id(args["id"]), ptr(args["instance"]), int32(num(args, "gen", 1))
		code, end := w.st.Heartbeat(w.env(), &req)
		w.say("heartbeat "+args["id"], code.String(), end)
	case "leave":
		var l []Leaver
		for _, id := range strings.Split(args["id"], ";") {
			l = append(l, Leaver{ID: w.id(id), Instance: ptr(args["instance"])})
		}
		code, end := w.st.Leave(w.env(), args["group"], l)
		text := code.String()
		for _, x := range l {
			text += " " + x.ID + "=" + x.Code.String()
		}
		w.say("leave", w.name(text), end)
	case "commit":
		c := Committer{
			Group: args["group"], Member: w.id(args["id"]), Instance: ptr(args["instance"]),
			Generation: int32(num(args, "gen", -1)), Retention: num(args, "retention", -1), Old: num(args, "v", 9) < 9,
		}
		if id := num(args, "producer", -1); id >= 0 {
			c.InTransaction, c.Producer = true, id
		}
		rows := []CommitRow{{
			Partition: core.TopicPartition{Topic: args["topic"], Partition: int32(num(args, "partition", 0))},
			Offset:    core.Offset(num(args, "offset", 0)), LeaderEpoch: -1, Metadata: strings.Repeat("m", int(num(args, "metadata", 0))),
		}}
		end := w.st.Commit(w.env(), &c, rows)
		w.say("commit", rows[0].Code.String(), end)
	case "fetch":
		text := "nothing"
		for i, o := range w.st.Offsets(args["group"]) {
			if i == 0 {
				text = ""
			}
			text += fmt.Sprintf("%s-%d=%d ", o.Partition.Topic, o.Partition.Partition, o.Commit.Offset)
			if w.st.Unstable(args["group"], o.Partition) {
				text += "(unstable) "
			}
		}
		if n := w.st.Staged(args["group"]); n > 0 {
			text = strings.TrimSpace(text) + fmt.Sprintf(", %d staged", n)
		}
		w.say("fetch", strings.TrimSpace(text), w.st.End(args["group"]))
	case "end-txn":
		end := w.end(num(args, "producer", -1), args["commit"] != "")
		w.say("end-txn", "done", end)
	case "describe":
		r, found, end := w.st.Describe(args["group"])
		text := fmt.Sprintf("%s type=%q protocol=%q", r.State, r.ProtocolType, r.Protocol)
		for _, m := range r.Members {
			text += fmt.Sprintf(" [%s %s]", m.MemberID, assignedText(m.MemberAssignment))
		}
		if !found {
			text = "not found"
		}
		w.say("describe", text, end)
	case "list":
		var text []string
		for _, g := range w.st.List(nil, strings.Fields(args["states"]), strings.Fields(args["types"])) {
			text = append(text, fmt.Sprintf("%q %s %q %s", g.Group, g.GroupState, g.ProtocolType, g.GroupType))
		}
		w.say("list", strings.Join(text, ", ")+".", w.st.EndAll())
	case "delete":
		code, end := w.st.Delete(w.env(), args["group"])
		w.say("delete", code.String(), end)
	case "delete-offset":
		codes, code, end := w.st.DeleteOffsets(w.env(), args["group"], []core.TopicPartition{{Topic: args["topic"], Partition: int32(num(args, "partition", 0))}})
		w.say("delete-offset", fmt.Sprint(code, codes), end)
	case "topic-deleted":
		w.st.TopicsDeleted(w.env(), []DeletedTopic{{Name: args["topic"]}})
	case "config":
		w.st.cfg.MembersMax = int(num(args, "members", 1<<31-1))
		w.st.cfg.Retention = core.Millis(num(args, "retention", 7*24*3600*1000))
		w.st.cfg.ConsumersMax = int(num(args, "consumers", 1<<31-1))
		w.st.cfg.Migration = Migration(num(args, "migration", int64(MigrateBoth)))
	case "tick":
	case "hold":
		w.hold = true
	case "durable":
		w.log.durable, w.hold = len(w.log.records), false
	case "refuse":
		w.log.refuse = map[string]wire.Code{
			"NOT_COORDINATOR": wire.NotCoordinator, "MESSAGE_TOO_LARGE": wire.MessageTooLarge, "RECORD_LIST_TOO_LARGE": wire.RecordListTooLarge,
		}[args["code"]]
	case "reload":
		w.reload()
	case "records":
		return w.answers() + w.records()
	default:
		if !w.consumerCommand(cmd, args) {
			return "unknown command " + cmd
		}
	}
	if text := w.answers(); text != "" {
		return text
	}
	return "-\n"
}

// records shows what was appended since it was asked last.
func (w *world) records() string {
	var b strings.Builder
	for _, r := range w.log.records[w.shown:] {
		text, ok := w.consumerRecord(r.Key, r.Value)
		if !ok {
			text = w.name(recordText(r))
		}
		b.WriteString(text + "\n")
	}
	if w.shown = len(w.log.records); b.Len() == 0 {
		return "none\n"
	}
	return b.String()
}

func recordText(r shard.Record) string {
	if version(r.Key) == metadataKeyV2 {
		k := kmsg.NewGroupMetadataKey()
		_ = k.ReadFrom(r.Key)
		v, ok := parseStored(r.Value)
		if !ok {
			return "group " + k.Group + " deleted"
		}
		s := fmt.Sprintf("group %s v%d type=%q generation=%d", k.Group, version(r.Value), v.ProtocolType, v.Generation)
		if v.Protocol != nil {
			s += " protocol=" + *v.Protocol + " leader=" + deref(v.Leader)
		}
		for _, m := range v.Members {
			s += fmt.Sprintf(" [%s %s]", m.MemberID, assignedText(m.Assignment))
		}
		return s
	}
	k := kmsg.NewOffsetCommitKey()
	_ = k.ReadFrom(r.Key)
	c, ok := parseCommit(r.Value)
	if !ok {
		return fmt.Sprintf("offset %s %s-%d deleted", k.Group, k.Topic, k.Partition)
	}
	return fmt.Sprintf("offset %s %s-%d v%d %d", k.Group, k.Topic, k.Partition, version(r.Value), c.Offset)
}

func TestScripts(t *testing.T) {
	var seen core.Marks
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.t = t
			args := map[string]string{}
			for _, a := range d.CmdArgs {
				args[a.Key] = strings.Join(a.Vals, ";")
			}
			if args["group"] == "" && d.Cmd != "list" {
				args["group"] = "g"
			} else if args["group"] == "empty" {
				args["group"] = ""
			}
			return w.run(d.Cmd, args)
		})
		for _, name := range w.marks.Names() {
			seen.Hit(name)
		}
	})
	for _, name := range []string{
		"group.append-refused", "group.expired", "group.nobody-joined", "group.offsets-expired", "group.pending-expired",
		"group.session-expired", "group.sync-late", "group.upgraded", "group.downgraded", "group.rejoin-late", "group.resync-late",
	} {
		require.NotZero(t, seen.Count(name), "no script takes the path %s", name)
	}
}

// The tables have bounds, and reaching one does something that was thought about.
func TestBounds(t *testing.T) {
	w := newWorld()
	req := kmsg.NewJoinGroupRequest()
	req.Version, req.Group, req.SessionTimeoutMillis, req.ProtocolType = 9, "g", 10000, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	var second string
	for i := range PendingMax + 1 {
		_, res, _ := w.st.Join(w.env(), &req, Client{ID: "c"})
		require.Equal(t, wire.MemberIDRequired, res.Code)
		if i == 1 {
			second = res.MemberID
		}
	}
	require.Len(t, w.st.groups["g"].pending, PendingMax)
	require.Equal(t, second, w.st.groups["g"].pending[0].id, "the oldest has gone")
	w.st.names = make([]string, GroupsMax)
	req.Group = "another"
	_, res, _ := w.st.Join(w.env(), &req, Client{ID: "c"})
	require.Equal(t, wire.CoordinatorNotAvailable, res.Code)
	require.Nil(t, w.st.groups["another"])
	c := Committer{Group: "another", Generation: -1, Retention: -1}
	rows := []CommitRow{{}}
	w.st.Commit(w.env(), &c, rows)
	require.Equal(t, wire.CoordinatorNotAvailable, rows[0].Code)
	require.Equal(t, []string{"group.pending-full", "group.too-many"}, w.marks.Names())
}
