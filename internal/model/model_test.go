package model_test

import (
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/model"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// limit is more than any that is looked at as a whole has states.
var limit = tier.N(200_000, 4_000_000)

// extent is how much of a model is looked at.
type extent int

const (
	whole extent = iota
	big          // whole in the battery, else its first states
	part         // its first states
)

func log(l model.Log) func() model.Found {
	return func() model.Found { return model.Explore[model.LogState](l, limit) }
}

func recall(r model.Recall) func() model.Found {
	return func() model.Found { return model.Explore[model.RecallState](r, limit) }
}

// TestDesignHolds: in every state that can be reached the invariants hold, and
// from each everything can be delivered.
func TestDesignHolds(t *testing.T) {
	for _, c := range []struct {
		name    string
		looked  extent
		explore func() model.Found
	}{
		{"log, crashes and loss", whole, log(model.Log{Loses: true, Messages: 3})},
		{"log, A put back", whole, log(model.Log{RestoreA: true, Loses: true, Messages: 2})},
		{"log, B put back", whole, log(model.Log{RestoreB: true, Loses: true, Messages: uint8(tier.N(2, 3))})},
		{"log, both put back", big, log(model.Log{RestoreA: true, RestoreB: true, Messages: 2})},
		{"recall", whole, recall(model.Recall{Third: true, Loses: true})},
		{"recall, B put back", whole, recall(model.Recall{RestoreB: true})},
		{"recall, A put back and its tail returned", big, recall(model.Recall{RestoreA: true})},
		{"recall, B put back, a third object", big, recall(model.Recall{RestoreB: true, Third: true})},
		{"recall, both put back, with the recall list in a file", part, recall(model.Recall{RestoreA: true, RestoreB: true, File: true})},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.explore()
			if f.Fault != "" && !(f.Fault == model.TooMany && c.looked >= extent(tier.N(int(big), int(part)))) {
				t.Errorf("%s (%d states):\n%s", f.Fault, f.States, strings.Join(f.Path, "\n"))
			}
			t.Logf("%d states, %d steps", f.States, f.Steps)
		})
	}
}

// TestBugsAreFound: each bug breaks what it is known to break. The last is none:
// where both sides are put back to before a recall, nobody remembers it, which is
// why it is also kept in a file outside the backups.
func TestBugsAreFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		want    string
		big     bool // seen only when every state was looked at, in the battery
		explore func() model.Found
	}{
		{string(model.AckEarly), "I3", false, log(model.Log{Messages: 2, Bug: model.AckEarly})},
		{string(model.Apart), "I1", false, log(model.Log{Messages: 2, Bug: model.Apart})},
		{string(model.Window), "I1", false, log(model.Log{Messages: 3, Bug: model.Window})},
		{string(model.Reuse), "I4", false, log(model.Log{Messages: 2, Bug: model.Reuse})},
		{string(model.Prune), model.Never, false, log(model.Log{Messages: 2, RestoreB: true, Loses: true, Bug: model.Prune})},
		{string(model.Silent), model.Never, false, log(model.Log{Messages: 2, RestoreB: true, Loses: true, Bug: model.Silent})},
		{string(model.WithoutEpoch), model.Never, false, log(model.Log{Messages: 2, RestoreB: true, Bug: model.WithoutEpoch})},
		{string(model.SentAgain), "I9", false, recall(model.Recall{Bug: model.SentAgain})},
		{string(model.LateArrival), "I9", false, recall(model.Recall{Bug: model.LateArrival})},
		{string(model.ArmsEarly), "I9", false, recall(model.Recall{RestoreB: true, Bug: model.ArmsEarly})},
		{string(model.UnseenB), "I9", false, recall(model.Recall{RestoreB: true, Bug: model.UnseenB, Promise: "I9"})},
		{string(model.UnseenA), "I4", false, recall(model.Recall{Third: true, Bug: model.UnseenA, Promise: "I4"})},
		{string(model.TailLost), "I9", false, recall(model.Recall{RestoreA: true, Bug: model.TailLost})},
		{string(model.AskedOnce), model.Never, true, recall(model.Recall{RestoreA: true, Bug: model.AskedOnce})},
		{string(model.RestTrusted), model.Never, true, recall(model.Recall{RestoreA: true, Bug: model.RestTrusted})},
		{string(model.FirstSeen), model.Never, false, recall(model.Recall{RestoreB: true, Bug: model.FirstSeen})},
		{string(model.AnyLife), model.Never, false, recall(model.Recall{RestoreB: true, Bug: model.AnyLife})},
		{string(model.HelloDropped), model.Never, false, recall(model.Recall{RestoreB: true, Loses: true, Bug: model.HelloDropped})},
		{"both put back to before the recall", "I9", false, recall(model.Recall{RestoreA: true, RestoreB: true})},
	} {
		if c.big && tier.N(0, 1) == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			f := c.explore()
			if !strings.HasPrefix(f.Fault, c.want) {
				t.Errorf("found %q in %d states, want %s", f.Fault, f.States, c.want)
			}
			t.Logf("%s, after %d steps (%d states)", f.Fault, len(f.Path)-1, f.States)
		})
	}
}
