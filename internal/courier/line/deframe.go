package line

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Bounds of the search for frames. Looking at a word costs next to nothing,
// correcting a block about a millisecond; so corrections are paid for with
// bytes that came.
const (
	mendPrice = 16 // bytes that must come for one correction
	mendPurse = 32 // corrections that may be saved up
)

// Deframer finds frames in bytes from a line, also after bytes were lost,
// doubled or put in between: every place may be where a frame begins, and the
// parity decides. It keeps less than two frames. The zero value is ready.
type Deframer struct {
	buf   []byte // the last bytes, at most frameMax
	at    int64  // place of the byte after buf
	open  []candidate
	sync  int64 // place where a frame is expected
	purse int   // in bytes; starts full
	tried int   // corrections
	begun bool
}

// candidate is a place where a frame may begin, and its end if it does.
type candidate struct {
	from, to int64
	body     int
}

// Expect says that the next byte likely begins a frame: the line was at rest.
func (d *Deframer) Expect() { d.sync = d.at }

// Push takes bytes and returns the frames that are whole with them.
func (d *Deframer) Push(b []byte) (list []Frame) {
	if !d.begun {
		d.begun, d.purse = true, mendPrice*mendPurse
	}
	for _, c := range b {
		d.buf = append(d.buf, c)
		if len(d.buf) > frameMax {
			d.buf = slices.Delete(d.buf, 0, len(d.buf)-frameMax)
		}
		d.at++
		d.purse = min(d.purse+1, mendPrice*mendPurse)
		d.look()
		if f, ok := d.ripe(); ok {
			list = append(list, f)
		}
	}
	return list
}

// look opens a candidate where the last two bytes look like a head: wrong in up
// to three bits where a frame is expected, in one where none is on its way, in
// none within one. Else noise, and every frame's inside, would be corrected all
// the time.
func (d *Deframer) look() {
	if len(d.buf) < headLen {
		return
	}
	body, wrong := head(binary.BigEndian.Uint16(d.buf[len(d.buf)-headLen:]))
	from := d.at - headLen
	if body == 0 || from != d.sync && (wrong > 1 || wrong > 0 && d.within()) {
		return
	}
	d.open = append(d.open, candidate{from, from + int64(frameLen(body)), body})
}

// within reports whether a frame is on its way that began where one was
// expected.
func (d *Deframer) within() bool {
	return slices.ContainsFunc(d.open, func(c candidate) bool { return c.from == d.sync })
}

// ripe reads the candidates that end with the last byte. Once one is a frame,
// what began inside it is none; but where bytes were lost its end was corrected
// out of what is the beginning of the next.
func (d *Deframer) ripe() (f Frame, ok bool) {
	foreign, next := 0, d.sync
	for _, c := range d.open {
		if c.to == d.at && c.from == d.sync {
			next = d.at // also where it was none: the one behind it begins there
		}
		if c.to == d.at && !ok {
			f, foreign, ok = d.read(d.buf[int64(len(d.buf))-(c.to-c.from)+headLen:], c.body)
		}
	}
	d.open = slices.DeleteFunc(d.open, func(c candidate) bool {
		return c.to <= d.at || ok && c.from < d.at-int64(foreign)
	})
	d.sync = next
	if ok {
		d.buf, d.sync = slices.Delete(d.buf, 0, len(d.buf)-foreign), d.at
	}
	return f, ok
}

// read corrects a block and takes it apart. foreign is how many bytes at its
// end may be of another frame: some of them were wrong.
func (d *Deframer) read(block []byte, body int) (f Frame, foreign int, ok bool) {
	block = slices.Clone(block)
	whiten(block)
	if intact(block, body) {
		f, ok = readBody(block[:body], 0)
		return f, 0, ok
	}
	if d.purse < mendPrice {
		return f, 0, false
	}
	d.purse -= mendPrice
	d.tried++
	fixed, wrong, ok := mend(block, body)
	if !ok {
		return f, 0, false
	}
	if tail := len(block) - checkLen(body)/2; !bytes.Equal(fixed[tail:], block[tail:]) {
		foreign = len(block) - tail
	}
	f, ok = readBody(fixed[:body], wrong)
	return f, foreign, ok
}
