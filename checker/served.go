package checker

import (
	"encoding/binary"
	"hash/crc32"
)

// batchHeadBytes is the length of a batch's head.
const batchHeadBytes = 61

// Beyond looks through size bytes of a segment file from off on, as they leave for a consumer, for a batch that ends at or above
// the high watermark (I29), and reports the first such batch's last offset. read gives what is sent of the file, and whether a fault has
// made it something else than what was written.
//
// A consumer goes from batch to batch by their lengths, and takes nothing of a batch whose checksum is wrong, nor of what follows it. So
// where a head is not what was written, the batch is what that head says, with as many of the following ones in it as it claims to be long; and
// only a checksum that is right in spite of it makes these offsets that the consumer was given.
func Beyond(read func(off int64, dst []byte) (n int, harmed bool), off, size, high int64) (last int64, beyond bool) {
	var b [batchHeadBytes]byte
	for end := off + size; off+batchHeadBytes <= end; {
		n, harmed := read(off, b[:])
		length := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
		if n < batchHeadBytes || length < batchHeadBytes || off+length > end {
			return 0, false
		}
		if harmed {
			whole := make([]byte, length)
			if n, _ := read(off, whole); int64(n) < length || crc32.Checksum(whole[21:], castagnoli) != binary.BigEndian.Uint32(whole[17:]) {
				return 0, false
			}
		}
		if last = int64(binary.BigEndian.Uint64(b[:])) + int64(int32(binary.BigEndian.Uint32(b[23:]))); last >= high {
			return last, true
		}
		off += length
	}
	return 0, false
}
