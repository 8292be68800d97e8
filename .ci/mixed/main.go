// Mixed runs one cluster of Klamm and Apache Kafka nodes, kills either kind with idempotent producers at work, and says
// what held and what did not: docs/mixed.md.
//
//	go run ./.ci/mixed [-only brokers,controllers,voters,directories,transactions,refusals] [-base PORT] [-rounds N] [-keep]
//
// It needs java and, once, the network: .ci/kafka/fetch.sh fetches Apache Kafka's jars.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"klamm/.ci/nodes"
)

// report is what came of a part.
type report struct {
	name  string
	lines []string
	wrong []string
}

func (r *report) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.lines = append(r.lines, line)
	fmt.Println("   ", line)
}

func (r *report) bad(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.wrong = append(r.wrong, line)
	fmt.Println("    WRONG:", line)
}

type part struct {
	name, title string
	run         func(*report, *cluster) error
}

var parts = []part{
	{"brokers", "Klamm brokers under Apache Kafka controllers", klammBrokers},
	{"controllers", "Apache Kafka brokers under Klamm controllers", kafkaBrokers},
	{"voters", "one quorum of Klamm and Apache Kafka controllers", mixedVoters},
	{"directories", "directories that go from one to the other and back", directories},
	{"transactions", "transactions over both", transactions},
	{"refusals", "what is refused", refusals},
}

var (
	rounds  = flag.Int("rounds", 1, "how often each kind of fault comes round")
	keep    = flag.Bool("keep", false, "leave directories and logs in place")
	program = flag.String("bin", "", "a klamm binary; built if left out")
)

func main() {
	only := flag.String("only", "", "parts, comma-separated: brokers, controllers, voters, directories, transactions, refusals; all if left out")
	base := flag.Int("base", 25000, "first port")
	flag.Parse()
	if err := run(*only, *base); err != nil {
		fmt.Fprintln(os.Stderr, "mixed:", err)
		os.Exit(1)
	}
}

func run(only string, base int) error {
	dir, err := os.MkdirTemp("", "klamm-mixed-")
	if err != nil {
		return err
	}
	bin := *program
	if bin == "" {
		if bin, err = nodes.Build(dir); err != nil {
			return err
		}
	}
	failed := 0
	for _, p := range parts {
		if only != "" && !contains(strings.Split(only, ","), p.name) {
			continue
		}
		began := time.Now()
		fmt.Printf("%s: %s\n", p.name, p.title)
		r := &report{name: p.name}
		c := &cluster{dir: filepath.Join(dir, p.name), bin: bin, base: base}
		if err := p.run(r, c); err != nil {
			r.bad("%v", err)
		}
		c.killAll()
		verdict := "held"
		if len(r.wrong) > 0 {
			verdict = fmt.Sprintf("DID NOT HOLD: %d violations", len(r.wrong))
			failed++
		}
		fmt.Printf("  %s: %s, %.0f s\n", p.name, verdict, time.Since(began).Seconds())
	}
	if failed > 0 {
		return fmt.Errorf("%d parts did not hold; directories and logs are in %s", failed, dir)
	}
	if *keep {
		fmt.Println("directories and logs are in", dir)
		return nil
	}
	return os.RemoveAll(dir)
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

var errGiveUp = errors.New("the cluster did not come back: the rest of this part was not tried")
