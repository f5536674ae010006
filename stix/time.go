package stix

import "time"

// Time is a STIX timestamp (STIX 2.1 §2.11): it keeps its spelling and sorts
// by instant at the full precision it was written with.
type Time struct{ text string }

// ParseTime reads an RFC 3339 timestamp in UTC ("Z"), any number of digits.
func ParseTime(s string) (Time, error) { panic("stub") }

// String returns the spelling the time was read with, "" for the zero Time.
func (t Time) String() string { return t.text }

// IsZero reports whether t is no time.
func (t Time) IsZero() bool { return t.text == "" }

// Micros returns whole microseconds since 1970 UTC, rounded down.
func (t Time) Micros() int64 { panic("stub") }

// Time returns the instant rounded down to a nanosecond.
func (t Time) Time() time.Time { panic("stub") }

// Compare orders by instant at full precision: -1, 0 or +1.
func (t Time) Compare(u Time) int { panic("stub") }

// TimeOf returns the Time of an instant, in UTC with milliseconds, as objects
// made here carry it.
func TimeOf(t time.Time) Time { panic("stub") }
