package message

import (
	"crypto/hpke"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// Suite is the first byte of an envelope, and all of it that has a meaning to
// whoever holds no key.
type Suite byte

// The suites. S1 always serves; the others where an agreement lists them.
const (
	S1  Suite = 0x11 // HPKE with ML-KEM-768+X25519, HKDF-SHA256, AES-256-GCM
	S1H Suite = 0x12 // HPKE with ML-KEM-1024+P-384, HKDF-SHA384, AES-256-GCM
	S2  Suite = 0x13 // AES-256-GCM under the key of a day, for narrow lines
)

// String is the suite's name in agreements.
func (s Suite) String() string {
	switch s {
	case S1:
		return noroshi.SuiteS1
	case S1H:
		return noroshi.SuiteS1H
	case S2:
		return noroshi.SuiteS2
	}
	return ""
}

// SuitesOn returns those that what goes over a kind of channel may be sealed with
// under an agreement; nil is none in force: S1 alone. For a kind that is not listed
// it is what the agreement lists for any: what came by it all the same is told by
// its label.
func SuitesOn(a *noroshi.Agreement, kind string) (list []Suite) {
	if a == nil {
		return []Suite{S1}
	}
	names := a.SuitesOn(kind)
	if !a.Lists(kind) {
		names = slices.DeleteFunc(slices.Clone(a.Suites), func(s string) bool { return s == noroshi.SuiteS2 })
	}
	for _, s := range []Suite{S1, S1H, S2} {
		if slices.Contains(names, s.String()) {
			list = append(list, s)
		}
	}
	return list
}

// MayCarry reports whether an envelope of suite s may carry a message or statement
// of a kind, or a document (kind 0), where the suites of list are agreed; an empty
// list is S1 alone. Under S1 goes everywhere what the keys for others are learned
// from: documents and STATE. Where S2 is listed, whose keys come by a LINK that it
// cannot seal itself, and S1H is not, all goes under S1 too that has no objects, as
// DATA and RETURN have.
func MayCarry(list []Suite, s Suite, k Kind) bool {
	switch {
	case slices.Contains(list, s), len(list) == 0 && s == S1:
		return true
	case s != S1:
		return false
	}
	return k == 0 || k == StateKind || k != Data && k != ReturnKind && slices.Contains(list, S2) && !slices.Contains(list, S1H)
}

// sealing is what an HPKE suite is made of.
type sealing struct {
	suite  Suite
	alg    int64 // of its keys in a KEYSET: the number of the KEM
	encLen int
	kem    func() hpke.KEM
	kdf    func() hpke.KDF
}

var sealings = []sealing{
	{S1, algXWing, 1120, hpke.MLKEM768X25519, hpke.HKDFSHA256},
	{S1H, algHigh, 1665, hpke.MLKEM1024P384, hpke.HKDFSHA384},
}

func sealingOf(s Suite) (sealing, bool) {
	i := slices.IndexFunc(sealings, func(x sealing) bool { return x.suite == s })
	if i < 0 {
		return sealing{}, false
	}
	return sealings[i], true
}

func sealingFor(alg int64) (sealing, bool) {
	i := slices.IndexFunc(sealings, func(x sealing) bool { return x.alg == alg })
	if i < 0 {
		return sealing{}, false
	}
	return sealings[i], true
}

func (s sealing) ctStart() int { return encStart + s.encLen }
