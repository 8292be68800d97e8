package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"klamm/core"
	"klamm/core/client"
)

// Begin opens a transaction, for a client whose Producer.TransactionalID is set. What is sent from now on belongs to it.
func (c *Client) Begin() error {
	var begun bool
	var why client.Failure
	if !c.node.Do(func(now core.Now, out *core.Out) {
		p := c.makeProducer(now, out)
		if p == nil {
			return
		}
		if begun = p.Begin(now, out); !begun {
			_, why = p.Txn()
		}
	}) {
		return ErrClosed
	}
	if !begun && !why.None() {
		return why
	}
	if !begun {
		return errors.New("no transaction can begin: one is open, or this client has no transactional id")
	}
	return nil
}

// End commits or aborts the open transaction and waits for what becomes of that. A commit that fails for certain leaves a
// transaction that End must abort; of one whose fate is client.MayHave nobody knows, and the client is of no more use.
func (c *Client) End(ctx context.Context, commit bool) (client.TxnResult, error) {
	asked := false
	if !c.node.Do(func(now core.Now, out *core.Out) {
		p := c.desk.producer
		if p == nil {
			return
		}
		c.desk.ended = nil
		if commit {
			asked = p.Commit(now, out)
		} else {
			asked = p.Abort(now, out)
		}
	}) {
		return client.TxnResult{}, ErrClosed
	}
	for {
		changed, over := c.desk.changed(), false
		var r client.TxnResult
		var why client.Failure
		if !c.node.Do(func(now core.Now, out *core.Out) {
			c.desk.ended = append(c.desk.ended, c.desk.producer.Ended()...)
			if over = len(c.desk.ended) > 0; over {
				r, c.desk.ended = c.desk.ended[0], c.desk.ended[1:]
			}
			_, why = c.desk.producer.Txn()
		}) {
			return r, ErrClosed
		}
		switch {
		case over && !r.Failure.None():
			return r, r.Failure
		case over:
			return r, nil
		case !asked && !why.None():
			return client.TxnResult{Commit: commit, Fate: client.DidNot, Failure: why}, why
		case !asked:
			return client.TxnResult{Commit: commit, Fate: client.DidNot}, errors.New("no transaction is open")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return client.TxnResult{Commit: commit, Fate: client.MayHave}, ctx.Err()
		}
	}
}

// Transact runs the loop that consumes, processes and produces exactly once, until ctx ends or work returns an error. work
// makes records of a batch; its batch is given up if it fails. done, which may be nil, is told what became of each batch.
func (c *Client) Transact(ctx context.Context, o client.PipeOptions, work func(context.Context, []client.Message) ([]client.Record, error), done func(client.PipeResult)) error {
	var x *client.Pipe
	alive := c.node.Do(func(now core.Now, out *core.Out) {
		var ok bool
		if o.Options, ok = c.options(); !ok {
			return
		}
		if _, ok = c.options(); !ok { // a pipe is two machines
			return
		}
		x = client.NewPipe(o)
		c.desk.pipes = append(c.desk.pipes, x)
		c.desk.boot(now, x, out)
	})
	switch {
	case !alive:
		return ErrClosed
	case x == nil:
		return errTooMany
	}
	t := &transact{c: c, x: x, done: done}
	err := t.run(ctx, work)
	t.leave()
	return err
}

// leaveTime bounds how long Transact waits at its end for what is under way.
const leaveTime = 10 * time.Second

// transact is one loop.
type transact struct {
	c    *Client
	x    *client.Pipe
	done func(client.PipeResult)
}

func (t *transact) run(ctx context.Context, work func(context.Context, []client.Message) ([]client.Record, error)) error {
	for {
		changed := t.c.desk.changed()
		var list []client.Message
		var why client.Failure
		var dead bool
		if !t.look(func(now core.Now, out *core.Out) {
			if ctx.Err() == nil {
				list = slices.Clone(t.x.Take(now, out))
			}
			why, dead = t.x.Dead()
		}) {
			return ErrClosed
		}
		if dead {
			return why
		}
		if len(list) == 0 {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		made, err := work(ctx, list)
		if err == nil {
			err = t.send(ctx, made)
		}
		if !t.look(func(now core.Now, out *core.Out) {
			if err != nil {
				t.x.Abandon(now, out)
			} else {
				t.x.Finish(now, out)
			}
		}) {
			return ErrClosed
		}
		if err != nil {
			return err
		}
	}
}

// send gives records to the transaction, as far as there is room for them.
func (t *transact) send(ctx context.Context, made []client.Record) error {
	for n := 0; ; {
		changed := t.c.desk.changed()
		if !t.look(func(now core.Now, out *core.Out) {
			for ; n < len(made); n++ {
				if _, ok := t.x.Send(now, made[n], out); !ok {
					return
				}
			}
		}) {
			return ErrClosed
		}
		if n == len(made) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look does something on the loop and hands on what has become of batches.
func (t *transact) look(f func(now core.Now, out *core.Out)) bool {
	var results []client.PipeResult
	alive := t.c.node.Do(func(now core.Now, out *core.Out) {
		f(now, out)
		t.x.Tidings()
		results = t.x.Results()
	})
	for _, r := range results {
		if t.done != nil {
			t.done(r)
		}
	}
	return alive
}

// leave waits until nothing is under way, for a bounded time, and leaves the group.
func (t *transact) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	for left := false; ; {
		changed, gone := t.c.desk.changed(), false
		if !t.look(func(now core.Now, out *core.Out) {
			if !left && t.x.Idle() {
				left = true
				t.x.Leave(now, out)
			}
			gone = left && t.x.Consumer().Gone()
		}) || gone {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
