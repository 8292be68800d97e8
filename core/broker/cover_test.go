package broker

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"klamm/core/wire"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answers says which scripts had an API answer well, and with an error.
type answers struct{ good, bad []string }

// noErrors are the APIs that nothing goes wrong with.
var noErrors = map[int16]string{
	wire.KeyListPartitionReassignments: "whoever leads the metadata log can list them; without a leader it times out, which takes several nodes to show",
	wire.KeyDescribeLogDirs:            "one log directory, which the broker cannot be without; a disk that does not tell its space is no error",
}

// elsewhere are the APIs that only several nodes can serve well, and who shows that.
var elsewhere = map[int16]string{
	wire.KeyAddRaftVoter:    "core/quorum/testdata/cluster/voters.txt",
	wire.KeyRemoveRaftVoter: "core/quorum/testdata/cluster/voters.txt",
}

// Every API that is advertised is asked by a script, and refuses something in a script. `go test -v -run Advertised` lists
// which.
func TestEveryAdvertisedAPIHasScripts(t *testing.T) {
	table := map[int16]*answers{}
	for _, key := range wire.Keys() {
		table[key] = &answers{}
	}
	note := func(path string) func(kmsg.Response) {
		return func(resp kmsg.Response) {
			a := table[resp.Key()]
			if a == nil {
				return
			}
			name := path[strings.LastIndexByte(path, '/')+1:]
			good, bad := outcomes(reflect.ValueOf(resp).Elem())
			if good > 0 && !slices.Contains(a.good, name) {
				a.good = append(a.good, name)
			}
			if bad > 0 && !slices.Contains(a.bad, name) {
				a.bad = append(a.bad, name)
			}
		}
	}
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{t: t, w: newWorld(t)}
		s.w.heard = note(path)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.d, s.w.t = d, t
			return s.command()
		})
	})
	datadriven.Walk(t, "testdata/groups", func(t *testing.T, path string) { runGroupScript(t, path, note(path)) })
	for _, key := range wire.Keys() {
		a := table[key]
		t.Logf("%d %s: answered in %v, refused in %v", key, wire.Name(key), a.good, a.bad)
		_, there := elsewhere[key]
		if _, none := noErrors[key]; len(a.good) == 0 && !there || len(a.bad) == 0 && !none {
			t.Errorf("%s: answered in %v, refused in %v", wire.Name(key), a.good, a.bad)
		}
	}
}

// outcomes counts the rows of a response that carry no error, and those that do.
func outcomes(v reflect.Value) (good, bad int) {
	code, rows := false, false
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case strings.HasSuffix(v.Type().Field(i).Name, "ErrorCode") && f.Kind() == reflect.Int16:
			if code = true; f.Int() != 0 {
				bad++
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			for j := range f.Len() {
				g, b := outcomes(f.Index(j))
				good, bad, rows = good+g, bad+b, rows || g+b > 0
			}
		}
	}
	if code && !rows && bad == 0 {
		good++
	}
	return good, bad
}
