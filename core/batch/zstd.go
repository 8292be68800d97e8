package batch

import (
	"errors"

	"github.com/klauspost/compress/zstd"

	"klamm/core"
)

const (
	zstdDefault = 3 // of compression.zstd.level
	// zstdWindowMax keeps an encoder's memory near the size of what it encodes: batches are rarely larger.
	zstdWindowMax = 2 << 20
	// zstdWindowRead is the window that other decoders take without being asked to.
	zstdWindowRead = 128 << 20
	// zstdBlockMax is the most that one block may hold.
	zstdBlockMax = 128 << 10
)

func compressZstd(level int, b []byte) []byte {
	if level == DefaultLevel || level == zstdDefault { // a topic's setting says the default by its number
		if level = zstdDefault; len(b) <= smallBytes {
			level = 1
		}
	}
	window := zstd.MinWindowSize
	for window < len(b) && window < zstdWindowMax {
		window *= 2
	}
	// One encoder and no goroutine. The batch has a checksum of its own.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithWindowSize(window), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true), zstd.WithLowerEncoderMem(true))
	core.Must(err == nil, "zstd has these options")
	return e.EncodeAll(b, nil)
}

func decompressZstd(b []byte, limit int) ([]byte, Verdict) {
	most := zstdMost(b)
	switch {
	case most < 0, len(b) == 0:
		return nil, BadCompression
	case most > 2*int64(limit)+zstdBlockMax: // each block counts as full, which the last of a frame seldom is
		return nil, Inflated
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(max(most, zstdWindowRead))), zstd.WithDecoderMaxWindow(zstdWindowRead))
	core.Must(err == nil, "zstd has these options")
	out, err := d.DecodeAll(b, nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, Inflated
	case err != nil:
		return nil, BadCompression
	case len(out) > limit:
		return nil, Inflated
	}
	return out, Good
}

// zstdMost walks the headers of frames and blocks and returns the most that they can hold, or -1 if they are none.
// The decoder believes what a frame claims to hold and reserves memory for it, so claims are held against this first.
func zstdMost(b []byte) (most int64) {
	for len(b) > 0 {
		var h zstd.Header
		if err := h.Decode(b); err != nil || h.Skippable || h.HeaderSize > len(b) {
			return -1
		}
		b = b[h.HeaderSize:]
		frame := int64(0)
		for last := false; !last; {
			if len(b) < 3 {
				return -1
			}
			head := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
			size, holds := int(head>>3), int64(head>>3)
			last, b = head&1 != 0, b[3:]
			switch head >> 1 & 3 {
			case 0: // as it is
			case 1: // one byte, repeated
				size = 1
			case 2:
				holds = zstdBlockMax
			default:
				return -1
			}
			if size > len(b) || holds > zstdBlockMax {
				return -1
			}
			b, frame = b[size:], frame+holds
		}
		if h.HasCheckSum {
			if len(b) < 4 {
				return -1
			}
			b = b[4:]
		}
		if h.HasFCS && h.FrameContentSize > uint64(frame) {
			return -1
		}
		most += frame
	}
	return most
}
