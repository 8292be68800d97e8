package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/batch"
)

// batchBytesMax bounds what a claimed length makes us read: no broker takes more in one batch.
const batchBytesMax = 1 << 30

// decompressedMax bounds what the records of one batch may come to.
const decompressedMax = 1 << 30

// segmentReport is what a walk over one .log file found.
type segmentReport struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`
	Batches int    `json:"batches"`
	Records int64  `json:"records"`
	First   int64  `json:"first_offset"` // -1: none
	Next    int64  `json:"next_offset"`  // after the last good batch; the file's base if there is none
	Good    int64  `json:"good_bytes"`   // from the front
	Fault   *fault `json:"fault,omitempty"`
}

// fault is the first thing wrong in a file.
type fault struct {
	Position int64  `json:"position"`
	Bytes    int64  `json:"bytes"` // from there to the end of the file
	What     string `json:"what"`
	// NextGood is the first offset of a later batch that is whole and right, -1 if none was found: between
	// segmentReport.Next and it lies what is lost.
	NextGood int64 `json:"next_good_offset"`
}

// walkSegment reads a segment from the front to its first fault. visit, if given, sees each good batch.
func walkSegment(path string, visit func(pos int64, v batch.View) error) (r segmentReport, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return r, err
	}
	r = segmentReport{File: path, Bytes: st.Size(), First: -1}
	base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".log"), 10, 64)
	if err == nil {
		r.Next = base
	}
	in := bufio.NewReaderSize(f, 1<<20)
	var buf []byte
	for {
		v, what, err := nextBatch(in, r.Bytes-r.Good, &buf)
		if err != nil {
			return r, err
		}
		if what == "" && v == nil {
			return r, nil
		}
		if what == "" {
			what = wrongWith(v, core.Offset(r.Next), base)
		}
		if what != "" {
			r.Fault = &fault{Position: r.Good, Bytes: r.Bytes - r.Good, What: what, NextGood: findGood(f, r.Good+1, r.Bytes, r.Next)}
			return r, nil
		}
		if visit != nil {
			if err := visit(r.Good, v); err != nil {
				return r, err
			}
		}
		if r.First < 0 {
			r.First = int64(v.BaseOffset())
		}
		r.Batches++
		r.Records += int64(v.Count())
		r.Next = int64(v.LastOffset()) + 1
		r.Good += int64(len(v))
	}
}

// nextBatch reads one batch. what says why there is none though bytes are left.
func nextBatch(in *bufio.Reader, left int64, buf *[]byte) (v batch.View, what string, err error) {
	if left == 0 {
		return nil, "", nil
	}
	head, err := in.Peek(int(min(left, batch.HeaderBytes)))
	if err != nil && err != io.EOF {
		return nil, "", err
	}
	size := batch.BytesOf(head)
	switch {
	case len(head) < batch.HeaderBytes:
		return nil, fmt.Sprintf("%d bytes at the end are less than a batch", len(head)), nil
	case allZero(head):
		return nil, "zeros", nil
	case size == 0 || size > batchBytesMax:
		return nil, "a length that no batch can have", nil
	case size > left:
		return nil, fmt.Sprintf("a batch of %d bytes of which only %d are there", size, left), nil
	}
	if int64(cap(*buf)) < size {
		*buf = make([]byte, size)
	}
	b := (*buf)[:size]
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, "", err
	}
	v, _, is := batch.First(b)
	if is != batch.Good {
		return nil, is.String(), nil
	}
	return v, "", nil
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// wrongWith says what is wrong with a batch that should begin at or above next.
func wrongWith(v batch.View, next core.Offset, base int64) string {
	switch {
	case !v.CheckCRC():
		return "wrong checksum"
	case v.BaseOffset() < next:
		return fmt.Sprintf("offset %d after %d", v.BaseOffset(), next-1)
	case v.LastDelta() < 0:
		return "a negative count of offsets"
	case int64(v.LastOffset())-base > 1<<31-1:
		return "an offset too far from the segment's base"
	}
	return ""
}

// findGood looks for the first whole batch behind a fault: at any byte, one that begins with an offset not
// below next and whose checksum is right.
func findGood(f *os.File, from, size, next int64) int64 {
	const window = 4 << 20
	buf := make([]byte, window+batch.HeaderBytes)
	for at := from; at+batch.HeaderBytes <= size; at += window {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && err != io.EOF {
			return -1
		}
		for i := 0; i+batch.HeaderBytes <= n && i < window; i++ {
			head, ok := batch.ParseHeader(buf[i:n])
			if !ok || int64(head.BaseOffset()) < next || int64(head.BaseOffset()) > next+1<<31 {
				continue
			}
			length := batch.BytesOf(head)
			if length > batchBytesMax || at+int64(i)+length > size {
				continue
			}
			whole := make([]byte, length)
			if _, err := f.ReadAt(whole, at+int64(i)); err != nil {
				continue
			}
			if v, _, is := batch.First(whole); is == batch.Good && v.CheckCRC() {
				return int64(v.BaseOffset())
			}
		}
	}
	return -1
}
