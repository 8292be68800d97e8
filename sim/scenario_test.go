package sim_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/broker"
	"klamm/sim"
)

func optionsFor(t *testing.T, workload string, nodes int) sim.Options {
	w, ok := sim.ParseWorkload(workload)
	require.True(t, ok)
	return sim.Options{Workload: w, Nodes: [2]int{nodes, nodes}, Memory: &sim.Memory{}, Broker: func() core.Machine { return broker.New() }, Pure: broker.Pure()}
}

// A run that is written down, read again and replayed is the same run: for each workload, of one node and of three.
func TestReplayEqualsSeed(t *testing.T) {
	seeds := uint64(4)
	if *manySeeds {
		seeds = 200
	}
	for _, workload := range sim.Workloads() {
		for _, nodes := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s-%d", workload, nodes), func(t *testing.T) {
				opt := optionsFor(t, workload, nodes)
				for seed := range seeds {
					replayEquals(t, opt, seed)
				}
			})
		}
	}
}

// replayEquals writes a seed's run down, reads it and runs that.
func replayEquals(t *testing.T, opt sim.Options, seed uint64) {
	var saved, again sim.Scenario
	opt.Save = &saved
	was := sim.RunSafe(seed, opt)
	read, err := sim.ParseScenario(saved.String())
	require.NoError(t, err, "%s", saved.String())
	require.Equal(t, saved.String(), read.String())
	require.Equal(t, saved.Config, read.Config, "a field of Config has no word in a scenario: see scenario_config.go")
	opt.Scenario, opt.Save = read, &again
	is := sim.RunSafe(read.Seed, opt)
	require.Equal(t, was.Hash, is.Hash, "seed %d: %d and %d steps, %+v\n%s", seed, was.Steps, is.Steps, is.Failure, saved.String())
	require.True(t, reflect.DeepEqual(saved.Script, again.Script))
}

// Errors name the line.
func TestScenarioErrors(t *testing.T) {
	const good = "klamm scenario 1\nseed 1\nworld sync\ntopic t0\nproducer 0\n"
	_, err := sim.ParseScenario(good)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"":                                       "line 1: there is nothing",
		"hello\n":                                "line 1: this is no scenario",
		good + "fault 1s no-kind x\n":            "line 6: fault: there is no kind",
		good + "fault soon a b\n":                "line 6: fault: \"soon\" is no instant",
		good + "fault 1s process.kill broker9\n": "line 6: fault: there is no node \"broker9\"",
		good + "fault 1s disk.aimed-errors broker q=77\n":                 "line 6: fault: disk.aimed-errors can't come",
		good + "# nothing\nat 1s producer0 zz\n":                          "line 7: at: \"zz\" is no draw",
		good + "at 1s broker w1\n":                                        "line 6: at: there is no client \"broker\"",
		good + "producer 0\n":                                             "line 6: producer: give each a number of its own",
		good + "producer 1 burst=0\n":                                     "line 6: burst=0: give a whole number from 1 to 1000",
		good + "producer 1 colour=red\n":                                  "line 6: \"colour=red\" is not understood here",
		good + "world calm\n":                                             "line 6: world: name the set of faults first",
		good + "cluster nodes=3 roles=controller,controller,controller\n": "line 6: a cluster needs a broker and a controller",
		good + "absent admin\n":                                           "line 6: absent: admin must take part",
		"klamm scenario 1\nproducer 0\n":                                  "line 2: producer: topics come first",
		"klamm scenario 1\nseed 1\n":                                      "line 1: a scenario needs a topic",
		"klamm scenario 2\n":                                              "line 1: this is no scenario",
		good + "drawn nobody\n":                                           "line 6: drawn: there is no client",
		good + "banana\n":                                                 "line 6: \"banana\" begins no line",
		good + "fault 1s disk.directory-fails broker p=2\n":               "line 6: fault: disk.directory-fails can't come",
	} {
		_, err := sim.ParseScenario(text)
		require.Error(t, err, text)
		require.True(t, strings.HasPrefix(err.Error(), want), "%s\n%s", text, err)
	}
}

// However a file is mangled, it is refused or means something, which it says again when it is written.
func TestMangledScenarios(t *testing.T) {
	opt := optionsFor(t, "exactly-once", 3)
	var saved sim.Scenario
	opt.Save = &saved
	opt.To = 2000
	sim.RunSafe(4, opt)
	lines := strings.Split(saved.String(), "\n")
	lines = lines[:min(len(lines), 60)]
	rnd := rand.New(rand.NewPCG(1, 2))
	good := 0
	for range 400 {
		mangled := slices.Clone(lines)
		for range 1 + rnd.IntN(4) {
			i := 1 + rnd.IntN(len(mangled)-1)
			words := strings.Fields(mangled[i])
			if len(words) == 0 {
				continue
			}
			k := rnd.IntN(len(words))
			switch rnd.IntN(4) {
			case 0:
				mangled = slices.Delete(mangled, i, i+1)
				continue
			case 1:
				words = slices.Delete(words, k, k+1)
			case 2:
				words[k] = words[rnd.IntN(len(words))]
			case 3:
				words[k] = words[k][:rnd.IntN(len(words[k])+1)] + string(rune(' '+rnd.IntN(95)))
			}
			mangled[i] = strings.Join(words, " ")
		}
		read, err := sim.ParseScenario(strings.Join(mangled, "\n"))
		if err != nil {
			require.Regexp(t, `^line \d+: `, err.Error())
			continue
		}
		good++
		again, err := sim.ParseScenario(read.String())
		require.NoError(t, err, read.String())
		require.Equal(t, read.String(), again.String())
	}
	require.Greater(t, good, 20)
}
