package wire

import "strconv"

// Code is an error code of the Kafka protocol. It is what a client's or a peer's mistake is answered with.
type Code int16

type codeFacts struct {
	name      string
	retriable bool
}

func (c Code) facts() (f codeFacts, ok bool) {
	if i := int(c) + 1; i >= 0 && i < len(codes) {
		return codes[i], true
	}
	return f, false
}

// String is Kafka's name of the code.
func (c Code) String() string {
	if f, ok := c.facts(); ok {
		return f.name
	}
	return "ERROR_" + strconv.Itoa(int(c))
}

// Retriable reports whether a client may send the same request again and hope.
func (c Code) Retriable() bool {
	f, _ := c.facts()
	return f.retriable
}
