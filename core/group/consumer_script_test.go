package group

import (
	"fmt"
	"strings"

	"klamm/core"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerCommand runs the commands of scripts about the consumer protocol.
func (w *world) consumerCommand(cmd string, args map[string]string) bool {
	switch cmd {
	case "topic":
		w.img = withTopic(w.t, w.img, int(num(args, "n", 1)), args["topic"], int(num(args, "partitions", 1)))
	case "no-topic":
		next, _, err := w.img.Apply([]wire.Record{&wire.RemoveTopicRecord{TopicID: w.img.Topic(args["topic"]).ID}}, w.img.End()+1, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		w.img = next
	case "beat":
		w.beat(args)
	case "fetch-as":
		id := w.id(args["id"])
		w.say("fetch-as", w.st.CheckFetch(args["group"], &id, int32(num(args, "epoch", -1))).String(), 0)
	case "consumers":
		r, code, end := w.st.DescribeConsumer(args["group"], w.img)
		text := fmt.Sprintf("%s %s epoch=%d target=%d", r.State, r.AssignorName, r.Epoch, r.AssignmentEpoch)
		for _, m := range r.Members {
			text += fmt.Sprintf("\n  %s at %d: %s of %s", m.MemberID, m.MemberEpoch, described(m.Assignment), described(m.TargetAssignment))
			if m.MemberType == 0 {
				text += " classic"
			}
		}
		if code != wire.None {
			text = code.String()
		}
		w.say("consumers", text, end)
	default:
		return false
	}
	return true
}

func described(a kmsg.Assignment) string {
	var list []string
	for _, t := range a.TopicPartitions {
		list = append(list, fmt.Sprint(t.Topic, t.Partitions))
	}
	return "(" + strings.Join(list, " ") + ")"
}

// beat sends a heartbeat: topics, regex, owned and rebalance are left out where the script leaves them out; join stands for all that a
// first one brings.
func (w *world) beat(args map[string]string) {
	q := kmsg.NewConsumerGroupHeartbeatRequest()
	q.Version, q.Group, q.MemberID = int16(num(args, "v", 1)), args["group"], w.id(args["id"])
	q.MemberEpoch, q.RebalanceTimeoutMillis = int32(num(args, "epoch", 0)), int32(num(args, "rebalance", -1))
	text := func(key string) *string {
		if v, ok := args[key]; ok {
			return &v
		}
		return nil
	}
	q.InstanceID, q.RackID, q.ServerAssignor, q.SubscribedTopicRegex = text("instance"), text("rack"), text("assignor"), text("regex")
	if v, ok := args["topics"]; ok {
		q.SubscribedTopicNames = strings.FieldsFunc(v, func(r rune) bool { return r == ';' })
	}
	_, joins := args["join"]
	if owned, ok := args["owned"]; ok || joins {
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		for _, o := range strings.FieldsFunc(owned, func(r rune) bool { return r == ';' }) {
			name, p, _ := strings.Cut(o, ":")
			var n int32
			fmt.Sscan(p, &n)
			var id core.TopicID
			if t := w.img.Topic(name); t != nil {
				id = t.ID
			}
			q.Topics = append(q.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: []int32{n}})
		}
	}
	if joins {
		q.RebalanceTimeoutMillis = int32(num(args, "rebalance", 20000))
		if q.SubscribedTopicNames == nil && q.SubscribedTopicRegex == nil {
			q.SubscribedTopicNames = []string{"t"}
		}
	}
	resp, end := w.st.ConsumerHeartbeat(w.env(), &q, Client{ID: "c", Host: "/10.0.0.1"})
	who := args["as"]
	if who == "" {
		who = args["id"]
	}
	if resp.ErrorCode != 0 {
		answer := wire.Code(resp.ErrorCode).String()
		if resp.ErrorMessage != nil {
			answer += ": " + *resp.ErrorMessage
		}
		w.say("beat "+who, answer, end)
		return
	}
	w.called(args["as"], *resp.MemberID)
	answer := fmt.Sprintf("epoch %d, every %d ms", resp.MemberEpoch, resp.HeartbeatIntervalMillis)
	if resp.Assignment != nil {
		answer += ", assigned ("
		for i, t := range resp.Assignment.Topics {
			if i > 0 {
				answer += " "
			}
			name := "?"
			if topic := w.img.TopicByID(t.TopicID); topic != nil {
				name = topic.Name
			}
			answer += fmt.Sprint(name, t.Partitions)
		}
		answer += ")"
	}
	w.say("beat "+who, answer, end)
}

// consumerRecord prints a record of the consumer protocol.
func (w *world) consumerRecord(key, value []byte) (string, bool) {
	if v := version(key); v < consumerGroupKey {
		return "", false
	}
	group, rest, ok := parseConsumerKey(key)
	if !ok {
		return "", false
	}
	names := map[int]string{
		consumerGroupKey: "group-epoch", consumerMemberKey: "member", consumerTargetKey: "target-epoch", consumerWantsKey: "target",
		consumerCurrentKey: "current", consumerRegexKey: "regex",
	}
	head := strings.TrimSpace(names[version(key)] + " " + group + " " + w.name(rest))
	if value == nil {
		return head + " -", true
	}
	c := consumers{holder: map[held]string{}}
	if !c.fold(version(key), rest, value) {
		return head + " unreadable", true
	}
	slots := func(list []slot) string {
		var text []string
		for _, s := range list {
			text = append(text, fmt.Sprintf("%d-%d@%d", s.topic[0], s.partition, s.epoch))
		}
		return "(" + strings.Join(text, " ") + ")"
	}
	switch version(key) {
	case consumerGroupKey:
		return fmt.Sprintf("%s epoch=%d", head, c.epoch), true
	case consumerTargetKey:
		return fmt.Sprintf("%s epoch=%d", head, c.target), true
	case consumerRegexKey:
		return fmt.Sprintf("%s topics=%v", head, c.regexes[0].topics), true
	}
	m := &c.members[0]
	switch version(key) {
	case consumerMemberKey:
		text := fmt.Sprintf("%s topics=%v regex=%q instance=%q assignor=%q rebalance=%d", head, m.is.SubscribedTopicNames, deref(m.is.SubscribedTopicRegex), deref(m.is.InstanceID), deref(m.is.ServerAssignor), m.is.RebalanceTimeoutMs)
		if classic := m.classic(); classic != nil {
			text += fmt.Sprintf(" classic session=%d", classic.SessionTimeoutMs)
			for _, p := range classic.SupportedProtocols {
				text += " " + p.Name
			}
		}
		return text, true
	case consumerWantsKey:
		return head + " " + slots(m.target), true
	}
	return fmt.Sprintf("%s epoch=%d previous=%d state=%d assigned=%s revoking=%s", head, m.epoch, m.previous, m.state, slots(m.assigned), slots(m.revoking)), true
}
