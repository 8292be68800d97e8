package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/broker"
	"klamm/core/controller"
	"klamm/core/quorum"
	"klamm/core/wire"
	"klamm/host"
)

func newStorageFormatCommand() *cobra.Command {
	var f formatter
	cmd := &cobra.Command{
		Use:   "format --config FILE",
		Short: "Make a data directory ready for a node",
		Long: `Writes meta.properties and bootstrap.checkpoint into the directory that log.dirs names, which is made if it
is not there. Nodes of one cluster are formatted with one --cluster-id; without it a new one is drawn.`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringVar(&f.config, "config", "", "a server.properties file")
	fl.StringArrayVar(&f.set, "set", nil, "a setting that overrides the file, name=value; may be repeated")
	fl.StringVar(&f.clusterID, "cluster-id", "", "the cluster's id, 22 characters; drawn if it is left out")
	fl.BoolVar(&f.ignoreFormatted, "ignore-formatted", false, "a directory that is formatted already is no error")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m, dir, fresh, err := f.run()
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if *format == "json" {
			return printJSON(w, struct {
				Dir         string `json:"directory"`
				ClusterID   string `json:"cluster_id"`
				NodeID      int32  `json:"node_id"`
				DirectoryID string `json:"directory_id"`
				Formatted   bool   `json:"formatted_now"`
			}{dir, m.ClusterID, int32(m.NodeID), m.DirectoryID.String(), fresh})
		}
		if !fresh {
			_, err = fmt.Fprintf(w, "%s is formatted already, for node %d of cluster %s.\n", dir, m.NodeID, m.ClusterID)
			return err
		}
		_, err = fmt.Fprintf(w, "Formatted %s for node %d of cluster %s.\nStart it with: %s server --config %s\n", dir, m.NodeID, m.ClusterID, self(), f.config)
		return err
	}
	return cmd
}

type formatter struct {
	config, clusterID string
	set               []string
	ignoreFormatted   bool
}

// run formats, or finds the directory formatted.
func (f *formatter) run() (m wire.MetaProperties, dir string, fresh bool, err error) {
	text, from, err := layeredConfig(f.config, os.Environ(), f.set)
	if err != nil {
		return m, "", false, err
	}
	cfg, problems := broker.ParseConfig(text)
	if len(problems) > 0 {
		return m, "", false, configError(from, problems)
	}
	dir = cfg.LogDir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return m, dir, false, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	lock, err := host.LockDir(dir)
	if err != nil {
		return m, dir, false, err
	}
	defer lock.Unlock()
	if b, err := os.ReadFile(filepath.Join(dir, metaFile)); err == nil {
		m, err := wire.ParseMetaProperties(b)
		switch {
		case err != nil:
			return m, dir, false, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, metaFile), err)
		case !f.ignoreFormatted:
			return m, dir, false, fmt.Errorf("%s is formatted already, for node %d of cluster %s. Nothing was changed (--ignore-formatted makes this no error)", dir, m.NodeID, m.ClusterID)
		}
		return m, dir, false, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return m, dir, false, err
	}
	if logs, err := logsIn(dir); err != nil {
		return m, dir, false, err
	} else if len(logs) > 0 {
		return m, dir, false, fmt.Errorf("%s holds %s and no %s: it is not formatted over data. Restore that file, or choose an empty directory", dir, logs[0], metaFile)
	}
	m = wire.MetaProperties{ClusterID: f.clusterID, NodeID: cfg.NodeID, DirectoryID: randomID()}
	if m.ClusterID == "" {
		m.ClusterID = cfg.ClusterID
	}
	if m.ClusterID == "" {
		m.ClusterID = randomID().String()
	}
	if strings.ContainsAny(m.ClusterID, "\n\r\\=") || len(m.ClusterID) > 249 {
		return m, dir, false, usagef("--cluster-id %q: not an id", m.ClusterID)
	}
	records := controller.Bootstrap()
	bootstrap := quorum.EncodeSnapshot(records, controller.MetadataLevel, 0, time.Now().UnixMilli())
	if err := replaceFile(filepath.Join(dir, "bootstrap.checkpoint"), string(bootstrap)); err != nil {
		return m, dir, false, err
	}
	return m, dir, true, replaceFile(filepath.Join(dir, metaFile), string(m.Text())) // last: it says that all is there
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
