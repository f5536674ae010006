package message

import (
	"bytes"

	"github.com/fxamacker/cbor/v2"
	"github.com/noroshi-cti/noroshi"
)

// Limits of the reader (docs/wire.md §1). The library checks that an item is
// well formed before it makes room for it, so a claimed length costs nothing.
const (
	maxNesting  = 8
	maxElements = 4096
)

var (
	encoder = mustMode(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode())
	decoder = mustMode(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       16,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode())
)

func mustMode[M any](m M, err error) M {
	if err != nil {
		panic(err) // the options above contradict each other
	}
	return m
}

// encode writes core-deterministic CBOR (RFC 8949 §4.2). It takes only types
// of this room, which always encode.
func encode(v any) []byte {
	b, err := encoder.Marshal(v)
	if err != nil {
		panic("message: encode wire type: " + err.Error())
	}
	return b
}

// decode reads exactly one item of b into v, and refuses whatever v does not
// encode back to: long integers, null for a list, surplus elements.
func decode(what string, b []byte, v any) error {
	if err := decoder.Unmarshal(b, v); err != nil {
		return malformed(what, err.Error())
	}
	again, err := encoder.Marshal(v)
	if err != nil {
		return malformed(what, err.Error())
	}
	if !bytes.Equal(again, b) {
		return malformed(what, "not in deterministic form")
	}
	return nil
}

// arity returns the number of elements of the array that b begins with, or -1
// when it begins with no array of fewer than 24 elements.
func arity(b []byte) int {
	if len(b) == 0 || b[0] < 0x80 || b[0] > 0x97 {
		return -1
	}
	return int(b[0] - 0x80)
}

// malformed is an error in the form of what was read; why is for those who mend
// the other side's program.
func malformed(what, why string) error {
	return noroshi.Errorf(noroshi.Invalid, "message.form", "read %s: %s", what, why)
}
