package replica

import (
	"fmt"
	"testing"

	"klamm/core"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestLeader runs the golden scripts: one leader on node 1, followers 2 and 3 unless replicas= says otherwise.
func TestLeader(t *testing.T) {
	datadriven.Walk(t, "testdata/leader", func(t *testing.T, path string) {
		var l *Leader
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			now := core.Time(arg(t, d, "t", 0))
			node, at := core.NodeID(arg(t, d, "node", 0)), core.Offset(arg(t, d, "at", 0))
			switch d.Cmd {
			case "lead":
				terms := Terms{Self: 1, Epoch: 5, Replicas: replicas(nodes(t, d, "replicas", 1, 2, 3), nil), ISR: nodes(t, d, "isr", 1, 2, 3),
					Version: 1, MinISR: int(arg(t, d, "min", 1)), LagMax: 30}
				high := core.Offset(arg(t, d, "high", int64(at)))
				l = Lead(now, terms, 0, at, at, high)
			case "append":
				l.Appended(at)
			case "durable":
				l.Durable(now, at)
			case "start":
				l.Started(at)
			case "fetch":
				_, v := l.Fetched(now, node, core.BrokerEpoch(arg(t, d, "epoch", -1)), at, core.Offset(arg(t, d, "start", 0)))
				if v != Booked {
					return [...]string{"", "stranger", "stale", "diverged"}[v] + "\n"
				}
			case "propose":
				return fmt.Sprintf("ask %v\n", l.Propose(now))
			case "asked": // as a request says it, however often it is sent
				return fmt.Sprintf("%v as %v\n", l.Asked(), l.AskedAs())
			case "agree":
				l.Agreed(now, nodes(t, d, "isr"), core.PartitionEpoch(arg(t, d, "version", 0)))
			case "age":
				l.Aged(now)
			case "refuse":
				l.Refused(now)
			case "replicas":
				l.Replicas(now, replicas(nodes(t, d, "are"), nodes(t, d, "barred")))
			case "min":
				l.SetMin(now, int(at))
			default:
				d.Fatalf(t, "no command %s", d.Cmd)
			}
			return fmt.Sprintf("end=%d durable=%d high=%d low=%d isr=%v asked=%v enough=%v\n", l.end, l.durable, l.High(), l.Low(), l.isr, l.asked, l.Enough())
		})
	})
}

// replicas: every broker is registered with the epoch 10 times its id.
func replicas(ids, barred []core.NodeID) (all []Replica) {
	for _, id := range ids {
		r := Replica{Node: id, Epoch: core.BrokerEpoch(id) * 10}
		for _, b := range barred {
			r.Barred = r.Barred || b == id
		}
		all = append(all, r)
	}
	return all
}

func arg(t *testing.T, d *datadriven.TestData, key string, def int64) int64 {
	if d.HasArg(key) {
		d.ScanArgs(t, key, &def)
	}
	return def
}

func nodes(t *testing.T, d *datadriven.TestData, key string, def ...core.NodeID) []core.NodeID {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			def = nil
			for i := range a.Vals {
				var n int
				a.Scan(t, i, &n)
				def = append(def, core.NodeID(n))
			}
		}
	}
	return def
}

// Whatever happens, the high watermark never falls, never passes the leader's safe end, and never passes
// the end that a member of the set in force has shown, unless it stood there before.
func TestHighIsSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := Terms{Self: 1, Epoch: 1, Replicas: replicas([]core.NodeID{1, 2, 3}, nil), ISR: []core.NodeID{1, 2, 3}, Version: 1, MinISR: rapid.IntRange(1, 3).Draw(t, "min"), LagMax: 30}
		l := Lead(0, terms, 0, 10, 10, 5)
		now, version := core.Time(0), core.PartitionEpoch(1)
		ends := map[core.NodeID]core.Offset{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			before := l.High()
			now += core.Time(rapid.IntRange(0, 20).Draw(t, "dt"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				l.Appended(l.end + 1)
			case 1:
				l.Durable(now, l.end)
			case 2:
				n := core.NodeID(rapid.IntRange(2, 3).Draw(t, "node"))
				at := core.Offset(rapid.Int64Range(int64(max(ends[n], 0)), int64(l.end)+1).Draw(t, "at"))
				if _, v := l.Fetched(now, n, -1, at, 0); v == Booked {
					ends[n] = at
				}
			case 3:
				l.Propose(now)
			case 4:
				if l.asked != nil {
					version++
					l.Agreed(now, l.asked, version)
				}
			case 5:
				l.Refused(now)
			}
			require.GreaterOrEqual(t, l.High(), before)
			if l.High() > before {
				require.LessOrEqual(t, l.High(), l.durable)
				for _, set := range [][]core.NodeID{l.isr, l.asked} {
					for _, n := range set {
						if n != 1 {
							require.LessOrEqual(t, l.High(), ends[n])
						}
					}
				}
				require.True(t, l.Enough())
			}
		}
	})
}
