package log

import (
	"crypto/sha256"
	"encoding/binary"

	"klamm/core"
)

// keyHash stands for a key: 128 bits of SHA-256. A client that could make two keys of one hash could have the cleaner remove
// the records of one of them, so the hash is one for which nobody can.
type keyHash [2]uint64

const keyHashBytes = 16

func hashKey(key []byte) keyHash {
	sum := sha256.Sum256(key)
	return keyHash{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}

// keyMap says of each key in the dirty part of a log where its last record is. It is many small tables, so that none takes
// long to grow.
//
// Invariants: n is the count of keys in all shards, no more than most; latest is the last offset that was looked at.
type keyMap struct {
	shards []keyShard
	n      int64
	most   int64
	latest core.Offset
}

// keyShard is a table with open addressing, a power of two large, at most seven eighths full.
type keyShard struct {
	slots []keySlot
	n     int
}

// keySlot holds a key's last offset, plus one; 0: free.
type keySlot struct {
	hash keyHash
	end  core.Offset
}

// keyBytes is what a key takes in a map that is as full as it may be; keysPerShard fills three quarters of a table.
const (
	keyBytes     = 32
	keysPerShard = 768
)

// newKeyMap makes a map of at most so many keys.
func newKeyMap(most int64, from core.Offset) keyMap {
	shards := int64(1)
	for shards*keysPerShard < most {
		shards *= 2
	}
	return keyMap{shards: make([]keyShard, shards), most: max(most, 1), latest: from - 1}
}

func (m *keyMap) shard(h keyHash) *keyShard { return &m.shards[h[1]&uint64(len(m.shards)-1)] }

// put notes that a record with this key is at an offset. It reports false if there is no room for one more key.
func (m *keyMap) put(h keyHash, at core.Offset) bool {
	s := m.shard(h)
	if i, there := s.find(h); there {
		s.slots[i].end = max(s.slots[i].end, at+1)
		return true
	}
	if m.n >= m.most {
		return false
	}
	if (s.n+1)*8 > len(s.slots)*7 {
		s.grow()
	}
	i, _ := s.find(h)
	s.slots[i] = keySlot{h, at + 1}
	s.n++
	m.n++
	return true
}

// last is the offset of the last record with a key, or -1.
func (m *keyMap) last(h keyHash) core.Offset {
	s := m.shard(h)
	if i, there := s.find(h); there {
		return s.slots[i].end - 1
	}
	return -1
}

// find returns where a key is, or would be.
func (s *keyShard) find(h keyHash) (i int, there bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	mask := len(s.slots) - 1
	for i = int(h[0]) & mask; s.slots[i].end != 0; i = (i + 1) & mask {
		if s.slots[i].hash == h {
			return i, true
		}
	}
	return i, false
}

func (s *keyShard) grow() {
	old := s.slots
	s.slots = make([]keySlot, max(8, 2*len(old)))
	for _, x := range old {
		if x.end != 0 {
			i, _ := s.find(x.hash)
			s.slots[i] = x
		}
	}
}
