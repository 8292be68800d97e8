package main

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewriteRules = flag.Bool("rewrite-rules", false, "write page/rules.tsv from docs/invariants.md")

var ruleRow = regexp.MustCompile(`^\| (I\d+) \| (.*?) \| [^|]* \| [^|]*\|$`)

// The sentences on the page are those of docs/invariants.md.
func TestRulesOnThePage(t *testing.T) {
	b, err := os.ReadFile("../../docs/invariants.md")
	require.NoError(t, err)
	var want strings.Builder
	for line := range strings.Lines(string(b)) {
		if m := ruleRow.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			want.WriteString(m[1] + "\t" + strings.ReplaceAll(m[2], `\|`, "|") + "\n")
		}
	}
	require.Greater(t, strings.Count(want.String(), "\n"), 90)
	if *rewriteRules {
		require.NoError(t, os.WriteFile("page/rules.tsv", []byte(want.String()), 0o644))
	}
	got, err := os.ReadFile("page/rules.tsv")
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "go test ./cmd/klamm -run RulesOnThePage -rewrite-rules")
}
