package group

import (
	"encoding/hex"
	"testing"

	"klamm/core"
	"klamm/core/shard"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func topicID(t *testing.T, s string) core.TopicID {
	id, ok := core.ParseTopicID(s)
	require.True(t, ok)
	return id
}

// The records are those of Apache Kafka 4.3.1, byte for byte: keys and values on the right were read from the
// __consumer_offsets of a broker of that release, which had got the same requests.
func TestRecordsAsKafka(t *testing.T) {
	empty := Stored{At: 1795269081895}
	protocol, leader, instance := "range", "i1-86f94a8f-1adb-438b-be5a-b02b0a607fd3", "i1"
	subscription, _ := hex.DecodeString("000000000001000274310000000161")
	stable := Stored{
		ProtocolType: "consumer", Generation: 1, Protocol: &protocol, Leader: &leader, At: 1795269082864,
		Members: []kmsg.GroupMetadataValueMember{{
			MemberID: leader, InstanceID: &instance, ClientID: "kgo", ClientHost: "/127.0.0.1", RebalanceTimeoutMillis: 10000,
			SessionTimeoutMillis: 10000, Subscription: subscription, Assignment: []byte("AA"),
		}},
	}
	left := Stored{ProtocolType: "consumer", Generation: 2, At: 1795269083010}
	plain := Commit{Offset: 5, LeaderEpoch: -1, Metadata: "x", At: 1795269082088, ExpireAt: -1, TopicID: topicID(t, "nsMbrbY0So6D5RN7DJ5v5Q")}
	expiring := Commit{Offset: 7, LeaderEpoch: -1, Metadata: "ret", At: 1795269082195, ExpireAt: 1795270082195}
	for _, c := range []struct {
		name string
		r    shard.Record
		key  string
		want string
	}{
		{"new group", empty.record("g1"), "000200026731", "0003000000000000ffffffff000001a1fe603b2700000000"},
		{"stable group", stable.record("g2"), "000200026732", "00030008636f6e73756d657200000001000572616e6765002769312d38366639346138662d316164622d343338622d626535612d623032623061363037666433000001a1fe603ef000000001002769312d38366639346138662d316164622d343338622d626535612d6230326230613630376664330002693100036b676f000a2f3132372e302e302e3100002710000027100000000f000000000001000274310000000161000000024141"},
		{"empty group", left.record("g2"), "000200026732", "00030008636f6e73756d657200000002ffffffff000001a1fe603f8200000000"},
		{"commit", plain.record("", "t1", 0), "000100000002743100000000", "00040000000000000005ffffffff0278000001a1fe603be80100109ec31badb6344a8e83e5137b0c9e6fe5"},
		{"commit with a retention", expiring.record("simple", "t1", 0), "0001000673696d706c650002743100000000", "000100000000000000070003726574000001a1fe603c53000001a1fe6f7e93"},
		{"offset deleted", shard.Record{Key: offsetKey("", "t1", 0)}, "000100000002743100000000", ""},
		{"group deleted", shard.Record{Key: metadataKey("")}, "00020000", ""},
	} {
		require.Equal(t, c.key, hex.EncodeToString(c.r.Key), c.name)
		require.Equal(t, c.want, hex.EncodeToString(c.r.Value), c.name)
	}
}
