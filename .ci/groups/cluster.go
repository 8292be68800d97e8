package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"klamm/.ci/nodes"
)

// cpu is the time that all processes of b have used, in seconds.
func (b *bench) cpu() (sum float64) {
	for _, pid := range b.s.PIDs() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
		user, _ := strconv.ParseFloat(f[11], 64)
		system, _ := strconv.ParseFloat(f[12], 64)
		sum += (user + system) / 100
	}
	return sum
}

// waitBrokers waits until so many brokers are registered.
func waitBrokers(cl *kgo.Client, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
		if err == nil && len(resp.Brokers) >= n {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not all of %d brokers came: %v", n, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// create makes a topic with three replicas and waits until all are in sync.
func create(cl *kgo.Client, topic string, partitions int32) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 3
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 15000
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if c := resp.Topics[0].ErrorCode; c != 0 {
		return fmt.Errorf("create topic %s: error code %d", topic, c)
	}
	return nodes.WaitInSync(cl, topic, int(partitions), 3, 60*time.Second)
}
