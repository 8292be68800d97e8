package main

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Lines that belong to one transaction become visible together or not at all, and each record goes through the loop once,
// also when its filter fails in between.
func TestTransact(t *testing.T) {
	addr := startBroker(t, "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=1\noffsets.topic.num.partitions=1\n")
	run := func(in string, args ...string) (string, string, error) {
		var out, errs bytes.Buffer
		cmd := newRootCommand()
		cmd.SetIn(strings.NewReader(in))
		cmd.SetOut(&out)
		cmd.SetErr(&errs)
		cmd.SetArgs(append(args, "--bootstrap", addr))
		err := cmd.Execute()
		return out.String(), errs.String(), err
	}
	must := func(in string, args ...string) string {
		out, errs, err := run(in, args...)
		require.NoError(t, err, "%v: %s", args, errs)
		return out
	}
	numbers := func(text string) (list []int) {
		for _, line := range strings.Fields(text) {
			n, err := strconv.Atoi(line)
			require.NoError(t, err)
			list = append(list, n)
		}
		slices.Sort(list)
		return list
	}
	must("", "topic", "create", "in", "--partitions", "2")
	must("", "topic", "create", "out", "--partitions", "2")
	var lines strings.Builder
	var want []int
	for n := range 300 {
		lines.WriteString(strconv.Itoa(n) + "\n")
		want = append(want, n)
	}
	must(lines.String(), "produce", "in", "--transactional-id", "p")
	_, _, err := run("a:1\nwithout a separator\n", "produce", "in", "--transactional-id", "p", "--key-separator", ":")
	require.Error(t, err)
	require.Equal(t, want, numbers(must("", "consume", "in", "--exit-at-end", "--isolation", "read_committed")), "the transaction that failed shows nothing")

	_, errs, err := run("", "transact", "in", "out", "--group", "g", "--transactional-id", "x", "--filter", "false")
	require.ErrorContains(t, err, "the filter failed", errs)
	_, errs, err = run("", "transact", "in", "out", "--group", "g", "--transactional-id", "x", "--batch", "50", "--exit-idle", "2s", "--filter", "cat")
	require.NoError(t, err)
	require.Contains(t, errs, "300 records of in went into 300 of out")
	require.Equal(t, want, numbers(must("", "consume", "out", "--exit-at-end", "--isolation", "read_committed")))

	for _, args := range [][]string{{"transact", "in", "out"}, {"transact", "in", "out", "--group", "g"}, {"consume", "in", "--isolation", "serializable"},
		{"produce", "in", "--transactional-id", "p", "--acks", "1"}} {
		_, _, err := run("", args...)
		require.Error(t, err, args)
	}
}
