package message

import (
	_ "embed"

	"github.com/noroshi-cti/noroshi"
)

// Numbers of what compresses a content besides plain zstd (docs/wire.md §6). All
// rest on the one dictionary there is; an agreement pins each by its hash.
const (
	compDict  = 2   // zstd with the dictionary
	compList  = 128 // profile of list-made indicators
	compShort = 129 // profile of what is short, for narrow lines
)

// The dictionary is made of published data alone (dictionary/LICENCE.txt): one
// made of what partners sent would carry it to others.
//
//go:embed dictionary/2.txt
var dictionary2 []byte

func dictionaryText() []byte { return dictionary2 }

// Packings returns the numbers an agreement lists with the hash of what this
// program has under them; none without an agreement.
func Packings(a *noroshi.Agreement) (numbers []uint8) {
	if a == nil {
		return nil
	}
	for _, d := range a.Dictionaries {
		if (d.Number == compDict || d.Number == compList || d.Number == compShort) && d.Hash == DictionaryHash().String() {
			numbers = append(numbers, d.Number)
		}
	}
	return numbers
}

// DictionaryHash is what an agreement names for the numbers 2, 128 and 129.
func DictionaryHash() noroshi.Hash { return noroshi.Sum(dictionary2) }
