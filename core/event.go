package core

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	Boot   EventKind = iota // Data: see BootInfo
	Tick                    // Next() has come; with Err Stopping: the world asks for a clean stop, which ends in Exit
	Opened                  // Conn; Data: see ConnInfo; Op and Err if it answers a Dial (Err set: there is no connection)
	Frame                   // Conn, Data, Req: one whole message, its four length bytes included
	Closed                  // Conn, Err: no more frames; every Send of it that was open is done with ConnGone before this
	Done                    // Op, Err, N, Data: an effect that carried an Op has finished
	eventKindCount
)

var eventKindNames = [eventKindCount]string{"boot", "tick", "opened", "frame", "closed", "done"}

func (k EventKind) String() string {
	if k < eventKindCount {
		return eventKindNames[k]
	}
	return "unknown"
}

// Event is one thing that the world tells a machine. Data is the machine's alone: it may stamp batch
// headers in it until it hands it to an effect; from then until that effect is Done nobody writes to it.
// A machine that keeps no part of Data gives it back by Release.
type Event struct {
	Kind EventKind
	Err  Errno
	Conn ConnID
	Op   Op
	N    int64 // bytes done, a size, free space
	Data []byte
	Req  *Prepared // what Pure.Prepare made of Data: derived, so neither recorded nor hashed
}

// Prepared is what a world computed from a frame beside the machine, by Pure.Prepare.
type Prepared struct {
	Body any   // of a type that the room that filled Pure knows; refers into the frame
	Err  Errno // the frame could not be decoded
}

// ConnKind says whose frames a connection carries.
type ConnKind uint8

// The kinds of connections.
const (
	FromClient ConnKind = iota // accepted: frames are requests
	Dialled                    // dialled by the machine: frames are responses
)

// BootInfo is the Data of a Boot event: 32 bytes of key for the machine's own generator, then the
// configuration as lines of key=value.
type BootInfo struct {
	Key    [32]byte
	Config string
}

// Append appends the encoded form to b.
func (i BootInfo) Append(b []byte) []byte { return append(append(b, i.Key[:]...), i.Config...) }

// ParseBootInfo reads what Append wrote.
func ParseBootInfo(b []byte) (i BootInfo, ok bool) {
	if len(b) < 32 {
		return i, false
	}
	copy(i.Key[:], b)
	i.Config = string(b[32:])
	return i, true
}

// ConnInfo is the Data of an Opened event: the name of the listener that accepted the connection (empty for a
// dialled one) and both addresses, "host:port", then the verified certificate chain (DER), if any.
type ConnInfo struct {
	Listener, Local, Remote string
	Chain                   [][]byte
}

// Append appends the encoded form to b.
func (i ConnInfo) Append(b []byte) []byte {
	for _, s := range []string{i.Listener, i.Local, i.Remote} {
		b = append(append(b, s...), 0)
	}
	for _, c := range i.Chain {
		b = append(b, byte(len(c)>>24), byte(len(c)>>16), byte(len(c)>>8), byte(len(c)))
		b = append(b, c...)
	}
	return b
}

// ParseConnInfo reads what Append wrote.
func ParseConnInfo(b []byte) (i ConnInfo, ok bool) {
	for _, s := range []*string{&i.Listener, &i.Local, &i.Remote} {
		n := 0
		for n < len(b) && b[n] != 0 {
			n++
		}
		if n == len(b) {
			return ConnInfo{}, false
		}
		*s, b = string(b[:n]), b[n+1:]
	}
	for len(b) > 0 {
		if len(b) < 4 {
			return ConnInfo{}, false
		}
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if b = b[4:]; n > len(b) {
			return ConnInfo{}, false
		}
		i.Chain, b = append(i.Chain, b[:n]), b[n:]
	}
	return i, true
}
