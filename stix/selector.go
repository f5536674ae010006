package stix

import (
	"strconv"
	"strings"
)

// Select returns what a selector (STIX 2.1 §7.2.3.1) names in the object, or
// nil: properties and keys with points between them, list elements as [n]
// counted from 0, such as "name", "labels.[2]", "hashes.MD5" or
// "x_deep.list.[0].key".
func Select(o *Object, selector string) RawValue {
	v := o.Root()
	for part := range strings.SplitSeq(selector, ".") {
		if v = v.part(part); v == nil {
			return nil
		}
	}
	return v
}

// Resolve reports whether a selector names something in the object.
func Resolve(o *Object, selector string) bool { return Select(o, selector) != nil }

// part returns what one part of a selector names.
func (v RawValue) part(part string) RawValue {
	if part == "" {
		return nil
	}
	switch v.kind() {
	case '{':
		return v.member(part)
	case '[':
		n, ok := position(part)
		if !ok {
			return nil
		}
		for i, e := range v.Elements() {
			if i == n {
				return e
			}
		}
	}
	return nil
}

// position reads a part of the form [n], without filling zeros.
func position(part string) (int, bool) {
	digits, ok := strings.CutPrefix(part, "[")
	digits, closed := strings.CutSuffix(digits, "]")
	if !ok || !closed || digits == "" || !allDigits(digits) || digits[0] == '0' && digits != "0" {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}
