package wire

import "errors"

// Elements bound what the arrays of one message hold together, since decoding reserves memory for each: a frame within
// its limit could otherwise ask for many times its size.
const (
	RequestElementsMax  = 1 << 20
	ResponseElementsMax = 1 << 23
)

// kind says how a field is written.
type kind uint8

const (
	fixed kind = iota // a number of bytes
	text              // int16 or compact length
	blob              // int32 or compact length
	inner             // a structure
)

// textBytesMax bounds a string in every version, compact or not.
const textBytesMax = 1<<15 - 1

// part is one field of a structure, as the versions from first to last have it.
type part struct {
	kind        kind
	array       bool
	nullable    bool  // of an inner structure: a byte in front tells whether it is there
	tag         int16 // or -1
	first, last int16
	from, to    uint16 // the parts of an inner structure; of a fixed one, its width
}

// shape is the structure at the top of a message.
type shape struct {
	from, to    uint16
	first, last int16 // versions that exist
	flexible    int16 // the first version with compact lengths and tagged fields
}

var errElements = errors.New("arrays hold too many elements")

// checker walks a message without decoding it.
type checker struct {
	reader
	version  int16
	flexible bool
	elements int
	many     bool
}

// CheckRequest walks the body of a request along its schema: that every length lies within it, and that all its arrays
// have no more than RequestElementsMax elements. kmsg believes counts (of tagged fields up to 2^32, one by one, long
// after the bytes have run out), so nothing from outside goes to it that has not come through here.
func CheckRequest(key, version int16, body []byte) error {
	if key < 0 || int(key) >= len(requestShapes) {
		return errUnknown
	}
	return check(requestShapes[key], version, body, RequestElementsMax)
}

// CheckResponse is CheckRequest for the body of a response.
func CheckResponse(key, version int16, body []byte) error {
	if key < 0 || int(key) >= len(responseShapes) {
		return errUnknown
	}
	return check(responseShapes[key], version, body, ResponseElementsMax)
}

// flexibleResponse reports whether a response has compact lengths and tagged fields.
func flexibleResponse(key, version int16) bool {
	return key >= 0 && int(key) < len(responseShapes) && responseShapes[key] != (shape{}) && version >= responseShapes[key].flexible
}

func check(s shape, version int16, body []byte, elements int) error {
	if s == (shape{}) || version < s.first || version > s.last {
		return errUnknown
	}
	c := checker{reader: reader{b: body}, version: version, flexible: version >= s.flexible, elements: elements}
	c.structure(s.from, s.to)
	if c.many {
		return errElements
	}
	if c.bad {
		return errMalformed
	}
	return nil
}

func (c *checker) structure(from, to uint16) {
	for i := from; i < to && !c.bad; i++ {
		p := parts[i]
		if p.tag >= 0 || c.version < p.first || c.version > p.last {
			continue
		}
		if p.kind == fixed && !p.array { // most are
			if n := int(p.from); n <= len(c.b) {
				c.b = c.b[n:]
			} else {
				c.bad, c.b = true, nil
			}
			continue
		}
		c.field(p)
	}
	if !c.flexible {
		return
	}
	for n := c.uvarint(); n > 0 && !c.bad; n-- { // ends with the bytes, however many there are said to be
		tag, size := c.uvarint(), c.uvarint()
		if size > uint64(len(c.b)) {
			c.bad = true
			return
		}
		rest := c.b[size:]
		c.b = c.b[:size]
		for i := from; i < to; i++ {
			if p := parts[i]; p.tag >= 0 && uint64(p.tag) == tag && p.first <= c.version && c.version <= p.last {
				c.field(p)
			}
		}
		c.b = rest
	}
}

func (c *checker) field(p part) {
	if !p.array {
		c.element(p)
		return
	}
	n := c.count(4)
	if n <= 0 {
		return
	}
	if n > len(c.b) {
		c.bad = true
		return
	}
	if c.elements -= n; c.elements < 0 {
		c.bad, c.many = true, true
		return
	}
	if p.kind == fixed {
		c.take(n * int(p.from))
		return
	}
	for ; n > 0 && !c.bad; n-- {
		c.element(p)
	}
}

// count reads a length, of so many bytes if it is not compact; -1 is null.
func (c *checker) count(width int) int {
	var n int64
	switch {
	case c.flexible:
		n = int64(c.uvarint()) - 1
	case width == 2:
		n = int64(c.int16())
	default:
		n = int64(c.int32())
	}
	if n < -1 || n > 1<<31-1 {
		c.bad = true
		return -1
	}
	return int(n)
}

func (c *checker) element(p part) {
	switch p.kind {
	case fixed:
		c.take(int(p.from))
	case text:
		n := c.count(2)
		c.bad = c.bad || n > textBytesMax // a compact length could say more
		c.take(max(n, 0))
	case blob:
		c.take(max(c.count(4), 0))
	case inner:
		if p.nullable {
			there := c.int8()
			if c.bad = c.bad || there < -1; there < 0 { // kmsg takes any other negative number for a yes
				return
			}
		}
		c.structure(p.from, p.to)
	}
}
