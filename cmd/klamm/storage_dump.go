package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"klamm/core"
	"klamm/core/batch"
	"klamm/core/wire"
)

func newStorageDumpCommand() *cobra.Command {
	var records bool
	cmd := &cobra.Command{
		Use:   "dump FILE",
		Short: "Print what is in a .log, .checkpoint, .index or .timeindex file",
		Long: `Prints a file: the batches of a .log, with --records each record of them; records of the metadata log
and its snapshots (.checkpoint) are decoded. Stops at the first fault and says where it is.`,
		Args: oneArg("the file"),
	}
	cmd.Flags().BoolVar(&records, "records", false, "print each record too")
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := dumper{w: cmd.OutOrStdout(), json: *format == "json", records: records, path: args[0]}
		return d.run()
	}
	return cmd
}

// dumper prints one file, a line for each thing: as text, or as one JSON object.
type dumper struct {
	w             io.Writer
	path          string
	json, records bool
	metadata      bool // its records are the metadata log's
}

func (d *dumper) run() error {
	abs, err := filepath.Abs(d.path)
	if err != nil {
		return err
	}
	d.metadata = filepath.Base(filepath.Dir(abs)) == "__cluster_metadata-0" || strings.HasSuffix(abs, ".checkpoint")
	switch filepath.Ext(abs) {
	case ".index":
		return d.index(8, func(b []byte, base int64) any {
			return indexLine{base + int64(binary.BigEndian.Uint32(b)), ptr(int64(binary.BigEndian.Uint32(b[4:]))), nil}
		})
	case ".timeindex":
		return d.index(12, func(b []byte, base int64) any {
			return indexLine{base + int64(binary.BigEndian.Uint32(b[8:])), nil, ptr(int64(binary.BigEndian.Uint64(b)))}
		})
	case ".log", ".checkpoint":
	default:
		return usagef("%s: only .log, .checkpoint, .index and .timeindex files can be dumped; others are text", d.path)
	}
	r, err := walkSegment(d.path, d.batch)
	if err != nil {
		return err
	}
	if r.Fault != nil {
		return fmt.Errorf("%s: %s at byte %d; %d bytes follow that cannot be read as batches. See \"%s storage inspect %s\"", d.path, r.Fault.What, r.Fault.Position, r.Fault.Bytes, self(), d.path)
	}
	return nil
}

func ptr[T any](v T) *T { return &v }

type indexLine struct {
	Offset    int64  `json:"offset"`
	Position  *int64 `json:"position,omitempty"`
	Timestamp *int64 `json:"timestamp,omitempty"`
}

func (d *dumper) index(entry int, parse func(b []byte, base int64) any) error {
	b, err := os.ReadFile(d.path)
	if err != nil {
		return err
	}
	var base int64
	fmt.Sscanf(filepath.Base(d.path), "%d", &base)
	for ; len(b) >= entry; b = b[entry:] {
		if err := d.print(parse(b, base)); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return fmt.Errorf("%s: %d bytes at the end are no entry", d.path, len(b))
	}
	return nil
}

type batchLine struct {
	Batch         string `json:"batch"` // its first and last offset
	Position      int64  `json:"position"`
	Bytes         int    `json:"bytes"`
	Count         int32  `json:"count"`
	Codec         string `json:"codec"`
	LeaderEpoch   int32  `json:"leader_epoch"`
	MaxTimestamp  int64  `json:"max_timestamp"`
	TimestampType string `json:"timestamp_type"`
	ProducerID    int64  `json:"producer_id"`
	ProducerEpoch int16  `json:"producer_epoch"`
	BaseSequence  int32  `json:"base_sequence"`
	Transactional bool   `json:"transactional"`
	Control       bool   `json:"control"`
}

type recordLine struct {
	Offset    int64             `json:"offset"`
	Timestamp int64             `json:"timestamp"`
	Key       *string           `json:"key"`
	Value     *string           `json:"value"`
	Headers   map[string]string `json:"headers,omitempty"`
	Type      string            `json:"type,omitempty"` // of a metadata or control record
	Version   *int16            `json:"version,omitempty"`
	Data      any               `json:"data,omitempty"`
}

func (d *dumper) batch(pos int64, v batch.View) error {
	kind := "create"
	if v.AppendTime() {
		kind = "append"
	}
	err := d.print(batchLine{
		Batch: fmt.Sprintf("%d-%d", v.BaseOffset(), v.LastOffset()), Position: pos, Bytes: len(v), Count: v.Count(), Codec: v.Codec().String(), LeaderEpoch: int32(v.LeaderEpoch()),
		MaxTimestamp: v.MaxTimestamp(), TimestampType: kind, ProducerID: v.ProducerID(), ProducerEpoch: v.ProducerEpoch(), BaseSequence: v.BaseSequence(),
		Transactional: v.IsTransactional(), Control: v.IsControl(),
	})
	if err != nil || !d.records && !d.metadata {
		return err
	}
	r, is := batch.Read(v, decompressedMax)
	if is != batch.Good {
		return fmt.Errorf("%s: the records of the batch at byte %d cannot be read: %v", d.path, pos, is)
	}
	var rec batch.Record
	for r.Next(&rec) {
		if err := d.print(d.record(v, &rec)); err != nil {
			return err
		}
	}
	if r.Err() != batch.Good {
		return fmt.Errorf("%s: a record of the batch at byte %d cannot be read: %v", d.path, pos, r.Err())
	}
	return nil
}

func (d *dumper) record(v batch.View, rec *batch.Record) recordLine {
	l := recordLine{Offset: int64(rec.Offset), Timestamp: rec.Timestamp}
	if v.IsControl() {
		l.control(rec)
		return l
	}
	if d.metadata {
		m, version, err := wire.ParseRecordVersion(rec.Value)
		if err != nil {
			l.Type, l.Data = "unreadable", err.Error()
			return l
		}
		l.Type = strings.TrimPrefix(fmt.Sprintf("%T", m), "*wire.")
		l.Version, l.Data = &version, plain(reflect.ValueOf(m))
		return l
	}
	l.Key, l.Value = shownBytes(rec.Key), shownBytes(rec.Value)
	for _, h := range rec.Headers {
		if l.Headers == nil {
			l.Headers = map[string]string{}
		}
		if t := shownBytes(h.Value); t != nil {
			l.Headers[h.Key] = *t
		}
	}
	return l
}

// control decodes a control record.
func (l *recordLine) control(rec *batch.Record) {
	t, ok := batch.ParseControlKey(rec.Key)
	if !ok {
		l.Type = "unreadable control record"
		return
	}
	into := map[batch.ControlType]wire.Message{2: wire.NewLeaderChangeMessage(), 3: wire.NewSnapshotHeaderRecord(), 4: wire.NewSnapshotFooterRecord(), 5: wire.NewKRaftVersionRecord(), 6: wire.NewVotersRecord()}[t]
	switch {
	case t == 0:
		l.Type = "Abort"
	case t == 1:
		l.Type = "Commit"
	case into == nil:
		l.Type = fmt.Sprintf("control %d", t)
	default:
		l.Type = strings.TrimPrefix(fmt.Sprintf("%T", into), "*wire.")
		if err := wire.ReadControl(rec.Value, into); err != nil {
			l.Data = err.Error()
			return
		}
		l.Data = plain(reflect.ValueOf(into))
	}
}

// object is a JSON object whose fields keep their order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		v, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(strconv.AppendQuote(b, m.name), ':'), v...)
	}
	return append(b, '}'), nil
}

// plain turns a record into what prints well: ids as their text, fields in their order.
func plain(v reflect.Value) any {
	if id, ok := v.Interface().(core.TopicID); ok {
		return id.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		var o object
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				o = append(o, member{v.Type().Field(i).Name, plain(v.Field(i))})
			}
		}
		return o
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return shownBytes(v.Bytes())
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

// shownBytes shows bytes as text if they are, else in base64.
func shownBytes(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	if !utf8.Valid(b) {
		s = "base64:" + base64.StdEncoding.EncodeToString(b)
	}
	return &s
}

// print writes one line.
func (d *dumper) print(v any) error {
	if d.json {
		e := json.NewEncoder(d.w)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	switch v := v.(type) {
	case batchLine:
		_, err := fmt.Fprintf(d.w, "batch %s at %d: %d bytes, %d records, %s, epoch %d, %s time %s, producer %d/%d seq %d%s%s\n", v.Batch, v.Position, v.Bytes, v.Count, v.Codec,
			v.LeaderEpoch, v.TimestampType, timeText(v.MaxTimestamp), v.ProducerID, v.ProducerEpoch, v.BaseSequence, word(v.Transactional, ", transactional"), word(v.Control, ", control"))
		return err
	case recordLine:
		if v.Type != "" {
			data, _ := json.Marshal(v.Data)
			_, err := fmt.Fprintf(d.w, "  %d %s %s\n", v.Offset, v.Type, data)
			return err
		}
		_, err := fmt.Fprintf(d.w, "  %d %s key=%s value=%s%s\n", v.Offset, timeText(v.Timestamp), quoted(v.Key), quoted(v.Value), word(len(v.Headers) > 0, fmt.Sprintf(" headers=%v", v.Headers)))
		return err
	case indexLine:
		if v.Position != nil {
			_, err := fmt.Fprintf(d.w, "offset %d position %d\n", v.Offset, *v.Position)
			return err
		}
		_, err := fmt.Fprintf(d.w, "timestamp %d offset %d\n", *v.Timestamp, v.Offset)
		return err
	}
	return nil
}

func word(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

func timeText(ms int64) string {
	if ms < 0 {
		return "none"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
