package media

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

// Urgent is how often a cycle of a one-way link carries what is FLASH.
const Urgent = 5

// Spool is a folder from which a program that serves a one-way link takes files,
// one at a time. Each file is one part, its blocks of the size of one packet, and
// appears whole or not at all.
type Spool struct {
	path string
	last int64
}

// OpenSpool opens a folder that is there.
func OpenSpool(path string) (*Spool, error) {
	if fi, err := os.Stat(path); err != nil || !fi.IsDir() {
		return nil, noroshi.Errorf(noroshi.NotFound, "media.spool", "%s is no folder", path)
	}
	return &Spool{path: path}, nil
}

// Put writes one file of envelopes and returns its name. Names sort in the order
// they were written.
func (s *Spool) Put(envelopes [][]byte) (name string, err error) {
	p, err := NewPart(envelopes, Datagram)
	if err != nil {
		return "", err
	}
	var whole []byte
	for _, b := range p.Blocks {
		whole = append(whole, b...)
	}
	s.last = max(s.last+1, time.Now().UnixNano())
	name = fmt.Sprintf("%016x%s", s.last, ending)
	folder, err := os.OpenRoot(s.path)
	if err != nil {
		return "", unwritten(s.path, err)
	}
	defer folder.Close()
	if err = durable.WriteIn(folder, "medium", name+partial, name, whole); err == nil {
		err = durable.SettleIn(folder, "medium", ".")
	}
	return name, unwritten(s.path, err)
}

// Waiting counts the files nobody has taken yet.
func (s *Spool) Waiting() (n int, err error) {
	entries, err := os.ReadDir(s.path)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ending {
			n++
		}
	}
	return n, err
}

// Cycle is one turn of a carousel: what is said first, what is FLASH, which goes
// Urgent times spread over the turn, and everything else in its order.
type Cycle struct {
	spool  *Spool
	every  int // files of bulk between two of FLASH
	since  int
	urgent [][]byte
	left   int
	bulk   [][]byte
	size   int
	Files  int
	Bytes  int64
}

// Begin starts a turn. said (keys, state) travels with FLASH, so that whoever
// hears anything hears it; of bulk about so many bytes will follow.
func (s *Spool) Begin(said, urgent [][]byte, bulk int64) (*Cycle, error) {
	c := &Cycle{spool: s, urgent: append(append([][]byte{}, said...), urgent...), left: Urgent}
	c.every = max(1, int(bulk/PartBytes+1)/(Urgent-1))
	return c, c.shout()
}

func (c *Cycle) shout() error {
	if c.left == 0 {
		return nil
	}
	c.left--
	c.since = 0
	return c.put(c.urgent)
}

func (c *Cycle) put(list [][]byte) error {
	if len(list) == 0 {
		return nil
	}
	_, err := c.spool.Put(list)
	for _, e := range list {
		c.Bytes += int64(len(e))
	}
	c.Files++
	return err
}

// Add takes an envelope that is not FLASH.
func (c *Cycle) Add(envelope []byte) error {
	if c.size > 0 && c.size+len(envelope) > PartBytes {
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.bulk, c.size = append(c.bulk, envelope), c.size+len(envelope)
	return nil
}

func (c *Cycle) flush() error {
	err := c.put(c.bulk)
	c.bulk, c.size = nil, 0
	if c.since++; err == nil && c.since >= c.every && c.left > 1 {
		err = c.shout()
	}
	return err
}

// End writes what waits, and FLASH as often as it has not gone yet.
func (c *Cycle) End() error {
	err := c.flush()
	for err == nil && c.left > 0 {
		err = c.shout()
	}
	return err
}
