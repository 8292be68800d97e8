package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"klamm/sim"
)

// printState writes what every node is like after a step: the text of what the page shows beside its slider.
func (t *trace) printState(w io.Writer, step uint64) error {
	values := make([][]int64, len(t.rec.Subjects)) // by field; nil: there is no such subject
	last := make([]uint64, len(t.rec.Subjects))    // the step of the newest change
	at := sim.Moment{}
	for _, c := range t.rec.Changes {
		if c.Step > step {
			break
		}
		if at = c.Moment; c.Value == sim.Vanished {
			values[c.Subject] = nil
			continue
		}
		if values[c.Subject] == nil {
			values[c.Subject] = make([]int64, len(fieldNames[t.rec.Subjects[c.Subject].Kind]))
		}
		values[c.Subject][c.Field], last[c.Subject] = c.Value, c.Step
	}
	fmt.Fprintf(w, "step %d, after %s s; * marks what changed in this step\n", step, clockText(at.At))
	for n, node := range t.rec.Nodes {
		if t.o.node != "" && node.Name != t.o.node || !node.Broker && t.o.node == "" {
			continue
		}
		fmt.Fprintf(w, "\n%s (%s)\n", node.Name, node.Roles)
		for kind := range sim.SubjectKinds {
			head := append([]string{"", [...]string{"PROCESS", "QUORUM", "PARTITION", "GROUP", "TRANSACTIONAL ID"}[kind]}, fieldNames[kind]...)
			var rows [][]string
			for i, s := range t.rec.Subjects {
				if int(s.Node) == n && s.Kind == kind && values[i] != nil && (kind != sim.SubjectLog || t.o.part == "" || t.o.part == t.rec.Names[s.Name]) {
					rows = append(rows, t.stateRow(s, values[i], last[i] == step))
				}
			}
			if slices.SortFunc(rows, func(a, b []string) int { return compareNames(a[1], b[1]) }); len(rows) > 0 {
				if err := printTable(w, head, rows); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (t *trace) stateRow(s sim.Subject, values []int64, fresh bool) []string {
	row := []string{"", t.rec.Names[s.Name]}
	if fresh {
		row[0] = "*"
	}
	if row[1] == "" {
		row[1] = "metadata"
	}
	for f, v := range values {
		row = append(row, t.valueText(s.Kind, sim.Field(f), v))
	}
	return row
}

// compareNames orders partitions by topic and number.
func compareNames(a, b string) int {
	cut := func(s string) (string, int) {
		for i := len(s) - 1; i >= 0; i-- {
			if s[i] == '-' {
				n, _ := strconv.Atoi(s[i+1:])
				return s[:i], n
			}
		}
		return s, 0
	}
	x, i := cut(a)
	y, j := cut(b)
	if x != y {
		if x < y {
			return -1
		}
		return 1
	}
	return i - j
}
