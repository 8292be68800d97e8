package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"klamm/core"
	"klamm/core/broker"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// This file is about the first voters of a cluster whose log names them (KIP-853): klamm storage format writes them as
// kafka-storage format does.

// firstVoters is what the command line says about them.
type firstVoters struct {
	standalone, none bool
	initial          string // id@host:port:directory,…
}

// voters are those that a directory is formatted with, of which own is this node's directory id; nil: the log does not
// begin with any.
func (f *firstVoters) voters(cfg *broker.Config, own core.TopicID) (list []wire.Voter, dir core.TopicID, err error) {
	given := 0
	for _, on := range []bool{f.standalone, f.none, f.initial != ""} {
		if on {
			given++
		}
	}
	static := len(cfg.Voters) > 0
	switch {
	case given > 1:
		return nil, own, usagef("--standalone, --initial-controllers and --no-initial-controllers exclude each other")
	case given > 0 && static && len(cfg.Bootstrap) == 0:
		return nil, own, usagef("the configuration names the voters in controller.quorum.voters (or is that of a single node): then the log does not, and --standalone, --initial-controllers " +
			"and --no-initial-controllers have no place. Set controller.quorum.bootstrap.servers instead")
	case given == 0 && !static && cfg.IsController:
		return nil, own, usagef("controller.quorum.voters is not set on this controller: say who votes first with --standalone or --initial-controllers, or with " +
			"--no-initial-controllers that this one is added to a quorum that is there")
	case (f.standalone || f.initial != "") && !cfg.IsController:
		return nil, own, usagef("process.roles=broker: only a controller's directory names the first voters")
	case f.standalone:
		return []wire.Voter{voterRow(cfg.NodeID, own, cfg.VoterEndpoints())}, own, nil
	case f.initial == "":
		return nil, own, nil
	}
	for _, text := range strings.Split(f.initial, ",") {
		v, err := f.parse(cfg, text)
		if err != nil {
			return nil, own, err
		}
		if slices.ContainsFunc(list, func(o wire.Voter) bool { return o.VoterID == v.VoterID }) {
			return nil, own, usagef("--initial-controllers names node %d twice", v.VoterID)
		}
		if list = append(list, v); v.VoterID == cfg.NodeID {
			own, static = core.TopicID(v.VoterDirectoryID), true
		}
	}
	if !static {
		return nil, own, usagef("--initial-controllers does not name this node, %d: use --no-initial-controllers", cfg.NodeID)
	}
	return list, own, nil
}

// parse reads id@host:port:directory.
func (f *firstVoters) parse(cfg *broker.Config, text string) (v wire.Voter, err error) {
	bad := usagef("--initial-controllers: %s: not of the form id@host:port:directory-id", text)
	id, rest, ok := strings.Cut(strings.TrimSpace(text), "@")
	n, err := strconv.ParseInt(id, 10, 32)
	at := strings.LastIndexByte(rest, ':')
	if !ok || err != nil || n < 0 || at < 0 {
		return v, bad
	}
	dir, ok := core.ParseTopicID(rest[at+1:])
	addr := rest[:at]
	port := strings.LastIndexByte(addr, ':')
	if !ok || dir.IsZero() || port <= 0 {
		return v, bad
	}
	p, err := strconv.ParseUint(addr[port+1:], 10, 16)
	if err != nil || p == 0 {
		return v, bad
	}
	return voterRow(core.NodeID(n), dir, []wire.VoterEndpoint{{Name: cfg.ControllerListeners[0], Host: strings.Trim(addr[:port], "[]"), Port: uint16(p)}}), nil
}

func voterRow(id core.NodeID, dir core.TopicID, at []wire.VoterEndpoint) wire.Voter {
	return wire.Voter{VoterID: id, VoterDirectoryID: wire.UUID(dir), Endpoints: at, KRaftVersionFeature: wire.KRaftVersionFeature{MaxSupportedVersion: 1}}
}

// writeVoters writes the snapshot of offset 0 that names the first voters.
func writeVoters(dir string, voters []wire.Voter) error {
	in := filepath.Join(dir, quorum.Partition.Topic+"-0")
	if err := os.Mkdir(in, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the directory of the metadata log cannot be made: %w", err)
	}
	return replaceFile(filepath.Join(in, quorum.SnapshotID{}.File()), string(quorum.EncodeVoters(voters, time.Now().UnixMilli())))
}

// onlyFormatted reports whether a directory without meta.properties holds nothing but what an interrupted format has left.
func onlyFormatted(dir string, logs []string) bool {
	if len(logs) != 1 || logs[0] != quorum.Partition.Topic+"-0" {
		return false
	}
	list, err := os.ReadDir(filepath.Join(dir, logs[0]))
	return err == nil && !slices.ContainsFunc(list, func(e os.DirEntry) bool { return e.Name() != quorum.SnapshotID{}.File() })
}
