package pattern

import (
	"errors"
	"net/netip"
	"regexp/syntax"
	"strings"
)

// timestamp checks the form and the ranges of a timestamp literal
// (STIX 2.1 §9.2): the grammar lets every month have 31 days and a minute 61
// seconds.
func timestamp(s string) bool {
	const form = "dddd-dd-ddTdd:dd:dd"
	if len(s) < len(form)+1 || s[len(s)-1] != 'Z' {
		return false
	}
	for i := range len(form) {
		if form[i] == 'd' && !digit(s[i]) || form[i] != 'd' && s[i] != form[i] {
			return false
		}
	}
	fraction := s[len(form) : len(s)-1]
	if fraction != "" && (fraction[0] != '.' || len(fraction) == 1 || strings.Trim(fraction[1:], "0123456789") != "") {
		return false
	}
	return within(s[5:7], "01", "12") && within(s[8:10], "01", "31") && within(s[11:13], "00", "23") &&
		within(s[14:16], "00", "59") && within(s[17:19], "00", "60")
}

func within(s, low, high string) bool { return s >= low && s <= high }

// checkOperands checks constants against their operator and path.
func checkOperands(c *Comparison) *Error {
	switch c.Op {
	case In:
		for _, v := range c.Values[min(1, len(c.Values)):] {
			if class(v.Kind) != class(c.Values[0].Kind) {
				return &Error{Code: "constant", Msg: "a set holds constants of one type"}
			}
		}
		return checkHashes(c)
	case Equal:
		return checkHashes(c)
	case IsSubset, IsSuperset:
		if !network(c.Values[0].Text) {
			return &Error{Code: "constant", Msg: "'" + clip(c.Values[0].Text) + "' is no address and no CIDR block"}
		}
	case Matches:
		return checkRegexp(c)
	}
	return nil
}

// class groups the kinds that may stand in one set.
func class(k ConstantKind) ConstantKind {
	switch k {
	case Float:
		return Integer
	case Hex:
		return Binary
	}
	return k
}

func network(s string) bool {
	if strings.ContainsRune(s, '/') {
		_, err := netip.ParsePrefix(s)
		return err == nil
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
}

// checkRegexp refuses an expression that no engine accepts and marks one that
// needs look-around, back-references or other things RE2 does not have.
func checkRegexp(c *Comparison) *Error {
	_, err := syntax.Parse(c.Values[0].Text, syntax.Perl)
	var e *syntax.Error
	if err == nil || !errors.As(err, &e) {
		return nil
	}
	switch e.Code {
	case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidRepeatOp, syntax.ErrInvalidRepeatSize,
		syntax.ErrInvalidNamedCapture, syntax.ErrLarge, syntax.ErrNestingDepth:
		if e.Expr == "*" || e.Expr == "+" || e.Expr == "?" {
			break // nothing to repeat: wrong everywhere
		}
		c.Backtracking = true
		return nil
	}
	return &Error{Code: "constant", Msg: "regular expression: " + string(e.Code) + " " + clip(e.Expr)}
}

// hashDigits is the length of a hash in hexadecimal digits by its name without
// hyphens, in upper case.
var hashDigits = map[string]int{
	"MD5": 32, "RIPEMD160": 40, "SHA1": 40, "SHA224": 56, "SHA256": 64, "SHA384": 96, "SHA512": 128,
	"SHA3224": 56, "SHA3256": 64, "SHA3384": 96, "SHA3512": 128, "WHIRLPOOL": 128,
}

// checkHashes checks the form of hash constants (STIX 2.1 §2.7).
func checkHashes(c *Comparison) *Error {
	n := len(c.Path.Steps)
	if n < 2 || c.Path.Steps[n-2].Name != "hashes" {
		return nil
	}
	name := c.Path.Steps[n-1].Name
	digits, known := hashDigits[strings.ToUpper(strings.ReplaceAll(name, "-", ""))]
	if !known {
		return nil
	}
	for _, v := range c.Values {
		if v.Kind == String && (len(v.Text) != digits || strings.Trim(v.Text, "0123456789abcdefABCDEF") != "") {
			return &Error{Code: "hash-format", Msg: "'" + clip(v.Text) + "' is not a " + clip(name) + " hash"}
		}
	}
	return nil
}
