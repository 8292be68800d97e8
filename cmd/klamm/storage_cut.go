package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"klamm/core/batch"
	"klamm/host"
)

func newStorageCutCommand() *cobra.Command {
	var offset int64
	var yes bool
	cmd := &cobra.Command{
		Use:   "cut FILE --offset N --yes",
		Short: "Give up everything of a partition from an offset on",
		Long: `Cuts a partition at an offset, which must be where a good batch ends: everything from there on is removed
from this file, later files of the partition go, and what the directory's checkpoints say is brought in line. The
bytes that are cut off are kept beside the data directory's other files, as cut-PARTITION-OFFSET.bytes. The broker must be stopped.

Records that were acknowledged may be among them. "klamm storage inspect" tells what is there.`,
		Args: oneArg("the .log file"),
	}
	cmd.Flags().Int64Var(&offset, "offset", -1, "the first offset that is given up")
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, give it up")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if offset < 0 {
			return usagef("--offset is missing: the first offset that is given up, as \"%s storage inspect\" names it", self())
		}
		c, err := planCut(args[0], offset)
		if err != nil {
			return err
		}
		fmt.Fprint(cmd.OutOrStdout(), c.String())
		if !yes {
			return errors.New("nothing was changed. To do it, say --yes")
		}
		return c.do(cmd.OutOrStdout())
	}
	return cmd
}

// cut is what a cut will do.
type cut struct {
	dir, name string // of the partition
	root      string // the data directory
	file      string
	offset    int64
	position  int64
	bytes     int64    // cut off this file
	later     []string // .log files that go
	remove    []string // files that describe what goes, and are rebuilt
}

// planCut finds where to cut.
func planCut(file string, offset int64) (c cut, err error) {
	if c.file, err = filepath.Abs(file); err != nil {
		return c, err
	}
	if !strings.HasSuffix(c.file, ".log") {
		return c, usagef("%s is no .log file", file)
	}
	c.dir, c.offset, c.position = filepath.Dir(c.file), offset, -1
	c.root, c.name = filepath.Dir(c.dir), filepath.Base(c.dir)
	base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(c.file), ".log"), 10, 64)
	if err != nil {
		return c, usagef("%s is no segment: its name is not an offset", file)
	}
	if offset == base {
		c.position = 0
	}
	r, err := walkSegment(c.file, func(pos int64, v batch.View) error {
		if int64(v.LastOffset())+1 == offset {
			c.position = pos + int64(len(v))
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	if c.position < 0 {
		return c, fmt.Errorf("no good batch of %s ends before offset %d, so it cannot be cut there. Good batches reach up to offset %d: --offset %d would keep them all", file, offset, r.Next, r.Next)
	}
	c.bytes = r.Bytes - c.position
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		stem, ext, _ := strings.Cut(e.Name(), ".")
		at, err := strconv.ParseInt(stem, 10, 64)
		if err != nil {
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		switch {
		case ext == "log" && at > base:
			c.later = append(c.later, path)
		case (ext == "index" || ext == "timeindex" || ext == "txnindex") && at >= base, ext == "snapshot" && at > offset:
			c.remove = append(c.remove, path)
		}
	}
	return c, nil
}

func (c *cut) String() string {
	s := fmt.Sprintf("%s: everything from offset %d on goes: %d bytes of %s", c.name, c.offset, c.bytes, filepath.Base(c.file))
	for _, l := range c.later {
		s += ", all of " + filepath.Base(l)
	}
	return s + ".\n"
}

// do cuts: first what is cut off is saved, then the newest goes first, so that a crash amid it leaves a log
// that can be cut again.
func (c *cut) do(w io.Writer) error {
	lock, err := host.LockDir(c.root)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	saved := filepath.Join(c.root, fmt.Sprintf("cut-%s-%d.bytes", c.name, c.offset))
	if err := c.save(saved); err != nil {
		return fmt.Errorf("what is cut off could not be saved, so nothing was cut: %w", err)
	}
	if err := os.Remove(filepath.Join(c.root, cleanFile)); err != nil && !os.IsNotExist(err) {
		return err
	}
	for i := len(c.later) - 1; i >= 0; i-- {
		if err := os.Remove(c.later[i]); err != nil {
			return err
		}
	}
	for _, path := range c.remove {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, name := range []string{recoveryFile, highFile, startFile, cleanerFile} {
		if err := c.lowerCheckpoint(filepath.Join(c.root, name)); err != nil {
			return err
		}
	}
	if err := c.lowerEpochs(); err != nil {
		return err
	}
	f, err := os.OpenFile(c.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(c.position); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	for _, dir := range []string{c.dir, c.root} {
		if err := (host.OS{}).SyncDir(dir); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "Done. What was cut off is in %s; the log now ends at offset %d.\n", saved, c.offset)
	return nil
}

// save copies what will be cut off to one file, in order.
func (c *cut) save(to string) error {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	for i, path := range append([]string{c.file}, c.later...) {
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		if i == 0 {
			_, err = in.Seek(c.position, io.SeekStart)
		}
		if err == nil {
			_, err = io.Copy(out, in)
		}
		in.Close()
		if err != nil {
			return err
		}
	}
	return out.Sync()
}

// lowerCheckpoint makes a checkpoint say no more than the cut.
func (c *cut) lowerCheckpoint(path string) error {
	points, err := readCheckpoint(path)
	if err != nil {
		return err
	}
	at := points.get(c.name)
	if at == nil || *at <= c.offset {
		return nil
	}
	*at = c.offset
	return replaceFile(path, points.text())
}

// lowerEpochs drops leader epochs that began at or behind the cut.
func (c *cut) lowerEpochs() error {
	path := filepath.Join(c.dir, epochFile)
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept []string
	for i, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		f := strings.Fields(line)
		if i < 2 || len(f) != 2 {
			continue
		}
		if start, err := strconv.ParseInt(f[1], 10, 64); err == nil && (start < c.offset || start == 0) {
			kept = append(kept, line)
		}
	}
	text := fmt.Sprintf("0\n%d\n", len(kept))
	for _, line := range kept {
		text += line + "\n"
	}
	return replaceFile(path, text)
}

// replaceFile replaces a file at once, durably.
func replaceFile(path, text string) error {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	f.Close()
	if err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return host.OS{}.SyncDir(filepath.Dir(path))
}
