package stix

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Time is a STIX timestamp (STIX 2.1 §2.12): it keeps its spelling and sorts
// by instant at the full precision it was written with. Comparing two Times
// with == compares spellings; Compare compares instants.
type Time struct{ text string }

// seconds is the form up to the seconds; a fraction of any length may follow.
const seconds = "2006-01-02T15:04:05"

// ParseTime reads an RFC 3339 timestamp in UTC ("Z", and "T" in capitals, as
// STIX 2.1 §2.12 writes them) with any number of digits in the fraction.
//
// The second :60 is taken where a leap second can be, at 23:59 on the last day
// of a month (RFC 3339 §5.7). It sorts behind :59 and before the next day;
// Micros and Time, which have no room for it, give the last instant of :59.
func ParseTime(s string) (Time, error) {
	if !isTime(s) {
		return Time{}, fmt.Errorf("%q is no STIX timestamp of the form %s.000Z", clip(s), seconds)
	}
	return Time{s}, nil
}

func isTime(s string) bool {
	if len(s) < len(seconds)+1 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return false
	}
	year, month, day := number(s[:4]), number(s[5:7]), number(s[8:10])
	hour, minute, sec := number(s[11:13]), number(s[14:16]), number(s[17:19])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(month, year) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || sec < 0 {
		return false
	}
	if sec > 59 && !(sec == 60 && hour == 23 && minute == 59 && day == daysIn(month, year)) {
		return false
	}
	fraction := s[len(seconds) : len(s)-1]
	if s[len(s)-1] != 'Z' {
		return false
	}
	return fraction == "" || fraction[0] == '.' && len(fraction) > 1 && allDigits(fraction[1:])
}

// number reads a short decimal, -1 when s is none.
func number(s string) int {
	if !allDigits(s) {
		return -1
	}
	n := 0
	for i := 0; i < len(s); i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func daysIn(month, year int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// String returns the spelling the time was read with, "" for the zero Time.
func (t Time) String() string { return t.text }

// IsZero reports whether t is no time.
func (t Time) IsZero() bool { return t.text == "" }

// fraction returns the digits after the point without zeros at the end.
func (t Time) fraction() string {
	if len(t.text) <= len(seconds)+2 {
		return ""
	}
	return strings.TrimRight(t.text[len(seconds)+1:len(t.text)-1], "0")
}

// Micros returns whole microseconds since 1970 UTC, rounded down; 0 for the
// zero Time. It never orders two times against Compare.
func (t Time) Micros() int64 {
	if t.text == "" {
		return 0
	}
	return t.Time().UnixMicro()
}

// Time returns the instant rounded down to a nanosecond, the zero time.Time
// for the zero Time.
func (t Time) Time() time.Time {
	if t.text == "" {
		return time.Time{}
	}
	s := t.text
	sec, nanos := number(s[17:19]), 0
	fraction := t.fraction()
	for i := range 9 {
		nanos *= 10
		if i < len(fraction) {
			nanos += int(fraction[i] - '0')
		}
	}
	if sec == 60 {
		sec, nanos = 59, 999_999_999
	}
	return time.Date(number(s[:4]), time.Month(number(s[5:7])), number(s[8:10]),
		number(s[11:13]), number(s[14:16]), sec, nanos, time.UTC)
}

// Compare orders by instant at full precision: -1, 0 or +1. The zero Time
// comes before every other.
func (t Time) Compare(u Time) int {
	if t.text == "" || u.text == "" {
		return cmp.Compare(len(t.text), len(u.text))
	}
	if c := strings.Compare(t.text[:len(seconds)], u.text[:len(seconds)]); c != 0 {
		return c
	}
	return strings.Compare(t.fraction(), u.fraction())
}

// TimeOf returns the Time of an instant, in UTC with milliseconds rounded
// down, as objects made here carry it. The year must be 0 to 9999.
func TimeOf(t time.Time) Time { return Time{t.UTC().Format(seconds + ".000Z")} }
