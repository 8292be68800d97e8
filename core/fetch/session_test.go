package fetch

import (
	"fmt"
	"strings"
	"testing"

	"klamm/core"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSessions runs the golden scripts. A request line is "fetch id= epoch= t= want=(a-0@5,…) forget=(…)", and what the
// broker finds for each partition is set beforehand by "log a-0 high= start= bytes= error".
func TestSessions(t *testing.T) {
	datadriven.Walk(t, "testdata/session", func(t *testing.T, path string) {
		var c Cache
		c.Init(8)
		rnd := core.NewRand([32]byte{1})
		logs := map[string]News{}
		names := map[string]int32{} // ids are random: scripts call them s1, s2 …
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var now int64
			d.MaybeScanArgs(t, "t", &now)
			switch d.Cmd {
			case "slots":
				var n int
				d.ScanArgs(t, "n", &n)
				c.Init(n)
				return ""
			case "log":
				n := News{Error: d.HasArg("error"), Diverged: d.HasArg("diverged")}
				var high, start int64
				d.MaybeScanArgs(t, "high", &high)
				d.MaybeScanArgs(t, "start", &start)
				d.MaybeScanArgs(t, "bytes", &n.Bytes)
				n.High, n.Start = core.Offset(high), core.Offset(start)
				logs[d.CmdArgs[0].Key] = n
				return ""
			case "fetch":
				var wants []Want
				var forget []Key
				for _, a := range d.CmdArgs {
					for _, v := range a.Vals {
						name, at, _ := strings.Cut(v, "@")
						w := Want{Topic: name}
						fmt.Sscan(at, &w.Offset)
						if d.HasArg("byid") {
							w.ID = core.TopicID{1, name[0]}
						}
						switch a.Key {
						case "want":
							wants = append(wants, w)
						case "forget":
							forget = append(forget, w.Key())
						}
					}
				}
				var id string
				var epoch int
				d.MaybeScanArgs(t, "id", &id)
				d.ScanArgs(t, "epoch", &epoch)
				now := core.Time(now) * core.Second
				s, o := c.Begin(now, names[id], int32(epoch), d.HasArg("byid"), wants, forget)
				var b strings.Builder
				fmt.Fprintf(&b, "%s", [...]string{"sessionless", "full", "incremental", "closed", "not found", "wrong epoch", "wrong ids"}[o])
				switch o {
				case Full:
					var tell []News
					for _, w := range wants {
						tell = append(tell, logs[w.Topic])
					}
					got := c.Open(now, &rnd, d.HasArg("byid"), d.HasArg("follower"), wants, tell)
					if got == 0 {
						b.WriteString(" no session")
						break
					}
					name := fmt.Sprintf("s%d", len(names)+1)
					names[name] = got
					fmt.Fprintf(&b, " %s in shard %d", name, int(got)/idRange)
				case Incremental:
					for _, w := range s.Wants(nil) {
						if s.Tell(w.Key(), logs[w.Topic]) {
							fmt.Fprintf(&b, " %s@%d", w.Topic, w.Offset)
						}
					}
					fmt.Fprintf(&b, "\nnext epoch %d, order:", s.Epoch)
					for _, w := range s.Wants(nil) {
						fmt.Fprintf(&b, " %s", w.Topic)
					}
				}
				fmt.Fprintf(&b, "\nsessions=%d partitions=%d evicted=%d\n", c.Len(), c.Partitions(), c.Evicted())
				return b.String()
			}
			d.Fatalf(t, "no command %s", d.Cmd)
			return ""
		})
	})
}

// The order and the index of a session agree with a plain list, whatever is put, told and dropped.
func TestSessionOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Session{at: map[Key]int32{}}
		var model []string
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "name")
			w := Want{Topic: name}
			at := -1
			for i, m := range model {
				if m == name {
					at = i
				}
			}
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				s.put(w)
				if at < 0 {
					model = append(model, name)
				}
			case 1:
				s.drop(w.Key())
				if at >= 0 {
					model = append(model[:at], model[at+1:]...)
				}
			case 2:
				s.Tell(w.Key(), News{Bytes: 1})
				if at >= 0 {
					model = append(append(model[:at], model[at+1:]...), name)
				}
			}
			var got []string
			for _, w := range s.Wants(nil) {
				got = append(got, w.Topic)
			}
			require.Equal(t, fmt.Sprint(model), fmt.Sprint(got))
			require.Equal(t, len(model), s.Len())
		}
	})
}

func TestEpochsWrap(t *testing.T) {
	require.EqualValues(t, 1, nextEpoch(1<<31-1))
	require.EqualValues(t, 2, nextEpoch(1))
}
