package message

import (
	"cmp"
	"time"
)

// Traits are what is to be known of a channel to choose among several. They do
// not change while a process runs.
type Traits struct {
	Kind    string        // as in agreements: https, mail, media, line
	Narrow  bool          // few bytes go: suite S2 once a message can be sealed with it, unpadded; S1 until then
	OneWay  bool          // nothing comes back on it by itself: what goes is never known to have arrived because it went
	Turn    time.Duration // usual time until an answer can be back; 0 = not known, as on a quick wire
	Largest int           // bytes of the largest envelope it takes; 0 = MaxEnvelope
	Cost    int           // less is preferred; of equal ones the first
}

// Takes reports whether an envelope of n bytes is small enough.
func (t Traits) Takes(n int) bool { return n <= cmp.Or(t.Largest, MaxEnvelope) }

// Way is a channel a partner may be reached by, and what may go over it.
type Way struct {
	Name string
	Traits
	Control bool                    // statements, documents and control messages may
	Admits  func(label string) bool // whether objects of a label (normal form) may; nil = none. Always the same for one label: what changes comes with Rewired
}

func (w Way) admits(o Out) bool {
	if o.Label == "" {
		return w.Control
	}
	return w.Control && w.Admits != nil && w.Admits(o.Label)
}

// MaxWays bounds the channels to one partner.
const MaxWays = 16

// PathState is how a way does, best first.
type PathState uint8

// The states. Whether a way's taking an envelope means anything depends on the
// way, so only what came back proves it.
const (
	PathProven   PathState = iota // something that went on it came back
	PathUnproven                  // nothing did yet, nothing speaks against it
	PathSilent                    // it takes envelopes, and nothing comes back
	PathDown                      // it takes none
	PathAbsent                    // it does not lead to this partner
)

var pathStates = []string{"proven", "unproven", "silent", "down", "absent"}

// String is the state in a word.
func (s PathState) String() string { return pathStates[s] }
