package ledger

import "encoding/binary"

// KeyNumber is the key hash under which a key signs for an origin, as verifiers of
// signed notes name it.
func KeyNumber(origin string, key []byte) uint32 { return binary.BigEndian.Uint32(keyID(origin, key)) }
