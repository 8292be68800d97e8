package main

import (
	"log/slog"
	"os"
	"slices"

	"klamm/core/broker"
	"klamm/host"
)

// dirLocks are the locks of a node's log directories.
type dirLocks []*host.Lock

func (all dirLocks) unlock() {
	for _, l := range all {
		l.Unlock()
	}
}

// allDirs are the log directories of a node, that of the metadata log first.
func allDirs(cfg *broker.Config) []string {
	dirs := []string{cfg.LogDir}
	for _, d := range cfg.LogDirs {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// lockDirs locks the log directories of a node. One beside that of the metadata log that is not there, or cannot be looked at, has
// failed as far as the node is concerned, and needs no lock.
func lockDirs(cfg *broker.Config, log *slog.Logger) (locks dirLocks, err error) {
	for i, dir := range allDirs(cfg) {
		if _, err := os.Stat(dir); err != nil && i > 0 {
			if log != nil {
				log.Warn("log directory " + dir + " cannot be looked at: " + err.Error())
			}
			continue
		}
		l, err := host.LockDir(dir)
		if err != nil {
			locks.unlock()
			return nil, err
		}
		locks = append(locks, l)
	}
	return locks, nil
}
