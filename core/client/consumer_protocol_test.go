package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
)

// A member of the consumer protocol whose session ends while it is about to give partitions back has lost them: they may be
// another's by then, and it must not say that it gave them up in good order.
func TestSessionEndsWhileRevoking(t *testing.T) {
	c := NewConsumer(ConsumerOptions{Group: GroupOptions{ID: "g", Topics: []string{"t"}, Consumer: true, SessionTime: 6 * core.Second}})
	a, b := core.TopicPartition{Topic: "t", Partition: 0}, core.TopicPartition{Topic: "t", Partition: 1}
	g := &c.group
	g.state, g.id, g.generation, g.owned = stable, "m", 3, []core.TopicPartition{a, b}
	var out core.Out
	c.startRevoke(core.Now{Mono: core.Second}, []core.TopicPartition{b})
	c.Tidings()
	c.tendConsumer(core.Now{Mono: 7 * core.Minute}, &out) // the process was paused
	list := c.Tidings()
	require.Len(t, list, 1)
	require.Equal(t, Lost, list[0].Kind)
	require.Equal(t, []core.TopicPartition{a, b}, list[0].Partitions)
}
