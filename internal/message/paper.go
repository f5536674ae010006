package message

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/noroshi-cti/noroshi"
)

// A paper receipt (docs/wire.md, Paper receipts) is at most twelve groups of five digits: groups of four digits
// of the report and one that checks the group, then two groups of the keyed check
// of it all. The report is a row of numbers, each behind a digit that says how
// many digits it has; a zero ends it:
//
//	flag, counter, cum+1, [ gap, length ]*
//
// flag is 1 when all that is told is applied and 2 when some is only stored; the
// counter is the minute it was written, so that it rises across a restore too; gap
// is how many sequences are missing before a range, length how many are in it.
const (
	paperGroups = 12
	checkGroups = 2
	groupDigits = 5
)

// Paper is what a paper receipt tells.
type Paper struct {
	Counter uint64 // minutes of the clock of who wrote it since 2020: the later counts
	Cum     uint64 // 1..Cum are stored
	Ranges  []Range
	Applied bool // all of it
}

// paperStart is the minute paper counts from.
var paperStart = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// PaperCounter is the counter of a receipt written now.
func PaperCounter(now time.Time) uint64 {
	return uint64(max(1, now.Sub(paperStart)/time.Minute))
}

// Tells reports whether a receipt tells of everything another tells of.
func (p Paper) Tells(o Paper) bool {
	for _, r := range append([]Range{{1, o.Cum}}, o.Ranges...) {
		in := func(x Range) bool { return x.A <= r.A && r.B <= x.B }
		if r.B > 0 && r.B > p.Cum && !slices.ContainsFunc(p.Ranges, in) {
			return false
		}
	}
	return true
}

// Report writes the digits of what a receipt tells. Too many ranges for
// paper are refused with the code message.paper-full.
func (p Paper) Report() (string, error) {
	var b strings.Builder
	number := func(n uint64) {
		s := strconv.FormatUint(n, 10)
		b.WriteString(strconv.Itoa(len(s)) + s)
	}
	flag := "2"
	if p.Applied {
		flag = "1"
	}
	b.WriteString(flag)
	number(p.Counter)
	number(p.Cum + 1)
	end := p.Cum
	for _, r := range p.Ranges {
		number(r.A - end - 1)
		number(r.B - r.A + 1)
		end = r.B
	}
	for b.Len()%(groupDigits-1) > 0 {
		b.WriteByte('0')
	}
	if b.Len() > (paperGroups-checkGroups)*(groupDigits-1) || end >= 1e9 {
		return "", noroshi.Errorf(noroshi.Invalid, "message.paper-full", "%d ranges do not fit twelve groups of digits: write a receipt file with --out FILE", len(p.Ranges)+1)
	}
	return b.String(), nil
}

// ReadReport reads what Report wrote.
func ReadReport(digits string) (p Paper, err error) {
	bad := noroshi.Errorf(noroshi.Invalid, "message.paper", "these digits are no receipt")
	rest := digits
	var list []uint64
	if rest == "" || rest[0] != '1' && rest[0] != '2' {
		return p, bad
	}
	p.Applied, rest = rest[0] == '1', rest[1:]
	for rest != "" && rest[0] != '0' {
		n := int(rest[0] - '0')
		if n > len(rest)-1 || rest[1] == '0' {
			return p, bad
		}
		v, err := strconv.ParseUint(rest[1:1+n], 10, 64)
		if err != nil {
			return p, bad
		}
		list, rest = append(list, v), rest[1+n:]
	}
	if strings.Trim(rest, "0") != "" || len(rest) > groupDigits-2 || len(list) < 2 || len(list)%2 != 0 {
		return p, bad
	}
	p.Counter, p.Cum = list[0], list[1]-1
	end := p.Cum
	for i := 2; i < len(list); i += 2 {
		r := Range{A: end + list[i] + 1, B: end + list[i] + list[i+1]}
		p.Ranges, end = append(p.Ranges, r), r.B
	}
	return p, nil
}

// WriteGroups writes a report and its keyed check, a number of ten digits, as
// groups.
func WriteGroups(report string, check uint64) string {
	var groups []string
	for i := 0; i+groupDigits-1 <= len(report); i += groupDigits - 1 {
		g := report[i : i+groupDigits-1]
		groups = append(groups, g+string('0'+damm(len(groups), g)))
	}
	return strings.Join(append(groups, fmt.Sprintf("%05d", check/100000%100000), fmt.Sprintf("%05d", check%100000)), " ")
}

// ReadGroups reads what a person typed of groups, however it is spaced. An error
// with the code message.paper-groups names the groups that cannot be right.
func ReadGroups(typed string) (report string, check uint64, err error) {
	var digits strings.Builder
	for _, r := range norm.NFKC.String(typed) {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case !strings.ContainsRune(" \t\r\n-.,、・/", r):
			return "", 0, noroshi.Errorf(noroshi.Invalid, "message.paper-sign", "%q is no digit", string(r))
		}
	}
	all := digits.String()
	if len(all)%groupDigits != 0 || len(all) < 4*groupDigits || len(all) > paperGroups*groupDigits {
		return "", 0, noroshi.Errorf(noroshi.Invalid, "message.paper-length", "%d digits were typed, a receipt has 4 to 12 groups of 5", len(all))
	}
	data := all[:len(all)-checkGroups*groupDigits]
	var wrong []string
	for i := 0; i < len(data); i += groupDigits {
		g := data[i : i+groupDigits]
		if damm(i/groupDigits, g) != 0 {
			wrong = append(wrong, strconv.Itoa(i/groupDigits+1))
		}
		report += g[:groupDigits-1]
	}
	if len(wrong) > 0 {
		return "", 0, noroshi.Errorf(noroshi.Invalid, "message.paper-groups", "wrong in group %s: have it read again", strings.Join(wrong, ", "))
	}
	check, err = strconv.ParseUint(all[len(data):], 10, 64)
	return report, check, err
}

// WrongCheck names the check group that differs when only one does, counted from
// the first group of a receipt with this report: then it was misread.
func WrongCheck(report string, got, want uint64) (group int, one bool) {
	first := len(report)/(groupDigits-1) + 1
	upper, lower := got/100000 == want/100000, got%100000 == want%100000
	switch {
	case upper && !lower:
		return first + 1, true
	case lower && !upper:
		return first, true
	}
	return 0, false
}

// dammTable is a totally anti-symmetric quasigroup of order 10 (Damm, 2004): a
// digit that is wrong, and two neighbours that changed places, are found always.
var dammTable = [10][10]uint8{
	{0, 3, 1, 7, 5, 9, 8, 6, 4, 2},
	{7, 0, 9, 2, 1, 5, 4, 8, 6, 3},
	{4, 2, 0, 6, 8, 7, 1, 3, 5, 9},
	{1, 7, 5, 0, 9, 8, 3, 4, 2, 6},
	{6, 1, 2, 3, 0, 4, 5, 9, 7, 8},
	{3, 6, 7, 4, 2, 0, 9, 5, 8, 1},
	{5, 8, 6, 9, 7, 2, 0, 1, 3, 4},
	{8, 9, 4, 5, 3, 6, 2, 0, 1, 7},
	{9, 4, 3, 8, 6, 1, 7, 2, 0, 5},
	{2, 5, 8, 1, 4, 3, 6, 7, 9, 0},
}

// damm checks the digits of a group; begun by its place, so that two groups
// that changed places are found too.
func damm(group int, digits string) (c uint8) {
	c = uint8(group % 10)
	for i := range len(digits) {
		c = dammTable[c][digits[i]-'0']
	}
	return c
}
