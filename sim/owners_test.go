package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A member that gives up what another has already is the coordinator's fault only if it is a member still: its next heartbeat says so.
func TestRobbedMember(t *testing.T) {
	p := core.TopicPartition{Topic: "t", Partition: 1}
	for _, c := range []struct {
		name      string
		consumer  bool
		countedAt core.Time
		rejects   bool
	}{
		{"its last heartbeat was sent before", true, 4 * core.Second, false},
		{"none was answered", true, 0, false},
		{"a later one was answered", true, 6 * core.Second, true},
		{"a generation of all members ended", false, 0, true},
	} {
		r := &run{w: &World{}, oracle: NewOracle()}
		r.w.now = 5 * core.Second
		a := &reading{r: r, consumer: c.consumer, owned: []core.TopicPartition{p}, argued: []argument{{p: p, at: r.w.now}}}
		a.noLonger(p, true)
		a.countedAt = c.countedAt
		a.tried()
		require.Equal(t, c.rejects, r.oracle.Rule == "I46", c.name)
	}
}

// A member of the classic protocol that gives up what another has already may have been expelled from a group of the consumer protocol and taken in
// anew under its old id. It was robbed if it was a member in between.
func TestRobbedClassicMember(t *testing.T) {
	p := core.TopicPartition{Topic: "t", Partition: 1}
	for _, c := range []struct {
		name               string
		rolls              bool
		counted, countedAt core.Time
		rejects            bool
	}{
		{"its last heartbeat was sent before", true, 1, 4 * core.Second, false},
		{"it has joined anew", true, 0, 6 * core.Second, false},
		{"a later one was answered", true, 1, 6 * core.Second, true},
		{"of a group of the classic protocol", false, 0, 0, true},
	} {
		r := &run{w: &World{}, oracle: NewOracle()}
		a := &reading{r: r, rolls: c.rolls, owned: []core.TopicPartition{p}, argued: []argument{{p: p, at: 5 * core.Second}}}
		a.counted, a.countedAt = c.counted, c.countedAt
		a.remained()
		a.noLonger(p, true)
		require.Equal(t, c.rejects, r.oracle.Rule == "I46", c.name)
	}
}

// Only a heartbeat that was sent after a reset, and was answered, says that the group was not without members.
func TestPresentMember(t *testing.T) {
	at := 10 * core.Second
	require.False(t, (&reading{}).wasIn(at), "it waits for its SyncGroup")
	require.False(t, (&reading{countedAt: at - 1}).wasIn(at))
	require.True(t, (&reading{countedAt: at + 2*core.Second}).wasIn(at))
}
