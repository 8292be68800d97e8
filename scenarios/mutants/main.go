// Mutants replants bugs that real systems had, one at a time, and counts the seeds that the simulator needs to
// find each. A mutant is a text file beside this program: the smallest change that brings the bug back, laid over the
// build (go build -overlay); the product's own files never contain it.
//
//	go run ./scenarios/mutants [-cluster|-workloads] [-only M005,M090] [-ranges 3] [-cap 200] [-cores 1] [-out FILE.md]
//	go run ./scenarios/mutants -shrink [-only M005,M090]
//	go run ./scenarios/mutants -build [-only M005 -keep DIR]
//
// With -cluster the mutants of a cluster are meant, those whose arguments have --nodes; with -workloads those
// that need another workload than the mixed one; without either, and without -only, the others.
// A seed that the unchanged build fails says nothing about a mutant. So the unchanged build runs first, and again on each seed that seems to
// have found one; the seeds that it fails are left out and named. A mutant that is not found within its cap is told, not dropped.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one planted bug.
type mutant struct {
	id, bug, difficulty string
	must                []string // invariants of which one should fire
	args                []string // further arguments of sim run
	edits               []edit
}

// edit replaces old, which must stand exactly once in file.
type edit struct{ file, old, new string }

// parse reads a mutant: header lines "key: value", then for each edit "file: PATH", a line <<<<, the old text, a line
// ====, the new text, a line >>>>.
func parse(name, text string) (m mutant, err error) {
	m.id = strings.TrimSuffix(filepath.Base(name), ".mutant")
	lines := strings.Split(text, "\n")
	file := ""
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if line == "<<<<" {
			var part [2][]string
			for n, end := range []string{"====", ">>>>"} {
				for i++; i < len(lines) && lines[i] != end; i++ {
					part[n] = append(part[n], lines[i])
				}
			}
			if i == len(lines) || file == "" {
				return m, fmt.Errorf("%s: an edit without its end or its file", name)
			}
			m.edits = append(m.edits, edit{file, strings.Join(part[0], "\n"), strings.Join(part[1], "\n")})
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok {
			return m, fmt.Errorf("%s: %q is no header line", name, line)
		}
		switch key {
		case "bug":
			m.bug = value
		case "difficulty":
			m.difficulty = value
		case "must":
			m.must = strings.Fields(value)
		case "args":
			m.args = strings.Fields(value)
		case "file":
			file = value
		default:
			return m, fmt.Errorf("%s: unknown header %q", name, key)
		}
	}
	if len(m.edits) == 0 || m.bug == "" || len(m.must) == 0 {
		return m, fmt.Errorf("%s: needs bug, must and at least one edit", name)
	}
	return m, nil
}

// build makes the broker with the mutant laid over it.
func (m *mutant) build(dir string) (bin string, err error) {
	changed := map[string]string{}
	replace := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(e.file)
		if err != nil {
			return "", err
		}
		if _, ok := changed[path]; !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			changed[path] = string(b)
		}
		if n := strings.Count(changed[path], e.old); n != 1 {
			return "", fmt.Errorf("%s: the text to replace stands %d times in %s; the product has moved on, and the mutant must follow:\n%s", m.id, n, e.file, e.old)
		}
		changed[path] = strings.Replace(changed[path], e.old, e.new, 1)
	}
	for path, text := range changed {
		over := filepath.Join(dir, m.id+"-"+filepath.Base(path))
		if err := os.WriteFile(over, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[path] = over
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlayFile := filepath.Join(dir, m.id+".json")
	if err := os.WriteFile(overlayFile, overlay, 0o644); err != nil {
		return "", err
	}
	bin = filepath.Join(dir, "klamm-"+m.id)
	if out, err := exec.Command("go", "build", "-overlay", overlayFile, "-o", bin, "./cmd/klamm").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s does not build:\n%s", m.id, out)
	}
	return bin, nil
}

// verdict is what one range of seeds said.
type verdict struct {
	seeds int // until the first violation, that seed included; 0: none within the cap
	rule  string
}

// failure is a seed that failed.
type failure struct {
	Seed      int
	Invariant string
}

// run runs seeds and returns those that failed, the lowest first.
func run(bin string, args []string, from, seeds int) ([]failure, error) {
	cmd := exec.Command(bin, append([]string{"sim", "run", "--format", "json", "--from", fmt.Sprint(from), "--seeds", fmt.Sprint(seeds), "--cores", fmt.Sprint(*cores)}, args...)...)
	cmd.Stderr = os.Stderr
	out, _ := cmd.Output() // it exits with an error when it is not green, which a few seeds never are
	var r struct{ Failures []failure }
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("%v printed no report: %w", cmd.Args, err)
	}
	slices.SortFunc(r.Failures, func(a, b failure) int { return a.Seed - b.Seed })
	return r.Failures, nil
}

// unchanged is the build without a mutant, and what is known of it.
type unchanged struct {
	bin   string
	fails map[string]bool // arguments and seed
}

// failsToo reports whether the unchanged build fails a seed as well, which it says the first time.
func (u *unchanged) failsToo(args []string, seed int) (bool, error) {
	key := fmt.Sprint(args, seed)
	fails, known := u.fails[key]
	if known {
		return fails, nil
	}
	f, err := run(u.bin, args, seed, 1)
	if err != nil {
		return false, err
	}
	if u.fails[key] = len(f) > 0; len(f) > 0 {
		fmt.Printf("left out: the unchanged build fails seed %d %v with %s\n", seed, args, f[0].Invariant)
	}
	return len(f) > 0, nil
}

// hunt runs seeds from a range until one fails that the unchanged build passes.
func (u *unchanged) hunt(bin string, args []string, from, limit int) (verdict, error) {
	const chunk = 25
	for at := 0; at < limit; at += chunk {
		n := min(chunk, limit-at)
		failures, err := run(bin, args, from+at, n)
		if err != nil {
			return verdict{}, err
		}
		for _, f := range failures {
			too, err := u.failsToo(args, f.Seed)
			if err != nil {
				return verdict{}, err
			}
			if !too {
				return verdict{f.Seed - from + 1, f.Invariant}, nil
			}
		}
	}
	return verdict{}, nil
}

var (
	cores   = flag.Int("cores", 1, "how many runs at once")
	patient = flag.Bool("patient", false, "look through every range, also when the first one finds nothing")
	build   = flag.Bool("build", false, "only build each mutant")
	keep    = flag.String("keep", "", "with -build: a directory that is left with what was built, klamm-M005 and so on")
	smaller = flag.Bool("shrink", false, "find one seed of each mutant and shrink it, instead of counting seeds")
)

func main() {
	cluster := flag.Bool("cluster", false, "the mutants of a cluster instead of those of one broker")
	workloads := flag.Bool("workloads", false, "the mutants that need a workload of their own, on one broker or several")
	only := flag.String("only", "", "ids, with commas; all without")
	ranges := flag.Int("ranges", 3, "disjoint ranges of seeds a mutant")
	limit := flag.Int("cap", 200, "seeds a range")
	out := flag.String("out", "", "write the table to this file too")
	flag.Parse()
	files, err := filepath.Glob("scenarios/mutants/*.mutant")
	check(err)
	dir, err := os.MkdirTemp("", "klamm-mutants-")
	check(err)
	defer os.RemoveAll(dir)
	var table strings.Builder
	table.WriteString(map[bool]string{true: shrinkHead, false: countHead}[*smaller])
	plain := map[string]bool{}
	u := &unchanged{bin: filepath.Join(dir, "klamm"), fails: map[string]bool{}}
	found, total := 0, 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		check(err)
		m, err := parse(f, string(text))
		check(err)
		if *only != "" && !slices.Contains(strings.Split(*only, ","), m.id) {
			continue
		}
		own := slices.Contains(m.args, "--workload")
		if *only == "" && !*build && (own != *workloads || !own && slices.Contains(m.args, "--nodes") != *cluster) {
			continue
		}
		if *build {
			bin, err := m.build(dir)
			if total++; err != nil {
				fmt.Fprintln(os.Stderr, err)
				continue
			}
			if *keep != "" {
				check(os.Rename(bin, filepath.Join(*keep, filepath.Base(bin))))
			} else {
				check(os.Remove(bin))
			}
			found++
			continue
		}
		if key := strings.Join(m.args, " "); !plain[key] {
			plain[key] = true
			u.healthy(m.args, *ranges, min(*limit, 100))
		}
		row, hit := m.row(u, dir, *ranges, *limit)
		if total++; hit {
			found++
		}
		fmt.Print(row)
		table.WriteString(row)
	}
	if *build {
		fmt.Printf("%d of %d mutants build\n", found, total)
		if found < total {
			os.Exit(1)
		}
		return
	}
	fmt.Printf("%d of %d %s\n", found, total, map[bool]string{true: shrinkGoal, false: "found in every range"}[*smaller])
	if *out != "" {
		check(os.WriteFile(*out, []byte(table.String()), 0o644))
	}
}

// healthy stops everything if the unchanged build fails more than a few seeds.
func (u *unchanged) healthy(args []string, ranges, limit int) {
	if out, err := exec.Command("go", "build", "-o", u.bin, "./cmd/klamm").CombinedOutput(); err != nil {
		check(fmt.Errorf("build: %s", out))
	}
	bad := 0
	for r := range ranges {
		failures, err := run(u.bin, args, r*1_000_000, limit)
		check(err)
		for _, f := range failures {
			bad++
			u.fails[fmt.Sprint(args, f.Seed)] = true
			fmt.Printf("left out: the unchanged build fails seed %d %v with %s\n", f.Seed, args, f.Invariant)
		}
	}
	if bad > max(2, ranges*limit/20) {
		check(fmt.Errorf("the unchanged build fails %d of %d seeds: no count means anything", bad, ranges*limit))
	}
}

// countHead is the head of the table of seeds.
const countHead = "| mutant | bug | further arguments | difficulty (guess) | should fire | fired | seeds to find, by range | median | worst |\n|---|---|---|---|---|---|---|---|---|\n"

// row makes a mutant's row of the table, and says whether it is as it should be.
func (m *mutant) row(u *unchanged, dir string, ranges, limit int) (row string, hit bool) {
	if *smaller {
		return m.shrink(u, dir, limit)
	}
	return m.measure(u, dir, ranges, limit)
}

func (m *mutant) measure(u *unchanged, dir string, ranges, limit int) (row string, hit bool) {
	bin, err := m.build(dir)
	check(err)
	defer os.Remove(bin)
	var counts []int
	var shown, fired []string
	for r := range ranges {
		v, err := u.hunt(bin, m.args, r*1_000_000, limit)
		check(err)
		if v.seeds == 0 {
			shown = append(shown, fmt.Sprintf("not in %d", limit))
			if counts = append(counts, 1<<30); r == 0 && !*patient {
				break // what is not found at once is work, not a count
			}
			continue
		}
		shown = append(shown, fmt.Sprint(v.seeds))
		counts = append(counts, v.seeds)
		if !slices.Contains(fired, v.rule) {
			fired = append(fired, v.rule)
		}
	}
	slices.Sort(counts)
	text := func(n int) string {
		if n == 1<<30 {
			return fmt.Sprintf("> %d", limit)
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", m.id, m.bug, strings.Join(m.args, " "), m.difficulty, strings.Join(m.must, " "), strings.Join(fired, " "),
		strings.Join(shown, ", "), text(counts[len(counts)/2]), text(counts[len(counts)-1])), counts[len(counts)-1] < 1<<30
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}
