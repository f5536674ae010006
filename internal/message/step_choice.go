package message

import (
	"maps"
	"slices"
	"time"
)

// Codes of Switched: why another path is taken.
const (
	SwitchFailed    = "failed"    // the former takes nothing any more
	SwitchSilent    = "silent"    // nothing comes back on the former
	SwitchAgreement = "agreement" // the former may carry it no more, or does not lead there any more
	SwitchBetter    = "better"    // the new one answers, and is preferred
)

// stuck is since when messages wait for which no path is left.
type stuck struct {
	since time.Time
	told  bool
}

// choose notes which path is taken for each set of paths in use, and tells of
// every change, and of what has no path. A path is never changed silently.
func (s *Side) choose(now time.Time) (fx []Effect) {
	fx = s.led(fx, statements, s.maskOf(Out{}))
	for _, m := range slices.Sorted(maps.Keys(s.masks)) {
		fx = s.led(fx, m, m)
		fx = append(fx, s.waitsForPath(m, s.best(m) < 0, now)...)
	}
	return fx
}

// statements is where lead has the path of statements, whatever set they have.
const statements mask = 1 << 31

// led notes which path leads for a set.
func (s *Side) led(fx []Effect, key, m mask) []Effect {
	to := ""
	if i := s.best(m); i >= 0 {
		to = s.paths[i].Name
	}
	from, known := s.lead[key]
	if s.lead[key] = to; !known || from == to {
		return fx
	}
	x := Switched{From: from, To: to, Why: SwitchBetter}
	if p := s.pathOf(from); p != nil {
		x.Why, x.Detail = p.lostBy()
	}
	if slices.Contains(fx, Effect(x)) {
		return fx
	}
	return append(fx, x)
}

// lostBy says why a path is not the preferred one any more.
func (p *path) lostBy() (code, detail string) {
	switch p.state {
	case PathSilent:
		return SwitchSilent, ""
	case PathDown:
		return SwitchFailed, p.why
	case PathAbsent:
		return SwitchAgreement, p.why
	}
	if !p.Control {
		return SwitchAgreement, ""
	}
	return SwitchBetter, ""
}

// noPathFor is for how many heartbeats messages may be without a path before the
// duty officer is told.
const noPathFor = 2

// waitsForPath has the duty officer told, once, when objects have had no path for
// a while: at once when no channel is admissible for them at all.
func (s *Side) waitsForPath(m mask, none bool, now time.Time) []Effect {
	if !none || s.masks[m] == 0 {
		delete(s.stuck, m)
		return nil
	}
	w, known := s.stuck[m]
	if !known {
		w.since = now
	}
	tell := !w.told && (m == 0 || now.Sub(w.since) >= noPathFor*s.rules.Heartbeat)
	w.told = w.told || tell
	s.stuck[m] = w
	if !tell {
		return nil
	}
	return []Effect{Alarm{Code: AlarmNoPath, Epoch: s.present().Epoch, Seq: uint64(s.masks[m])}}
}

// stuckAt is when the duty officer is to be told of what has no path.
func (s *Side) stuckAt() time.Time {
	at := never
	for _, w := range s.stuck {
		if t := w.since.Add(noPathFor * s.rules.Heartbeat); !w.told && t.Before(at) {
			at = t
		}
	}
	return at
}
