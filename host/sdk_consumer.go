package host

import (
	"context"
	"errors"
	"slices"

	"klamm/core"
	"klamm/core/client"
)

// Consumer is a blocking consumer, for one goroutine at a time.
type Consumer struct {
	c *Client
	m *client.Consumer
}

// NewConsumer makes a consumer. Connection options are the client's.
func (c *Client) NewConsumer(o client.ConsumerOptions) (*Consumer, error) {
	k := &Consumer{c: c}
	alive := c.node.Do(func(now core.Now, out *core.Out) {
		common, ok := c.options()
		if !ok {
			return
		}
		common.CreateTopics = common.CreateTopics || o.CreateTopics
		o.Options = common
		k.m = client.NewConsumer(o)
		c.desk.consumers = append(c.desk.consumers, k.m)
		c.desk.boot(now, k.m, out)
	})
	switch {
	case !alive:
		return nil, ErrClosed
	case k.m == nil:
		return nil, errTooMany
	}
	return k, nil
}

// Do runs f between two steps of the consumer, where its methods may be called.
func (k *Consumer) Do(f func(m *client.Consumer, now core.Now, out *core.Out)) error {
	if !k.c.node.Do(func(now core.Now, out *core.Out) { f(k.m, now, out) }) {
		return ErrClosed
	}
	return nil
}

// Assign adds partitions to read, or moves those that are read.
func (k *Consumer) Assign(from client.Start, list ...core.TopicPartition) error {
	return k.Do(func(m *client.Consumer, now core.Now, out *core.Out) { m.Assign(now, from, out, list...) })
}

// Partitions waits until it is known how many partitions a topic has.
func (k *Consumer) Partitions(ctx context.Context, topic string) (n int, err error) {
	for {
		changed := k.c.desk.changed()
		var why client.Failure
		if err := k.Do(func(m *client.Consumer, now core.Now, out *core.Out) {
			n, why.Code = m.Partitions(now, topic, out)
		}); err != nil {
			return 0, err
		}
		if n > 0 {
			return n, nil
		}
		if why.Code != 0 && !why.Code.Retriable() {
			why.Text = "topic " + topic
			return 0, why
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if why.Code != 0 {
				why.Text = "topic " + topic
				return 0, why
			}
			if t := k.Trouble(); !t.None() {
				return 0, t
			}
			return 0, ctx.Err()
		}
	}
}

// Poll waits until there is something: up to limit records, or tidings, or the end of ctx, which is no error.
func (k *Consumer) Poll(ctx context.Context, limit int) (messages []client.Message, tidings []client.Tiding, err error) {
	for {
		changed := k.c.desk.changed()
		if err := k.Do(func(m *client.Consumer, now core.Now, out *core.Out) {
			messages, tidings = slices.Clone(m.Poll(now, limit, out)), m.Tidings()
		}); err != nil {
			return nil, nil, err
		}
		if len(messages) > 0 || len(tidings) > 0 {
			return messages, tidings, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, nil
		}
	}
}

// Commit commits offsets, or with none the position of everything that is read, and waits for the
// answer. Other tidings that come meanwhile are left for Poll.
func (k *Consumer) Commit(ctx context.Context, list ...client.CommitOffset) error {
	var id client.CommitID
	var other []client.Tiding
	if err := k.Do(func(m *client.Consumer, now core.Now, out *core.Out) { id = m.Commit(now, list, out) }); err != nil {
		return err
	}
	if id == 0 {
		return errors.New("no group to commit to, or too many commits that are not over")
	}
	defer func() {
		if len(other) > 0 {
			k.Do(func(m *client.Consumer, _ core.Now, _ *core.Out) { m.Untell(other) })
		}
	}()
	for {
		changed := k.c.desk.changed()
		var tidings []client.Tiding
		if err := k.Do(func(m *client.Consumer, _ core.Now, _ *core.Out) { tidings = m.Tidings() }); err != nil {
			return err
		}
		over, failure := false, client.Failure{}
		for _, t := range tidings {
			if t.Kind == client.Committed && t.Commit == id {
				over, failure = true, t.Failure
			} else {
				other = append(other, t)
			}
		}
		switch {
		case over && failure.None():
			return nil
		case over:
			return failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close leaves the group, if there is one, and lets go of the consumer.
func (k *Consumer) Close(ctx context.Context) error {
	k.Do(func(m *client.Consumer, now core.Now, out *core.Out) { m.Leave(now, out) })
	for gone := false; !gone && ctx.Err() == nil; {
		changed := k.c.desk.changed()
		if err := k.Do(func(m *client.Consumer, _ core.Now, _ *core.Out) { gone = m.Gone() }); err != nil {
			return err
		}
		if !gone {
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
	d := k.c.desk
	err := k.Do(func(m *client.Consumer, now core.Now, out *core.Out) {
		m.Close(now, out)
		d.consumers = slices.DeleteFunc(d.consumers, func(o *client.Consumer) bool { return o == m })
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// Trouble says why the consumer does not get on, as far as that is known.
func (k *Consumer) Trouble() (f client.Failure) {
	k.Do(func(m *client.Consumer, _ core.Now, _ *core.Out) { f = m.Trouble() })
	return f
}
