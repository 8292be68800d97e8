package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// A pipe that was paused takes a batch at the very instant at which its session is over: the partition of the batch is gone when it has
// it. What was made of the batch can't be committed, since another member takes the same records.
func TestPipeLosesWhatItTakes(t *testing.T) {
	x := NewPipe(PipeOptions{
		Options:  Options{Bootstrap: []string{"boot:1"}},
		Consumer: ConsumerOptions{Group: GroupOptions{ID: "g", Topics: []string{"t"}, SessionTime: core.Second}},
		Producer: ProducerOptions{TransactionalID: "x"},
	})
	r := newRig(t, x)
	x.p.txn.inited, x.p.txn.wanted = true, false
	g := &x.c.group
	g.state, g.id, g.generation, g.owned, g.aliveAt = stable, "m", 1, []core.TopicPartition{tp("t", 0)}, r.now.Mono
	p := x.c.add(tp("t", 0))
	p.placed, p.ready, p.readyEnd = true, []batch.Record{{Value: []byte("v")}}, 1
	r.now.Mono += 2 * core.Second
	require.Len(t, x.Take(r.now, &r.out), 1)
	require.Nil(t, x.c.reading(tp("t", 0)))
	x.Finish(r.now, &r.out)
	require.Equal(t, []PipeResult{{Records: 1, Fate: DidNot}}, x.Results())
	require.True(t, x.Idle())
}
