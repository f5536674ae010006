// Package tier gives tests their sizes: small in `make test`, big in
// `make battery`, which sets NOROSHI_TIER=battery.
package tier

import "os"

// N returns big in the battery and small elsewhere.
func N(small, big int) int {
	if os.Getenv("NOROSHI_TIER") == "battery" {
		return big
	}
	return small
}

// Few returns n, or a fifth of it under the race detector: where races are what
// a round can show.
func Few(n int) int {
	if Raced {
		return (n + 4) / 5
	}
	return n
}
