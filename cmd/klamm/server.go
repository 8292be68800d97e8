package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"klamm/core/image"
)

func newServerCommand() *cobra.Command {
	var s server
	cmd := &cobra.Command{
		Use:   "server --config FILE",
		Short: "Run a node from a configuration file",
		Long: `Runs a node as a server.properties file says, with the names of Apache Kafka's settings. An environment
variable overrides the file: KLAMM_LOG_RETENTION_MS is log.retention.ms. --set name=value overrides both.
A setting that does not exist is an error that names the nearest one that does.

The data directory must have been formatted: klamm storage format --config FILE.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return s.run() },
	}
	f := cmd.Flags()
	f.StringVar(&s.config, "config", "", "a server.properties file")
	f.StringArrayVar(&s.set, "set", nil, "a setting that overrides the file and the environment, name=value; may be repeated")
	f.StringVar(&s.admin, "admin", adminDefault, "where /metrics, /healthz, /readyz and pprof are served; \"\" for nowhere")
	f.StringVar(&s.log.format, "log-format", "text", "text or json")
	f.StringVar(&s.log.level, "log-level", "info", "debug, info, warn or error")
	addFaultLayer(cmd, &s.faultLayer)
	return cmd
}

type server struct {
	config, admin, faultLayer string
	set                       []string
	log                       logFlags
}

func (s *server) run() error {
	log, err := s.log.logger()
	if err != nil {
		return err
	}
	text, from, err := layeredConfig(s.config, os.Environ(), s.set)
	if err != nil {
		return err
	}
	n := node{config: text, from: from, admin: s.admin, faultLayer: s.faultLayer, log: log}
	return n.run()
}

// layeredConfig reads the file and lays the environment and then the flags over it. In a properties file the
// last of several equal names wins.
func layeredConfig(path string, environ, set []string) (text, from string, err error) {
	if path == "" && len(set) == 0 {
		return "", "", usagef("--config FILE is missing. \"%s dev\" needs none", self())
	}
	from = "--set"
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", "", fmt.Errorf("the configuration file cannot be read: %w", err)
		}
		text, from = string(b)+"\n", path
	}
	slices.Sort(environ)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if setting, ok := settingOf(name); ok {
			text += setting + "=" + escapeProperty(value) + "\n"
			from += ", " + name
		}
	}
	lines, err := setLines(set)
	if err != nil {
		return "", "", err
	}
	if lines != "" && path != "" {
		from += ", --set"
	}
	return text + lines, from, nil
}

// settingOf is the setting that an environment variable stands for: KLAMM_ and its name in capitals, with _ for each dot.
func settingOf(variable string) (setting string, ok bool) {
	name, ok := strings.CutPrefix(variable, "KLAMM_")
	if !ok || name == "" || name == "FAULT_LAYER" || name == "PEERS" { // the last: where tests keep other brokers
		return "", false
	}
	setting = strings.ToLower(strings.ReplaceAll(name, "_", "."))
	if image.BrokerDef(setting) == nil && slices.Contains([]string{"auto.format", "cluster.id", "durability"}, setting) {
		setting = "klamm." + setting
	}
	return setting, true
}
