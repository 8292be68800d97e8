package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
)

func newStorageInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect PATH…",
		Short: "Check every batch of a data directory, a partition or a file",
		Long: `Reads every batch and checks it, from the front of each segment to the first fault. Nothing is changed.
Ends with code 1 if there is a fault, and says what it means. The end of a log that is being written may look torn.`,
		Args: someArgs("a data directory, a partition's directory or a .log file"),
	}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var reports []inspection
		for _, path := range args {
			of, err := inspect(path)
			if err != nil {
				return err
			}
			reports = append(reports, of...)
		}
		var err error
		w := cmd.OutOrStdout()
		if *format == "json" {
			err = printJSON(w, reports)
		} else {
			var rows [][]string
			for _, r := range reports {
				rows = append(rows, []string{r.Log, filepath.Base(r.File), strconv.FormatInt(r.Bytes, 10), strconv.Itoa(r.Batches), strconv.FormatInt(r.Records, 10),
					strconv.FormatInt(r.First, 10), strconv.FormatInt(r.Next, 10), r.verdict()})
			}
			err = printTable(w, []string{"LOG", "FILE", "BYTES", "BATCHES", "RECORDS", "FIRST", "NEXT", "FAULT"}, rows)
			for i := range reports {
				if reports[i].Fault != nil {
					fmt.Fprintln(w, "\n"+reports[i].explain())
				}
			}
		}
		if err != nil {
			return err
		}
		for _, r := range reports {
			if r.Fault != nil {
				return errSilent
			}
		}
		return nil
	}
	return cmd
}

// inspection is a segment's report and what the directory says about it.
type inspection struct {
	Log string `json:"log"`
	segmentReport
	RecoveryPoint *int64 `json:"recovery_point,omitempty"`
	last          bool   // segment of its log
}

func (r *inspection) verdict() string {
	if r.Fault == nil {
		return "none"
	}
	return fmt.Sprintf("at %d: %s", r.Fault.Position, r.Fault.What)
}

// explain says what a fault means and what can be done.
func (r *inspection) explain() string {
	s := fmt.Sprintf("%s, %s: %s at byte %d; %d bytes from there to the end of the file. Offsets below %d are good.", r.Log, r.File, r.Fault.What, r.Fault.Position, r.Fault.Bytes, r.Next)
	switch {
	case r.Fault.NextGood >= 0:
		s += fmt.Sprintf("\n  What is lost are offsets %d to %d: behind them whole batches begin again.", r.Next, r.Fault.NextGood-1)
	default:
		s += "\n  No whole batch comes after it."
	}
	torn := r.last && r.Fault.NextGood < 0 && (r.RecoveryPoint == nil || *r.RecoveryPoint <= r.Next)
	if torn {
		return s + "\n  This is the torn end that a crash leaves, above what was synced: the broker cuts it by itself at its next start."
	}
	s += "\n  This is damage to what was synced. With other replicas, let the broker fetch it again from them: remove the partition's directory."
	return s + fmt.Sprintf("\n  With none, everything from offset %d on can be given up, good batches behind the fault included:\n    %s storage cut %s --offset %d --yes", r.Next, self(), r.File, r.Next)
}

// inspect walks all segments under a path.
func inspect(path string) (reports []inspection, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		dir := filepath.Dir(path)
		return inspectLog(dir, []string{path})
	}
	segments, err := segmentsIn(path)
	if err != nil {
		return nil, err
	}
	if len(segments) > 0 {
		return inspectLog(path, segments)
	}
	logs, err := logsIn(path)
	if err != nil {
		return nil, err
	}
	if len(logs) == 0 {
		return nil, errors.New(path + " holds neither partitions nor .log files")
	}
	for _, name := range logs {
		dir := filepath.Join(path, name)
		segments, err := segmentsIn(dir)
		if err != nil {
			return nil, err
		}
		of, err := inspectLog(dir, segments)
		if err != nil {
			return nil, err
		}
		reports = append(reports, of...)
	}
	return reports, nil
}

func inspectLog(dir string, segments []string) (reports []inspection, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(abs)
	recovery, err := readCheckpoint(filepath.Join(filepath.Dir(abs), recoveryFile))
	if err != nil {
		return nil, err
	}
	all, err := segmentsIn(dir)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		r := inspection{Log: name, RecoveryPoint: recovery.get(name)}
		r.last = len(all) > 0 && filepath.Base(all[len(all)-1]) == filepath.Base(s)
		if r.segmentReport, err = walkSegment(s, nil); err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}
