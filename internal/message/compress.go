package message

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/noroshi-cti/noroshi"
)

// Compression of a content.
const (
	compNone = 0
	compZstd = 1
)

const (
	maxWindow   = 1 << 20
	minCompress = 256 // below it the frame would not carry its content size
)

var compressor = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(maxWindow),
		zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	return mustMode(w, err)
})

var decompressor = sync.OnceValue(func() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxContent),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	return mustMode(r, err)
})

// compress returns the shorter of content and its zstd frame.
func compress(content []byte) (comp uint8, out []byte) {
	if len(content) < minCompress {
		return compNone, content
	}
	if out = compressor().EncodeAll(content, nil); len(out) < len(content) {
		return compZstd, out
	}
	return compNone, content
}

// decompress gives back a content of exactly size bytes. Everything the frame
// claims is checked before anything is decoded (RFC 8878 §3.1.1): the library
// would also take several frames, and skippable ones.
func decompress(comp uint8, b []byte, size int) ([]byte, error) {
	switch comp {
	case compNone:
		return b, nil
	case compZstd:
		if err := checkFrame(b, size); err != nil {
			return nil, err
		}
		out, err := decompressor().DecodeAll(b, make([]byte, 0, size))
		if err != nil {
			return nil, badFrame(err.Error())
		}
		return out, nil
	}
	return nil, badFrame("is of an unknown form")
}

func badFrame(why string) error {
	return noroshi.Errorf(noroshi.Broken, "message.compression", "compressed content: %s", why)
}

func checkFrame(b []byte, size int) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return badFrame(err.Error())
	}
	switch {
	case !h.Skippable && b[4]&0x18 != 0:
		return badFrame("reserved bit is set")
	case h.Skippable:
		return badFrame("skippable frame")
	case !h.HasFCS || h.FrameContentSize != uint64(size) || size > MaxContent:
		return badFrame("frame does not claim the signed length")
	case h.DictionaryID != 0:
		return badFrame("frame asks for a dictionary")
	case h.SingleSegment && size > maxWindow || !h.SingleSegment && h.WindowSize > maxWindow:
		return badFrame("window is over 1 MiB")
	}
	rest := b[h.HeaderSize:]
	for last := false; !last; {
		if len(rest) < 3 {
			return badFrame("frame is cut short")
		}
		head := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		last = head&1 == 1
		n := int(head >> 3)
		switch head >> 1 & 3 {
		case 1: // run of one byte
			n = 1
		case 3:
			return badFrame("reserved block")
		}
		if len(rest) < 3+n {
			return badFrame("frame is cut short")
		}
		rest = rest[3+n:]
	}
	if h.HasCheckSum && len(rest) >= 4 {
		rest = rest[4:]
	}
	if len(rest) > 0 {
		return badFrame("more than one frame")
	}
	return nil
}

// paddedLen returns the length of the padding that brings a plaintext of n
// bytes, empty padding included, to the smallest class that can be met exactly:
// 256 B, 880 B, 4 KiB, then each 10 % above the last. 880 holds a STATE, a
// receipt or a single indicator, which so look alike, in an envelope under 2 KiB.
func paddedLen(n int) (pad int) {
	for class := 256; ; class = nextClass(class) {
		if pad, ok := padTo(class - n); ok {
			return pad
		}
	}
}

func nextClass(c int) int {
	switch {
	case c < 880:
		return 880
	case c < 4096:
		return 4096
	}
	return c + c/10
}

// padTo finds the byte string that adds exactly n bytes over an empty one: its
// own head grows with it, so one n in each step of the head cannot be met.
func padTo(n int) (pad int, ok bool) {
	for _, step := range []struct{ head, least, most int }{{1, 0, 23}, {2, 24, 255}, {3, 256, 65535}, {5, 65536, MaxEnvelope}} {
		if pad = n + 1 - step.head; pad >= step.least && pad <= step.most {
			return pad, true
		}
	}
	return 0, false
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
