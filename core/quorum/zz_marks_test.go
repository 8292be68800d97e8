package quorum

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"klamm/core/wire"

	"github.com/stretchr/testify/require"
)

// Every rare path was taken by a test of this package. Go runs tests in the order of the source: this one is last.
func TestEveryMarkWasHit(t *testing.T) {
	w := newWorld(t, t.TempDir(), Config{}).boot()
	long := strings.Repeat("x", metadataBytesMax)
	_, ok := w.append(&wire.ConfigRecord{Name: long})
	require.False(t, ok, "a batch above the bound is refused")
	if partly() {
		t.Skip("the tests that take the rare paths were not run")
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`out\.Mark\("([a-z.-]+)"\)`).FindAllStringSubmatch(string(text), -1) {
			require.True(t, marksHit[m[1]], m[1])
		}
	}
}

// partly reports whether not all tests of this package run before this one: a filter was given, or another order.
func partly() bool {
	return flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != "" || flag.Lookup("test.shuffle").Value.String() != "off"
}
