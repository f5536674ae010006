package media

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// codeGroups is how many groups of five digits a code has: one in 10^20 media
// that differ has the same.
const codeGroups = 4

// Code is what persons compare by eye or voice: whoever packed a medium and
// whoever unpacks it see the same groups of digits when the same parts are on it.
// It is a check against a mistake or a swapped medium; what protects the content
// is its seals. "" when nothing is there.
func Code(parts []PartID) string {
	if len(parts) == 0 {
		return ""
	}
	sorted := slices.Clone(parts)
	slices.SortFunc(sorted, func(a, b PartID) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	h.Write([]byte("NX/1 medium"))
	for _, id := range slices.Compact(sorted) {
		h.Write(id[:])
	}
	sum := h.Sum(nil)
	groups := make([]string, codeGroups)
	for i := range groups {
		groups[i] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(sum[8*i:])%100000)
	}
	return strings.Join(groups, " ")
}
