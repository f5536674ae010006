package noroshi

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// maxName is how many characters a name may have.
const maxName = 63

// CheckName refuses what is no name of a collection, a client or a feed: it
// stands in addresses, commands and HTTP Basic, and is not to be taken for an id.
func CheckName(name string) error {
	if !named(name) || uuid.Validate(name) == nil {
		return Errorf(Invalid, "door.name", "%q is no name: it has 1 to 63 letters, digits, spaces, dots, dashes and underscores, begins with a letter or digit, and is no UUID", name)
	}
	return nil
}

func named(s string) bool {
	if n := utf8.RuneCountInString(s); n == 0 || n > maxName {
		return false
	}
	for i, r := range s {
		inside := unicode.Is(unicode.M, r) || strings.ContainsRune(" ._-", r)
		if !unicode.In(r, unicode.L, unicode.N) && (i == 0 || !inside) {
			return false
		}
	}
	return true
}
