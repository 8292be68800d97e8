package broker

import (
	"testing"

	"klamm/core"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStopWhileStarting asks for a stop after every step of a start, of an empty directory and of one with logs that
// were not closed: the machine ends in good order each time, and the next start finds everything.
func TestStopWhileStarting(t *testing.T) {
	for _, logs := range []bool{false, true} {
		stages := map[stage]bool{}
		for after := 1; ; after++ {
			w := newWorld(t)
			if logs {
				w.boot(baseConfig)
				w.connect(1, "10.0.0.1:1")
				q, x := kmsg.NewPtrMetadataRequest(), kmsg.NewMetadataRequestTopic()
				x.Topic, q.AllowAutoTopicCreation = kmsg.StringPtr("a"), true
				q.Topics = append(q.Topics, x)
				w.send(1, 4, "c", q)
				require.NotNil(t, w.b.img.Topic("a"))
				delete(w.files, "/data/a-0/partition.metadata") // a crash came while its directory was made
				delete(w.files, "/data/a-0/00000000000000000000.log")
				delete(w.dirs, "/data/a-0")
				w.start() // what was before is gone, as after kill -9
			}
			w.stopAfter = after
			w.boot(baseConfig)
			if w.stopAfter > 0 {
				require.Equal(t, stageReady, w.b.stage)
				break // the start is over before that
			}
			w.advance(10 * core.Second)
			stages[w.stoppedAt] = true
			require.Zero(t, w.exit, "a stop after %d steps, while %s: %v", after, stageTexts[w.stoppedAt], w.notes)
			w.start()
			w.boot(baseConfig)
			require.Equal(t, stageReady, w.b.stage)
			if logs {
				require.NotNil(t, w.b.img.Topic("a"))
			}
		}
		for s := stageDirectory; s < stageReady; s++ {
			never := !logs && s == stagePartitions || logs && s == stageFormat
			require.Equal(t, !never, stages[s], "stops while %s", stageTexts[s])
		}
	}
}
