package log

import (
	"strconv"
	"strings"

	"klamm/core"
)

// created is how far the creation of a log has come.
type created struct{ begun, parent, topic bool }

// Create makes the log of a partition, which has none, in the first directory. Loaded says when it may be used: then its directory, its
// first segment and partition.metadata are durable.
func (s *Store) Create(now core.Now, p Partition, topic core.TopicID, cfg Config, out *core.Out) LogID {
	return s.CreateIn(now, 0, p, topic, cfg, out)
}

// CreateIn is Create in the directory at a place.
func (s *Store) CreateIn(now core.Now, at int, p Partition, topic core.TopicID, cfg Config, out *core.Out) LogID {
	_, there := s.byName[p]
	core.Must(!there, "a partition has one log")
	l := &Log{p: p, topic: topic, cfg: effective(p.Topic, cfg), known: true, state: creating, flushAt: core.Never, epochsSaved: -1}
	s.policy(now, l, out)
	s.createIn(at, l, out)
	return l.id
}

// createIn begins to make a log in the directory at a place.
func (s *Store) createIn(at int, l *Log, out *core.Out) {
	d := &s.dirs[at]
	l.place, l.dir = at, d.path+"/"+l.name()
	s.enter(l)
	if why := d.unusable(); why != "" {
		s.fail(l, why, out)
		return
	}
	s.beginCreate(l, out)
}

// beginCreate begins to make a new log once nothing is left of a former one of its name.
func (s *Store) beginCreate(l *Log, out *core.Out) {
	if l.state == creating && !l.made.begun && !s.nameTaken(l) && s.cleared(l.place, l.p, out) {
		l.made.begun = true
		out.Mkdir(s.start(l, op{kind: opMkdir}), l.dir)
	}
}

// nameTaken reports whether a deleted log of this name still has its directory: making ours would not be ordered
// after its rename.
func (s *Store) nameTaken(l *Log) bool {
	for _, id := range s.slots[:l.slot] {
		if m := s.logs[id]; m != nil && m.state == deleting && m.dir == l.dir && !m.made.parent {
			return true
		}
	}
	return false
}

// made goes on when the directory is there: files in it can't be made before.
func (s *Store) made(now core.Now, l *Log, out *core.Out) {
	out.SyncDir(s.start(l, op{kind: opParent}), s.dirs[l.place].path)
	s.openSegment(now, l, 0, out)
	if l.made.topic = l.topic.IsZero(); !l.made.topic {
		s.putTopic(l, out)
	}
}

func (s *Store) putTopic(l *Log, out *core.Out) {
	s.put(put{what: putTopic, log: l.slot, replace: true, dir: l.dir, path: l.dir + "/" + topicFile}, formatTopic(l.topic), out)
}

// creating goes on when the last part of a new log is durable.
func (s *Store) creating(now core.Now, l *Log, out *core.Out) {
	if !l.made.parent || !l.made.topic || !l.active().entry {
		return
	}
	l.state = online
	s.dirtyPoint(now, l.place, pointRecovery)
	if s.retainAt == core.Never {
		s.retainAt = now.Mono.After(s.cfg.RetentionCheck)
	}
	s.changed(Change{ID: l.id, What: Loaded})
	s.pump(now, l, out)
}

// SetTopicID writes the topic id of a log that was found without one: a crash came between its directory and its id.
// The log is being created again, so Loaded follows: records that were acknowledged before the id is durable would be
// nobody's after the next crash.
func (s *Store) SetTopicID(now core.Now, id LogID, topic core.TopicID, out *core.Out) {
	if l := s.live(id); l != nil && l.state == online && l.cut == nil && l.topic.IsZero() && !topic.IsZero() {
		out.Mark("log.topic-id-missing")
		l.topic, l.state, l.made = topic, creating, created{begun: true, parent: true}
		s.putTopic(l, out)
	}
}

const topicFile = "partition.metadata"

func formatTopic(id core.TopicID) []byte { return []byte("version: 0\ntopic_id: " + id.String()) }

// parseTopic reads partition.metadata.
func parseTopic(b []byte) (id core.TopicID, ok bool) {
	version := false
	for _, line := range strings.Split(string(b), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "version":
			version = value == "0"
		case "topic_id":
			id, ok = core.ParseTopicID(value)
		}
	}
	return id, ok && version && !id.IsZero()
}

// parseDir reads the name of a partition's directory.
func parseDir(name string) (p Partition, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i == len(name)-1 {
		return p, false
	}
	n, err := strconv.ParseUint(name[i+1:], 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != name[i+1:] {
		return p, false
	}
	return Partition{Topic: name[:i], Partition: int32(n)}, true
}
