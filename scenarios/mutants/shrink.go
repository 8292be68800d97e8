package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// shrink finds one seed with a mutant and shrinks it on one core. The goal is 25 lines in 60 seconds: hit says that it was reached.
func (m *mutant) shrink(u *unchanged, dir string, limit int) (row string, hit bool) {
	bin, err := m.build(dir)
	check(err)
	defer os.Remove(bin)
	v, err := u.hunt(bin, m.args, 0, limit)
	check(err)
	if v.seeds == 0 {
		return fmt.Sprintf("| %s | %s | not in %d | | | |\n", m.id, strings.Join(m.args, " "), limit), false
	}
	small := filepath.Join(dir, m.id+".klamm")
	cmd := exec.Command(bin, append([]string{"sim", "shrink", "--seed", fmt.Sprint(v.seeds - 1), "--cores", "1", "--limit", shrinkTime.String(), "--out", small}, m.args...)...)
	start := time.Now()
	said, err := cmd.Output()
	check(err)
	took := time.Since(start)
	text, err := os.ReadFile(small)
	check(err)
	lines := strings.Count(string(text), "\n")
	return fmt.Sprintf("| %s | %s | %d | %s | %d | %.1f s, %s, %d |\n", m.id, strings.Join(m.args, " "), v.seeds-1, v.rule, lines, took.Seconds(),
		replayed(bin, small, v.rule), strings.Count(string(said), "\nnecessary ")), lines <= shrinkLines && took <= shrinkTime+shrinkTime/10
}

// What issue 6 asks of a shrunk failure.
const (
	shrinkLines = 25
	shrinkTime  = time.Minute
)

const shrinkHead = "| mutant | further arguments | seed | fired | lines | time, the file fails in the same way, necessary faults |\n|---|---|---|---|---|---|\n"

// replayed says whether the file alone breaks the rule.
func replayed(bin, file, rule string) string {
	out, _ := exec.Command(bin, "sim", "replay", file).Output() // it fails, as it should
	if strings.Contains(string(out), "\nbroke "+rule+" ") {
		return "yes"
	}
	return "NO"
}
