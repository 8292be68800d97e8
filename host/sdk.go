package host

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"klamm/core"
	"klamm/core/client"
)

// ClientOptions are those of a Client. Brokers, connection ids and tables are filled in.
type ClientOptions struct {
	client.Options
	Producer client.ProducerOptions
	CallTime core.Time    // of admin calls
	Log      *slog.Logger // nil: discarded
}

// Client is a blocking client of a cluster that speaks the Kafka protocol, safe for use by many goroutines.
// It runs the pure machines of core/client in a node of its own: one producer, one admin, and as many
// consumers as are asked for.
type Client struct {
	node *Node
	desk *desk
	o    ClientOptions
}

// machinesMax bounds the machines that one Client makes in its life: each has an Ops table of its own.
const machinesMax = 200

// desk is the machine of that node: it owns the clients and gives each its events.
type desk struct {
	seed      core.Rand
	booted    bool
	producer  *client.Producer
	admin     *client.Admin
	consumers []*client.Consumer
	pipes     []*client.Pipe
	ended     []client.TxnResult // not yet handed out
	made      int
	stepped   bool // a machine was stepped since the last settle: what waits may look again

	mu      sync.Mutex // of what follows, which goroutines outside the loop touch
	wake    chan struct{}
	done    map[client.RecordID]func(client.Result)
	answers map[client.CallID]chan client.Answer
}

// ErrClosed says that the client was closed.
var ErrClosed = errors.New("the client was closed")

var errTooMany = errors.New("this client has made too many producers, admins and consumers in its life: make another client")

// NewClient makes a client of the cluster that these brokers, "host:port", belong to. It connects when
// there is something to do.
func NewClient(brokers []string, o ClientOptions) (*Client, error) {
	if len(brokers) == 0 {
		return nil, errors.New("no broker given: name at least one as host:port")
	}
	o.Options.Bootstrap = slices.Clone(brokers)
	c := &Client{o: o, desk: &desk{
		wake: make(chan struct{}), done: make(map[client.RecordID]func(client.Result)), answers: make(map[client.CallID]chan client.Answer),
	}}
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	c.desk.seed = core.NewRand(key)
	node, err := Start(Options{Machine: c.desk, Pure: client.Pure(), Key: key, Log: o.Log, AfterSteps: c.desk.settle})
	c.node = node
	return c, err
}

// Close lets go of everything. What is pending is given up: Flush first, and close the consumers.
func (c *Client) Close() {
	c.node.Do(func(now core.Now, out *core.Out) {
		if p := c.desk.producer; p != nil {
			p.Close(now, out)
		}
		if a := c.desk.admin; a != nil {
			a.Close(now, out)
		}
		for _, k := range c.desk.consumers {
			k.Close(now, out)
		}
		for _, x := range c.desk.pipes {
			x.Close(now, out)
		}
	})
	c.node.Stop()
	c.node.Wait()
}

// options are the common ones for the next machine.
func (c *Client) options() (o client.Options, ok bool) {
	d := c.desk
	if d.made++; d.made > machinesMax {
		return o, false
	}
	o = c.o.Options
	o.Conns, o.Table = client.ConnSpan*core.ConnID(2*d.made), uint8(d.made)
	return o, true
}

// boot gives a machine that is made later than the node its Boot event.
func (d *desk) boot(now core.Now, m core.Machine, out *core.Out) {
	var info core.BootInfo
	for i := 0; i < len(info.Key); i += 8 {
		x := d.seed.Uint64()
		for j := range 8 {
			info.Key[i+j] = byte(x >> (8 * j))
		}
	}
	m.Step(now, &core.Event{Kind: core.Boot, Data: info.Append(nil)}, out)
}

// Step gives an event to the machine whose it is.
func (d *desk) Step(now core.Now, ev *core.Event, out *core.Out) {
	if ev.Kind == core.Boot {
		return // each machine boots when it is made
	}
	d.stepped = true
	if ev.Kind == core.Tick && ev.Err == core.Stopping {
		out.Exit(0)
		return
	}
	if d.producer != nil && d.producer.Mine(ev) {
		d.producer.Step(now, ev, out)
	}
	if d.admin != nil && d.admin.Mine(ev) {
		d.admin.Step(now, ev, out)
	}
	for _, c := range d.consumers {
		if c.Mine(ev) {
			c.Step(now, ev, out)
		}
	}
	for _, x := range d.pipes {
		if x.Mine(ev) {
			x.Step(now, ev, out)
		}
	}
}

// Next is the earliest of the machines' instants.
func (d *desk) Next() core.Time {
	at := core.Never
	if d.producer != nil {
		at = d.producer.Next()
	}
	if d.admin != nil {
		at = min(at, d.admin.Next())
	}
	for _, c := range d.consumers {
		at = min(at, c.Next())
	}
	for _, x := range d.pipes {
		at = min(at, x.Next())
	}
	return at
}

// Report says that a client is always ready.
func (d *desk) Report(core.Now) *core.Report { return &core.Report{Ready: true} }

// settle runs after each batch of steps: results go to those who wait for them.
func (d *desk) settle(core.Now, *core.Out) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.producer != nil {
		for _, r := range d.producer.Results() {
			if f := d.done[r.ID]; f != nil {
				f(r)
			}
			delete(d.done, r.ID)
		}
	}
	if d.admin != nil {
		for _, a := range d.admin.Answers() {
			if ch := d.answers[a.Call]; ch != nil {
				ch <- a
			}
			delete(d.answers, a.Call)
		}
	}
	if d.stepped { // a look by Do alone wakes nobody, or every look would wake the one who looks
		d.stepped = false
		close(d.wake)
		d.wake = make(chan struct{})
	}
}

// changed is closed once a machine was stepped and its results are handed out.
func (d *desk) changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wake
}

// Send gives a record to the producer and returns as soon as there is room for it. done, which must not
// block, is called once with what became of it.
func (c *Client) Send(ctx context.Context, r client.Record, done func(client.Result)) error {
	n, err := c.SendAll(ctx, []client.Record{r}, done)
	if n == 1 {
		return nil
	}
	return err
}

// SendAll is Send for many, which it gives in their order. It returns how many it gave.
func (c *Client) SendAll(ctx context.Context, list []client.Record, done func(client.Result)) (n int, err error) {
	for {
		changed, full := c.desk.changed(), false
		alive := c.node.Do(func(now core.Now, out *core.Out) {
			p := c.makeProducer(now, out)
			if full = p == nil; full {
				return
			}
			for ; n < len(list); n++ {
				id := p.Send(now, list[n], out)
				if id == 0 {
					return
				}
				c.desk.mu.Lock()
				c.desk.done[id] = done
				c.desk.mu.Unlock()
			}
		})
		if n == len(list) || !alive {
			break
		}
		if full {
			return n, errTooMany
		}
		select { // the buffer is full
		case <-changed:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
	if n < len(list) {
		return n, ErrClosed
	}
	return n, nil
}

// makeProducer runs on the loop.
func (c *Client) makeProducer(now core.Now, out *core.Out) *client.Producer {
	if c.desk.producer == nil {
		o, ok := c.options()
		if !ok {
			return nil
		}
		po := c.o.Producer
		po.Options = o
		c.desk.producer = client.NewProducer(po)
		c.desk.boot(now, c.desk.producer, out)
	}
	return c.desk.producer
}

// Produce sends records and waits for what becomes of them. The results are in the order of the records.
// The error is that of the first record that was not stored for certain.
func (c *Client) Produce(ctx context.Context, list ...client.Record) ([]client.Result, error) {
	var mu sync.Mutex
	results := make([]client.Result, 0, len(list))
	all := make(chan struct{})
	n, err := c.SendAll(ctx, list, func(r client.Result) {
		mu.Lock()
		defer mu.Unlock()
		if results = append(results, r); len(results) == len(list) {
			close(all)
		}
	})
	if n < len(list) {
		return nil, err
	}
	c.node.Do(func(now core.Now, out *core.Out) { c.desk.producer.Flush(now, out) })
	if len(list) > 0 {
		select {
		case <-all:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.node.Ended():
			return nil, ErrClosed
		}
	}
	mu.Lock()
	defer mu.Unlock()
	slices.SortFunc(results, func(a, b client.Result) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, r := range results {
		if r.Fate != client.Did && !r.Failure.None() {
			return results, r.Failure
		}
	}
	return results, nil
}

// Flush waits until everything that was given to Send has its result.
func (c *Client) Flush(ctx context.Context) error {
	for {
		changed, pending := c.desk.changed(), 0
		if !c.node.Do(func(now core.Now, out *core.Out) {
			if p := c.desk.producer; p != nil {
				p.Flush(now, out)
				pending = p.Pending()
			}
		}) {
			return ErrClosed
		}
		if pending == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Trouble says why the producer or the admin does not get on, as far as that is known.
func (c *Client) Trouble() (f client.Failure) {
	c.node.Do(func(core.Now, *core.Out) {
		if p := c.desk.producer; p != nil {
			f = p.Trouble()
		}
		if a := c.desk.admin; a != nil && f.None() {
			f = a.Trouble()
		}
	})
	return f
}

// Admin makes one call and waits for its answer. ask calls one method of the admin and returns its id.
// The error is the answer's first failure.
func (c *Client) Admin(ctx context.Context, ask func(a *client.Admin, now core.Now, out *core.Out) client.CallID) (client.Answer, error) {
	ch := make(chan client.Answer, 1)
	var id client.CallID
	alive := c.node.Do(func(now core.Now, out *core.Out) {
		if c.desk.admin == nil {
			o, ok := c.options()
			if !ok {
				return
			}
			c.desk.admin = client.NewAdmin(client.AdminOptions{Options: o, CallTime: c.o.CallTime})
			c.desk.boot(now, c.desk.admin, out)
		}
		if id = ask(c.desk.admin, now, out); id != 0 {
			c.desk.mu.Lock()
			c.desk.answers[id] = ch
			c.desk.mu.Unlock()
		}
	})
	if !alive {
		return client.Answer{}, ErrClosed
	}
	if id == 0 {
		return client.Answer{}, errors.New("too many admin calls are open")
	}
	select {
	case a := <-ch:
		if !a.Failure.None() {
			for _, o := range a.Outcomes {
				if o.Fate != client.Did {
					return a, a.Failure
				}
			}
		}
		return a, nil
	case <-ctx.Done():
		return client.Answer{}, ctx.Err()
	case <-c.node.Ended():
		return client.Answer{}, ErrClosed
	}
}
