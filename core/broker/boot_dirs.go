package broker

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// This file is about the start of the log directories, one after the other: each is made if it is not there, and its
// meta.properties is read. When all are known it is decided whether they belong together and to this node, and those that are
// new are formatted, the metadata log's first.
//
// What cannot be read is a failed directory, and the node goes on without it, unless it is that of the metadata log. What
// can be read and does not belong here ends the start.

// logDir is one log directory.
//
// Invariants: Broker.dirs and the Store have them in one order, that of the metadata log first; id is not zero once the logs are
// loaded, unless the directory has failed, or is the only one and was formatted by an old release.
type logDir struct {
	path   string
	id     core.TopicID // directory.id of its meta.properties (KIP-858)
	data   bool         // it is one of log.dirs: partitions may lie in it
	why    string       // it has failed
	failed core.Time    // when; 0: before this life registered
	meta   wire.MetaProperties
	fresh  bool // it has no meta.properties yet, or one without a directory id
}

// bootDirs begins to look at the directories.
func (b *Broker) bootDirs(out *core.Out) {
	b.dirs = append(b.dirs, logDir{path: b.cfg.LogDir, data: slices.Contains(b.cfg.LogDirs, b.cfg.LogDir)})
	for _, path := range b.cfg.LogDirs {
		if path != b.cfg.LogDir {
			b.dirs = append(b.dirs, logDir{path: path, data: true})
		}
	}
	b.lookAtDir(out)
}

func (b *Broker) dirPaths() (all []string) {
	for i := range b.dirs {
		all = append(all, b.dirs[i].path)
	}
	return all
}

// lookAtDir begins with one directory: it and its parents are made.
func (b *Broker) lookAtDir(out *core.Out) {
	path := b.dirs[b.boot.at].path
	for i := 1; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			b.boot.mkdirs++
			out.Mkdir(b.step(bootMkdir), path[:i])
		}
	}
}

// in is the path of a file of the directory that is being looked at.
func (b *Broker) in(name string) string { return b.dirs[b.boot.at].path + "/" + name }

// cannot says that a directory cannot be used. Without that of the metadata log there is no node.
func (b *Broker) cannot(now core.Now, why string, out *core.Out) {
	if b.boot.at == 0 {
		b.fatal(why, out)
		return
	}
	out.Mark("broker.directory-unreadable")
	b.dirs[b.boot.at].why = why
	b.nextDir(now, out)
}

// nextDir goes on with the next directory.
func (b *Broker) nextDir(now core.Now, out *core.Out) {
	if b.boot.at++; b.boot.at < len(b.dirs) {
		b.lookAtDir(out)
		return
	}
	b.dirsKnown(now, out)
}

// madeDir waits for the directory and its parents to be there. Those that are there already are refused; whether the
// last one can be used shows when meta.properties is opened.
func (b *Broker) madeDir(now core.Now, ev *core.Event, out *core.Out) {
	if b.boot.mkdirs--; b.boot.mkdirs > 0 {
		return
	}
	if ev.Err != core.OK && ev.Err != core.Exists {
		b.cannot(now, "cannot make the log directory "+b.dirs[b.boot.at].path+": "+ev.Err.String(), out)
		return
	}
	out.Open(b.step(bootOpenMeta), b.nextBootFile(), b.in("meta.properties"), core.OpenExisting)
}

func (b *Broker) openedMeta(now core.Now, ev *core.Event, out *core.Out) {
	switch {
	case ev.Err == core.NotFound:
		out.List(b.step(bootList), b.dirs[b.boot.at].path)
	case ev.Err != core.OK:
		b.cannot(now, "cannot open "+b.in("meta.properties")+": "+ev.Err.String(), out)
	case ev.N > metaBytesMax:
		b.fatal(b.in("meta.properties")+" is too large to be one", out)
	default:
		out.Read(b.step(bootReadMeta), b.boot.file, 0, ev.N)
		out.CloseFile(b.step(bootCloseMeta), b.boot.file)
	}
}

// readMeta checks that the directory is this node's.
func (b *Broker) readMeta(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Err != core.OK {
		b.cannot(now, "cannot read "+b.in("meta.properties")+": "+ev.Err.String(), out)
		return
	}
	d := &b.dirs[b.boot.at]
	m, err := wire.ParseMetaProperties(ev.Data)
	switch {
	case err != nil:
		b.fatal(b.in("meta.properties")+": "+err.Error(), out)
	case m.NodeID != b.cfg.NodeID:
		b.fatal(b.in("meta.properties")+" belongs to node "+strconv.Itoa(int(m.NodeID))+", and node.id is "+strconv.Itoa(int(b.cfg.NodeID))+
			": set node.id="+strconv.Itoa(int(m.NodeID))+", or log.dirs to this node's own directory", out)
	case b.cfg.ClusterID != "" && b.cfg.ClusterID != m.ClusterID:
		b.fatal(b.in("meta.properties")+" belongs to cluster "+m.ClusterID+", and klamm.cluster.id is "+b.cfg.ClusterID, out)
	default:
		d.meta, d.id = m, m.DirectoryID
		b.nextDir(now, out)
	}
}

// listed decides whether a directory without meta.properties may be formatted: not if anybody's data are in it.
func (b *Broker) listed(now core.Now, ev *core.Event, out *core.Out) {
	d := &b.dirs[b.boot.at]
	if ev.Err != core.OK {
		b.cannot(now, "cannot list "+d.path+": "+ev.Err.String(), out)
		return
	}
	for _, e := range core.ParseList(ev.Data) {
		if e.Size < 0 && strings.Contains(e.Name, "-") {
			b.fatal(d.path+" holds "+e.Name+" and no meta.properties: it is not formatted over data. Restore meta.properties, or set log.dirs to an empty directory", out)
			return
		}
	}
	d.fresh = true
	b.nextDir(now, out)
}

// dirsKnown looks at the directories together: whether they are of one cluster, none is there twice, and which are to be formatted.
func (b *Broker) dirsKnown(now core.Now, out *core.Out) {
	if !b.anyDir() {
		b.fatal("no log directory can be used; the last one: "+b.dirs[len(b.dirs)-1].why, out)
		return
	}
	formatted := -1
	for at := range b.dirs {
		d := &b.dirs[at]
		if d.why != "" || d.fresh {
			continue
		}
		if formatted < 0 {
			formatted = at
			b.boot.clusterID = d.meta.ClusterID
		}
		if d.meta.ClusterID != b.boot.clusterID {
			b.fatal(d.path+"/meta.properties belongs to cluster "+d.meta.ClusterID+", and that of "+b.dirs[formatted].path+" to cluster "+b.boot.clusterID+
				": a node has the directories of one cluster only", out)
			return
		}
		for i := range b.dirs[:at] {
			if o := &b.dirs[i]; !d.id.IsZero() && o.id == d.id {
				b.fatal(d.path+" and "+o.path+" have the same directory.id "+d.id.String()+": one of them is a copy of the other. "+
					"Remove the copy from log.dirs, or empty it and format it", out)
				return
			}
		}
		if d.id.IsZero() && len(b.dirs) > 1 {
			d.fresh = true // of before KIP-858: it gets an id
		}
	}
	for at := range b.dirs {
		d := &b.dirs[at]
		switch {
		case !d.fresh || d.meta.ClusterID != "":
		case at == 0 && formatted > 0 && b.cfg.IsController:
			b.fatal(d.path+" is to hold the metadata log and is empty, while "+b.dirs[formatted].path+" is in use by this node: a controller without its log would forget what it has voted and "+
				"acknowledged. Restore the directory, or replace the node by one with another node.id", out)
			return
		case !b.cfg.AutoFormat:
			b.fatal(d.path+" is not formatted: run klamm storage format --config FILE"+b.others(formatted)+", or set klamm.auto.format=true", out)
			return
		}
	}
	b.boot.at = -1
	b.formatNext(now, out)
}

func (b *Broker) others(formatted int) string {
	if formatted < 0 {
		return ""
	}
	return " --ignore-formatted"
}

// formatNext formats the next directory that needs it, or loads the logs.
func (b *Broker) formatNext(now core.Now, out *core.Out) {
	for b.boot.at++; b.boot.at < len(b.dirs); b.boot.at++ {
		if d := &b.dirs[b.boot.at]; d.fresh && d.why == "" {
			b.format(now, out)
			return
		}
	}
	b.boot.directoryID = b.dirs[0].id
	b.loadLogs(now, out)
}

// format writes bootstrap.checkpoint, where the metadata log is to be, and then meta.properties, which says that all is there: a
// crash in between begins anew.
func (b *Broker) format(now core.Now, out *core.Out) {
	b.stage = stageFormat
	d := &b.dirs[b.boot.at]
	if b.boot.clusterID == "" {
		b.boot.clusterID = b.cfg.ClusterID
	}
	if b.boot.clusterID == "" {
		b.boot.clusterID = b.rand.ID().String()
	}
	d.id = b.rand.ID()
	if b.boot.at > 0 || d.meta.ClusterID != "" {
		b.writeMeta(out)
		return
	}
	f := b.nextBootFile()
	out.Open(b.step(bootOpenBootstrap), f, b.in("bootstrap.checkpoint"), core.CreateEmpty)
	out.Write(b.step(bootWriteBootstrap), f, 0, quorum.EncodeSnapshot(controller.Bootstrap(), controller.MetadataLevel, 0, now.Wall.Millis()))
}

func (b *Broker) writeMeta(out *core.Out) {
	f := b.nextBootFile()
	m := wire.MetaProperties{ClusterID: b.boot.clusterID, NodeID: b.cfg.NodeID, DirectoryID: b.dirs[b.boot.at].id}
	out.Open(b.step(bootOpenTemp), f, b.in("meta.properties.tmp"), core.CreateEmpty)
	out.Write(b.step(bootWriteTemp), f, 0, m.Text())
}

func (b *Broker) formatStep(now core.Now, step int32, out *core.Out) {
	f := b.boot.file
	switch step {
	case bootWriteBootstrap:
		out.Sync(b.step(bootSyncBootstrap), f)
	case bootSyncBootstrap:
		out.CloseFile(b.step(bootClose), f)
		b.writeMeta(out)
	case bootWriteTemp:
		out.Sync(b.step(bootSyncTemp), f)
	case bootSyncTemp:
		out.CloseFile(b.step(bootClose), f)
		out.Rename(b.step(bootRename), b.in("meta.properties.tmp"), b.in("meta.properties"))
	case bootRename:
		out.SyncDir(b.step(bootSyncDir), b.dirs[b.boot.at].path)
	case bootSyncDir:
		b.note(now, core.Info, "formatted "+b.dirs[b.boot.at].path+" for node "+strconv.Itoa(int(b.cfg.NodeID))+" of cluster "+b.boot.clusterID, out)
		b.formatNext(now, out)
	}
}
