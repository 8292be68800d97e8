package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func simRun(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(append([]string{"sim"}, args...), &out, &err)
	return code, out.String(), err.String()
}

// A seed that was saved replays to its hash; both runs of it are the same; it stops where it is told to.
func TestSaveAndReplay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.klamm")
	_, out, _ := simRun("replay", "--seed", "7")
	hash := regexp.MustCompile(`hash [0-9a-f]{32}`).FindString(out)
	require.NotEmpty(t, hash, out)
	code, _, stderr := simRun("run", "--seed", "7", "--cores", "1", "--save", file)
	require.Zero(t, code, stderr)
	code, out, _ = simRun("replay", file)
	require.Zero(t, code, out)
	require.Contains(t, out, hash)
	_, shown, _ := simRun("show", file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(text), shown)
	code, out, _ = simRun("replay", file, "--check-twice")
	require.Zero(t, code, out)
	require.Contains(t, out, "both runs are the same")
	_, out, _ = simRun("replay", file, "--to", "700")
	require.Contains(t, out, "stopped at step 700")
	_, out, _ = simRun("trace", file, "--kind", "fault")
	require.Contains(t, out, "fault")
	code, _, stderr = simRun("shrink", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "breaks no rule")
}

// What can't be meant is refused; what is wrong in a file is told with its line.
func TestScenarioArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.klamm")
	require.NoError(t, os.WriteFile(file, []byte("klamm scenario 1\ntopic t0\nfault 1s process.kill nobody\n"), 0o644))
	code, _, stderr := simRun("replay", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "bad.klamm: line 3: fault: there is no node \"nobody\"")
	for _, args := range [][]string{{"replay"}, {"shrink"}, {"show"}, {"replay", file, "--seed", "1"}, {"run", "--save", file}} {
		code, _, stderr := simRun(args...)
		require.Equal(t, 2, code, "%v: %s", args, stderr)
	}
}
