package sim

import (
	"slices"

	"klamm/core"
)

// Workload is what the clients of a run do, and which of the oracle's rules look at it. Each has a name, under which `sim run
// --workload` finds it; the first is what is meant without one. To add one: a row here, a file of its own with its draw and
// its player, and deeds that say whether it went where it says it goes.
type Workload uint8

// The workloads.
const (
	Mixed Workload = iota
	Groups
	Compaction
	ExactlyOnce
	workloadCount
)

// workload is one row of the registry. Everything but name and about may be left out.
type workload struct {
	name, about string
	// draw changes the configuration, when all else of it but the cluster is drawn. Its draws are its own: no draw of
	// another workload moves.
	draw func(cfg *Config, d *drawing)
	// plan adds faults of its own.
	plan func(c Chooser, cfg *Config) []Fault
	// play makes the clients that the configuration does not name, and whoever judges them.
	play func(r *run) player
	// deeds are what must have happened in a campaign: one that never did makes it red, like a fault that never came.
	deeds []deed
}

// deed is something that a workload does.
type deed struct {
	name    string
	cluster bool // only several nodes can do it
}

// player is a workload's part in a run. What says what is missing says nothing if nothing is.
type player interface {
	// build adds clients to the world, before it starts.
	build()
	// alive says what has not come alive after healing.
	alive() string
	// flushed says what is still under way after everybody was told to finish.
	flushed() string
	// audited says what has not been read in the end.
	audited() string
	// judge looks at all that happened, at the end; complete says that the audit has read everything.
	judge(complete bool)
}

func registry() [workloadCount]workload {
	return [workloadCount]workload{
		Mixed: {name: "mixed", about: "producers, readers, groups, an admin, and clients that mean no good"},
		Groups: {name: "groups", about: "many members, which come, go, return under their instance id; coordinators that move; offsets that are reset",
			draw: drawGroups, plan: planGroups, play: playGroups, deeds: groupDeeds()},
		Compaction: {name: "compaction", about: "topics of few keys, tombstones among their records, whose small segments are cleaned again and again",
			draw: drawCompaction, play: playCompaction, deeds: compactionDeeds()},
		ExactlyOnce: {name: "exactly-once", about: "transactional producers, twins of theirs that are fenced, pipes that consume and produce in transactions, readers with read_committed",
			draw: drawExactly, plan: planExactly, play: playExactly, deeds: exactlyDeeds()},
	}
}

// String is the workload's name.
func (w Workload) String() string {
	if w < workloadCount {
		return registry()[w].name
	}
	return "none"
}

// About says in a line what a workload is.
func (w Workload) About() string { return w.row().about }

func (w Workload) row() workload { return registry()[w] }

// Workloads are the names of all, the default first.
func Workloads() (names []string) {
	for w := range workloadCount {
		names = append(names, w.String())
	}
	return names
}

// ParseWorkload finds a workload by its name; empty is the default.
func ParseWorkload(name string) (Workload, bool) {
	if name == "" {
		return Mixed, true
	}
	i := slices.Index(Workloads(), name)
	return Workload(max(i, 0)), i >= 0
}

// drawing is a workload's own row of draws.
type drawing struct {
	c      Chooser
	entity uint64
}

// n draws a number in [0, n); 0 is benign.
func (d *drawing) n(n int) int { return int(d.c.Choose(siteWorkload, d.entity, uint64(n))) }

// of draws one of a list, of which the first is benign.
func (d *drawing) of(list ...string) string { return list[d.n(len(list))] }

// ms draws a time.
func (d *drawing) ms(from, more int) core.Time { return core.Time(from+d.n(more)) * core.Millisecond }

// drawWorkload lets the workload change what was drawn.
func (cfg *Config) drawWorkload(c Chooser) {
	if row := cfg.Workload.row(); row.draw != nil {
		row.draw(cfg, &drawing{c, uint64(cfg.Workload) << 8})
	}
}

// deedIn is deed, if the run's workload is this one.
func (r *run) deedIn(w Workload, i int) {
	if r.cfg.Workload == w {
		r.deed(i)
	}
}

// deed counts one of the deeds of the run's workload, by its place in the list.
func (r *run) deed(i int) { r.deeds[i]++ }
