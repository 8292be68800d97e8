// Package client is the other side of the protocol: a producer, a consumer with or without a group, and
// an admin, each one pure state machine that works against any broker that speaks the Kafka protocol.
//
// # How to own one
//
// A machine is stepped by its owner (a simulator's workload, the host's SDK, a command) with events of
// its own: Mine tells which. Between two Steps the owner calls methods (Send, Poll, CreateTopics) with
// the time and the list of effects, and drains what came of them (Results, Events). Nothing waits and
// nothing calls back. Several machines live inside one owner if their Options.Conns and Options.Table
// differ.
//
// # How it is built
//
// Each machine is written as one advance: after every event and every call it looks at its whole state,
// sends what can be sent now, and notes the instant at which it must look again. So no wake-up can be
// forgotten, and waking it for nothing changes nothing. Below lies cluster, which keeps the metadata and,
// below that, the connections: one for each node and lane, so that a long poll never holds up a heartbeat.
//
// # What came of it
//
// A request whose reply was lost may or may not have been carried out. Every result says which with a
// Fate: a checker, and an honest program, must treat the three differently.
package client

import (
	"klamm/core"
	"klamm/core/link"
	"klamm/core/wire"
)

// Fate says whether a thing that was asked for has happened.
type Fate uint8

// The fates.
const (
	Did     Fate = iota // it took effect
	DidNot              // it did not, and never will
	MayHave             // the answer was lost or says neither: it may have, or may still
)

func (f Fate) String() string {
	switch f {
	case Did:
		return "did"
	case DidNot:
		return "did not"
	}
	return "may have"
}

// Failure says why something did not work. The zero value is none. Code is what a broker said, Errno what
// the world said, Text what a person should read.
type Failure struct {
	Code  wire.Code
	Errno core.Errno
	Text  string
}

// None reports whether nothing failed.
func (f Failure) None() bool { return f.Code == wire.None && f.Errno == core.OK && f.Text == "" }

func (f Failure) Error() string {
	var s string
	switch {
	case f.Code != wire.None:
		s = f.Code.String()
	case f.Errno != core.OK:
		s = f.Errno.String()
	}
	if f.Text == "" || s == "" {
		return s + f.Text
	}
	return s + ": " + f.Text
}

// ConnSpan is how many connection ids one machine may use, from Options.Conns on.
const ConnSpan = link.Span

// DefaultTable is the number of a client's Ops table where Options names none.
const DefaultTable uint8 = 5

// Options are common to all clients. Zero values mean Kafka's defaults.
type Options struct {
	Bootstrap []string // "host:port"; tried in turn, from a random one on
	ClientID  string

	Conns core.ConnID // dials Conns+2, Conns+4, …; even; distinct among the machines of one owner by at least ConnSpan
	Table uint8       // of its Ops; distinct likewise

	RequestTime  core.Time // request.timeout.ms
	DialTime     core.Time // socket.connection.setup.timeout.ms
	ReconnectMin core.Time // reconnect.backoff.ms
	ReconnectMax core.Time // reconnect.backoff.max.ms
	RetryMin     core.Time // retry.backoff.ms
	RetryMax     core.Time // retry.backoff.max.ms
	MetadataAge  core.Time // metadata.max.age.ms
	InFlight     int       // max.in.flight.requests.per.connection
	CreateTopics bool      // let the broker create a topic that is asked for and missing
}

// filled returns o with the defaults in place of zero values.
func (o Options) filled() Options {
	set := func(t *core.Time, d core.Time) {
		if *t == 0 {
			*t = d
		}
	}
	set(&o.RequestTime, 30*core.Second)
	set(&o.DialTime, 10*core.Second)
	set(&o.ReconnectMin, 50*core.Millisecond)
	set(&o.ReconnectMax, core.Second)
	set(&o.RetryMin, 100*core.Millisecond)
	set(&o.RetryMax, core.Second)
	set(&o.MetadataAge, 5*core.Minute)
	if o.InFlight <= 0 {
		o.InFlight = 5
	}
	if o.Table == 0 {
		o.Table = DefaultTable
	}
	if o.ClientID == "" {
		o.ClientID = "klamm"
	}
	return o
}

// Bounds of this room. What happens when one is reached stands beside its use.
const (
	brokersMax      = 4096    // brokers believed from one metadata reply
	topicsMax       = 1 << 16 // topics known
	eventsMax       = 1 << 14 // events not drained: the oldest are dropped
	callsMax        = 1 << 12 // admin calls in flight
	coordinatorsMax = 4096    // groups whose coordinator is remembered
)
