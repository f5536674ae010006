package message

import (
	"bytes"
	"slices"
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
	minDict     = 48  // with the dictionary it does; below it nothing is gained
	maxDict     = 256 << 10
	shortEnough = 384 // a signed envelope of so little is padded to 880 bytes either way
)

var compressor = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(maxWindow),
		zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	return mustMode(w, err)
})

var decompressor = sync.OnceValue(func() *zstd.Decoder {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxReturn),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	return mustMode(r, err)
})

// compress returns the shortest of content and what the numbers given, and
// plain zstd, make of it. What is short and goes over a narrow line is worth the
// work of the short profile.
func compress(content []byte, numbers []uint8, narrow bool) (comp uint8, out []byte) {
	comp, out = compNone, content
	if !narrow && len(content) <= shortEnough {
		return comp, out
	}
	best := func(n uint8, b []byte) {
		if b != nil && len(b) < len(out) {
			comp, out = n, b
		}
	}
	if len(content) >= minCompress {
		best(compZstd, compressor().EncodeAll(content, nil))
	}
	if slices.Contains(numbers, compList) && len(content) >= minCompress {
		best(compList, packList(content))
	}
	if slices.Contains(numbers, compDict) && len(content) >= minDict && len(content) <= maxDict && comp != compList {
		encoder := dictCompressor
		if narrow {
			encoder = narrowCompressor
		}
		best(compDict, encoder().EncodeAll(content, nil))
	}
	if narrow && slices.Contains(numbers, compShort) && len(content) <= maxShort {
		if b := shorten(content); worthShort(len(content), len(b)) {
			best(compShort, b)
		}
	}
	return comp, out
}

// The encoders and the decoder with the dictionary; its number in frames is in
// the range that RFC 8878 §5 leaves to users. The narrow one makes frames a few
// hundredths shorter, and copies tables of 34 MB for each.
var (
	dictCompressor   = sync.OnceValue(func() *zstd.Encoder { return withDictionary(zstd.SpeedBetterCompression) })
	narrowCompressor = sync.OnceValue(func() *zstd.Encoder { return withDictionary(zstd.SpeedBestCompression) })
	dictDecompressor = sync.OnceValue(func() *zstd.Decoder {
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxReturn),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true), zstd.WithDecoderDictRaw(dictFrame, dictionaryText()))
		return mustMode(r, err)
	})
)

func withDictionary(level zstd.EncoderLevel) *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(maxWindow), zstd.WithSingleSegment(true),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithEncoderDictRaw(dictFrame, dictionaryText()))
	return mustMode(w, err)
}

// lineCompressor is for the lines of the list profile: also a short frame of it
// carries its size.
var lineCompressor = sync.OnceValue(func() *zstd.Encoder {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(maxWindow), zstd.WithSingleSegment(true),
		zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	return mustMode(w, err)
})

// dictFrame is the dictionary's number in a frame.
const dictFrame = 32768 + compDict

// decompress gives back a content of exactly size bytes; beyond plain zstd only
// the numbers given are taken. Everything a frame claims is checked before
// anything is decoded (RFC 8878 §3.1.1): the library would also take several
// frames, and skippable ones.
func decompress(comp uint8, b []byte, size int, numbers []uint8) ([]byte, error) {
	if comp > compZstd && !slices.Contains(numbers, comp) {
		return nil, badFrame("is of a form that no agreement lists")
	}
	decoder, dict := decompressor, uint32(0)
	switch comp {
	case compNone:
		return b, nil
	case compZstd:
	case compDict:
		decoder, dict = dictDecompressor, dictFrame
	case compList:
		return unpackList(b, size)
	case compShort:
		return lengthen(b, size)
	default:
		return nil, badFrame("is of an unknown form")
	}
	if err := checkFrame(b, size, dict); err != nil {
		return nil, err
	}
	out, err := decoder().DecodeAll(b, make([]byte, 0, size))
	if err != nil {
		return nil, badFrame(err.Error())
	}
	return out, nil
}

func badFrame(why string) error {
	return noroshi.Errorf(noroshi.Broken, "message.compression", "compressed content: %s", why)
}

func checkFrame(b []byte, size int, dict uint32) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return badFrame(err.Error())
	}
	switch {
	case !h.Skippable && b[4]&0x18 != 0:
		return badFrame("reserved bit is set")
	case h.Skippable:
		return badFrame("skippable frame")
	case !h.HasFCS || h.FrameContentSize != uint64(size) || size > maxReturn:
		return badFrame("frame does not claim the signed length")
	case h.DictionaryID != dict:
		return badFrame("frame asks for another dictionary")
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

// NarrowForm returns what a content becomes on a narrow line between two nodes
// under an agreement, before it is sealed. Around it such a line takes about
// NarrowCost bytes and the label.
func NarrowForm(content []byte, a *noroshi.Agreement) []byte {
	_, packed := compress(content, Packings(a), true)
	return packed
}

// NarrowCost is what an envelope of the short suite takes around a message's
// content and label: envelope, signature, header and their heads.
const NarrowCost = 117
