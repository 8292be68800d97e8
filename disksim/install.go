package disksim

import "klamm/core"

// Install puts a file into the disk that is durable from the start, with the directories that lead to it: what the tools of an
// operator have left there.
func (d *Disk) Install(path string, b []byte) {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			d.mkdir(path[:i]) // or it is there
		}
	}
	n, err := d.open(path, core.CreateEmpty)
	if err != core.OK {
		return
	}
	n.opens--
	d.extend(n, int64(len(b)))
	d.put(n, 0, b)
	d.flush(n)
	d.syncDir("/", core.OK)
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			d.syncDir(path[:i], core.OK)
		}
	}
}
