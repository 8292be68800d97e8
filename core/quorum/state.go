package quorum

import (
	"encoding/json"
	"strconv"

	"klamm/core"
)

// state is what a node must not forget, in the file quorum-state, Kafka's JSON: in which epoch it stands, whom it voted for, who leads.
// Version 0 belongs to voters that the configuration names, version 1 to voters that the log names (KIP-853).
type state struct {
	version   int16
	leader    core.NodeID
	epoch     core.Epoch
	voted     core.NodeID
	votedDir  core.TopicID
	clusterID string
	applied   core.Offset
}

// stateBytesMax bounds a quorum-state file that is believed.
const stateBytesMax = 64 << 10

// encode writes the file. Version 0 names the voters, version 1 the directory of the candidate.
func (s *state) encode(voters []Voter) []byte {
	b := []byte("{")
	if s.version == 0 {
		b = strconv.AppendQuote(append(b, `"clusterId":`...), s.clusterID)
		b = append(b, ',')
	}
	b = strconv.AppendInt(append(b, `"leaderId":`...), int64(s.leader), 10)
	b = strconv.AppendInt(append(b, `,"leaderEpoch":`...), int64(s.epoch), 10)
	b = strconv.AppendInt(append(b, `,"votedId":`...), int64(s.voted), 10)
	if s.version > 0 {
		b = append(append(append(b, `,"votedDirectoryId":"`...), s.votedDir.String()...), '"')
		return append(b, `,"data_version":1}`...)
	}
	b = strconv.AppendInt(append(b, `,"appliedOffset":`...), int64(s.applied), 10)
	b = append(b, `,"currentVoters":[`...)
	for i, v := range voters {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendInt(append(b, `{"voterId":`...), int64(v.ID), 10), '}')
	}
	return append(b, `],"data_version":0}`...)
}

// putting is the file quorum-state being replaced, one write at a time.
type putting struct {
	dirty  bool   // state says more than what was last given to Write
	busy   bool   // a write is under way
	serial uint64 // of the state that it holds
	file   core.FileID
}

// hard notes a change of epoch or vote: nothing that rests on it leaves before it is durable.
func (n *Node) hard() {
	n.serial++
	n.put.dirty = true
}

// putState begins to replace the file, if it lags.
func (n *Node) putState(out *core.Out) {
	if !n.put.dirty || n.put.busy {
		return
	}
	n.put = putting{busy: true, serial: n.serial, file: n.nextFile()}
	s := n.state
	s.version = min(n.KRaft(), 1)
	if n.role == Candidate && n.sole() { // there is nobody else to ask: it leads when this is durable
		s.leader, s.voted, s.votedDir = n.cfg.Self, core.NoNode, core.TopicID{}
	}
	out.Open(n.op(stepClose), n.put.file, n.path(stateTemp), core.CreateEmpty)
	out.Write(n.op(stepStateWritten), n.put.file, 0, s.encode(n.cfg.Voters))
}

func (n *Node) stateStep(what step, ev *core.Event, out *core.Out) {
	if ev.Err != core.OK {
		n.fail("cannot write " + n.path(stateFile) + ": " + ev.Err.String())
		return
	}
	switch what {
	case stepStateWritten:
		out.Sync(n.op(stepStateSynced), n.put.file)
	case stepStateSynced:
		out.CloseFile(n.op(stepClose), n.put.file)
		out.Rename(n.op(stepStateRenamed), n.path(stateTemp), n.path(stateFile))
	case stepStateRenamed:
		out.SyncDir(n.op(stepStateDurable), n.dir())
	case stepStateDurable:
		n.put.busy = false
		n.saved = max(n.saved, n.put.serial)
	}
}

// parseState reads the file. A file that cannot be read may hide a vote, so there is nothing to guess.
func parseState(b []byte) (s state, ok bool) {
	var f struct {
		ClusterID        string `json:"clusterId"`
		LeaderID         *int32 `json:"leaderId"`
		LeaderEpoch      *int32 `json:"leaderEpoch"`
		VotedID          *int32 `json:"votedId"`
		VotedDirectoryID string `json:"votedDirectoryId"`
		AppliedOffset    int64  `json:"appliedOffset"`
		DataVersion      *int16 `json:"data_version"`
	}
	if json.Unmarshal(b, &f) != nil || f.LeaderID == nil || f.LeaderEpoch == nil || f.DataVersion == nil {
		return s, false
	}
	if *f.LeaderEpoch < 0 || *f.DataVersion < 0 || *f.DataVersion > 1 {
		return s, false
	}
	s = state{version: *f.DataVersion, leader: core.NodeID(*f.LeaderID), epoch: core.Epoch(*f.LeaderEpoch), voted: core.NoNode, clusterID: f.ClusterID, applied: core.Offset(f.AppliedOffset)}
	if f.VotedID != nil {
		s.voted = core.NodeID(*f.VotedID)
	}
	if f.VotedDirectoryID != "" {
		if s.votedDir, ok = core.ParseTopicID(f.VotedDirectoryID); !ok {
			return s, false
		}
	}
	return s, true
}
