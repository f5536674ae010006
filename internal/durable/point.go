//go:build !crashpoints

package durable

// Point is a place in a write of something where a crash can be played. An error
// means that what follows is not done. Here it does nothing.
func Point(what, step string) error { return nil }

// Passed is Point where what was to be done is done, and nothing can fail.
func Passed(what, step string) {}

// Writing says what the database's own writes belong to from here on.
func Writing(what string) {}
