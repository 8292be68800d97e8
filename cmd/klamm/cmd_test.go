package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"klamm/core"
	"klamm/core/batch"
	"klamm/host"
)

// klamm runs a command line and returns what it printed.
func klamm(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// What is wrong is said, with what to do next.
func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	locked := filepath.Join(dir, "locked")
	require.NoError(t, os.Mkdir(locked, 0o755))
	lock, err := host.LockDir(locked)
	require.NoError(t, err)
	defer lock.Unlock()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	bad := filepath.Join(dir, "bad.properties")
	require.NoError(t, os.WriteFile(bad, []byte("node.id=1\nlisteners=PLAINTEXT://:0\nlog.dirs="+dir+"/absent\nlog.retention.hour=3\n"), 0o644))
	good := filepath.Join(dir, "good.properties")
	require.NoError(t, os.WriteFile(good, []byte("node.id=1\nlisteners=PLAINTEXT://:0\nlog.dirs="+dir+"/absent\n"), 0o644))
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"frobnicate", 2, []string{"unknown command", "--help"}},
		{"dev --frobnicate", 2, []string{"unknown flag", "--help"}},
		{"dev --ephemeral --admin= --listen " + l.Addr().String(), 1, []string{"in use by another process", "ss -ltnp"}},
		{"dev --ephemeral --listen localhost:0 --admin " + l.Addr().String(), 1, []string{"the admin port", "in use by another process", "--admin"}},
		{"dev --admin= --listen localhost:0 --data " + locked, 1, []string{"in use by another process", ".lock", "another directory"}},
		{"dev --admin= --listen localhost:0 --data " + file, 1, []string{"cannot be made", "--data"}},
		{"dev --listen here", 2, []string{"localhost:9092"}},
		{"dev --durability maybe", 2, []string{"neither sync nor replicate"}},
		{"dev --ephemeral --admin= --listen localhost:0 --set num.partition=3", 1, []string{"num.partition: no such setting", "num.partitions?"}},
		{"dev --set nonsense", 2, []string{"name=value"}},
		{"dev --log-level loud", 2, []string{"debug, info, warn"}},
		{"dev --ephemeral --admin= --listen localhost:0 --fault-layer hungry", 2, []string{"lossy"}},
		{"server", 2, []string{"--config FILE", "dev"}},
		{"server --config " + dir + "/none", 1, []string{"cannot be read", "no such file"}},
		{"server --config " + bad, 1, []string{bad, "log.retention.hour: no such setting", "log.retention.hours?"}},
		{"server --config " + good, 1, []string{"does not exist"}},
		{"cluster maintenance 1", 2, []string{"NODE on|off"}},
		{"cluster maintenance 1 perhaps", 2, []string{"neither on nor off"}},
		{"cluster decommission me", 2, []string{"not the id of a node"}},
		{"cluster health --timeout 1s --bootstrap 127.0.0.1:1", 1, []string{"no broker at 127.0.0.1:1", "--bootstrap"}},
		{"topic alter t", 2, []string{"--replication-factor N"}},
		{"topic alter t --set retention.ms=1 --format json", 2, []string{"go with --replication-factor"}},
		{"topic alter t --replication-factor 2 --set retention.ms=1", 2, []string{"goes without"}},
		{"storage info " + dir, 1, []string{"no formatted data directory", "storage format"}},
		{"storage inspect " + locked, 1, []string{"neither partitions nor .log files"}},
		{"storage dump " + good, 2, []string{"only .log"}},
		{"storage inspect", 2, []string{"takes at least one argument"}},
		{"version --format xml", 2, []string{"neither text nor json"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, _, errs := klamm(strings.Fields(c.args)...)
			require.Equal(t, c.code, code, errs)
			for _, w := range c.want {
				require.Contains(t, errs, w)
			}
		})
	}
}

// The file is overridden by the environment, and both by flags.
func TestConfigurationIsLayered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.properties")
	require.NoError(t, os.WriteFile(path, []byte("node.id=1\nlog.retention.ms=5"), 0o644))
	text, from, err := layeredConfig(path, []string{"HOME=/", "KLAMM_LOG_RETENTION_MS=6", "KLAMM_DURABILITY=replicate", "KLAMM_NUM_PARTITIONS=4"}, []string{"num.partitions=9", "log.dirs= /a\\b"})
	require.NoError(t, err)
	require.Equal(t, "node.id=1\nlog.retention.ms=5\nklamm.durability=replicate\nlog.retention.ms=6\nnum.partitions=4\nnum.partitions=9\nlog.dirs=\\ /a\\\\b\n", text)
	require.Equal(t, path+", KLAMM_DURABILITY, KLAMM_LOG_RETENTION_MS, KLAMM_NUM_PARTITIONS, --set", from)
}

// logOf writes a partition of a data directory with batches of 10 records each.
func logOf(t *testing.T, root string, batches int) (file string, all []byte) {
	dir := filepath.Join(root, "t-0")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for i := range batches {
		b := batch.NewBuilder(batch.Options{LeaderEpoch: 3})
		for j := range 10 {
			b.Add(int64(1700000000000+j), []byte("k"), fmt.Appendf(nil, "value %d of %d", j, i), nil)
		}
		all = append(all, b.Finish(core.Offset(i*10))...)
	}
	file = filepath.Join(dir, "00000000000000000000.log")
	require.NoError(t, os.WriteFile(file, all, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "leader-epoch-checkpoint"), []byte("0\n2\n2 0\n3 20\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, recoveryFile), []byte("0\n2\nother-topic 1 7\nt 0 40\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, metaFile), []byte("cluster.id=c\nnode.id=1\nversion=1\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, identityFile), []byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"), 0o644))
	return file, all
}

// inspect tells a torn end from damage, and says which offsets are lost; cut gives up exactly what it is told to.
func TestInspectAndCut(t *testing.T) {
	root := t.TempDir()
	file, all := logOf(t, root, 5)
	size := len(all) / 5
	code, out, errs := klamm("storage", "inspect", root)
	require.Zero(t, code, errs)
	require.Contains(t, out, "none")
	code, out, _ = klamm("storage", "info", root, "--format", "json")
	require.Zero(t, code)
	var info dirInfo
	require.NoError(t, json.Unmarshal([]byte(out), &info))
	forty := int64(40)
	require.Equal(t, dirInfo{Dir: root, ClusterID: "c", NodeID: "1", Logs: []logInfo{{Name: "t-0", TopicID: "AAAAAAAAAAAAAAAAAAAAAQ", Segments: 1, Bytes: int64(len(all)), RecoveryPoint: &forty}}}, info)

	require.NoError(t, os.WriteFile(file, all[:len(all)-5], 0o644)) // a torn end, above the recovery point
	code, out, errs = klamm("storage", "inspect", file)
	require.Equal(t, 1, code)
	require.Empty(t, errs)
	require.Contains(t, out, "torn end")
	require.NotContains(t, out, "storage cut")

	hurt := bytes.Clone(all)
	hurt[2*size+100] ^= 1
	require.NoError(t, os.WriteFile(file, hurt, 0o644))
	code, out, _ = klamm("storage", "inspect", filepath.Dir(file), "--format", "json")
	require.Equal(t, 1, code)
	var reports []inspection
	require.NoError(t, json.Unmarshal([]byte(out), &reports))
	require.Equal(t, fault{Position: int64(2 * size), Bytes: int64(3 * size), What: "wrong checksum", NextGood: 30}, *reports[0].Fault)
	_, out, _ = klamm("storage", "inspect", root)
	require.Contains(t, out, "What is lost are offsets 20 to 29")
	require.Contains(t, out, "storage cut "+file+" --offset 20 --yes")

	code, out, errs = klamm("storage", "dump", file, "--records")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "wrong checksum")
	require.Contains(t, out, "batch 10-19 at")
	require.Contains(t, out, `  19 2023-11-14T22:13:20.009Z key="k" value="value 9 of 1"`)

	code, _, errs = klamm("storage", "cut", file, "--offset", "20")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "nothing was changed")
	code, _, errs = klamm("storage", "cut", file, "--offset", "15", "--yes")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "--offset 20 would keep them all")
	for _, name := range []string{"00000000000000000000.index", "00000000000000000020.snapshot", "00000000000000000021.snapshot", "00000000000000000050.log"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "t-0", name), []byte("later"), 0o644))
	}
	code, out, errs = klamm("storage", "cut", file, "--offset", "20", "--yes")
	require.Zero(t, code, errs)
	require.Contains(t, out, "the log now ends at offset 20")
	b, _ := os.ReadFile(file)
	require.Equal(t, all[:2*size], b)
	b, _ = os.ReadFile(filepath.Join(root, "cut-t-0-20.bytes"))
	require.Equal(t, append(bytes.Clone(hurt[2*size:]), "later"...), b)
	b, _ = os.ReadFile(filepath.Join(root, recoveryFile))
	require.Equal(t, "0\n2\nother-topic 1 7\nt 0 20\n", string(b))
	b, _ = os.ReadFile(filepath.Join(root, "t-0", epochFile))
	require.Equal(t, "0\n1\n2 0\n", string(b))
	left, _ := filepath.Glob(filepath.Join(root, "t-0", "*0*"))
	require.Len(t, left, 2, left) // the log and the snapshot at 20
	code, _, _ = klamm("storage", "inspect", root)
	require.Zero(t, code)
}
