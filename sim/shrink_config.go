package sim

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
)

// This file shrinks what a scenario says besides faults and operations. It works on the text, so that whatever can be written can be
// left out, and what can't be read is no candidate.

// edited is a scenario with other lines; nil if they can't be read.
func edited(lines []string) *Scenario {
	x, err := ParseScenario(strings.Join(lines, "\n"))
	if err != nil {
		return nil
	}
	return x
}

// clients lets clients be absent, and drops what they would have done.
func (s *Shrink) clients() {
	from := s.now
	var who []string
	for _, name := range from.nodeNames()[from.Config.topology.nodes():] {
		if !from.Config.isGone(name) && !mustTakePart(name) {
			who = append(who, name)
		}
	}
	left := s.reduce(len(who), func(gone []bool) *Scenario {
		x := *from
		x.Config.absent = slices.Clone(from.Config.absent)
		for i, name := range who {
			if gone[i] {
				x.Config.absent = append(x.Config.absent, name)
			}
		}
		x.Script = slices.DeleteFunc(slices.Clone(x.Script), func(op Op) bool { return x.Config.isGone(op.Client) })
		x.Drawn = slices.DeleteFunc(slices.Clone(x.Drawn), func(d Drawn) bool { return x.Config.isGone(d.Client) })
		x.Plan = slices.DeleteFunc(slices.Clone(x.Plan), func(f Fault) bool { return x.Config.isGone(from.nodeNames()[f.Node]) })
		return &x
	})
	s.tell("clients", len(who), left)
	s.first([]*Scenario{edited(s.now.lines())}) // without their lines, others may have other numbers
}

// nodes makes do with fewer servers.
func (s *Shrink) nodes() {
	was := s.now.Config.topology.nodes()
	for {
		n := s.now.Config.topology.nodes()
		var list []*Scenario
		for to := 1; to < n; to++ {
			list = append(list, s.now.fewer(to))
		}
		if s.first(list) < 0 {
			break
		}
	}
	s.tell("nodes", was, s.now.Config.topology.nodes())
}

// fewer is a scenario with only the first servers of a cluster; nil if that can't be.
func (x *Scenario) fewer(n int) *Scenario {
	gone := x.nodeNames()[n:x.Config.topology.nodes()]
	var lines []string
	brokers := 0
	for _, k := range x.Config.topology.roles[:n] {
		if k != controllerOnly {
			brokers++
		}
	}
	for _, line := range x.lines() {
		words := strings.Fields(line)
		if words[0] == "fault" && slices.Contains(gone, words[3]) || words[0] == "servers" && n == 1 {
			continue
		}
		if words[0] == "fault" && n == 1 && words[3] == "broker1" {
			words[3] = "broker"
		}
		for i := 1; i < len(words) && words[0] != "at"; i++ {
			words[i] = fewerWord(words[0], words[i], n, brokers)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	y := edited(lines)
	if y != nil && n == 1 && (y.Config.Set == SetRepair || slices.ContainsFunc(y.Plan, func(f Fault) bool { return f.Kind.planned() && f.Kind != DirFails })) {
		return nil
	}
	return y
}

// fewerWord is a word of a line when there are only n servers, of which some are brokers; empty: it has to go.
func fewerWord(head, word string, n, brokers int) string {
	k, v, _ := strings.Cut(word, "=")
	upTo := func() string {
		if list := strings.Split(v, ","); len(list) > n {
			return k + "=" + strings.Join(list[:n], ",")
		}
		return word
	}
	switch {
	case head == "cluster" && k == "nodes":
		return k + "=" + strconv.Itoa(n)
	case head == "cluster" && (k == "roles" || k == "directories" || k == "first"):
		return upTo()
	case head == "cluster" && n == 1:
		return ""
	case k == "bootstrap":
		return ""
	case k == "replication" || k == minISR || strings.HasSuffix(k, ".replication.factor"):
		if m, err := strconv.Atoi(v); err == nil {
			return k + "=" + strconv.Itoa(min(m, brokers))
		}
	}
	return word
}

// knob is a word of a line that can be left out.
type knob struct{ line, word int }

// keptWords are the words that say what a line is about, by its first word.
func keptWords(head string) (first int, names []string) {
	switch head {
	case "world":
		return 2, []string{"workload"}
	case "cluster":
		return 1, []string{"nodes", "roles", "first", "voters"}
	case "clients", "broker", "servers":
		return 1, nil
	case "topic", "producer", "group":
		return 2, nil
	case "writer":
		return 2, []string{"id"}
	case "pipe":
		return 2, []string{"id", "group", "from", "to", "stage"}
	}
	return 1 << 30, nil
}

// knobs puts single words of the configuration back to what is usual.
func (s *Shrink) knobs() {
	lines := s.now.lines()
	var all []knob
	words := make([][]string, len(lines))
	for i, line := range lines {
		words[i] = strings.Fields(line)
		first, names := keptWords(words[i][0])
		for j := first; j < len(words[i]); j++ {
			if k, _, _ := strings.Cut(words[i][j], "="); !slices.Contains(names, k) && !s.now.promised(k) {
				all = append(all, knob{i, j})
			}
		}
	}
	left := s.reduce(len(all), func(gone []bool) *Scenario {
		var kept []string
		k := 0
		for i := range words {
			var line []string
			for j := range words[i] {
				if k < len(all) && all[k] == (knob{i, j}) {
					if k++; gone[k-1] {
						continue
					}
				}
				line = append(line, words[i][j])
			}
			if len(line) > 1 {
				kept = append(kept, strings.Join(line, " "))
			}
		}
		return edited(kept)
	})
	s.tell("settings", len(all), left)
}

// promised reports whether a word is what the judges' promise rests on: where disks are lost, go bad or forget, what is
// acknowledged must be on enough others.
func (x *Scenario) promised(word string) bool {
	t := &x.Config.topology
	return (t.wipes || t.ledger || x.Config.Set == SetRepair) && (word == minISR || word == "replication" || strings.HasSuffix(word, ".replication.factor"))
}

// topics takes whole topics away.
func (s *Shrink) topics() {
	was := len(s.now.Config.Topics)
	for i := was - 1; i >= 0 && len(s.now.Config.Topics) > 1; i-- {
		var lines []string
		for _, line := range s.now.lines() {
			words := strings.Fields(line)
			if words[0] == "topic" && words[1] == s.now.Config.Topics[i].name {
				continue
			}
			for j, w := range words {
				k, v, _ := strings.Cut(w, "=")
				if k == "topics" || words[0] == "pipe" && (k == "from" || k == "to") {
					words[j] = k + "=" + renumbered(v, i)
				}
			}
			lines = append(lines, strings.Join(words, " "))
		}
		s.first([]*Scenario{edited(lines)})
	}
	s.tell("topics", was, len(s.now.Config.Topics))
}

// renumbered is a list of numbers when one of them is gone.
func renumbered(list string, gone int) string {
	var out []string
	for _, w := range strings.Split(list, ",") {
		n, err := strconv.Atoi(w)
		switch {
		case err != nil || n == gone:
		case n > gone:
			out = append(out, strconv.Itoa(n-1))
		default:
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return "0"
	}
	return strings.Join(out, ",")
}

// round makes instants of faults and operations short, where that changes nothing.
func (s *Shrink) round() {
	for _, unit := range []core.Time{100 * core.Millisecond, 10 * core.Millisecond, core.Millisecond} {
		x := *s.now
		x.Plan, x.Script = slices.Clone(x.Plan), slices.Clone(x.Script)
		for i := range x.Plan {
			x.Plan[i].At = x.Plan[i].At / unit * unit
		}
		y := x
		for i := range y.Script {
			y.Script[i].At = y.Script[i].At / unit * unit
		}
		x.Script = s.now.Script
		if s.first([]*Scenario{&y, &x}) >= 0 {
			return
		}
	}
}
