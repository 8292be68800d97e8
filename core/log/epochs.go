package log

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"klamm/core"
)

// epochEntry says where a leader epoch begins. Both columns of a log's entries rise strictly.
type epochEntry struct {
	epoch core.Epoch
	start core.Offset
}

const epochFile = "leader-epoch-checkpoint"

// begin notes that epoch starts at start, unless it has started already. Entries that an epoch leaves without
// records are replaced.
func (l *Log) begin(epoch core.Epoch, start core.Offset) {
	if epoch < 0 || epoch <= l.Epoch() {
		return
	}
	for n := len(l.epochs); n > 0 && l.epochs[n-1].start >= start; n-- {
		l.epochs = l.epochs[:n-1]
	}
	l.epochs = append(l.epochs, epochEntry{epoch, start})
}

// BeginEpoch opens a leader's epoch at the log's end (KIP-101).
func (s *Store) BeginEpoch(now core.Now, id LogID, epoch core.Epoch, out *core.Out) {
	l := s.live(id)
	if l == nil || l.state != online {
		return
	}
	l.begin(epoch, l.end)
	s.saveEpochs(l, out)
	if f := s.taker(l); f != nil && l.as == current { // what it was given of epochs is out of date
		f.begin(epoch, f.end)
		s.saveEpochs(f, out)
	}
}

// LastEpoch is the newest leader epoch of the log, or -1.
func (s *Store) LastEpoch(id LogID) core.Epoch { return s.Log(id).Epoch() }

// EpochEnd answers OffsetForLeaderEpoch: the largest known epoch not above the asked one, and where it ends; both -1
// if it is above all that are known. Below all that are known, the asked epoch ends where the first known one starts.
func (s *Store) EpochEnd(id LogID, epoch core.Epoch) (core.Epoch, core.Offset) {
	l := s.Log(id)
	if epoch < 0 || epoch > l.Epoch() {
		return -1, -1
	}
	if epoch == l.Epoch() {
		return epoch, l.end
	}
	i := sort.Search(len(l.epochs), func(i int) bool { return l.epochs[i].epoch > epoch })
	if i == 0 {
		return epoch, l.epochs[0].start
	}
	return l.epochs[i-1].epoch, l.epochs[i].start
}

// EpochBelow is the leader epoch of the last record below an offset; -1 if there is none, or none is known. An epoch that began
// at or above the offset has no record there.
func (l *Log) EpochBelow(o core.Offset) core.Epoch {
	for i := len(l.epochs) - 1; i >= 0; i-- {
		if l.epochs[i].start < o {
			return l.epochs[i].epoch
		}
	}
	return -1
}

// newestEpoch is the entry of the newest leader epoch; both -1 if none is known.
func (l *Log) newestEpoch() epochEntry {
	if n := len(l.epochs); n > 0 {
		return l.epochs[n-1]
	}
	return epochEntry{-1, -1}
}

// keepEpoch has a log that was loaded anew know the newest epoch that it knew before. No batch need tell of it: it may have begun at the
// end, or its batches may all have been let go. If a batch stands where it began, the batches know better: they may have come
// from a leader with another history.
func (l *Log) keepEpoch(e epochEntry) {
	if n := l.ring.n; e.start < 0 || e.start > l.end || n > 0 && l.ring.at(n-1).end > e.start {
		return
	}
	l.begin(e.epoch, e.start)
}

// trimEpochs forgets what lies below the start: the entry that covers it begins there.
func (l *Log) trimEpochs(start core.Offset) {
	i := sort.Search(len(l.epochs), func(i int) bool { return l.epochs[i].start > start }) - 1
	if i < 0 || l.epochs[i].start == start && i == 0 {
		return
	}
	l.epochs = slices.Delete(l.epochs, 0, i)
	if l.epochs[0].start < start {
		l.epochs[0].start = start
	}
	l.epochsDirty = true // but what the file says at or above the start still holds, so epochsSaved stays
}

// dropEpochs forgets epochs that begin at or above an end. Until the file says the same, the recovery point stays below the
// newest that is left, so that a crash gathers it anew.
func (s *Store) dropEpochs(l *Log, end core.Offset, out *core.Out) {
	n := len(l.epochs)
	for n > 0 && l.epochs[n-1].start >= end {
		n--
	}
	if n < len(l.epochs) {
		l.epochs, l.epochsDirty = l.epochs[:n], true
		l.epochsSaved = l.Epoch() - 1
		s.saveEpochs(l, out)
	}
}

// saveEpochs replaces the epoch file if it lags and is not being replaced.
func (s *Store) saveEpochs(l *Log, out *core.Out) {
	if l.move == moveRename || l.move == moveEntry { // its directory is being renamed
		return
	}
	if l.epochsPut || l.Epoch() <= l.epochsSaved && !l.epochsDirty {
		return
	}
	l.epochsPut, l.epochsDirty = true, false
	s.put(put{what: putEpochs, log: l.slot, epoch: l.Epoch(), replace: true, dir: l.dir, path: l.dir + "/" + epochFile}, formatEpochs(l.epochs), out)
}

func formatEpochs(entries []epochEntry) []byte {
	b := append(strconv.AppendInt([]byte("0\n"), int64(len(entries)), 10), '\n')
	for _, e := range entries {
		b = append(strconv.AppendInt(b, int64(e.epoch), 10), ' ')
		b = append(strconv.AppendInt(b, int64(e.start), 10), '\n')
	}
	return b
}

// parseEpochs reads the entries; false if they are no such file, or not in order.
func parseEpochs(b []byte) ([]epochEntry, bool) {
	lines, ok := checkpointLines(b)
	if !ok {
		return nil, false
	}
	var entries []epochEntry
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 2 {
			return nil, false
		}
		epoch, err1 := strconv.ParseInt(f[0], 10, 32)
		start, err2 := strconv.ParseInt(f[1], 10, 64)
		e := epochEntry{core.Epoch(epoch), core.Offset(start)}
		if err1 != nil || err2 != nil || epoch < 0 || start < 0 {
			return nil, false
		}
		if n := len(entries); n > 0 && (entries[n-1].epoch >= e.epoch || entries[n-1].start >= e.start) {
			return nil, false
		}
		entries = append(entries, e)
	}
	return entries, true
}
