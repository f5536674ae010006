package line

import "github.com/klauspost/reedsolomon"

// Parity across frames: each block of 64 pieces has up to 64 parity pieces,
// and any as many of both as the block has pieces give them all. The last piece
// of an envelope, which may be shorter, is in no block.
const (
	blockLen  = 64
	blockRows = 64
)

func blocks(count int) int { return (count - 1 + blockLen - 1) / blockLen }

// blockSpan returns the pieces of a block, from and to (exclusive).
func blockSpan(block, count int) (from, to int) {
	return block * blockLen, min((block+1)*blockLen, count-1)
}

// blockCode is that of a block of so many pieces. Its rows do not depend on how many
// of them are sent.
func blockCode(pieces int) reedsolomon.Encoder {
	e, err := reedsolomon.New(pieces, blockRows, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		panic(err) // pieces and rows are within GF(256)
	}
	return e
}

// blockParity makes all rows of a block of pieces of equal length.
func blockParity(pieces [][]byte) [][]byte {
	shards := append(make([][]byte, 0, len(pieces)+blockRows), pieces...)
	for range blockRows {
		shards = append(shards, make([]byte, len(pieces[0])))
	}
	if err := blockCode(len(pieces)).Encode(shards); err != nil {
		panic(err) // lengths are equal
	}
	return shards[len(pieces):]
}

// restoreBlock fills the nil pieces of a block from its rows; false when there
// are too few.
func restoreBlock(pieces [][]byte, rows map[int][]byte) bool {
	have := 0
	shards := make([][]byte, len(pieces)+blockRows)
	for i, p := range pieces {
		if shards[i] = p; p != nil {
			have++
		}
	}
	for r, p := range rows {
		shards[len(pieces)+r] = p
	}
	if have+len(rows) < len(pieces) || blockCode(len(pieces)).ReconstructData(shards) != nil {
		return false
	}
	copy(pieces, shards[:len(pieces)])
	return true
}
