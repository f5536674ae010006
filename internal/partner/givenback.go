package partner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// maxJump is how far a word given back may be above our latest one to be taken for
// ours: what lies higher nobody here said, and counters would come to an end.
const maxJump = 1 << 32

// Codes of alarms about this node's own words.
const (
	alarmStopped = "suspension.taken-back" // what a partner gave back has stopped data again
	alarmStrange = "suspension.strange"    // a partner holds one that this node never said
)

// remedy is what is done about a word of this node's that a partner gives back.
type remedy int

const (
	leave  remedy = iota // nothing: the word kept here counts over it
	keep                 // it is kept as it came
	repeat               // the present word is said anew, above it
	stop                 // data is stopped by a word above it, and officers are told
	doubt                // nothing, and officers are told: nobody here said it, and it counts at the partner
)

// remedyFor says what is done about a word given back, by whom it is signed, beside
// the latest one here; newer is how they compare, and said whether there is one. That
// it stopped data holds again, also where its key is revoked since, or not known here: a
// thief's stop costs an order to resume, and a partner that makes one up stops nothing
// that it could not stop in its own name. That it let data go on is no order of anybody
// here, so the present word stands. What is of a key that was never this node's says
// nothing.
func remedyFor(given message.Suspension, by message.Signer, ours message.Suspension, said bool, newer int) remedy {
	stops, later := ours.Resumed && !given.Resumed, given.Counter > ours.Counter && !far(given, ours)
	switch {
	case by == message.SignerRevoked && stops && (later || !said):
		return stop // by the place of its key it is before any word said since
	case (by == message.SignerRevoked || by == message.SignerDisowned) && !said:
		return repeat
	case by == message.SignerRevoked || by == message.SignerDisowned:
		return leave // ours counts over it at the partner too
	case newer > 0 && far(given, ours):
		return doubt
	case newer < 0:
		return leave // the partner has not heard the newest yet
	case by == message.SignerUnknown && stops:
		return stop
	case by == message.SignerStands && newer > 0 && (ours.Resumed || !given.Resumed):
		return keep
	}
	return repeat
}

func far(given, ours message.Suspension) bool { return given.Counter > ours.Counter+maxJump }

// above returns the counter of a word that is to count over one given back and the
// latest one here.
func above(given, ours message.Suspension) uint64 {
	if far(given, ours) {
		return ours.Counter + 1
	}
	return max(ours.Counter, given.Counter) + 1
}

// givenBack takes this node's own word from a partner: it was put back to before
// it said so, or somebody else has its key.
func (o *Office) givenBack(ctx context.Context, p noroshi.Partner, doc []byte) error {
	s, by, err := message.SignerOf(doc, o.o.Keys.Keyset())
	if err != nil {
		return err
	}
	if _, with, err := o.inForce(ctx, o.store.Reads, s.Agreement); err != nil || with.Node != p.Node {
		return err // not the agreement in force any more: its words say nothing
	}
	var do remedy
	var said []byte
	_, err = o.store.Do(ctx, actOf(p, s), func(tx *store.Tx) error {
		do, said, err = o.remedy(ctx, tx, p, doc, s, by)
		return err
	})
	switch {
	case do == doubt:
		return o.warn(ctx, p, s.Agreement, alarmStrange)
	case err != nil:
		return unlessKnown(err)
	case do == stop:
		err = o.warn(ctx, p, s.Agreement, alarmStopped)
	}
	return errors.Join(err, o.post(ctx, p.Node, said))
}

// remedy does what is to be done about a word given back, inside the act, and returns
// it with the word that the partner is told. It is errKnown where nothing is written:
// so it is in a process that has not taken over the keys of another yet, for it cannot
// tell whose the word is.
func (o *Office) remedy(ctx context.Context, tx *store.Tx, p noroshi.Partner, doc []byte, s message.Suspension, by message.Signer) (do remedy, told []byte, err error) {
	held, err := word(ctx, tx.Reads, s.Agreement, s.Node)
	if err != nil || bytes.Equal(doc, held) {
		return leave, nil, cmp.Or(err, errKnown)
	}
	if behind, err := o.behind(ctx, tx.Reads); err != nil || behind {
		return leave, nil, cmp.Or(err, errKnown)
	}
	ours, err := o.latest(ctx, tx.Reads, s.Agreement, s.Node)
	if err != nil {
		return leave, nil, err
	}
	switch do = remedyFor(s, by, ours, held != nil, message.CompareSuspensions(doc, held, o.o.Keys.Keyset())); do {
	case leave, doubt:
		return do, nil, errKnown
	case keep: // the courier has an earlier one of ours
		return do, doc, o.take(ctx, tx, p, s, doc)
	}
	now, err := partner(ctx, tx.Reads, p.Node)
	if err != nil {
		return do, nil, err
	}
	ours.Agreement, ours.Counter, ours.Resumed = s.Agreement, above(s, ours), ours.Resumed && do != stop
	tx.Act().Action = actOf(p, ours).Action
	told, err = o.say(ctx, tx, now, ours)
	return do, told, err
}

// alarmPause is how long an alarm of one code about a partner stands for further
// ones, as it does on a link.
const alarmPause = time.Minute

// warned is an alarm about what a partner gave back.
type warned struct {
	partner noroshi.NodeID
	code    string
}

// warn puts a code into the feed for both duty officers to see.
func (o *Office) warn(ctx context.Context, p noroshi.Partner, h noroshi.Hash, code string) error {
	if !o.first(warned{p.Node, code}) {
		return nil
	}
	act := noroshi.Act{Action: noroshi.ActAlarm, Subject: code, Partner: p.Node, Agreement: h, Precedence: noroshi.Immediate}
	_, err := o.store.Do(ctx, act, func(tx *store.Tx) error { return tx.Notice(store.AlarmRaised, code) })
	return err
}

// first reports whether an alarm has not been raised for alarmPause, and notes that it
// is raised now.
func (o *Office) first(w warned) bool {
	now := o.o.Now()
	o.warning.Lock()
	defer o.warning.Unlock()
	if last, told := o.lastWarned[w]; told && now.Sub(last) < alarmPause {
		return false
	}
	o.lastWarned[w] = now
	return true
}
