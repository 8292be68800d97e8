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
		return fmt.Sprintf("| %s | %s | not in %d | | | | | | |\n", m.id, strings.Join(m.args, " "), limit), false
	}
	small := filepath.Join(dir, m.id+".klamm")
	cmd := exec.Command(bin, append([]string{"sim", "shrink", "--seed", fmt.Sprint(v.seeds - 1), "--cores", "1", "--limit", shrinkPatience.String(), "--out", small}, m.args...)...)
	said, err := cmd.Output()
	check(err)
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() // of the one core: other programs on the machine do not count
	text, err := os.ReadFile(small)
	check(err)
	lines := strings.Count(string(text), "\n")
	again, unchanged := breaks(bin, small), breaks(u.bin, small)
	hit = lines <= shrinkLines && took <= shrinkTime && again == v.rule && unchanged == "nothing"
	return fmt.Sprintf("| %s | %s | %d | %s | %d | %.1f | %s | %s | %d |\n", m.id, strings.Join(m.args, " "), v.seeds-1, v.rule, lines, took.Seconds(),
		again, unchanged, strings.Count(string(said), "\nnecessary ")), hit
}

// What issue 6 asks of a shrunk failure.
const (
	shrinkLines = 25
	shrinkTime  = time.Minute
	shrinkGoal  = "found and shrunk to 25 lines in a minute"
)

// shrinkPatience is how long one may take by the clock, on a machine that has other things to do.
const shrinkPatience = 10 * time.Minute

const shrinkHead = "| mutant | further arguments | seed | fired | lines | seconds of a core | the file breaks | on the unchanged build | necessary faults |\n|---|---|---|---|---|---|---|---|---|\n"

// breaks says which rule the file breaks.
func breaks(bin, file string) string {
	out, _ := exec.Command(bin, "sim", "replay", file).Output() // it fails where a rule breaks
	_, after, broke := strings.Cut(string(out), "\nbroke ")
	if !broke {
		return "nothing"
	}
	return strings.Fields(after)[0]
}
