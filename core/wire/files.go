package wire

import (
	"encoding/json"
	"strconv"
	"strings"

	"klamm/core"
)

// MetaProperties is the file meta.properties of a log directory: which node of which cluster it belongs to.
type MetaProperties struct {
	ClusterID   string
	NodeID      core.NodeID
	DirectoryID UUID // zero if the file has none
}

// metaVersion is the only version of meta.properties since KRaft.
const metaVersion = 1

// Text is the content of the file. Kafka's own has the date of writing on top, which this one leaves out.
func (m MetaProperties) Text() []byte {
	b := []byte("#\n#Written by Klamm\ncluster.id=" + m.ClusterID + "\n")
	if !m.DirectoryID.IsZero() {
		b = append(b, "directory.id="+m.DirectoryID.String()+"\n"...)
	}
	b = append(b, "node.id="+strconv.Itoa(int(m.NodeID))+"\n"...)
	return append(b, "version="+strconv.Itoa(metaVersion)+"\n"...)
}

// BadFile says what is wrong with a small text file of a log directory.
type BadFile struct{ What string }

func (b BadFile) Error() string { return b.What }

// ParseMetaProperties reads the file, as Kafka's or as Text wrote it. Names that it does not know are passed over.
func ParseMetaProperties(text []byte) (m MetaProperties, err error) {
	m.NodeID = core.NoNode
	version := ""
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		name, value := property(line)
		switch name {
		case "cluster.id":
			m.ClusterID = value
		case "node.id":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 0 {
				return m, BadFile{"node.id is no node id: " + strconv.Quote(value)}
			}
			m.NodeID = core.NodeID(n)
		case "directory.id":
			var ok bool
			if m.DirectoryID, ok = core.ParseTopicID(value); !ok {
				return m, BadFile{"directory.id is no uuid: " + strconv.Quote(value)}
			}
		case "version":
			version = value
		}
	}
	switch {
	case version != strconv.Itoa(metaVersion):
		return m, BadFile{"version is " + strconv.Quote(version) + ", not 1"}
	case m.ClusterID == "":
		return m, BadFile{"cluster.id is missing"}
	case m.NodeID == core.NoNode:
		return m, BadFile{"node.id is missing"}
	}
	return m, nil
}

// property splits a line of a Java properties file and undoes the backslashes that Java puts before separators.
func property(line string) (name, value string) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		case (c == '=' || c == ':') && name == "":
			name = strings.TrimSpace(b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return name, strings.TrimSpace(b.String())
}

// QuorumState is the file quorum-state beside the metadata log: what this node has promised in elections.
type QuorumState struct {
	Version          int16 // 0 with static voters, 1 with kraft.version 1 (KIP-853)
	LeaderID         core.NodeID
	LeaderEpoch      core.Epoch
	VotedID          core.NodeID
	VotedDirectoryID UUID          // version 1
	CurrentVoters    []core.NodeID // version 0
}

// quorumFile is the file's JSON, in Kafka's order of fields.
type quorumFile struct {
	ClusterID     *string      `json:"clusterId,omitempty"`
	LeaderID      int32        `json:"leaderId"`
	LeaderEpoch   int32        `json:"leaderEpoch"`
	VotedID       int32        `json:"votedId"`
	VotedDir      *string      `json:"votedDirectoryId,omitempty"`
	AppliedOffset *int64       `json:"appliedOffset,omitempty"`
	CurrentVoters []quorumPeer `json:"currentVoters,omitempty"`
	DataVersion   *int16       `json:"data_version"`
}

type quorumPeer struct {
	VoterID int32 `json:"voterId"`
}

// Text is the content of the file, byte for byte as Kafka writes it.
func (q QuorumState) Text() []byte {
	f := quorumFile{LeaderID: int32(q.LeaderID), LeaderEpoch: int32(q.LeaderEpoch), VotedID: int32(q.VotedID), DataVersion: &q.Version}
	if q.Version == 0 {
		f.ClusterID, f.AppliedOffset = new(string), new(int64)
		for _, v := range q.CurrentVoters {
			f.CurrentVoters = append(f.CurrentVoters, quorumPeer{int32(v)})
		}
	} else {
		dir := q.VotedDirectoryID.String()
		f.VotedDir = &dir
	}
	b, err := json.Marshal(f)
	core.Must(err == nil, "plain values can be written as JSON")
	return b
}

// ParseQuorumState reads the file.
func ParseQuorumState(text []byte) (q QuorumState, err error) {
	f := quorumFile{LeaderID: -1, LeaderEpoch: -1, VotedID: -1}
	if err := json.Unmarshal(text, &f); err != nil {
		return q, BadFile{"quorum-state is no JSON of its kind: " + err.Error()}
	}
	switch {
	case f.DataVersion == nil || *f.DataVersion < 0 || *f.DataVersion > 1:
		return q, BadFile{"quorum-state is of an unknown data_version"}
	case f.LeaderEpoch < 0 || f.LeaderID < -1 || f.VotedID < -1:
		return q, BadFile{"quorum-state has an epoch or an id that cannot be"}
	}
	q = QuorumState{Version: *f.DataVersion, LeaderID: core.NodeID(f.LeaderID), LeaderEpoch: core.Epoch(f.LeaderEpoch), VotedID: core.NodeID(f.VotedID)}
	for _, v := range f.CurrentVoters {
		q.CurrentVoters = append(q.CurrentVoters, core.NodeID(v.VoterID))
	}
	if f.VotedDir != nil {
		var ok bool
		if q.VotedDirectoryID, ok = core.ParseTopicID(*f.VotedDir); !ok {
			return q, BadFile{"votedDirectoryId is no uuid"}
		}
	}
	return q, nil
}
