package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Replicas that differ in one byte are told, and so are metadata logs that differ below what was committed, and only there.
func TestCompareTells(t *testing.T) {
	batch := func(base uint64, body string) []byte {
		b := binary.BigEndian.AppendUint64(nil, base)
		return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
	}
	wrong := func(one, two, meta1, meta2 []byte) int {
		c := &cluster{dir: t.TempDir()}
		for i, files := range [][2][]byte{{one, meta1}, {two, meta2}} {
			n := c.add(klamm, both)
			for j, p := range []string{"t-0", metadataLog} {
				require.NoError(t, os.MkdirAll(filepath.Join(n.data(), p), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(n.data(), p, "00000000000000000000.log"), files[j], 0o644), i)
			}
		}
		r := &report{}
		require.NoError(t, c.compare(r, 2))
		return len(r.wrong)
	}
	meta := append(batch(0, "a"), batch(1, "b")...)
	tail := append(append([]byte(nil), meta...), batch(2, "x")...)
	require.Equal(t, 0, wrong([]byte("same"), []byte("same"), meta, meta))
	require.Equal(t, 1, wrong([]byte("same"), []byte("samf"), meta, meta))
	require.Equal(t, 1, wrong([]byte("same"), []byte("sam"), meta, meta))
	require.Equal(t, 1, wrong([]byte("same"), []byte("same"), meta, append(batch(0, "a"), batch(1, "c")...)))
	require.Equal(t, 0, wrong([]byte("same"), []byte("same"), tail, append(append([]byte(nil), meta...), batch(2, "y")...)))
	require.Equal(t, 1, wrong([]byte("same"), []byte("same"), meta, batch(7, "a")))
}
