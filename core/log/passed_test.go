package log

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
)

// passedLog ends at 10; producer 1 has a transaction open from 4 on, producer 2 from 6 on.
func passedLog() *Log {
	return &Log{end: 10, open: []openTxn{{first: 4, producer: 1}, {first: 6, producer: 2}}}
}

func dataAt(at core.Offset, producer int64) []byte {
	o := batch.Options{Transactional: producer >= 0}
	if producer >= 0 {
		o.Producer = &batch.Producer{ID: producer}
	}
	bl := batch.NewBuilder(o)
	bl.Add(1000, []byte("k"), []byte("v"), nil)
	return bl.Finish(at)
}

func markerAt(at core.Offset, producer int64) batch.View {
	return batch.Marker(at, batch.Options{Producer: &batch.Producer{ID: producer, Sequence: -1}}, batch.Commit, 0, 1000)
}

// What follows a gap is in doubt while a transaction is open that a marker in front of the gap has not ended.
func TestUnended(t *testing.T) {
	plain := func(at core.Offset) []byte { return dataAt(at, -1) }
	for _, c := range []struct {
		name  string
		sent  [][]byte
		sure  []Gap
		taken int // batches
		gaps  []Gap
	}{
		{"no gap", [][]byte{plain(10), markerAt(11, 1), plain(12)}, nil, 3, nil},
		{"a gap at once", [][]byte{plain(12), plain(13)}, nil, 0, []Gap{{10, 12}}},
		{"a gap later, and one more", [][]byte{plain(10), plain(12), plain(13), plain(20)}, nil, 1, []Gap{{11, 12}, {14, 20}}},
		{"all have ended in front of the gap", [][]byte{markerAt(10, 2), markerAt(11, 1), plain(20)}, nil, 3, nil},
		{"one has not", [][]byte{markerAt(10, 2), plain(20)}, nil, 1, []Gap{{11, 20}}},
		{"the marker of another producer", [][]byte{markerAt(10, 3), plain(20)}, nil, 1, []Gap{{11, 20}}},
		{"the shell of a marker", [][]byte{batch.Shell(markerAt(10, 1)), plain(11)}, nil, 0, []Gap{{10, 11}}},
		{"the shell of another producer's", [][]byte{batch.Shell(markerAt(10, 3)), plain(11)}, nil, 2, nil},
		{"confirmed", [][]byte{plain(12), plain(13)}, []Gap{{10, 12}}, 2, []Gap{{10, 12}}},
		{"confirmed, and another one since", [][]byte{plain(12), plain(20)}, []Gap{{10, 12}}, 1, []Gap{{10, 12}, {13, 20}}},
		{"larger than what was confirmed", [][]byte{plain(13)}, []Gap{{10, 12}}, 0, []Gap{{10, 13}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, gaps := passedLog().Unended(slices.Concat(c.sent...), c.sure)
			require.Equal(t, len(slices.Concat(c.sent[:c.taken]...)), n)
			require.Equal(t, c.gaps, gaps)
		})
	}
	n, gaps := (&Log{end: 10}).Unended(plain(30), nil)
	require.Equal(t, len(plain(30)), n)
	require.Empty(t, gaps)
}

// More gaps than can be kept in mind are taken one lot after the other.
func TestUnendedIsBounded(t *testing.T) {
	var sent [][]byte
	for i := range core.Offset(GapsMax + 10) {
		sent = append(sent, dataAt(12+2*i, -1))
	}
	all := slices.Concat(sent...)
	n, gaps := passedLog().Unended(all, nil)
	require.Zero(t, n)
	require.Len(t, gaps, GapsMax)
	n, _ = passedLog().Unended(all, gaps)
	require.Equal(t, len(slices.Concat(sent[:GapsMax]...)), n)
}

func TestConfirm(t *testing.T) {
	for _, c := range []struct {
		name string
		from core.Offset
		read [][]byte
		to   core.Offset
		lost core.Offset
	}{
		{"nothing", 4, nil, 4, -1},
		{"both", 4, [][]byte{dataAt(4, 1), dataAt(5, -1), dataAt(6, 2)}, 7, -1},
		{"as far as it goes", 4, [][]byte{dataAt(4, 1), dataAt(5, -1)}, 6, -1},
		{"the second one", 6, [][]byte{dataAt(6, 2)}, 7, -1},
		{"the first is gone", 4, [][]byte{dataAt(5, -1), dataAt(6, 2)}, 6, 4},
		{"all is gone", 4, [][]byte{dataAt(9, -1)}, 10, 4},
		{"the second is gone", 4, [][]byte{dataAt(4, 1), dataAt(7, -1)}, 8, 6},
		{"another's is there", 4, [][]byte{dataAt(4, 2)}, 5, 4},
		{"a shell of it is there", 4, [][]byte{batch.Shell(dataAt(4, 1))}, 5, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, lost := passedLog().Confirm(slices.Concat(c.read...), c.from)
			require.Equal(t, []core.Offset{c.to, c.lost}, []core.Offset{to, lost})
		})
	}
	bad := dataAt(4, 1)
	bad[len(bad)-1] ^= 1
	to, lost := passedLog().Confirm(bad, 4)
	require.Equal(t, []core.Offset{4, -1}, []core.Offset{to, lost}, "damage says nothing")
}
