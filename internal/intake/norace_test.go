//go:build !race

package intake_test

// raced says that the race detector is in: sizes shrink.
const raced = false
