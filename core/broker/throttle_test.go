package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"klamm/core"
)

// The mean over Kafka's windows is held, whatever comes: over any time, no more than the limit and one answer goes through.
func TestQuotaHoldsTheMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q quota
		limit := rapid.SampledFrom([]int64{1, 100, 5000, 1 << 20}).Draw(t, "limit")
		now, sent, largest := core.Time(rapid.Int64Range(0, 1<<40).Draw(t, "from")), int64(0), int64(0)
		begin := now
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += core.Time(rapid.Int64Range(0, int64(3*core.Second)).Draw(t, "pause"))
			wait := q.wait(now, limit)
			require.LessOrEqual(t, wait, quotaWindow)
			require.Equal(t, wait > 0, q.exceeded(now, limit))
			if wait > 0 {
				continue
			}
			n := rapid.Int64Range(1, 3*limit).Draw(t, "bytes")
			q.record(now, n)
			sent, largest = sent+n, max(largest, n)
			allowed := limit*int64((now-begin)/core.Second+1) + 2*largest
			require.LessOrEqual(t, sent, allowed+limit*quotaWindows, "in %d ms", (now - begin).Millis())
		}
	})
}

// What was let through long ago does not count; no limit is no limit, and none of zero lets nothing more through.
func TestQuotaForgets(t *testing.T) {
	var q quota
	const s = core.Second
	require.False(t, q.exceeded(s, 100))
	q.record(s, 1000)
	require.True(t, q.exceeded(s, 100))
	require.True(t, q.exceeded(s+9*s, 100), "1000 bytes in 9 seconds")
	require.False(t, q.exceeded(s+10*s, 100), "1000 bytes in 10 seconds")
	require.False(t, q.exceeded(s, unlimited))
	require.True(t, q.exceeded(s+5*s, 0))
	require.False(t, q.exceeded(s+11*s, 0), "the window is over")
}

func TestThrottledIn(t *testing.T) {
	require.True(t, throttledIn([]string{"*"}, 3, 1))
	require.True(t, throttledIn([]string{"1:2", "3:1"}, 3, 1))
	require.False(t, throttledIn([]string{"1:3", "13:1", "3:11"}, 3, 1))
	require.False(t, throttledIn(nil, 3, 1))
}
