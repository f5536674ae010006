package noroshi

import "github.com/noroshi-cti/noroshi/stix"

// Portion is what one granular marking says of parts of an object (STIX 2.1
// §7.2.3).
type Portion struct {
	Marking   stix.ID
	Selectors []string
	Label     Label // of the marking alone
}
