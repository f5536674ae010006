package noroshi

// The suites envelopes are sealed with, as agreements name them (docs/wire.md).
const (
	SuiteS1  = "S1"  // the usual one; every agreement lists it
	SuiteS1H = "S1H" // larger keys, for those who are bound to them
	SuiteS2  = "S2"  // for narrow lines, under keys both already have
)

// KnownSuites are all of them.
var KnownSuites = []string{SuiteS1, SuiteS1H, SuiteS2}

// Dictionary pins, in an agreement, what compresses contents besides plain zstd:
// its number on the wire (docs/wire.md §6) and the SHA-256 of the dictionary it
// rests on, so that both read the same or neither uses it.
type Dictionary struct {
	Number uint8  `toml:"number"`
	Hash   string `toml:"hash"` // 64 hexadecimal digits
}

// dictionaryHash is that of the one dictionary there is.
const dictionaryHash = "8ff3596f47a3989c3fb942206f2c33306277386e16b73662bb98d3350ac16aef"

// KnownDictionaries are those of this program.
func KnownDictionaries() []Dictionary {
	return []Dictionary{{2, dictionaryHash}, {128, dictionaryHash}, {129, dictionaryHash}}
}
