package stix

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
)

// decimal is a JSON number at its full precision: 0.digits × 10^point.
type decimal struct {
	negative bool
	digits   string // without zeros at either end; empty for 0
	point    int
}

// hugeExponent stands for every exponent beyond it.
const hugeExponent = 1 << 30

// parseDecimal reads a JSON number.
func parseDecimal(v RawValue) decimal {
	d := decimal{negative: v[0] == '-'}
	mantissa := bytes.TrimPrefix(v, []byte("-"))
	if e := bytes.IndexAny(mantissa, "eE"); e >= 0 {
		exponent, err := strconv.Atoi(string(mantissa[e+1:]))
		if err != nil || exponent > hugeExponent || exponent < -hugeExponent {
			exponent = hugeExponent
			if mantissa[e+1] == '-' {
				exponent = -hugeExponent
			}
		}
		d.point, mantissa = exponent, mantissa[:e]
	}
	whole, fraction, _ := strings.Cut(string(mantissa), ".")
	d.point += len(whole)
	d.digits = whole + fraction
	trimmed := strings.TrimLeft(d.digits, "0")
	d.point -= len(d.digits) - len(trimmed)
	d.digits = strings.TrimRight(trimmed, "0")
	if d.digits == "" {
		d = decimal{}
	}
	return d
}

// whole reports whether the number has no fraction.
func (d decimal) whole() bool { return len(d.digits) <= d.point || d.digits == "" }

// compare orders d against n.
func (d decimal) compare(n int64) int {
	other := parseDecimal(RawValue(strconv.FormatInt(n, 10)))
	switch {
	case d.digits == "" || other.digits == "" || d.negative != other.negative:
		return cmp.Compare(d.sign(), other.sign())
	case d.negative:
		return other.magnitude(d)
	}
	return d.magnitude(other)
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// magnitude orders the absolute values of two numbers other than 0.
func (d decimal) magnitude(o decimal) int {
	if d.point != o.point {
		return cmp.Compare(d.point, o.point)
	}
	return strings.Compare(d.digits, o.digits)
}
