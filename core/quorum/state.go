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
