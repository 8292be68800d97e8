package quorum

import (
	"slices"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/log"
)

// saving is the snapshot that is being written. It is written a piece at a time, so that no step of the machine is
// long, however large the image; the image itself does not change meanwhile.
//
// Invariants: at is the end of what was given to Write; unless idle, exactly one of its effects is in flight that goes on with it.
type saving struct {
	stage saveStage
	id    SnapshotID
	file  core.FileID
	at    int64
	walk  image.Walk
	w     *snapshotWriter
	since int64 // of Node.since, when it was begun
}

type saveStage uint8

const (
	saveIdle saveStage = iota
	saveRecords
	saveFooter
)

// WantsSnapshot reports that it is time for a snapshot; the broker answers with Snapshot when it has an image. There is none
// while a metadata transaction is open: a snapshot in the midst of it would show half of it.
func (n *Node) WantsSnapshot(now core.Now) bool {
	if !n.ready || n.failed != "" || n.save.stage != saveIdle || n.assembler.open || n.since == 0 {
		return false
	}
	return n.since >= n.cfg.SnapshotBytes || len(n.sets) > setsMax || n.cfg.SnapshotTime > 0 && now.Mono >= n.savedAt.After(n.cfg.SnapshotTime)
}

// Snapshot begins to write an image as a snapshot. The image is that of what was committed last.
func (n *Node) Snapshot(now core.Now, img *image.Image, out *core.Out) {
	core.Must(img.End() <= n.handed, "a snapshot holds only what is committed")
	if n.save.stage != saveIdle || img.End() <= n.newestSnapshot() {
		return
	}
	n.savedAt = now.Mono
	n.save = saving{stage: saveRecords, id: SnapshotID{img.End(), img.Epoch()}, file: n.nextFile(), walk: img.Walk(), since: n.since}
	n.save.w = newSnapshotWriter(img.Epoch(), img.MetadataLevel(), n.lastMillis, n.setBelow(img.End()), n.cfg.Sizes.SnapshotBatchBytes)
	out.Open(n.op(stepClose), n.save.file, n.path(n.save.id.File()+".part"), core.CreateEmpty)
	n.saveMore(out)
}

// saveMore writes the next piece.
func (n *Node) saveMore(out *core.Out) {
	s := &n.save
	records := s.walk.Next(n.cfg.Sizes.SnapshotRecords)
	for _, r := range records {
		s.w.add(r)
	}
	s.w.close()
	if len(records) < n.cfg.Sizes.SnapshotRecords {
		s.stage = saveFooter
		s.w.finish()
	}
	b := s.w.b
	s.w.b = nil
	out.Write(n.op(stepSaveWritten), s.file, s.at, b)
	s.at += int64(len(b))
}

func (n *Node) newestSnapshot() core.Offset {
	if len(n.snapshots) == 0 {
		return 0
	}
	return n.snapshots[len(n.snapshots)-1].End
}

// saveStep carries a snapshot on: written, synced, named, and its name durable. Only then may it count.
func (n *Node) saveStep(now core.Now, what step, ev *core.Event, store *log.Store, out *core.Out) {
	name := n.path(n.save.id.File())
	if ev.Err != core.OK {
		out.Mark("quorum.snapshot-failed")
		out.Note(core.Error, "cannot write the metadata snapshot "+name+": "+ev.Err.String()+"; the log is kept instead")
		out.CloseFile(n.op(stepClose), n.save.file)
		out.Remove(n.op(stepRemove), name+".part")
		n.save, n.since = saving{}, 0 // again when as much has come once more
		return
	}
	switch what {
	case stepSaveWritten:
		if n.save.stage == saveRecords {
			n.saveMore(out)
			return
		}
		out.Sync(n.op(stepSaveSynced), n.save.file)
	case stepSaveSynced:
		out.CloseFile(n.op(stepClose), n.save.file)
		out.Rename(n.op(stepSaveRenamed), name+".part", name)
	case stepSaveRenamed:
		out.SyncDir(n.op(stepSaveDurable), n.dir())
	case stepSaveDurable:
		n.addSnapshot(n.save.id)
		n.forgetSets(n.save.id.End)
		n.since -= n.save.since
		n.save = saving{}
		n.trim(now, store, out)
	}
}

// snapshotsMax is how many snapshots are kept while the log is small; the newest always stays.
const snapshotsMax = 3

// trim drops the oldest snapshots, and while the log is above metadata.max.retention.bytes all but the newest, and the log below
// that one.
func (n *Node) trim(now core.Now, store *log.Store, out *core.Out) {
	keep := snapshotsMax
	full := n.cfg.RetentionBytes >= 0 && store.Log(n.id).Size() > n.cfg.RetentionBytes
	if full {
		keep = 1
	}
	for len(n.snapshots) > keep {
		out.Remove(n.op(stepRemove), n.path(n.snapshots[0].File()))
		n.snapshots = slices.Delete(n.snapshots, 0, 1)
	}
	if full {
		out.Mark("quorum.log-trimmed")
		store.DeleteBefore(now, n.id, n.snapshots[0].End, out)
	}
}
