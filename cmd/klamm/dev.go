package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newDevCommand() *cobra.Command {
	var d dev
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run one broker, or a small cluster, with sensible defaults",
		Long: `Runs one broker, ready in a moment, that any Kafka client can use. Its data stay in --data and are
there again next time. With --nodes 3 it runs three that replicate to each other. Stop it with Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&d.listen, "listen", "localhost:9092", "where clients connect; port 0 takes a free one")
	f.StringVar(&d.data, "data", "./klamm-data", "data directory; made if it is not there")
	f.IntVar(&d.nodes, "nodes", 1, "how many nodes; with 3, they replicate to each other, on three ports from that of --listen")
	f.BoolVar(&d.ephemeral, "ephemeral", false, "keep the data in a temporary directory, and remove it at the end")
	f.StringVar(&d.admin, "admin", adminDefault, "where /metrics, /healthz, /readyz and pprof are served; \"\" for nowhere")
	f.StringVar(&d.durability, "durability", "sync", "sync: on disk before it is acknowledged; replicate: in memory, as Apache Kafka does")
	f.StringArrayVar(&d.set, "set", nil, "a setting as in server.properties, name=value; may be repeated")
	f.StringVar(&d.log.format, "log-format", "text", "text or json")
	f.StringVar(&d.log.level, "log-level", "info", "debug, info, warn or error")
	addFaultLayer(cmd, &d.faultLayer)
	return cmd
}

// addFaultLayer adds the hidden flag for drills; docs/operations.md describes it.
func addFaultLayer(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "fault-layer", os.Getenv("KLAMM_FAULT_LAYER"), "for drills: lossy forgets unsynced bytes and directory entries at a kill; lossy-nosync ignores syncs too")
	cmd.Flags().MarkHidden("fault-layer")
}

type dev struct {
	listen, data, admin, durability, faultLayer string
	ephemeral                                   bool
	nodes                                       int
	set                                         []string
	log                                         logFlags
}

func (d *dev) run(w io.Writer) error {
	log, err := d.log.logger()
	if err != nil {
		return err
	}
	hostname, port, err := net.SplitHostPort(d.listen)
	if err != nil {
		return usagef("--listen %s: not an address such as localhost:9092", d.listen)
	}
	if d.durability != "sync" && d.durability != "replicate" {
		return usagef("--durability %s: neither sync nor replicate", d.durability)
	}
	if d.ephemeral {
		if d.data, err = os.MkdirTemp("", "klamm-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(d.data)
	} else if err := os.MkdirAll(d.data, 0o755); err != nil {
		return fmt.Errorf("the data directory cannot be made: %w. Choose another with --data, or use --ephemeral", err)
	}
	dir, err := filepath.Abs(d.data)
	if err != nil {
		return err
	}
	if d.nodes < 1 {
		return usagef("--nodes %d: there is no cluster without a node", d.nodes)
	}
	if d.nodes > 1 {
		return d.runCluster(w, log, hostname, port, dir)
	}
	text := strings.Join([]string{
		"node.id=1",
		"process.roles=broker,controller",
		"listeners=PLAINTEXT://" + net.JoinHostPort(hostname, port),
		"log.dirs=" + escapeProperty(dir),
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0", // nobody waits for a fleet of consumers here
		"klamm.auto.format=true",
		"klamm.durability=" + d.durability,
	}, "\n") + "\n"
	extra, err := setLines(d.set)
	if err != nil {
		return err
	}
	n := node{config: text + extra, from: "klamm dev and its --set", admin: d.admin, faultLayer: d.faultLayer, log: log}
	n.ready = func(r readyInfo) { d.banner(w, r) }
	return n.run()
}

// banner says that it runs and what to type next.
func (d *dev) banner(w io.Writer, r readyInfo) {
	addr := r.addresses[0]
	data := d.data
	if d.ephemeral {
		data = "a temporary directory, removed at the end"
	}
	promise := "synced to disk before it is acknowledged"
	if d.durability == "replicate" {
		promise = "acknowledged from memory: a power cut may take the newest records"
	}
	k, at := self(), ""
	if addr != "localhost:9092" {
		at = " --bootstrap " + addr
	}
	fmt.Fprintf(w, `
Klamm is ready on %s after %.3f s.
Data: %s; %s.

Try, in another terminal:
  %s topic create hello --partitions 3%s
  echo "hello, gorge" | %s produce hello%s
  %s consume hello --from earliest%s

Any Kafka client will do:
  kcat -b %s -L
  kafka-console-producer.sh --bootstrap-server %s --topic hello

`, addr, r.took.Seconds(), data, promise, k, at, k, at, k, at, addr, addr)
	if r.admin != "" {
		fmt.Fprintf(w, "Metrics, health and profiles: http://%s/\n", r.admin)
	}
	fmt.Fprintln(w, "Ctrl-C stops it.")
}

// escapeProperty writes a value so that a properties file gives it back.
func escapeProperty(v string) string {
	v = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(v)
	if strings.HasPrefix(v, " ") {
		v = `\` + v
	}
	return v
}

// setLines turns name=value flags into lines of a properties file.
func setLines(set []string) (string, error) {
	var b strings.Builder
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return "", usagef("--set %s: not of the form name=value", s)
		}
		b.WriteString(name + "=" + escapeProperty(value) + "\n")
	}
	return b.String(), nil
}
