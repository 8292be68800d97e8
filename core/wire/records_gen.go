// Code generated from gen/records.tsv by go generate; DO NOT EDIT.

package wire

import "klamm/core"

// RegisterBrokerRecord is the metadata record 0, versions 0 to 4. Its defaults are not
// all zero: make it by NewRegisterBrokerRecord.
type RegisterBrokerRecord struct {
	BrokerID             core.NodeID
	IsMigratingZkBroker  bool // v2+
	IncarnationID        UUID
	BrokerEpoch          core.BrokerEpoch
	EndPoints            []BrokerEndpoint
	Features             []BrokerFeature
	Rack                 *string // nil is null
	Fenced               bool    // default true
	InControlledShutdown bool    // v1+
	LogDirs              []UUID  // v3+, tag 0
	CordonedLogDirs      []UUID  // v4+, tag 1, nil is null
}

// NewRegisterBrokerRecord makes one with Kafka's defaults.
func NewRegisterBrokerRecord() *RegisterBrokerRecord { return &RegisterBrokerRecord{Fenced: true} }

// Key is the record's type.
func (*RegisterBrokerRecord) Key() int16 { return 0 }

// MaxVersion is the newest version known.
func (*RegisterBrokerRecord) MaxVersion() int16 { return 4 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *RegisterBrokerRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.BrokerID))
	if version >= 2 {
		b = appendBool(b, m.IsMigratingZkBroker)
	}
	b = append(b, m.IncarnationID[:]...)
	b = append64(b, uint64(m.BrokerEpoch))
	b = appendLen(b, len(m.EndPoints), false)
	for i := range m.EndPoints {
		b = m.EndPoints[i].appendTo(b, version)
	}
	b = appendLen(b, len(m.Features), false)
	for i := range m.Features {
		b = m.Features[i].appendTo(b, version)
	}
	b = appendNullString(b, m.Rack)
	b = appendBool(b, m.Fenced)
	if version >= 1 {
		b = appendBool(b, m.InControlledShutdown)
	}
	tags := 0
	if version >= 3 && !(len(m.LogDirs) == 0) {
		tags++
	}
	if version >= 4 && !(m.CordonedLogDirs == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 3 && !(len(m.LogDirs) == 0) {
		var at int
		b, at = openTag(b, 0)
		b = appendLen(b, len(m.LogDirs), false)
		for i := range m.LogDirs {
			b = append(b, m.LogDirs[i][:]...)
		}
		b = closeTag(b, at)
	}
	if version >= 4 && !(m.CordonedLogDirs == nil) {
		var at int
		b, at = openTag(b, 1)
		b = appendLen(b, len(m.CordonedLogDirs), m.CordonedLogDirs == nil)
		for i := range m.CordonedLogDirs {
			b = append(b, m.CordonedLogDirs[i][:]...)
		}
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *RegisterBrokerRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{0, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *RegisterBrokerRecord) read(r *reader, version int16) {
	m.BrokerID = core.NodeID(r.int32())
	if version >= 2 {
		m.IsMigratingZkBroker = r.bool()
	}
	m.IncarnationID = r.uuid()
	m.BrokerEpoch = core.BrokerEpoch(r.int64())
	if n, null := r.length(false); null {
		m.EndPoints = nil
	} else {
		m.EndPoints = []BrokerEndpoint{}
		for ; n > 0 && !r.bad; n-- {
			var v BrokerEndpoint
			v.read(r, version)
			m.EndPoints = append(m.EndPoints, v)
		}
	}
	if n, null := r.length(false); null {
		m.Features = nil
	} else {
		m.Features = []BrokerFeature{}
		for ; n > 0 && !r.bad; n-- {
			var v BrokerFeature
			v.read(r, version)
			m.Features = append(m.Features, v)
		}
	}
	m.Rack = r.nullString()
	m.Fenced = r.bool()
	if version >= 1 {
		m.InControlledShutdown = r.bool()
	}
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 3:
			if n, null := value.length(false); null {
				m.LogDirs = nil
			} else {
				m.LogDirs = []UUID{}
				for ; n > 0 && !value.bad; n-- {
					v := value.uuid()
					m.LogDirs = append(m.LogDirs, v)
				}
			}
		case tag == 1 && version >= 4:
			if n, null := value.length(true); null {
				m.CordonedLogDirs = nil
			} else {
				m.CordonedLogDirs = []UUID{}
				for ; n > 0 && !value.bad; n-- {
					v := value.uuid()
					m.CordonedLogDirs = append(m.CordonedLogDirs, v)
				}
			}
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// BrokerEndpoint is a part of RegisterBrokerRecord.
type BrokerEndpoint struct {
	Name             string
	Host             string
	Port             uint16
	SecurityProtocol int16
}

func (m *BrokerEndpoint) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = appendString(b, m.Host)
	b = append16(b, uint16(m.Port))
	b = append16(b, uint16(m.SecurityProtocol))
	return append(b, 0)
}

func (m *BrokerEndpoint) read(r *reader, _ int16) {
	m.Name = r.string()
	m.Host = r.string()
	m.Port = r.uint16()
	m.SecurityProtocol = r.int16()
	readTags(r)
}

// BrokerFeature is a part of RegisterBrokerRecord.
type BrokerFeature struct {
	Name                string
	MinSupportedVersion int16
	MaxSupportedVersion int16
}

func (m *BrokerFeature) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = append16(b, uint16(m.MinSupportedVersion))
	b = append16(b, uint16(m.MaxSupportedVersion))
	return append(b, 0)
}

func (m *BrokerFeature) read(r *reader, _ int16) {
	m.Name = r.string()
	m.MinSupportedVersion = r.int16()
	m.MaxSupportedVersion = r.int16()
	readTags(r)
}

// UnregisterBrokerRecord is the metadata record 1, versions 0 to 0.
type UnregisterBrokerRecord struct {
	BrokerID    core.NodeID
	BrokerEpoch core.BrokerEpoch
}

// NewUnregisterBrokerRecord makes one with Kafka's defaults.
func NewUnregisterBrokerRecord() *UnregisterBrokerRecord { return &UnregisterBrokerRecord{} }

// Key is the record's type.
func (*UnregisterBrokerRecord) Key() int16 { return 1 }

// MaxVersion is the newest version known.
func (*UnregisterBrokerRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *UnregisterBrokerRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.BrokerID))
	b = append64(b, uint64(m.BrokerEpoch))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *UnregisterBrokerRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *UnregisterBrokerRecord) read(r *reader, _ int16) {
	m.BrokerID = core.NodeID(r.int32())
	m.BrokerEpoch = core.BrokerEpoch(r.int64())
	readTags(r)
}

// TopicRecord is the metadata record 2, versions 0 to 0.
type TopicRecord struct {
	Name    string
	TopicID core.TopicID
}

// NewTopicRecord makes one with Kafka's defaults.
func NewTopicRecord() *TopicRecord { return &TopicRecord{} }

// Key is the record's type.
func (*TopicRecord) Key() int16 { return 2 }

// MaxVersion is the newest version known.
func (*TopicRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *TopicRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = append(b, m.TopicID[:]...)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *TopicRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{2, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *TopicRecord) read(r *reader, _ int16) {
	m.Name = r.string()
	m.TopicID = r.uuid()
	readTags(r)
}

// PartitionRecord is the metadata record 3, versions 0 to 2. Its defaults are not
// all zero: make it by NewPartitionRecord.
type PartitionRecord struct {
	PartitionID            int32 // default -1
	TopicID                core.TopicID
	Replicas               []core.NodeID
	ISR                    []core.NodeID
	RemovingReplicas       []core.NodeID
	AddingReplicas         []core.NodeID
	Leader                 core.NodeID         // default -1
	LeaderRecoveryState    int8                // tag 0
	LeaderEpoch            core.Epoch          // default -1
	PartitionEpoch         core.PartitionEpoch // default -1
	Directories            []UUID              // v1+
	EligibleLeaderReplicas []core.NodeID       // v2+, tag 1, nil is null
	LastKnownELR           []core.NodeID       // v2+, tag 2, nil is null
}

// NewPartitionRecord makes one with Kafka's defaults.
func NewPartitionRecord() *PartitionRecord {
	return &PartitionRecord{PartitionID: -1, Leader: -1, LeaderEpoch: -1, PartitionEpoch: -1}
}

// Key is the record's type.
func (*PartitionRecord) Key() int16 { return 3 }

// MaxVersion is the newest version known.
func (*PartitionRecord) MaxVersion() int16 { return 2 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *PartitionRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.PartitionID))
	b = append(b, m.TopicID[:]...)
	b = appendLen(b, len(m.Replicas), false)
	for i := range m.Replicas {
		b = append32(b, uint32(m.Replicas[i]))
	}
	b = appendLen(b, len(m.ISR), false)
	for i := range m.ISR {
		b = append32(b, uint32(m.ISR[i]))
	}
	b = appendLen(b, len(m.RemovingReplicas), false)
	for i := range m.RemovingReplicas {
		b = append32(b, uint32(m.RemovingReplicas[i]))
	}
	b = appendLen(b, len(m.AddingReplicas), false)
	for i := range m.AddingReplicas {
		b = append32(b, uint32(m.AddingReplicas[i]))
	}
	b = append32(b, uint32(m.Leader))
	b = append32(b, uint32(m.LeaderEpoch))
	b = append32(b, uint32(m.PartitionEpoch))
	if version >= 1 {
		b = appendLen(b, len(m.Directories), false)
		for i := range m.Directories {
			b = append(b, m.Directories[i][:]...)
		}
	}
	tags := 0
	if version >= 0 && !(m.LeaderRecoveryState == 0) {
		tags++
	}
	if version >= 2 && !(m.EligibleLeaderReplicas == nil) {
		tags++
	}
	if version >= 2 && !(m.LastKnownELR == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.LeaderRecoveryState == 0) {
		var at int
		b, at = openTag(b, 0)
		b = append(b, byte(m.LeaderRecoveryState))
		b = closeTag(b, at)
	}
	if version >= 2 && !(m.EligibleLeaderReplicas == nil) {
		var at int
		b, at = openTag(b, 1)
		b = appendLen(b, len(m.EligibleLeaderReplicas), m.EligibleLeaderReplicas == nil)
		for i := range m.EligibleLeaderReplicas {
			b = append32(b, uint32(m.EligibleLeaderReplicas[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 2 && !(m.LastKnownELR == nil) {
		var at int
		b, at = openTag(b, 2)
		b = appendLen(b, len(m.LastKnownELR), m.LastKnownELR == nil)
		for i := range m.LastKnownELR {
			b = append32(b, uint32(m.LastKnownELR[i]))
		}
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *PartitionRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{3, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *PartitionRecord) read(r *reader, version int16) {
	m.PartitionID = r.int32()
	m.TopicID = r.uuid()
	if n, null := r.length(false); null {
		m.Replicas = nil
	} else {
		m.Replicas = []core.NodeID{}
		for ; n > 0 && !r.bad; n-- {
			v := core.NodeID(r.int32())
			m.Replicas = append(m.Replicas, v)
		}
	}
	if n, null := r.length(false); null {
		m.ISR = nil
	} else {
		m.ISR = []core.NodeID{}
		for ; n > 0 && !r.bad; n-- {
			v := core.NodeID(r.int32())
			m.ISR = append(m.ISR, v)
		}
	}
	if n, null := r.length(false); null {
		m.RemovingReplicas = nil
	} else {
		m.RemovingReplicas = []core.NodeID{}
		for ; n > 0 && !r.bad; n-- {
			v := core.NodeID(r.int32())
			m.RemovingReplicas = append(m.RemovingReplicas, v)
		}
	}
	if n, null := r.length(false); null {
		m.AddingReplicas = nil
	} else {
		m.AddingReplicas = []core.NodeID{}
		for ; n > 0 && !r.bad; n-- {
			v := core.NodeID(r.int32())
			m.AddingReplicas = append(m.AddingReplicas, v)
		}
	}
	m.Leader = core.NodeID(r.int32())
	m.LeaderEpoch = core.Epoch(r.int32())
	m.PartitionEpoch = core.PartitionEpoch(r.int32())
	if version >= 1 {
		if n, null := r.length(false); null {
			m.Directories = nil
		} else {
			m.Directories = []UUID{}
			for ; n > 0 && !r.bad; n-- {
				v := r.uuid()
				m.Directories = append(m.Directories, v)
			}
		}
	}
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			m.LeaderRecoveryState = value.int8()
		case tag == 1 && version >= 2:
			if n, null := value.length(true); null {
				m.EligibleLeaderReplicas = nil
			} else {
				m.EligibleLeaderReplicas = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.EligibleLeaderReplicas = append(m.EligibleLeaderReplicas, v)
				}
			}
		case tag == 2 && version >= 2:
			if n, null := value.length(true); null {
				m.LastKnownELR = nil
			} else {
				m.LastKnownELR = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.LastKnownELR = append(m.LastKnownELR, v)
				}
			}
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// ConfigRecord is the metadata record 4, versions 0 to 0.
type ConfigRecord struct {
	ResourceType int8
	ResourceName string
	Name         string
	Value        *string // nil is null
}

// NewConfigRecord makes one with Kafka's defaults.
func NewConfigRecord() *ConfigRecord { return &ConfigRecord{} }

// Key is the record's type.
func (*ConfigRecord) Key() int16 { return 4 }

// MaxVersion is the newest version known.
func (*ConfigRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConfigRecord) AppendTo(b []byte, version int16) []byte {
	b = append(b, byte(m.ResourceType))
	b = appendString(b, m.ResourceName)
	b = appendString(b, m.Name)
	b = appendNullString(b, m.Value)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConfigRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{4, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConfigRecord) read(r *reader, _ int16) {
	m.ResourceType = r.int8()
	m.ResourceName = r.string()
	m.Name = r.string()
	m.Value = r.nullString()
	readTags(r)
}

// PartitionChangeRecord is the metadata record 5, versions 0 to 2. Its defaults are not
// all zero: make it by NewPartitionChangeRecord.
type PartitionChangeRecord struct {
	PartitionID            int32 // default -1
	TopicID                core.TopicID
	ISR                    []core.NodeID // tag 0, nil is null
	Leader                 core.NodeID   // tag 1, default -2
	Replicas               []core.NodeID // tag 2, nil is null
	RemovingReplicas       []core.NodeID // tag 3, nil is null
	AddingReplicas         []core.NodeID // tag 4, nil is null
	LeaderRecoveryState    int8          // tag 5, default -1
	Directories            []UUID        // v1+, tag 8, nil is null
	EligibleLeaderReplicas []core.NodeID // v2+, tag 6, nil is null
	LastKnownELR           []core.NodeID // v2+, tag 7, nil is null
}

// NewPartitionChangeRecord makes one with Kafka's defaults.
func NewPartitionChangeRecord() *PartitionChangeRecord {
	return &PartitionChangeRecord{PartitionID: -1, Leader: -2, LeaderRecoveryState: -1}
}

// Key is the record's type.
func (*PartitionChangeRecord) Key() int16 { return 5 }

// MaxVersion is the newest version known.
func (*PartitionChangeRecord) MaxVersion() int16 { return 2 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *PartitionChangeRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.PartitionID))
	b = append(b, m.TopicID[:]...)
	tags := 0
	if version >= 0 && !(m.ISR == nil) {
		tags++
	}
	if version >= 0 && !(m.Leader == -2) {
		tags++
	}
	if version >= 0 && !(m.Replicas == nil) {
		tags++
	}
	if version >= 0 && !(m.RemovingReplicas == nil) {
		tags++
	}
	if version >= 0 && !(m.AddingReplicas == nil) {
		tags++
	}
	if version >= 0 && !(m.LeaderRecoveryState == -1) {
		tags++
	}
	if version >= 2 && !(m.EligibleLeaderReplicas == nil) {
		tags++
	}
	if version >= 2 && !(m.LastKnownELR == nil) {
		tags++
	}
	if version >= 1 && !(m.Directories == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.ISR == nil) {
		var at int
		b, at = openTag(b, 0)
		b = appendLen(b, len(m.ISR), m.ISR == nil)
		for i := range m.ISR {
			b = append32(b, uint32(m.ISR[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 0 && !(m.Leader == -2) {
		var at int
		b, at = openTag(b, 1)
		b = append32(b, uint32(m.Leader))
		b = closeTag(b, at)
	}
	if version >= 0 && !(m.Replicas == nil) {
		var at int
		b, at = openTag(b, 2)
		b = appendLen(b, len(m.Replicas), m.Replicas == nil)
		for i := range m.Replicas {
			b = append32(b, uint32(m.Replicas[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 0 && !(m.RemovingReplicas == nil) {
		var at int
		b, at = openTag(b, 3)
		b = appendLen(b, len(m.RemovingReplicas), m.RemovingReplicas == nil)
		for i := range m.RemovingReplicas {
			b = append32(b, uint32(m.RemovingReplicas[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 0 && !(m.AddingReplicas == nil) {
		var at int
		b, at = openTag(b, 4)
		b = appendLen(b, len(m.AddingReplicas), m.AddingReplicas == nil)
		for i := range m.AddingReplicas {
			b = append32(b, uint32(m.AddingReplicas[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 0 && !(m.LeaderRecoveryState == -1) {
		var at int
		b, at = openTag(b, 5)
		b = append(b, byte(m.LeaderRecoveryState))
		b = closeTag(b, at)
	}
	if version >= 2 && !(m.EligibleLeaderReplicas == nil) {
		var at int
		b, at = openTag(b, 6)
		b = appendLen(b, len(m.EligibleLeaderReplicas), m.EligibleLeaderReplicas == nil)
		for i := range m.EligibleLeaderReplicas {
			b = append32(b, uint32(m.EligibleLeaderReplicas[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 2 && !(m.LastKnownELR == nil) {
		var at int
		b, at = openTag(b, 7)
		b = appendLen(b, len(m.LastKnownELR), m.LastKnownELR == nil)
		for i := range m.LastKnownELR {
			b = append32(b, uint32(m.LastKnownELR[i]))
		}
		b = closeTag(b, at)
	}
	if version >= 1 && !(m.Directories == nil) {
		var at int
		b, at = openTag(b, 8)
		b = appendLen(b, len(m.Directories), m.Directories == nil)
		for i := range m.Directories {
			b = append(b, m.Directories[i][:]...)
		}
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *PartitionChangeRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{5, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *PartitionChangeRecord) read(r *reader, version int16) {
	m.PartitionID = r.int32()
	m.TopicID = r.uuid()
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			if n, null := value.length(true); null {
				m.ISR = nil
			} else {
				m.ISR = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.ISR = append(m.ISR, v)
				}
			}
		case tag == 1 && version >= 0:
			m.Leader = core.NodeID(value.int32())
		case tag == 2 && version >= 0:
			if n, null := value.length(true); null {
				m.Replicas = nil
			} else {
				m.Replicas = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.Replicas = append(m.Replicas, v)
				}
			}
		case tag == 3 && version >= 0:
			if n, null := value.length(true); null {
				m.RemovingReplicas = nil
			} else {
				m.RemovingReplicas = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.RemovingReplicas = append(m.RemovingReplicas, v)
				}
			}
		case tag == 4 && version >= 0:
			if n, null := value.length(true); null {
				m.AddingReplicas = nil
			} else {
				m.AddingReplicas = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.AddingReplicas = append(m.AddingReplicas, v)
				}
			}
		case tag == 5 && version >= 0:
			m.LeaderRecoveryState = value.int8()
		case tag == 6 && version >= 2:
			if n, null := value.length(true); null {
				m.EligibleLeaderReplicas = nil
			} else {
				m.EligibleLeaderReplicas = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.EligibleLeaderReplicas = append(m.EligibleLeaderReplicas, v)
				}
			}
		case tag == 7 && version >= 2:
			if n, null := value.length(true); null {
				m.LastKnownELR = nil
			} else {
				m.LastKnownELR = []core.NodeID{}
				for ; n > 0 && !value.bad; n-- {
					v := core.NodeID(value.int32())
					m.LastKnownELR = append(m.LastKnownELR, v)
				}
			}
		case tag == 8 && version >= 1:
			if n, null := value.length(true); null {
				m.Directories = nil
			} else {
				m.Directories = []UUID{}
				for ; n > 0 && !value.bad; n-- {
					v := value.uuid()
					m.Directories = append(m.Directories, v)
				}
			}
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// FenceBrokerRecord is the metadata record 7, versions 0 to 0.
type FenceBrokerRecord struct {
	ID    core.NodeID
	Epoch core.BrokerEpoch
}

// NewFenceBrokerRecord makes one with Kafka's defaults.
func NewFenceBrokerRecord() *FenceBrokerRecord { return &FenceBrokerRecord{} }

// Key is the record's type.
func (*FenceBrokerRecord) Key() int16 { return 7 }

// MaxVersion is the newest version known.
func (*FenceBrokerRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *FenceBrokerRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.ID))
	b = append64(b, uint64(m.Epoch))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *FenceBrokerRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{7, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *FenceBrokerRecord) read(r *reader, _ int16) {
	m.ID = core.NodeID(r.int32())
	m.Epoch = core.BrokerEpoch(r.int64())
	readTags(r)
}

// UnfenceBrokerRecord is the metadata record 8, versions 0 to 0.
type UnfenceBrokerRecord struct {
	ID    core.NodeID
	Epoch core.BrokerEpoch
}

// NewUnfenceBrokerRecord makes one with Kafka's defaults.
func NewUnfenceBrokerRecord() *UnfenceBrokerRecord { return &UnfenceBrokerRecord{} }

// Key is the record's type.
func (*UnfenceBrokerRecord) Key() int16 { return 8 }

// MaxVersion is the newest version known.
func (*UnfenceBrokerRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *UnfenceBrokerRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.ID))
	b = append64(b, uint64(m.Epoch))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *UnfenceBrokerRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{8, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *UnfenceBrokerRecord) read(r *reader, _ int16) {
	m.ID = core.NodeID(r.int32())
	m.Epoch = core.BrokerEpoch(r.int64())
	readTags(r)
}

// RemoveTopicRecord is the metadata record 9, versions 0 to 0.
type RemoveTopicRecord struct {
	TopicID core.TopicID
}

// NewRemoveTopicRecord makes one with Kafka's defaults.
func NewRemoveTopicRecord() *RemoveTopicRecord { return &RemoveTopicRecord{} }

// Key is the record's type.
func (*RemoveTopicRecord) Key() int16 { return 9 }

// MaxVersion is the newest version known.
func (*RemoveTopicRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *RemoveTopicRecord) AppendTo(b []byte, version int16) []byte {
	b = append(b, m.TopicID[:]...)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *RemoveTopicRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{9, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *RemoveTopicRecord) read(r *reader, _ int16) {
	m.TopicID = r.uuid()
	readTags(r)
}

// DelegationTokenRecord is the metadata record 10, versions 0 to 0.
type DelegationTokenRecord struct {
	Owner               string
	Requester           string
	Renewers            []string
	IssueTimestamp      int64
	MaxTimestamp        int64
	ExpirationTimestamp int64
	TokenID             string
}

// NewDelegationTokenRecord makes one with Kafka's defaults.
func NewDelegationTokenRecord() *DelegationTokenRecord { return &DelegationTokenRecord{} }

// Key is the record's type.
func (*DelegationTokenRecord) Key() int16 { return 10 }

// MaxVersion is the newest version known.
func (*DelegationTokenRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *DelegationTokenRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Owner)
	b = appendString(b, m.Requester)
	b = appendLen(b, len(m.Renewers), false)
	for i := range m.Renewers {
		b = appendString(b, m.Renewers[i])
	}
	b = append64(b, uint64(m.IssueTimestamp))
	b = append64(b, uint64(m.MaxTimestamp))
	b = append64(b, uint64(m.ExpirationTimestamp))
	b = appendString(b, m.TokenID)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *DelegationTokenRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{10, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *DelegationTokenRecord) read(r *reader, _ int16) {
	m.Owner = r.string()
	m.Requester = r.string()
	if n, null := r.length(false); null {
		m.Renewers = nil
	} else {
		m.Renewers = []string{}
		for ; n > 0 && !r.bad; n-- {
			v := r.string()
			m.Renewers = append(m.Renewers, v)
		}
	}
	m.IssueTimestamp = r.int64()
	m.MaxTimestamp = r.int64()
	m.ExpirationTimestamp = r.int64()
	m.TokenID = r.string()
	readTags(r)
}

// UserScramCredentialRecord is the metadata record 11, versions 0 to 0.
type UserScramCredentialRecord struct {
	Name       string
	Mechanism  int8
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int32
}

// NewUserScramCredentialRecord makes one with Kafka's defaults.
func NewUserScramCredentialRecord() *UserScramCredentialRecord { return &UserScramCredentialRecord{} }

// Key is the record's type.
func (*UserScramCredentialRecord) Key() int16 { return 11 }

// MaxVersion is the newest version known.
func (*UserScramCredentialRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *UserScramCredentialRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = append(b, byte(m.Mechanism))
	b = appendBytes(b, m.Salt)
	b = appendBytes(b, m.StoredKey)
	b = appendBytes(b, m.ServerKey)
	b = append32(b, uint32(m.Iterations))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *UserScramCredentialRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{11, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *UserScramCredentialRecord) read(r *reader, _ int16) {
	m.Name = r.string()
	m.Mechanism = r.int8()
	m.Salt = r.bytes()
	m.StoredKey = r.bytes()
	m.ServerKey = r.bytes()
	m.Iterations = r.int32()
	readTags(r)
}

// FeatureLevelRecord is the metadata record 12, versions 0 to 0.
type FeatureLevelRecord struct {
	Name         string
	FeatureLevel int16
}

// NewFeatureLevelRecord makes one with Kafka's defaults.
func NewFeatureLevelRecord() *FeatureLevelRecord { return &FeatureLevelRecord{} }

// Key is the record's type.
func (*FeatureLevelRecord) Key() int16 { return 12 }

// MaxVersion is the newest version known.
func (*FeatureLevelRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *FeatureLevelRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = append16(b, uint16(m.FeatureLevel))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *FeatureLevelRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{12, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *FeatureLevelRecord) read(r *reader, _ int16) {
	m.Name = r.string()
	m.FeatureLevel = r.int16()
	readTags(r)
}

// ClientQuotaRecord is the metadata record 14, versions 0 to 0.
type ClientQuotaRecord struct {
	Entity   []QuotaEntity
	QuotaKey string
	Value    uint64 // the bits of an IEEE 754 double
	Remove   bool
}

// NewClientQuotaRecord makes one with Kafka's defaults.
func NewClientQuotaRecord() *ClientQuotaRecord { return &ClientQuotaRecord{} }

// Key is the record's type.
func (*ClientQuotaRecord) Key() int16 { return 14 }

// MaxVersion is the newest version known.
func (*ClientQuotaRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ClientQuotaRecord) AppendTo(b []byte, version int16) []byte {
	b = appendLen(b, len(m.Entity), false)
	for i := range m.Entity {
		b = m.Entity[i].appendTo(b, version)
	}
	b = appendString(b, m.QuotaKey)
	b = append64(b, uint64(m.Value))
	b = appendBool(b, m.Remove)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ClientQuotaRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{14, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ClientQuotaRecord) read(r *reader, version int16) {
	if n, null := r.length(false); null {
		m.Entity = nil
	} else {
		m.Entity = []QuotaEntity{}
		for ; n > 0 && !r.bad; n-- {
			var v QuotaEntity
			v.read(r, version)
			m.Entity = append(m.Entity, v)
		}
	}
	m.QuotaKey = r.string()
	m.Value = uint64(r.int64())
	m.Remove = r.bool()
	readTags(r)
}

// QuotaEntity is a part of ClientQuotaRecord.
type QuotaEntity struct {
	EntityType string
	EntityName *string // nil is null
}

func (m *QuotaEntity) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.EntityType)
	b = appendNullString(b, m.EntityName)
	return append(b, 0)
}

func (m *QuotaEntity) read(r *reader, _ int16) {
	m.EntityType = r.string()
	m.EntityName = r.nullString()
	readTags(r)
}

// ProducerIdsRecord is the metadata record 15, versions 0 to 0. Its defaults are not
// all zero: make it by NewProducerIdsRecord.
type ProducerIdsRecord struct {
	BrokerID       core.NodeID
	BrokerEpoch    core.BrokerEpoch // default -1
	NextProducerID int64
}

// NewProducerIdsRecord makes one with Kafka's defaults.
func NewProducerIdsRecord() *ProducerIdsRecord { return &ProducerIdsRecord{BrokerEpoch: -1} }

// Key is the record's type.
func (*ProducerIdsRecord) Key() int16 { return 15 }

// MaxVersion is the newest version known.
func (*ProducerIdsRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ProducerIdsRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.BrokerID))
	b = append64(b, uint64(m.BrokerEpoch))
	b = append64(b, uint64(m.NextProducerID))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ProducerIdsRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{15, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ProducerIdsRecord) read(r *reader, _ int16) {
	m.BrokerID = core.NodeID(r.int32())
	m.BrokerEpoch = core.BrokerEpoch(r.int64())
	m.NextProducerID = r.int64()
	readTags(r)
}

// BrokerRegistrationChangeRecord is the metadata record 17, versions 0 to 3.
type BrokerRegistrationChangeRecord struct {
	BrokerID             core.NodeID
	BrokerEpoch          core.BrokerEpoch
	Fenced               int8   // tag 0
	InControlledShutdown int8   // v1+, tag 1
	LogDirs              []UUID // v2+, tag 2
	CordonedLogDirs      []UUID // v3+, tag 3, nil is null
}

// NewBrokerRegistrationChangeRecord makes one with Kafka's defaults.
func NewBrokerRegistrationChangeRecord() *BrokerRegistrationChangeRecord {
	return &BrokerRegistrationChangeRecord{}
}

// Key is the record's type.
func (*BrokerRegistrationChangeRecord) Key() int16 { return 17 }

// MaxVersion is the newest version known.
func (*BrokerRegistrationChangeRecord) MaxVersion() int16 { return 3 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *BrokerRegistrationChangeRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.BrokerID))
	b = append64(b, uint64(m.BrokerEpoch))
	tags := 0
	if version >= 0 && !(m.Fenced == 0) {
		tags++
	}
	if version >= 1 && !(m.InControlledShutdown == 0) {
		tags++
	}
	if version >= 2 && !(len(m.LogDirs) == 0) {
		tags++
	}
	if version >= 3 && !(m.CordonedLogDirs == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.Fenced == 0) {
		var at int
		b, at = openTag(b, 0)
		b = append(b, byte(m.Fenced))
		b = closeTag(b, at)
	}
	if version >= 1 && !(m.InControlledShutdown == 0) {
		var at int
		b, at = openTag(b, 1)
		b = append(b, byte(m.InControlledShutdown))
		b = closeTag(b, at)
	}
	if version >= 2 && !(len(m.LogDirs) == 0) {
		var at int
		b, at = openTag(b, 2)
		b = appendLen(b, len(m.LogDirs), false)
		for i := range m.LogDirs {
			b = append(b, m.LogDirs[i][:]...)
		}
		b = closeTag(b, at)
	}
	if version >= 3 && !(m.CordonedLogDirs == nil) {
		var at int
		b, at = openTag(b, 3)
		b = appendLen(b, len(m.CordonedLogDirs), m.CordonedLogDirs == nil)
		for i := range m.CordonedLogDirs {
			b = append(b, m.CordonedLogDirs[i][:]...)
		}
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *BrokerRegistrationChangeRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{17, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *BrokerRegistrationChangeRecord) read(r *reader, version int16) {
	m.BrokerID = core.NodeID(r.int32())
	m.BrokerEpoch = core.BrokerEpoch(r.int64())
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			m.Fenced = value.int8()
		case tag == 1 && version >= 1:
			m.InControlledShutdown = value.int8()
		case tag == 2 && version >= 2:
			if n, null := value.length(false); null {
				m.LogDirs = nil
			} else {
				m.LogDirs = []UUID{}
				for ; n > 0 && !value.bad; n-- {
					v := value.uuid()
					m.LogDirs = append(m.LogDirs, v)
				}
			}
		case tag == 3 && version >= 3:
			if n, null := value.length(true); null {
				m.CordonedLogDirs = nil
			} else {
				m.CordonedLogDirs = []UUID{}
				for ; n > 0 && !value.bad; n-- {
					v := value.uuid()
					m.CordonedLogDirs = append(m.CordonedLogDirs, v)
				}
			}
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// AccessControlEntryRecord is the metadata record 18, versions 0 to 0.
type AccessControlEntryRecord struct {
	ID             UUID
	ResourceType   int8
	ResourceName   string
	PatternType    int8
	Principal      string
	Host           string
	Operation      int8
	PermissionType int8
}

// NewAccessControlEntryRecord makes one with Kafka's defaults.
func NewAccessControlEntryRecord() *AccessControlEntryRecord { return &AccessControlEntryRecord{} }

// Key is the record's type.
func (*AccessControlEntryRecord) Key() int16 { return 18 }

// MaxVersion is the newest version known.
func (*AccessControlEntryRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *AccessControlEntryRecord) AppendTo(b []byte, version int16) []byte {
	b = append(b, m.ID[:]...)
	b = append(b, byte(m.ResourceType))
	b = appendString(b, m.ResourceName)
	b = append(b, byte(m.PatternType))
	b = appendString(b, m.Principal)
	b = appendString(b, m.Host)
	b = append(b, byte(m.Operation))
	b = append(b, byte(m.PermissionType))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *AccessControlEntryRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{18, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *AccessControlEntryRecord) read(r *reader, _ int16) {
	m.ID = r.uuid()
	m.ResourceType = r.int8()
	m.ResourceName = r.string()
	m.PatternType = r.int8()
	m.Principal = r.string()
	m.Host = r.string()
	m.Operation = r.int8()
	m.PermissionType = r.int8()
	readTags(r)
}

// RemoveAccessControlEntryRecord is the metadata record 19, versions 0 to 0.
type RemoveAccessControlEntryRecord struct {
	ID UUID
}

// NewRemoveAccessControlEntryRecord makes one with Kafka's defaults.
func NewRemoveAccessControlEntryRecord() *RemoveAccessControlEntryRecord {
	return &RemoveAccessControlEntryRecord{}
}

// Key is the record's type.
func (*RemoveAccessControlEntryRecord) Key() int16 { return 19 }

// MaxVersion is the newest version known.
func (*RemoveAccessControlEntryRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *RemoveAccessControlEntryRecord) AppendTo(b []byte, version int16) []byte {
	b = append(b, m.ID[:]...)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *RemoveAccessControlEntryRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{19, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *RemoveAccessControlEntryRecord) read(r *reader, _ int16) {
	m.ID = r.uuid()
	readTags(r)
}

// NoOpRecord is the metadata record 20, versions 0 to 0.
type NoOpRecord struct {
}

// NewNoOpRecord makes one with Kafka's defaults.
func NewNoOpRecord() *NoOpRecord { return &NoOpRecord{} }

// Key is the record's type.
func (*NoOpRecord) Key() int16 { return 20 }

// MaxVersion is the newest version known.
func (*NoOpRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (_ *NoOpRecord) AppendTo(b []byte, version int16) []byte {
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *NoOpRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{20, version}
	}
	r := reader{b: b}
	readTags(&r)
	return r.end()
}

// ZkMigrationStateRecord is the metadata record 21, versions 0 to 0.
type ZkMigrationStateRecord struct {
	ZkMigrationState int8
}

// NewZkMigrationStateRecord makes one with Kafka's defaults.
func NewZkMigrationStateRecord() *ZkMigrationStateRecord { return &ZkMigrationStateRecord{} }

// Key is the record's type.
func (*ZkMigrationStateRecord) Key() int16 { return 21 }

// MaxVersion is the newest version known.
func (*ZkMigrationStateRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ZkMigrationStateRecord) AppendTo(b []byte, version int16) []byte {
	b = append(b, byte(m.ZkMigrationState))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ZkMigrationStateRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{21, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ZkMigrationStateRecord) read(r *reader, _ int16) {
	m.ZkMigrationState = r.int8()
	readTags(r)
}

// RemoveUserScramCredentialRecord is the metadata record 22, versions 0 to 0.
type RemoveUserScramCredentialRecord struct {
	Name      string
	Mechanism int8
}

// NewRemoveUserScramCredentialRecord makes one with Kafka's defaults.
func NewRemoveUserScramCredentialRecord() *RemoveUserScramCredentialRecord {
	return &RemoveUserScramCredentialRecord{}
}

// Key is the record's type.
func (*RemoveUserScramCredentialRecord) Key() int16 { return 22 }

// MaxVersion is the newest version known.
func (*RemoveUserScramCredentialRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *RemoveUserScramCredentialRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = append(b, byte(m.Mechanism))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *RemoveUserScramCredentialRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{22, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *RemoveUserScramCredentialRecord) read(r *reader, _ int16) {
	m.Name = r.string()
	m.Mechanism = r.int8()
	readTags(r)
}

// BeginTransactionRecord is the metadata record 23, versions 0 to 0.
type BeginTransactionRecord struct {
	Name *string // tag 0, nil is null
}

// NewBeginTransactionRecord makes one with Kafka's defaults.
func NewBeginTransactionRecord() *BeginTransactionRecord { return &BeginTransactionRecord{} }

// Key is the record's type.
func (*BeginTransactionRecord) Key() int16 { return 23 }

// MaxVersion is the newest version known.
func (*BeginTransactionRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *BeginTransactionRecord) AppendTo(b []byte, version int16) []byte {
	tags := 0
	if version >= 0 && !(m.Name == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.Name == nil) {
		var at int
		b, at = openTag(b, 0)
		b = appendNullString(b, m.Name)
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *BeginTransactionRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{23, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *BeginTransactionRecord) read(r *reader, version int16) {
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			m.Name = value.nullString()
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// EndTransactionRecord is the metadata record 24, versions 0 to 0.
type EndTransactionRecord struct {
}

// NewEndTransactionRecord makes one with Kafka's defaults.
func NewEndTransactionRecord() *EndTransactionRecord { return &EndTransactionRecord{} }

// Key is the record's type.
func (*EndTransactionRecord) Key() int16 { return 24 }

// MaxVersion is the newest version known.
func (*EndTransactionRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (_ *EndTransactionRecord) AppendTo(b []byte, version int16) []byte {
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *EndTransactionRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{24, version}
	}
	r := reader{b: b}
	readTags(&r)
	return r.end()
}

// AbortTransactionRecord is the metadata record 25, versions 0 to 0.
type AbortTransactionRecord struct {
	Reason *string // tag 0, nil is null
}

// NewAbortTransactionRecord makes one with Kafka's defaults.
func NewAbortTransactionRecord() *AbortTransactionRecord { return &AbortTransactionRecord{} }

// Key is the record's type.
func (*AbortTransactionRecord) Key() int16 { return 25 }

// MaxVersion is the newest version known.
func (*AbortTransactionRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *AbortTransactionRecord) AppendTo(b []byte, version int16) []byte {
	tags := 0
	if version >= 0 && !(m.Reason == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.Reason == nil) {
		var at int
		b, at = openTag(b, 0)
		b = appendNullString(b, m.Reason)
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *AbortTransactionRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{25, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *AbortTransactionRecord) read(r *reader, version int16) {
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			m.Reason = value.nullString()
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// RemoveDelegationTokenRecord is the metadata record 26, versions 0 to 0.
type RemoveDelegationTokenRecord struct {
	TokenID string
}

// NewRemoveDelegationTokenRecord makes one with Kafka's defaults.
func NewRemoveDelegationTokenRecord() *RemoveDelegationTokenRecord {
	return &RemoveDelegationTokenRecord{}
}

// Key is the record's type.
func (*RemoveDelegationTokenRecord) Key() int16 { return 26 }

// MaxVersion is the newest version known.
func (*RemoveDelegationTokenRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *RemoveDelegationTokenRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.TokenID)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *RemoveDelegationTokenRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{26, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *RemoveDelegationTokenRecord) read(r *reader, _ int16) {
	m.TokenID = r.string()
	readTags(r)
}

// RegisterControllerRecord is the metadata record 27, versions 0 to 0.
type RegisterControllerRecord struct {
	ControllerID     core.NodeID
	IncarnationID    UUID
	ZkMigrationReady bool
	EndPoints        []ControllerEndpoint
	Features         []ControllerFeature
}

// NewRegisterControllerRecord makes one with Kafka's defaults.
func NewRegisterControllerRecord() *RegisterControllerRecord { return &RegisterControllerRecord{} }

// Key is the record's type.
func (*RegisterControllerRecord) Key() int16 { return 27 }

// MaxVersion is the newest version known.
func (*RegisterControllerRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *RegisterControllerRecord) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.ControllerID))
	b = append(b, m.IncarnationID[:]...)
	b = appendBool(b, m.ZkMigrationReady)
	b = appendLen(b, len(m.EndPoints), false)
	for i := range m.EndPoints {
		b = m.EndPoints[i].appendTo(b, version)
	}
	b = appendLen(b, len(m.Features), false)
	for i := range m.Features {
		b = m.Features[i].appendTo(b, version)
	}
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *RegisterControllerRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{27, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *RegisterControllerRecord) read(r *reader, version int16) {
	m.ControllerID = core.NodeID(r.int32())
	m.IncarnationID = r.uuid()
	m.ZkMigrationReady = r.bool()
	if n, null := r.length(false); null {
		m.EndPoints = nil
	} else {
		m.EndPoints = []ControllerEndpoint{}
		for ; n > 0 && !r.bad; n-- {
			var v ControllerEndpoint
			v.read(r, version)
			m.EndPoints = append(m.EndPoints, v)
		}
	}
	if n, null := r.length(false); null {
		m.Features = nil
	} else {
		m.Features = []ControllerFeature{}
		for ; n > 0 && !r.bad; n-- {
			var v ControllerFeature
			v.read(r, version)
			m.Features = append(m.Features, v)
		}
	}
	readTags(r)
}

// ControllerEndpoint is a part of RegisterControllerRecord.
type ControllerEndpoint struct {
	Name             string
	Host             string
	Port             uint16
	SecurityProtocol int16
}

func (m *ControllerEndpoint) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = appendString(b, m.Host)
	b = append16(b, uint16(m.Port))
	b = append16(b, uint16(m.SecurityProtocol))
	return append(b, 0)
}

func (m *ControllerEndpoint) read(r *reader, _ int16) {
	m.Name = r.string()
	m.Host = r.string()
	m.Port = r.uint16()
	m.SecurityProtocol = r.int16()
	readTags(r)
}

// ControllerFeature is a part of RegisterControllerRecord.
type ControllerFeature struct {
	Name                string
	MinSupportedVersion int16
	MaxSupportedVersion int16
}

func (m *ControllerFeature) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = append16(b, uint16(m.MinSupportedVersion))
	b = append16(b, uint16(m.MaxSupportedVersion))
	return append(b, 0)
}

func (m *ControllerFeature) read(r *reader, _ int16) {
	m.Name = r.string()
	m.MinSupportedVersion = r.int16()
	m.MaxSupportedVersion = r.int16()
	readTags(r)
}

// ClearElrRecord is the metadata record 28, versions 0 to 0.
type ClearElrRecord struct {
	TopicName string
}

// NewClearElrRecord makes one with Kafka's defaults.
func NewClearElrRecord() *ClearElrRecord { return &ClearElrRecord{} }

// Key is the record's type.
func (*ClearElrRecord) Key() int16 { return 28 }

// MaxVersion is the newest version known.
func (*ClearElrRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ClearElrRecord) AppendTo(b []byte, version int16) []byte {
	b = appendString(b, m.TopicName)
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ClearElrRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{28, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ClearElrRecord) read(r *reader, _ int16) {
	m.TopicName = r.string()
	readTags(r)
}

// KRaftVersionRecord is the control record, versions 0 to 0.
type KRaftVersionRecord struct {
	Version      int16
	KRaftVersion int16
}

// NewKRaftVersionRecord makes one with Kafka's defaults.
func NewKRaftVersionRecord() *KRaftVersionRecord { return &KRaftVersionRecord{} }

// MaxVersion is the newest version known.
func (*KRaftVersionRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *KRaftVersionRecord) AppendTo(b []byte, version int16) []byte {
	b = append16(b, uint16(m.Version))
	b = append16(b, uint16(m.KRaftVersion))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *KRaftVersionRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *KRaftVersionRecord) read(r *reader, _ int16) {
	m.Version = r.int16()
	m.KRaftVersion = r.int16()
	readTags(r)
}

// LeaderChangeMessage is the control record, versions 0 to 1.
type LeaderChangeMessage struct {
	Version        int16
	LeaderID       core.NodeID
	Voters         []LeaderChangeVoter
	GrantingVoters []LeaderChangeVoter
}

// NewLeaderChangeMessage makes one with Kafka's defaults.
func NewLeaderChangeMessage() *LeaderChangeMessage { return &LeaderChangeMessage{} }

// MaxVersion is the newest version known.
func (*LeaderChangeMessage) MaxVersion() int16 { return 1 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *LeaderChangeMessage) AppendTo(b []byte, version int16) []byte {
	b = append16(b, uint16(m.Version))
	b = append32(b, uint32(m.LeaderID))
	b = appendLen(b, len(m.Voters), false)
	for i := range m.Voters {
		b = m.Voters[i].appendTo(b, version)
	}
	b = appendLen(b, len(m.GrantingVoters), false)
	for i := range m.GrantingVoters {
		b = m.GrantingVoters[i].appendTo(b, version)
	}
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *LeaderChangeMessage) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *LeaderChangeMessage) read(r *reader, version int16) {
	m.Version = r.int16()
	m.LeaderID = core.NodeID(r.int32())
	if n, null := r.length(false); null {
		m.Voters = nil
	} else {
		m.Voters = []LeaderChangeVoter{}
		for ; n > 0 && !r.bad; n-- {
			var v LeaderChangeVoter
			v.read(r, version)
			m.Voters = append(m.Voters, v)
		}
	}
	if n, null := r.length(false); null {
		m.GrantingVoters = nil
	} else {
		m.GrantingVoters = []LeaderChangeVoter{}
		for ; n > 0 && !r.bad; n-- {
			var v LeaderChangeVoter
			v.read(r, version)
			m.GrantingVoters = append(m.GrantingVoters, v)
		}
	}
	readTags(r)
}

// LeaderChangeVoter is a part of LeaderChangeMessage.
type LeaderChangeVoter struct {
	VoterID          core.NodeID
	VoterDirectoryID UUID // v1+
}

func (m *LeaderChangeVoter) appendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.VoterID))
	if version >= 1 {
		b = append(b, m.VoterDirectoryID[:]...)
	}
	return append(b, 0)
}

func (m *LeaderChangeVoter) read(r *reader, version int16) {
	m.VoterID = core.NodeID(r.int32())
	if version >= 1 {
		m.VoterDirectoryID = r.uuid()
	}
	readTags(r)
}

// SnapshotFooterRecord is the control record, versions 0 to 0.
type SnapshotFooterRecord struct {
	Version int16
}

// NewSnapshotFooterRecord makes one with Kafka's defaults.
func NewSnapshotFooterRecord() *SnapshotFooterRecord { return &SnapshotFooterRecord{} }

// MaxVersion is the newest version known.
func (*SnapshotFooterRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *SnapshotFooterRecord) AppendTo(b []byte, version int16) []byte {
	b = append16(b, uint16(m.Version))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *SnapshotFooterRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *SnapshotFooterRecord) read(r *reader, _ int16) {
	m.Version = r.int16()
	readTags(r)
}

// SnapshotHeaderRecord is the control record, versions 0 to 0.
type SnapshotHeaderRecord struct {
	Version                   int16
	LastContainedLogTimestamp int64
}

// NewSnapshotHeaderRecord makes one with Kafka's defaults.
func NewSnapshotHeaderRecord() *SnapshotHeaderRecord { return &SnapshotHeaderRecord{} }

// MaxVersion is the newest version known.
func (*SnapshotHeaderRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *SnapshotHeaderRecord) AppendTo(b []byte, version int16) []byte {
	b = append16(b, uint16(m.Version))
	b = append64(b, uint64(m.LastContainedLogTimestamp))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *SnapshotHeaderRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *SnapshotHeaderRecord) read(r *reader, _ int16) {
	m.Version = r.int16()
	m.LastContainedLogTimestamp = r.int64()
	readTags(r)
}

// VotersRecord is the control record, versions 0 to 0.
type VotersRecord struct {
	Version int16
	Voters  []Voter
}

// NewVotersRecord makes one with Kafka's defaults.
func NewVotersRecord() *VotersRecord { return &VotersRecord{} }

// MaxVersion is the newest version known.
func (*VotersRecord) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *VotersRecord) AppendTo(b []byte, version int16) []byte {
	b = append16(b, uint16(m.Version))
	b = appendLen(b, len(m.Voters), false)
	for i := range m.Voters {
		b = m.Voters[i].appendTo(b, version)
	}
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *VotersRecord) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *VotersRecord) read(r *reader, version int16) {
	m.Version = r.int16()
	if n, null := r.length(false); null {
		m.Voters = nil
	} else {
		m.Voters = []Voter{}
		for ; n > 0 && !r.bad; n-- {
			var v Voter
			v.read(r, version)
			m.Voters = append(m.Voters, v)
		}
	}
	readTags(r)
}

// Voter is a part of VotersRecord.
type Voter struct {
	VoterID             core.NodeID
	VoterDirectoryID    UUID
	Endpoints           []VoterEndpoint
	KRaftVersionFeature KRaftVersionFeature
}

func (m *Voter) appendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.VoterID))
	b = append(b, m.VoterDirectoryID[:]...)
	b = appendLen(b, len(m.Endpoints), false)
	for i := range m.Endpoints {
		b = m.Endpoints[i].appendTo(b, version)
	}
	b = m.KRaftVersionFeature.appendTo(b, version)
	return append(b, 0)
}

func (m *Voter) read(r *reader, version int16) {
	m.VoterID = core.NodeID(r.int32())
	m.VoterDirectoryID = r.uuid()
	if n, null := r.length(false); null {
		m.Endpoints = nil
	} else {
		m.Endpoints = []VoterEndpoint{}
		for ; n > 0 && !r.bad; n-- {
			var v VoterEndpoint
			v.read(r, version)
			m.Endpoints = append(m.Endpoints, v)
		}
	}
	m.KRaftVersionFeature.read(r, version)
	readTags(r)
}

// VoterEndpoint is a part of VotersRecord.
type VoterEndpoint struct {
	Name string
	Host string
	Port uint16
}

func (m *VoterEndpoint) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = appendString(b, m.Host)
	b = append16(b, uint16(m.Port))
	return append(b, 0)
}

func (m *VoterEndpoint) read(r *reader, _ int16) {
	m.Name = r.string()
	m.Host = r.string()
	m.Port = r.uint16()
	readTags(r)
}

// KRaftVersionFeature is a part of VotersRecord.
type KRaftVersionFeature struct {
	MinSupportedVersion int16
	MaxSupportedVersion int16
}

func (m *KRaftVersionFeature) appendTo(b []byte, version int16) []byte {
	b = append16(b, uint16(m.MinSupportedVersion))
	b = append16(b, uint16(m.MaxSupportedVersion))
	return append(b, 0)
}

func (m *KRaftVersionFeature) read(r *reader, _ int16) {
	m.MinSupportedVersion = r.int16()
	m.MaxSupportedVersion = r.int16()
	readTags(r)
}

// ConsumerGroupMetadataValue is the value of a record of a group (KIP-848), versions 0 to 0.
type ConsumerGroupMetadataValue struct {
	Epoch        int32
	MetadataHash int64 // tag 0
}

// NewConsumerGroupMetadataValue makes one with Kafka's defaults.
func NewConsumerGroupMetadataValue() *ConsumerGroupMetadataValue {
	return &ConsumerGroupMetadataValue{}
}

// MaxVersion is the newest version known.
func (*ConsumerGroupMetadataValue) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConsumerGroupMetadataValue) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.Epoch))
	tags := 0
	if version >= 0 && !(m.MetadataHash == 0) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.MetadataHash == 0) {
		var at int
		b, at = openTag(b, 0)
		b = append64(b, uint64(m.MetadataHash))
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConsumerGroupMetadataValue) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConsumerGroupMetadataValue) read(r *reader, version int16) {
	m.Epoch = r.int32()
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			m.MetadataHash = value.int64()
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// ConsumerGroupMemberMetadataValue is the value of a record of a group (KIP-848), versions 0 to 0. Its defaults are not
// all zero: make it by NewConsumerGroupMemberMetadataValue.
type ConsumerGroupMemberMetadataValue struct {
	InstanceID            *string // nil is null
	RackID                *string // nil is null
	ClientID              string
	ClientHost            string
	SubscribedTopicNames  []string
	SubscribedTopicRegex  *string                // nil is null
	RebalanceTimeoutMs    int32                  // default -1
	ServerAssignor        *string                // nil is null
	ClassicMemberMetadata *ClassicMemberMetadata // tag 0, nil is null
}

// NewConsumerGroupMemberMetadataValue makes one with Kafka's defaults.
func NewConsumerGroupMemberMetadataValue() *ConsumerGroupMemberMetadataValue {
	return &ConsumerGroupMemberMetadataValue{RebalanceTimeoutMs: -1}
}

// MaxVersion is the newest version known.
func (*ConsumerGroupMemberMetadataValue) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConsumerGroupMemberMetadataValue) AppendTo(b []byte, version int16) []byte {
	b = appendNullString(b, m.InstanceID)
	b = appendNullString(b, m.RackID)
	b = appendString(b, m.ClientID)
	b = appendString(b, m.ClientHost)
	b = appendLen(b, len(m.SubscribedTopicNames), false)
	for i := range m.SubscribedTopicNames {
		b = appendString(b, m.SubscribedTopicNames[i])
	}
	b = appendNullString(b, m.SubscribedTopicRegex)
	b = append32(b, uint32(m.RebalanceTimeoutMs))
	b = appendNullString(b, m.ServerAssignor)
	tags := 0
	if version >= 0 && !(m.ClassicMemberMetadata == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.ClassicMemberMetadata == nil) {
		var at int
		b, at = openTag(b, 0)
		b = append(b, 1)
		b = m.ClassicMemberMetadata.appendTo(b, version)
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConsumerGroupMemberMetadataValue) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConsumerGroupMemberMetadataValue) read(r *reader, version int16) {
	m.InstanceID = r.nullString()
	m.RackID = r.nullString()
	m.ClientID = r.string()
	m.ClientHost = r.string()
	if n, null := r.length(false); null {
		m.SubscribedTopicNames = nil
	} else {
		m.SubscribedTopicNames = []string{}
		for ; n > 0 && !r.bad; n-- {
			v := r.string()
			m.SubscribedTopicNames = append(m.SubscribedTopicNames, v)
		}
	}
	m.SubscribedTopicRegex = r.nullString()
	m.RebalanceTimeoutMs = r.int32()
	m.ServerAssignor = r.nullString()
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			if value.int8() < 0 {
				m.ClassicMemberMetadata = nil
			} else {
				m.ClassicMemberMetadata = &ClassicMemberMetadata{}
				m.ClassicMemberMetadata.read(value, version)
			}
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// ClassicMemberMetadata is a part of ConsumerGroupMemberMetadataValue.
type ClassicMemberMetadata struct {
	SessionTimeoutMs   int32
	SupportedProtocols []ClassicProtocol
}

func (m *ClassicMemberMetadata) appendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.SessionTimeoutMs))
	b = appendLen(b, len(m.SupportedProtocols), false)
	for i := range m.SupportedProtocols {
		b = m.SupportedProtocols[i].appendTo(b, version)
	}
	return append(b, 0)
}

func (m *ClassicMemberMetadata) read(r *reader, version int16) {
	m.SessionTimeoutMs = r.int32()
	if n, null := r.length(false); null {
		m.SupportedProtocols = nil
	} else {
		m.SupportedProtocols = []ClassicProtocol{}
		for ; n > 0 && !r.bad; n-- {
			var v ClassicProtocol
			v.read(r, version)
			m.SupportedProtocols = append(m.SupportedProtocols, v)
		}
	}
	readTags(r)
}

// ClassicProtocol is a part of ConsumerGroupMemberMetadataValue.
type ClassicProtocol struct {
	Name     string
	Metadata []byte
}

func (m *ClassicProtocol) appendTo(b []byte, version int16) []byte {
	b = appendString(b, m.Name)
	b = appendBytes(b, m.Metadata)
	return append(b, 0)
}

func (m *ClassicProtocol) read(r *reader, _ int16) {
	m.Name = r.string()
	m.Metadata = r.bytes()
	readTags(r)
}

// ConsumerGroupTargetAssignmentMetadataValue is the value of a record of a group (KIP-848), versions 0 to 0.
type ConsumerGroupTargetAssignmentMetadataValue struct {
	AssignmentEpoch     int32
	AssignmentTimestamp int64 // tag 0
}

// NewConsumerGroupTargetAssignmentMetadataValue makes one with Kafka's defaults.
func NewConsumerGroupTargetAssignmentMetadataValue() *ConsumerGroupTargetAssignmentMetadataValue {
	return &ConsumerGroupTargetAssignmentMetadataValue{}
}

// MaxVersion is the newest version known.
func (*ConsumerGroupTargetAssignmentMetadataValue) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConsumerGroupTargetAssignmentMetadataValue) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.AssignmentEpoch))
	tags := 0
	if version >= 0 && !(m.AssignmentTimestamp == 0) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.AssignmentTimestamp == 0) {
		var at int
		b, at = openTag(b, 0)
		b = append64(b, uint64(m.AssignmentTimestamp))
		b = closeTag(b, at)
	}
	return b
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConsumerGroupTargetAssignmentMetadataValue) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConsumerGroupTargetAssignmentMetadataValue) read(r *reader, version int16) {
	m.AssignmentEpoch = r.int32()
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			m.AssignmentTimestamp = value.int64()
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// ConsumerGroupTargetAssignmentMemberValue is the value of a record of a group (KIP-848), versions 0 to 0.
type ConsumerGroupTargetAssignmentMemberValue struct {
	TopicPartitions []TargetPartitions
}

// NewConsumerGroupTargetAssignmentMemberValue makes one with Kafka's defaults.
func NewConsumerGroupTargetAssignmentMemberValue() *ConsumerGroupTargetAssignmentMemberValue {
	return &ConsumerGroupTargetAssignmentMemberValue{}
}

// MaxVersion is the newest version known.
func (*ConsumerGroupTargetAssignmentMemberValue) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConsumerGroupTargetAssignmentMemberValue) AppendTo(b []byte, version int16) []byte {
	b = appendLen(b, len(m.TopicPartitions), false)
	for i := range m.TopicPartitions {
		b = m.TopicPartitions[i].appendTo(b, version)
	}
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConsumerGroupTargetAssignmentMemberValue) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConsumerGroupTargetAssignmentMemberValue) read(r *reader, version int16) {
	if n, null := r.length(false); null {
		m.TopicPartitions = nil
	} else {
		m.TopicPartitions = []TargetPartitions{}
		for ; n > 0 && !r.bad; n-- {
			var v TargetPartitions
			v.read(r, version)
			m.TopicPartitions = append(m.TopicPartitions, v)
		}
	}
	readTags(r)
}

// TargetPartitions is a part of ConsumerGroupTargetAssignmentMemberValue.
type TargetPartitions struct {
	TopicID    core.TopicID
	Partitions []int32
}

func (m *TargetPartitions) appendTo(b []byte, version int16) []byte {
	b = append(b, m.TopicID[:]...)
	b = appendLen(b, len(m.Partitions), false)
	for i := range m.Partitions {
		b = append32(b, uint32(m.Partitions[i]))
	}
	return append(b, 0)
}

func (m *TargetPartitions) read(r *reader, _ int16) {
	m.TopicID = r.uuid()
	if n, null := r.length(false); null {
		m.Partitions = nil
	} else {
		m.Partitions = []int32{}
		for ; n > 0 && !r.bad; n-- {
			v := r.int32()
			m.Partitions = append(m.Partitions, v)
		}
	}
	readTags(r)
}

// ConsumerGroupCurrentMemberAssignmentValue is the value of a record of a group (KIP-848), versions 0 to 0.
type ConsumerGroupCurrentMemberAssignmentValue struct {
	MemberEpoch                 int32
	PreviousMemberEpoch         int32
	State                       int8
	AssignedPartitions          []CurrentPartitions
	PartitionsPendingRevocation []CurrentPartitions
}

// NewConsumerGroupCurrentMemberAssignmentValue makes one with Kafka's defaults.
func NewConsumerGroupCurrentMemberAssignmentValue() *ConsumerGroupCurrentMemberAssignmentValue {
	return &ConsumerGroupCurrentMemberAssignmentValue{}
}

// MaxVersion is the newest version known.
func (*ConsumerGroupCurrentMemberAssignmentValue) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConsumerGroupCurrentMemberAssignmentValue) AppendTo(b []byte, version int16) []byte {
	b = append32(b, uint32(m.MemberEpoch))
	b = append32(b, uint32(m.PreviousMemberEpoch))
	b = append(b, byte(m.State))
	b = appendLen(b, len(m.AssignedPartitions), false)
	for i := range m.AssignedPartitions {
		b = m.AssignedPartitions[i].appendTo(b, version)
	}
	b = appendLen(b, len(m.PartitionsPendingRevocation), false)
	for i := range m.PartitionsPendingRevocation {
		b = m.PartitionsPendingRevocation[i].appendTo(b, version)
	}
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConsumerGroupCurrentMemberAssignmentValue) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConsumerGroupCurrentMemberAssignmentValue) read(r *reader, version int16) {
	m.MemberEpoch = r.int32()
	m.PreviousMemberEpoch = r.int32()
	m.State = r.int8()
	if n, null := r.length(false); null {
		m.AssignedPartitions = nil
	} else {
		m.AssignedPartitions = []CurrentPartitions{}
		for ; n > 0 && !r.bad; n-- {
			var v CurrentPartitions
			v.read(r, version)
			m.AssignedPartitions = append(m.AssignedPartitions, v)
		}
	}
	if n, null := r.length(false); null {
		m.PartitionsPendingRevocation = nil
	} else {
		m.PartitionsPendingRevocation = []CurrentPartitions{}
		for ; n > 0 && !r.bad; n-- {
			var v CurrentPartitions
			v.read(r, version)
			m.PartitionsPendingRevocation = append(m.PartitionsPendingRevocation, v)
		}
	}
	readTags(r)
}

// CurrentPartitions is a part of ConsumerGroupCurrentMemberAssignmentValue.
type CurrentPartitions struct {
	TopicID          core.TopicID
	Partitions       []int32
	AssignmentEpochs []int32 // tag 0, nil is null
}

func (m *CurrentPartitions) appendTo(b []byte, version int16) []byte {
	b = append(b, m.TopicID[:]...)
	b = appendLen(b, len(m.Partitions), false)
	for i := range m.Partitions {
		b = append32(b, uint32(m.Partitions[i]))
	}
	tags := 0
	if version >= 0 && !(m.AssignmentEpochs == nil) {
		tags++
	}
	b = appendUvarint(b, uint64(tags))
	if version >= 0 && !(m.AssignmentEpochs == nil) {
		var at int
		b, at = openTag(b, 0)
		b = appendLen(b, len(m.AssignmentEpochs), m.AssignmentEpochs == nil)
		for i := range m.AssignmentEpochs {
			b = append32(b, uint32(m.AssignmentEpochs[i]))
		}
		b = closeTag(b, at)
	}
	return b
}

func (m *CurrentPartitions) read(r *reader, version int16) {
	m.TopicID = r.uuid()
	if n, null := r.length(false); null {
		m.Partitions = nil
	} else {
		m.Partitions = []int32{}
		for ; n > 0 && !r.bad; n-- {
			v := r.int32()
			m.Partitions = append(m.Partitions, v)
		}
	}
	for n := r.tags(); n > 0 && !r.bad; n-- {
		tag, value := r.tag()
		switch {
		case tag == 0 && version >= 0:
			if n, null := value.length(true); null {
				m.AssignmentEpochs = nil
			} else {
				m.AssignmentEpochs = []int32{}
				for ; n > 0 && !value.bad; n-- {
					v := value.int32()
					m.AssignmentEpochs = append(m.AssignmentEpochs, v)
				}
			}
		default:
			value.skip()
		}
		r.closeTag(value)
	}
}

// ConsumerGroupRegularExpressionValue is the value of a record of a group (KIP-848), versions 0 to 0.
type ConsumerGroupRegularExpressionValue struct {
	Topics    []string
	Version   int64
	Timestamp int64
}

// NewConsumerGroupRegularExpressionValue makes one with Kafka's defaults.
func NewConsumerGroupRegularExpressionValue() *ConsumerGroupRegularExpressionValue {
	return &ConsumerGroupRegularExpressionValue{}
}

// MaxVersion is the newest version known.
func (*ConsumerGroupRegularExpressionValue) MaxVersion() int16 { return 0 }

// AppendTo appends the body; fields that the version lacks are left out.
func (m *ConsumerGroupRegularExpressionValue) AppendTo(b []byte, version int16) []byte {
	b = appendLen(b, len(m.Topics), false)
	for i := range m.Topics {
		b = appendString(b, m.Topics[i])
	}
	b = append64(b, uint64(m.Version))
	b = append64(b, uint64(m.Timestamp))
	return append(b, 0)
}

// ReadFrom reads what AppendTo writes, into a record with its defaults.
func (m *ConsumerGroupRegularExpressionValue) ReadFrom(b []byte, version int16) error {
	if version < 0 || version > m.MaxVersion() {
		return UnknownRecord{-1, version}
	}
	r := reader{b: b}
	m.read(&r, version)
	return r.end()
}

func (m *ConsumerGroupRegularExpressionValue) read(r *reader, _ int16) {
	if n, null := r.length(false); null {
		m.Topics = nil
	} else {
		m.Topics = []string{}
		for ; n > 0 && !r.bad; n-- {
			v := r.string()
			m.Topics = append(m.Topics, v)
		}
	}
	m.Version = r.int64()
	m.Timestamp = r.int64()
	readTags(r)
}

// NewRecord makes a metadata record with its defaults, or nil for an unknown key.
func NewRecord(key int16) Record {
	switch key {
	case 0:
		return NewRegisterBrokerRecord()
	case 1:
		return NewUnregisterBrokerRecord()
	case 2:
		return NewTopicRecord()
	case 3:
		return NewPartitionRecord()
	case 4:
		return NewConfigRecord()
	case 5:
		return NewPartitionChangeRecord()
	case 7:
		return NewFenceBrokerRecord()
	case 8:
		return NewUnfenceBrokerRecord()
	case 9:
		return NewRemoveTopicRecord()
	case 10:
		return NewDelegationTokenRecord()
	case 11:
		return NewUserScramCredentialRecord()
	case 12:
		return NewFeatureLevelRecord()
	case 14:
		return NewClientQuotaRecord()
	case 15:
		return NewProducerIdsRecord()
	case 17:
		return NewBrokerRegistrationChangeRecord()
	case 18:
		return NewAccessControlEntryRecord()
	case 19:
		return NewRemoveAccessControlEntryRecord()
	case 20:
		return NewNoOpRecord()
	case 21:
		return NewZkMigrationStateRecord()
	case 22:
		return NewRemoveUserScramCredentialRecord()
	case 23:
		return NewBeginTransactionRecord()
	case 24:
		return NewEndTransactionRecord()
	case 25:
		return NewAbortTransactionRecord()
	case 26:
		return NewRemoveDelegationTokenRecord()
	case 27:
		return NewRegisterControllerRecord()
	case 28:
		return NewClearElrRecord()
	}
	return nil
}
