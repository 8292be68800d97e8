package broker

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// notInScripts are marks that need more than a script can hold; the simulator's campaigns count them.
var notInScripts = map[string]string{
	"broker.requests-wait-for-room":  "a quarter of a million effects in flight",
	"broker.no-room-for-work":        "a million effects in flight",
	"broker.fetch-seeks-in-vain":     "a cache of positions that turns over within one request",
	"broker.metadata-append-refused": "64 MiB of metadata in flight",
	"broker.peer-request-refused":    "4096 requests that wait for connections",
	"broker.peer-too-old":            "a node of another release",
	"broker.replica-gap":             "a leader whose disk returns a read from another place",
	"broker.replica-cut-back-waits":  "metadata that come later than what the leader sends",
	"broker.replica-append-failed":   "a log that is busy in the very Step of a leader's answer",
	"broker.isr-change-refused":      "a controller that fences a replica just as its leader asks for it",
	"broker.high-by-age":             "a follower that falls silent between catching up and joining; core/replica has the script",
	"broker.fetch-throttled":         "a follower that is not in sync; the simulator comes there",
	"broker.replica-throttled":       "likewise",
	"broker.swap-called-back":        "a log that takes no appends and whose rest is not copied within a second",
	"broker.move-awaits-clean":       "a cleaner that puts a segment in the place of others just as a future log is made; the simulator comes there",
	"broker.future-log-cut":          "a fleet has it: TestReplicaIsCutWhileItMoves",
	"broker.unassigned-and-offline":  "a controller that does not hear where a replica is: TestReplicaOfAnUntoldDirectory",
	"broker.assignment-unanswered":   "a controller that is lost between a request and its answer",
	"broker.fetch-of-stranger":       "a replica that has not heard yet that it was taken away",
	"broker.marker-lost":             "a node that dies between a request and its answer",
	"broker.marker-refused":          "a leader that cannot take a marker just now",
	"broker.marker-without-leader":   "a partition that nobody leads",
}

// inFleets are marks of what happens between nodes: TestFleetsTakeEveryRarePath looks for them.
var inFleets = regexp.MustCompile(`^broker\.(replica|isr|fetch-of-stranger|truncated-below|forward|peer|proposal|controller|registers|stops-as|no-producer|damaged)`)

// fleetMarks are those that the fleets of this run of the tests have hit.
var fleetMarks = map[string]bool{}

// Every rare path between nodes is taken by a test with several of them.
func TestFleetsTakeEveryRarePath(t *testing.T) {
	if partly() {
		t.Skip("only beside all the tests of fleets")
	}
	for _, name := range marksOfHall(t) {
		if _, excused := notInScripts[name]; inFleets.MatchString(name) && !excused && !fleetMarks[name] {
			t.Errorf("no fleet takes %s", name)
		}
	}
}

func marksOfHall(t *testing.T) (all []string) {
	names := regexp.MustCompile(`out\.Mark\("(broker\.[a-z-]+)"\)`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range names.FindAllStringSubmatch(string(text), -1) {
			all = append(all, m[1])
		}
	}
	return all
}

// Every other rare path of the hall is taken by some script.
func TestScriptsTakeEveryRarePath(t *testing.T) {
	hit := map[string]bool{}
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{t: t, w: newWorld(t)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.d, s.w.t = d, t
			return s.command()
		})
		for _, name := range s.w.marks.Names() {
			hit[name] = true
		}
	})
	for _, name := range marksOfHall(t) {
		if _, excused := notInScripts[name]; !excused && !inFleets.MatchString(name) && !strings.Contains(name, "group") && !hit[name] {
			t.Errorf("no script takes %s", name)
		}
	}
}

// Metrics have Kafka's names, each with one set of labels once, and count what happened.
func TestReport(t *testing.T) {
	w := costWorld(t)
	s := &script{t: t, w: w, d: &datadriven.TestData{CmdArgs: []datadriven.CmdArg{{Key: "records", Vals: []string{"a:1", "b:2"}}}}}
	require.Contains(t, s.produce(), "LogStartOffset=0")
	r := w.b.Report(w.now)
	require.True(t, r.Ready)
	seen := map[string]bool{}
	values := map[string]int64{}
	for _, m := range r.Metrics {
		require.Regexp(t, `^(kafka|klamm)_[a-z_]+$`, m.Name)
		require.NotEmpty(t, m.Help)
		name := m.Name
		for _, l := range m.Labels {
			name += "," + l.Name + "=" + l.Value
		}
		require.False(t, seen[name], name)
		seen[name], values[name] = true, m.Value
	}
	require.EqualValues(t, 2, values["kafka_server_brokertopicmetrics_messagesin_total"])
	require.EqualValues(t, 2, values["kafka_server_brokertopicmetrics_messagesin_total,topic=a"])
	require.EqualValues(t, 1, values["kafka_network_requestmetrics_requests_total,request=Produce"])
	require.EqualValues(t, 1, values["kafka_server_replicamanager_leadercount"])
	require.EqualValues(t, 1, values["kafka_controller_kafkacontroller_activecontrollercount"])
	require.EqualValues(t, 2, values["kafka_log_log_logendoffset,topic=a,partition=0"])
	require.EqualValues(t, 1, values["kafka_log_log_numlogsegments,topic=a,partition=0"])
	require.Positive(t, values["kafka_log_log_size,topic=a,partition=0"])
	require.EqualValues(t, 3, values["kafka_server_kafkaserver_brokerstate"])
	require.EqualValues(t, 1, values["kafka_server_replicamanager_atminisrpartitioncount"])
	require.EqualValues(t, 1, values["kafka_server_raftmetrics_current_leader"])
	require.EqualValues(t, 30, values["kafka_server_metadataloader_finalizedlevel,featureName=metadata.version"])
	for _, name := range []string{
		"kafka_server_delayedoperationpurgatory_purgatorysize,delayedOperation=Fetch", "kafka_network_requestchannel_requestqueuesize",
		"kafka_coordinator_group_groupmetadatamanager_numgroups", "kafka_coordinator_group_groupmetadatamanager_numoffsets",
		"kafka_server_groupcoordinatormetrics_num_partitions,state=active", "kafka_server_brokertopicmetrics_bytesrejected_total",
	} {
		require.Contains(t, values, name)
	}
	s.d.CmdArgs = append(s.d.CmdArgs, datadriven.CmdArg{Key: "bad", Vals: []string{"crc"}})
	require.Contains(t, s.produce(), "CORRUPT_MESSAGE")
	for _, m := range w.b.Report(w.now).Metrics {
		if m.Name == "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total" {
			require.EqualValues(t, 1, m.Value)
		}
	}
	w.start()
	require.Equal(t, []string{"not booted"}, w.b.Report(w.now).Reasons)
}

// partly reports whether not all tests of this package run before this one: a filter was given, or another order.
func partly() bool {
	return flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != "" || flag.Lookup("test.shuffle").Value.String() != "off"
}
