package mail

import "io"

// Open reads a letter as what comes in is read, and returns what may be for this
// node.
func (m *Mail) Open(r io.Reader) ([][]byte, error) {
	o, err := m.open(r)
	found := o.found
	o.release()
	return found, err
}

// Memory is what letters in hand may still take.
func (m *Mail) Memory() int64 { return m.memory.free.Load() }

// MaxMemory is all of it.
const MaxMemory = maxMemory
