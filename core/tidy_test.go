package core_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ranks is the house: which room may import which. A room imports rooms of lower rank only; rooms of one
// rank meet in core/broker. What is not listed does not exist.
var ranks = []struct {
	rank  int
	rooms []string
}{
	{0, []string{"core"}},
	{1, []string{"core/wire", "core/batch", "core/assign"}},
	{2, []string{"core/log", "core/image", "core/link", "core/auth", "core/quota"}},
	{3, []string{"core/quorum", "core/replica", "core/fetch", "core/shard", "core/tier"}},
	{4, []string{"core/controller", "core/group", "core/txn", "core/share"}},
	{5, []string{"core/broker"}},
}

// mayImport holds the rooms outside that ladder, each with the only rooms that it may import ("core/..." means all of core).
var mayImport = map[string][]string{
	"core/client": {"core", "core/wire", "core/batch", "core/assign", "core/link"},
	"netsim":      {"core"},
	"disksim":     {"core"},
	"checker":     {},
	"host":        {"core", "core/client"},
	"sim":         {"core/...", "netsim", "disksim", "checker", "apps"},
	"scenarios":   {"core/...", "netsim", "disksim", "checker", "apps", "sim"},
	"cmd/klamm":   {"core/...", "netsim", "disksim", "checker", "apps", "sim", "scenarios", "host"},
}

// pureRooms are machines, or worlds that must replay: no clock, no I/O, no concurrency.
var pureRooms = []string{"core", "netsim", "disksim", "sim", "checker"}

// impure packages of the standard library: nothing of them may be imported directly by a pure room.
var impure = []string{"os", "net", "time", "sync", "context", "log", "runtime", "unsafe", "math/rand", "crypto/rand", "syscall", "io/ioutil", "hash/maphash", "plugin", "testing"}

// coreModules are all modules that core may need.
var coreModules = []string{"github.com/twmb/franz-go/pkg/kmsg", "github.com/klauspost/compress", "github.com/pierrec/lz4/v4"}

// exceptions: many seeds on many cores need goroutines, and nothing else does.
var impureFiles = []string{"sim/fleet.go"}

func rankOf(room string) int {
	for _, r := range ranks {
		if slices.Contains(r.rooms, room) {
			return r.rank
		}
	}
	return -1
}

func allowed(room, imported string) bool {
	if a, b := rankOf(room), rankOf(imported); a >= 0 && b >= 0 {
		return b < a
	}
	for _, ok := range mayImport[room] {
		if imported == ok || ok == "core/..." && (imported == "core" || strings.HasPrefix(imported, "core/")) || ok == "apps" && strings.HasPrefix(imported, "apps/") {
			return true
		}
	}
	return false
}

func isPure(file string) bool {
	if slices.Contains(impureFiles, file) || strings.Contains(file, "/gen/") {
		return false
	}
	for _, r := range pureRooms {
		if strings.HasPrefix(file, r+"/") {
			return true
		}
	}
	return false
}

// Every import of the product points to the left in the house, and no pure room reaches for the world.
func TestImportsPointLeft(t *testing.T) {
	files := productFiles(t)
	require.NotEmpty(t, files)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imp := range f.Imports {
			if why := badImport(file, strings.Trim(imp.Path.Value, `"`)); why != "" {
				t.Errorf("%s: %s", file, why)
			}
		}
	}
}

// badImport says why file may not import path, or nothing.
func badImport(file, path string) string {
	room := filepath.Dir(file)
	if strings.Contains(file, "/gen/") {
		return ""
	}
	if imported, ours := strings.CutPrefix(path, "klamm/"); ours {
		if rankOf(room) < 0 && mayImport[room] == nil {
			return room + " is no room of this house: add it to the table and say so in docs/decisions.md"
		}
		if !allowed(room, imported) {
			return room + " may not import " + imported
		}
		return ""
	}
	if isPure(file) {
		for _, bad := range impure {
			if path == bad || strings.HasPrefix(path, bad+"/") {
				return "a pure room may not import " + path
			}
		}
	}
	if strings.HasPrefix(room, "core") && strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		for _, m := range coreModules {
			if path == m || strings.HasPrefix(path, m+"/") {
				return ""
			}
		}
		return "core may not need " + path
	}
	return ""
}

// The table itself bites: each kind of wrong import is refused.
func TestBadImportsAreRefused(t *testing.T) {
	for _, c := range []struct{ file, path string }{
		{"core/log/x.go", "klamm/core/quorum"}, // to the right
		{"core/wire/x.go", "klamm/core/batch"}, // one rank
		{"checker/x.go", "klamm/core"},         // the judge shares nothing
		{"host/x.go", "klamm/core/broker"},     // injected by cmd
		{"core/broker/x.go", "time"},           // a clock
		{"sim/x.go", "math/rand/v2"},           // global randomness
		{"netsim/x.go", "sync/atomic"},         // concurrency
		{"core/x.go", "github.com/stretchr/testify/require"},
		{"util/x.go", "klamm/core"}, // no such room
	} {
		require.NotEmpty(t, badImport(c.file, c.path), "%s importing %s", c.file, c.path)
	}
	for _, c := range []struct{ file, path string }{
		{"core/broker/x.go", "klamm/core/log"}, {"sim/fleet.go", "sync"}, {"cmd/klamm/x.go", "klamm/sim"},
		{"core/batch/x.go", "github.com/klauspost/compress/zstd"}, {"host/x.go", "time"},
	} {
		require.Empty(t, badImport(c.file, c.path))
	}
}

// productFiles lists the Go files of the product, tests and fixtures left out, relative to the top.
func productFiles(t *testing.T) (files []string) {
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", path)
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && rel != "." || rel == "scenarios/mutants") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go") {
			files = append(files, rel)
		}
		return nil
	}))
	slices.Sort(files)
	return files
}

// Every mark is a constant of the form "room.what-happened", so that a campaign can tell which were never hit.
func TestMarksAreConstants(t *testing.T) {
	for _, file := range productFiles(t) {
		if file == "core/effect.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Mark" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok || !strings.Contains(lit.Value, ".") {
				t.Errorf("%s: the argument of Mark is no constant \"room.what-happened\"", file)
			}
			return true
		})
	}
}

// A newcomer has only this repository: no file points outside of it.
func TestNothingPointsOutside(t *testing.T) {
	for _, file := range productFiles(t) {
		b, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		for _, bad := range []string{"../sha" + "red", "/wo" + "rk/"} {
			require.NotContains(t, string(b), bad, file)
		}
	}
}
