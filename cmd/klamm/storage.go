package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"klamm/core/image"
)

func newStorageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage",
		Short: "Format, look into and repair a data directory",
		Long: `Works on a data directory itself, without a broker. Everything but format and cut only reads, and may be
used while a broker runs.`,
	}
	cmd.AddCommand(newStorageFormatCommand(), newStorageInfoCommand(), newStorageInspectCommand(), newStorageDumpCommand(), newStorageCutCommand())
	return cmd
}

func newStorageInfoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "info DIR…",
		Short: "What data directories are and hold",
		Args:  someArgs("the data directory, or all of a node's"),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var all []dirInfo
		for _, dir := range args {
			info, err := dirInfoOf(dir)
			if err != nil {
				return err
			}
			for _, o := range all {
				if o.DirectoryID != "" && o.DirectoryID == info.DirectoryID {
					return fmt.Errorf("%s and %s have the same directory.id %s: one is a copy of the other", o.Dir, dir, info.DirectoryID)
				}
			}
			all = append(all, info)
		}
		w := cmd.OutOrStdout()
		switch {
		case *format == "json" && len(all) == 1:
			return printJSON(w, all[0])
		case *format == "json":
			return printJSON(w, all)
		}
		for i := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := all[i].print(w); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// print prints a directory for a reader.
func (info *dirInfo) print(w io.Writer) error {
	stop := "unclean, or it runs"
	if info.CleanStop {
		stop = "clean"
	}
	fmt.Fprintf(w, "directory     %s\ncluster.id    %s\nnode.id       %s\ndirectory.id  %s\nlast stop     %s\n\n", info.Dir, info.ClusterID, info.NodeID, info.DirectoryID, stop)
	var rows [][]string
	for _, l := range info.Logs {
		rows = append(rows, []string{l.Name, l.TopicID, strconv.Itoa(l.Segments), strconv.FormatInt(l.Bytes, 10), offsetText(l.Start), offsetText(l.RecoveryPoint), offsetText(l.High), offsetText(l.CleanPoint), offsetText(l.DirtyPercent)})
	}
	return printTable(w, []string{"LOG", "TOPIC ID", "SEGMENTS", "BYTES", "START", "RECOVERY POINT", "HIGH WATERMARK", "CLEAN POINT", "DIRTY %"}, rows)
}

func someArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s takes at least one argument, %s; none was given. See \"%s --help\"", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one argument, %s; %d were given. See \"%s --help\"", cmd.CommandPath(), what, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// dirInfo is what the files at the top of a data directory say.
type dirInfo struct {
	Dir         string    `json:"directory"`
	ClusterID   string    `json:"cluster_id"`
	NodeID      string    `json:"node_id"`
	DirectoryID string    `json:"directory_id"`
	CleanStop   bool      `json:"clean_stop"`
	Logs        []logInfo `json:"logs"`
}

type logInfo struct {
	Name          string `json:"name"` // topic-partition
	TopicID       string `json:"topic_id,omitempty"`
	Segments      int    `json:"segments"`
	Bytes         int64  `json:"bytes"`
	Start         *int64 `json:"log_start,omitempty"` // as last written down
	RecoveryPoint *int64 `json:"recovery_point,omitempty"`
	High          *int64 `json:"high_watermark,omitempty"`
	CleanPoint    *int64 `json:"clean_point,omitempty"`   // below it the log is compacted
	DirtyPercent  *int64 `json:"dirty_percent,omitempty"` // bytes above the clean point, of all segments but the active one
}

func offsetText(o *int64) string {
	if o == nil {
		return "-"
	}
	return strconv.FormatInt(*o, 10)
}

// The text files at the top of a data directory, and of a partition.
const (
	metaFile     = "meta.properties"
	cleanFile    = ".kafka_cleanshutdown"
	recoveryFile = "recovery-point-offset-checkpoint"
	highFile     = "replication-offset-checkpoint"
	startFile    = "log-start-offset-checkpoint"
	cleanerFile  = "cleaner-offset-checkpoint"
	epochFile    = "leader-epoch-checkpoint"
	identityFile = "partition.metadata"
)

func dirInfoOf(dir string) (info dirInfo, err error) {
	info.Dir = dir
	b, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return info, notADataDir(dir, err)
	}
	props, _ := image.ParseProperties(string(b))
	info.ClusterID, _ = props.Get("cluster.id")
	info.NodeID, _ = props.Get("node.id")
	info.DirectoryID, _ = props.Get("directory.id")
	_, err = os.Stat(filepath.Join(dir, cleanFile))
	info.CleanStop = err == nil
	logs, err := logsIn(dir)
	if err != nil {
		return info, err
	}
	recovery, err := readCheckpoint(filepath.Join(dir, recoveryFile))
	if err != nil {
		return info, err
	}
	high, err := readCheckpoint(filepath.Join(dir, highFile))
	if err != nil {
		return info, err
	}
	start, err := readCheckpoint(filepath.Join(dir, startFile))
	if err != nil {
		return info, err
	}
	clean, err := readCheckpoint(filepath.Join(dir, cleanerFile))
	if err != nil {
		return info, err
	}
	for _, name := range logs {
		l := logInfo{Name: name, Start: start.get(name), RecoveryPoint: recovery.get(name), High: high.get(name), CleanPoint: clean.get(name)}
		if b, err := os.ReadFile(filepath.Join(dir, name, identityFile)); err == nil {
			props, _ := image.ParseProperties(string(b))
			l.TopicID, _ = props.Get("topic_id")
		}
		segments, err := segmentsIn(filepath.Join(dir, name))
		if err != nil {
			return info, err
		}
		l.Segments = len(segments)
		for _, s := range segments {
			if st, err := os.Stat(s); err == nil {
				l.Bytes += st.Size()
			}
		}
		if l.CleanPoint != nil {
			l.DirtyPercent = dirtyPercent(segments, *l.CleanPoint)
		}
		info.Logs = append(info.Logs, l)
	}
	return info, nil
}

// dirtyPercent is the share of the bytes that the cleaner has still to look at: what min.cleanable.dirty.ratio is compared with, but for
// what is too young or not committed.
func dirtyPercent(segments []string, clean int64) *int64 {
	var dirty, all int64
	for i, s := range segments {
		st, err := os.Stat(s)
		if err != nil || i == len(segments)-1 { // the active one is never cleaned
			continue
		}
		base, _ := strconv.ParseInt(strings.TrimSuffix(filepath.Base(s), ".log"), 10, 64)
		if all += st.Size(); base >= clean {
			dirty += st.Size()
		}
	}
	percent := 100 * dirty / max(1, all)
	return &percent
}

func notADataDir(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Stat(dir); e == nil {
			return fmt.Errorf("%s is no formatted data directory: it has no %s. Format one with \"%s storage format --config FILE\"", dir, metaFile, self())
		}
		return fmt.Errorf("%s does not exist", dir)
	}
	return err
}

// logsIn lists the partition directories of a data directory by name.
func logsIn(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, _, ok := cutPartition(e.Name()); ok && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// cutPartition splits the name of a partition's directory.
func cutPartition(name string) (topic, partition string, ok bool) {
	at := strings.LastIndexByte(name, '-')
	if at <= 0 {
		return "", "", false
	}
	if _, err := strconv.ParseUint(name[at+1:], 10, 31); err != nil {
		return "", "", false
	}
	return name[:at], name[at+1:], true
}

// segmentsIn lists the .log files of a partition in order.
func segmentsIn(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.log"))
	if err != nil {
		return nil, err
	}
	slices.Sort(found)
	return found, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// checkpoint is a file of offsets by partition, in the order of its lines.
type checkpoint []checkpointLine

type checkpointLine struct {
	log    string // topic-partition
	offset int64
}

func (c checkpoint) get(log string) *int64 {
	for i := range c {
		if c[i].log == log {
			return &c[i].offset
		}
	}
	return nil
}

// readCheckpoint reads "0", a count, and lines of topic, partition and offset. A missing file is empty.
func readCheckpoint(path string) (c checkpoint, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(lines) < 2 || lines[0] != "0" || lines[1] != strconv.Itoa(len(lines)-2) {
		return nil, fmt.Errorf("%s is damaged: it should begin with 0 and the count of its other lines", path)
	}
	for _, line := range lines[2:] {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, fmt.Errorf("%s is damaged: the line %q is not topic, partition, offset", path, line)
		}
		o, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is damaged: %q is no offset", path, f[2])
		}
		c = append(c, checkpointLine{f[0] + "-" + f[1], o})
	}
	return c, nil
}

// text is the content of a checkpoint file.
func (c checkpoint) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "0\n%d\n", len(c))
	for _, l := range c {
		topic, partition, _ := cutPartition(l.log)
		fmt.Fprintf(&b, "%s %s %d\n", topic, partition, l.offset)
	}
	return b.String()
}
