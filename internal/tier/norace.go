//go:build !race

package tier

// Raced says that the race detector is in, under which everything takes ten
// times as long: what races there are meet in few rounds.
const Raced = false
