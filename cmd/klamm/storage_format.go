package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/broker"
	"klamm/core/controller"
	"klamm/core/quorum"
	"klamm/core/wire"
)

func newStorageFormatCommand() *cobra.Command {
	var f formatter
	cmd := &cobra.Command{
		Use:   "format --config FILE",
		Short: "Make the data directories ready for a node",
		Long: `Writes meta.properties into each directory that log.dirs and metadata.log.dir name, and bootstrap.checkpoint into that of
the metadata log; they are made if they are not there. Nodes of one cluster are formatted with one --cluster-id; without it a new one
is drawn. Where controller.quorum.voters is not set, the log names the voters, and one of --standalone, --initial-controllers and
--no-initial-controllers says who is first. With --ignore-formatted, directories that were added or exchanged are formatted beside those that are in use.`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "a server.properties file")
	fl.StringArrayVar(&f.set, "set", nil, "a setting that overrides the file, name=value; may be repeated")
	fl.StringVar(&f.clusterID, "cluster-id", "", "the cluster's id, 22 characters; drawn if it is left out")
	fl.BoolVar(&f.first.standalone, "standalone", false, "this controller is the first voter, alone")
	fl.StringVar(&f.first.initial, "initial-controllers", "", "the first voters, id@host:port:directory-id,…; the same on each of them (klamm storage random-uuid draws ids)")
	fl.BoolVar(&f.first.none, "no-initial-controllers", false, "this node joins a quorum that is there: as a broker, or to be added to the voters")
	fl.BoolVar(&f.ignoreFormatted, "ignore-formatted", false, "a directory that is formatted already is no error")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := f.run()
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if *format == "json" {
			if len(all) == 1 {
				return printJSON(w, all[0])
			}
			return printJSON(w, all)
		}
		for _, d := range all {
			if d.Formatted {
				fmt.Fprintf(w, "Formatted %s for node %d of cluster %s.\n", d.Dir, d.NodeID, d.ClusterID)
			} else {
				fmt.Fprintf(w, "%s is formatted already, for node %d of cluster %s.\n", d.Dir, d.NodeID, d.ClusterID)
			}
		}
		if slices.ContainsFunc(all, func(d formatted) bool { return d.Formatted }) {
			fmt.Fprintf(w, "Start it with: %s server --config %s\n", self(), f.config)
		}
		return nil
	}
	return cmd
}

type formatter struct {
	config, clusterID string
	set               []string
	ignoreFormatted   bool
	first             firstVoters
}

// formatted is one directory of a node.
type formatted struct {
	Dir         string `json:"directory"`
	ClusterID   string `json:"cluster_id"`
	NodeID      int32  `json:"node_id"`
	DirectoryID string `json:"directory_id"`
	Formatted   bool   `json:"formatted_now"`
}

// run formats the directories, or finds them formatted. That of the metadata log is the first: a crash in between leaves no node
// that has forgotten its log.
func (f *formatter) run() (all []formatted, err error) {
	text, from, err := layeredConfig(f.config, os.Environ(), f.set)
	if err != nil {
		return nil, err
	}
	cfg, problems := broker.ParseConfig(text)
	if len(problems) > 0 {
		return nil, configError(from, problems)
	}
	for _, dir := range allDirs(&cfg) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("the data directory cannot be made: %w", err)
		}
	}
	locks, err := lockDirs(&cfg, nil)
	if err != nil {
		return nil, err
	}
	defer locks.unlock()
	clusterID, err := f.look(&cfg)
	if err != nil {
		return nil, err
	}
	for i, dir := range allDirs(&cfg) {
		one, err := f.format(&cfg, dir, clusterID, i == 0)
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

// look checks all directories before any is changed, and returns the cluster's id.
func (f *formatter) look(cfg *broker.Config) (clusterID string, err error) {
	clusterID = f.clusterID
	if clusterID == "" {
		clusterID = cfg.ClusterID
	}
	missing := ""
	for i, dir := range allDirs(cfg) {
		b, err := os.ReadFile(filepath.Join(dir, metaFile))
		if errors.Is(err, os.ErrNotExist) {
			if logs, err := logsIn(dir); err != nil {
				return "", err
			} else if len(logs) > 0 && !onlyFormatted(dir, logs) {
				return "", fmt.Errorf("%s holds %s and no %s: it is not formatted over data. Restore that file, or choose an empty directory", dir, logs[0], metaFile)
			}
			if i == 0 {
				missing = dir
			}
			continue
		}
		if err != nil {
			return "", err
		}
		m, err := wire.ParseMetaProperties(b)
		switch {
		case err != nil:
			return "", fmt.Errorf("%s is damaged: %w", filepath.Join(dir, metaFile), err)
		case !f.ignoreFormatted:
			return "", fmt.Errorf("%s is formatted already, for node %d of cluster %s. Nothing was changed (--ignore-formatted makes this no error)", dir, m.NodeID, m.ClusterID)
		case m.NodeID != cfg.NodeID:
			return "", fmt.Errorf("%s belongs to node %d, and node.id is %d. Nothing was changed", dir, m.NodeID, cfg.NodeID)
		case clusterID != "" && clusterID != m.ClusterID:
			return "", fmt.Errorf("%s belongs to cluster %s, not to %s. Nothing was changed", dir, m.ClusterID, clusterID)
		case missing != "" && cfg.IsController:
			return "", fmt.Errorf("%s is to hold the metadata log and is empty, while %s is in use by this node: a controller without its log would forget what it has voted. Nothing was changed", missing, dir)
		}
		clusterID = m.ClusterID
	}
	if clusterID == "" {
		clusterID = randomID().String()
	}
	if strings.ContainsAny(clusterID, "\n\r\\=") || len(clusterID) > 249 {
		return "", usagef("--cluster-id %q: not an id", clusterID)
	}
	return clusterID, nil
}

// format formats one directory, unless it is formatted.
func (f *formatter) format(cfg *broker.Config, dir, clusterID string, metadata bool) (one formatted, err error) {
	m := wire.MetaProperties{ClusterID: clusterID, NodeID: cfg.NodeID, DirectoryID: randomID()}
	show := func(fresh bool) formatted {
		return formatted{dir, m.ClusterID, int32(m.NodeID), m.DirectoryID.String(), fresh}
	}
	if b, err := os.ReadFile(filepath.Join(dir, metaFile)); err == nil {
		m, err = wire.ParseMetaProperties(b)
		return show(false), err
	}
	if metadata {
		voters, own, err := f.first.voters(cfg, m.DirectoryID)
		if err != nil {
			return one, err
		}
		if m.DirectoryID = own; len(voters) > 0 {
			if err := writeVoters(dir, voters); err != nil {
				return one, err
			}
		}
		records := controller.Bootstrap()
		bootstrap := quorum.EncodeSnapshot(records, controller.MetadataLevel, 0, time.Now().UnixMilli())
		if err := replaceFile(filepath.Join(dir, "bootstrap.checkpoint"), string(bootstrap)); err != nil {
			return one, err
		}
	}
	return show(true), replaceFile(filepath.Join(dir, metaFile), string(m.Text())) // last: it says that all is there
}

// randomID draws a version-4 uuid that does not begin with a dash, which command lines take for a flag.
func randomID() (id core.TopicID) {
	for {
		rand.Read(id[:])
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if !strings.HasPrefix(id.String(), "-") {
			return id
		}
	}
}
