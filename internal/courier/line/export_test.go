package line

// Kept is how many unfinished envelopes an end keeps, and what they are counted
// as in bytes.
func (s State) Kept() (sets, bytes int) {
	for _, x := range s.kept {
		sets += len(x.sets)
		bytes += x.bytes
	}
	return sets, bytes
}

// Bounds of one partner.
const (
	MaxSets     = maxSets
	MaxBuffered = maxBuffered
)

// WriteFragment writes a piece without its MAC.
func WriteFragment(p Piece) []byte { return appendFragment(p) }

// WriteAck writes an entry of a control frame.
func WriteAck(a Ack) []byte { return appendAck(nil, a) }

// BlockParity makes all parity rows of a block.
func BlockParity(pieces [][]byte) [][]byte { return blockParity(pieces) }

// RestoreBlock fills in the nil pieces of a block.
func RestoreBlock(pieces [][]byte, rows map[int][]byte) bool { return restoreBlock(pieces, rows) }

// Tried is how many corrections were tried, and how many at most may be for so
// many bytes.
func (d *Deframer) Tried() int { return d.tried }

// MostTried bounds Tried after so many bytes.
func MostTried(bytes int) int { return mendPurse + bytes/mendPrice }
