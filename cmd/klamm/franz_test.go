package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"klamm/core/broker"
	"klamm/host"
)

// startBroker runs a broker in this process on a free port of the loopback, and stops it at the test's end.
func startBroker(t *testing.T, settings string) (addr string) {
	return startLoggedBroker(t, settings, slog.New(slog.DiscardHandler))
}

// startLoggedBroker is startBroker with a log.
func startLoggedBroker(t *testing.T, settings string, log *slog.Logger) (addr string) {
	t.Helper()
	l, err := host.Listen("PLAINTEXT", "127.0.0.1:0")
	require.NoError(t, err)
	addr = l.Addr().String()
	ready := make(chan struct{})
	config := "node.id=1\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://" + addr + "\nlog.dirs=" + t.TempDir() +
		"\noffsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\nklamm.auto.format=true\n" + settings
	cfg, problems := broker.ParseConfig(config)
	require.Empty(t, problems)
	n, err := host.Start(host.Options{
		Machine: broker.New(), Pure: broker.Pure(), Listeners: []host.Listener{l}, FS: host.OS{}, PoisonReleased: true, DumpDir: t.TempDir(),
		Config: config, Log: log, FrameBytesMax: int(cfg.FrameBytesMax), OnReady: func(time.Duration) { close(ready) },
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		n.Stop()
		require.NoError(t, n.Wait())
	})
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("the broker was not ready within 20 s")
	}
	return addr
}

// franz-go, unmodified: admin, every codec with an idempotent producer, a group of two, offsets.
func TestFranzGo(t *testing.T) {
	addr := startBroker(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("franz"))
	require.NoError(t, err)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	made, err := adm.CreateTopic(ctx, 3, 1, map[string]*string{"segment.bytes": kadm.StringPtr("1048576")}, "franz")
	require.NoError(t, err)
	require.NoError(t, made.Err)

	const each = 400
	sent := map[string]int64{}
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		p, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("franz"), kgo.ProducerBatchCompression(codec))
		require.NoError(t, err)
		var recs []*kgo.Record
		for i := range each {
			recs = append(recs, &kgo.Record{Key: []byte(strconv.Itoa(i)), Value: fmt.Appendf(nil, "%s-%d", name, i)})
		}
		for _, r := range p.ProduceSync(ctx, recs...) {
			require.NoError(t, r.Err)
			sent[string(r.Record.Value)] = r.Record.Offset
		}
		p.Close()
	}
	require.Len(t, sent, 5*each)

	var members []*kgo.Client
	for range 2 {
		m, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup("pair"), kgo.ConsumeTopics("franz"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.FetchMaxWait(100*time.Millisecond))
		require.NoError(t, err)
		defer m.Close()
		members = append(members, m)
	}
	got := map[string]bool{}
	for len(got) < len(sent) {
		for _, m := range members {
			short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
			f := m.PollFetches(short)
			stop()
			require.NoError(t, ctx.Err(), "only %d of %d records came", len(got), len(sent))
			f.EachRecord(func(r *kgo.Record) {
				off, ok := sent[string(r.Value)]
				require.True(t, ok, "%s was not sent", r.Value)
				require.Equal(t, off, r.Offset)
				got[string(r.Value)] = true
			})
		}
	}
	for _, m := range members {
		if err := m.CommitUncommittedOffsets(ctx); err != nil {
			t.Logf("commit: %v", err)
		}
	}
	ends, err := adm.ListEndOffsets(ctx, "franz")
	require.NoError(t, err)
	total := int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		require.NoError(t, o.Err)
		total += o.Offset
	})
	require.EqualValues(t, 5*each, total)
	// The second member may have come late, and then a round is still under way.
	require.Eventually(t, func() bool {
		described, err := adm.DescribeGroups(ctx, "pair")
		return err == nil && described["pair"].State == "Stable" && len(described["pair"].Members) == 2
	}, 30*time.Second, 50*time.Millisecond)
}
