package core

import "slices"

// Marks counts how often each rare path was taken. It belongs to a world: several machines may share one.
type Marks struct {
	counts map[string]uint64
	names  []string // sorted
}

// Hit counts one visit.
func (m *Marks) Hit(name string) {
	if m.counts == nil {
		m.counts = make(map[string]uint64)
	}
	n, seen := m.counts[name]
	if m.counts[name] = n + 1; !seen {
		at, _ := slices.BinarySearch(m.names, name)
		m.names = slices.Insert(m.names, at, name)
	}
}

// Count returns how often name was hit.
func (m *Marks) Count(name string) uint64 { return m.counts[name] }

// Names returns the names that were hit, sorted.
func (m *Marks) Names() []string { return m.names }
