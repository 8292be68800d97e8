package log

import (
	"strconv"

	"klamm/core"
)

// put writes a small file: a checkpoint, an epoch file, a producer snapshot, the files of a seal. Its story: the
// bytes go to the file (to path.tmp if it replaces one that is believed without a checksum), the file is synced, it is
// renamed, its directory is synced. Each step waits for the one before: a rename may be durable before the bytes.
type put struct {
	used    bool
	what    putWhat
	stage   putStage
	replace bool
	log     LogID
	n       core.Offset
	epoch   core.Epoch
	point   pointKind
	place   int // of its directory, for a checkpoint or the marker
	file    core.FileID
	dir     string
	path    string
}

type putWhat uint8

const (
	putSeal    putWhat = iota // a file of the seal of the segment with base n
	putEpochs                 // leader-epoch-checkpoint, with all entries up to epoch
	putTopic                  // partition.metadata
	putHeirs                  // the first producer snapshot of a future log
	putPoint                  // a checkpoint of the log directory
	putMarker                 // the clean marker
	putCleaned                // an index file of a segment that a clean makes
)

type putStage uint8

const (
	putWrite putStage = iota
	putSync
	putRename
	putDir
)

// put begins to write data.
func (s *Store) put(p put, data []byte, out *core.Out) {
	var slot uint32
	if n := len(s.putFree); n > 0 {
		slot, s.putFree = s.putFree[n-1], s.putFree[:n-1]
	} else {
		slot = uint32(len(s.puts))
		s.puts = append(s.puts, put{})
	}
	p.used, p.stage, p.file = true, putWrite, s.file()
	s.puts[slot] = p
	if l := s.slot(p.log); l != nil {
		l.inFlight++
	}
	path := p.path
	if p.replace {
		path += ".tmp"
	}
	o := s.ops.Start(op{kind: opPut, log: p.log, slot: slot})
	if len(data) == 0 {
		out.Open(o, p.file, path, core.CreateEmpty)
		return
	}
	out.Open(0, p.file, path, core.CreateEmpty)
	out.Write(o, p.file, 0, data)
}

// putStep carries a put on; a failure ends it.
func (s *Store) putStep(now core.Now, slot uint32, err core.Errno, out *core.Out) {
	p := &s.puts[slot]
	if err != core.OK {
		s.putEnd(now, slot, err, out)
		return
	}
	next := func() core.Op { return s.ops.Start(op{kind: opPut, log: p.log, slot: slot}) }
	switch p.stage {
	case putWrite:
		p.stage = putSync
		out.Sync(next(), p.file)
	case putSync:
		out.CloseFile(0, p.file)
		if p.stage = putDir; p.replace {
			p.stage = putRename
			out.Rename(next(), p.path+".tmp", p.path)
			return
		}
		out.SyncDir(next(), p.dir)
	case putRename:
		p.stage = putDir
		out.SyncDir(next(), p.dir)
	case putDir:
		s.putEnd(now, slot, core.OK, out)
	}
}

func (s *Store) putEnd(now core.Now, slot uint32, err core.Errno, out *core.Out) {
	p := s.puts[slot]
	s.puts[slot] = put{}
	s.putFree = append(s.putFree, slot)
	if err != core.OK && (p.stage == putWrite || p.stage == putSync) {
		out.CloseFile(0, p.file)
	}
	switch p.what {
	case putPoint:
		s.pointWritten(now, p.place, p.point, err, out)
	case putMarker:
		s.marked(p.place, err)
	default:
		if l := s.slot(p.log); l != nil {
			l.inFlight--
			s.putFor(now, l, &p, err, out)
			s.settle(now, l, out)
		}
	}
}

func (s *Store) putFor(now core.Now, l *Log, p *put, err core.Errno, out *core.Out) {
	if l.state == offline || l.state == deleting {
		return
	}
	if p.what == putCleaned {
		s.cleanedSealed(now, l, err, out)
		return
	}
	if err != core.OK {
		s.broken(l, "cannot write "+p.path+": "+err.String(), out)
		return
	}
	switch p.what {
	case putSeal:
		s.sealed(now, l, p.n, out)
	case putEpochs:
		l.epochsPut, l.epochsSaved = false, p.epoch
		s.saveEpochs(l, out)
	case putHeirs:
		s.loadEmpty(l, out)
	case putTopic:
		if l.made.topic = true; l.state == creating {
			s.creating(now, l, out)
		}
	}
	if l.state == online {
		s.dirtyPoint(now, l.place, pointRecovery) // a recovery point that this held back may rise
	}
	s.drained(now, l, out)
	s.cutReady(now, l, out)
	s.stopStep(now, out)
}

// slot is the log that an effect or a put is for, if it is for one.
func (s *Store) slot(at LogID) *Log {
	if at < 0 {
		return nil
	}
	return s.logs[s.slots[at]]
}

// decimal writes n with leading zeros, 20 digits wide: Kafka's form of an offset in a file name.
func decimal(n core.Offset) string {
	d := strconv.FormatInt(int64(n), 10)
	return "00000000000000000000"[min(20, len(d)):] + d
}

func segmentPath(dir string, base core.Offset, suffix string) string {
	return dir + "/" + decimal(base) + suffix
}

// parseName reads a name of 20 digits and a suffix.
func parseName(name, suffix string) (core.Offset, bool) {
	if len(name) != 20+len(suffix) || name[20:] != suffix {
		return 0, false
	}
	n, err := strconv.ParseUint(name[:20], 10, 63)
	return core.Offset(n), err == nil
}
