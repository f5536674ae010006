package message

import "time"

// Bounds of a pause.
const (
	longestPause = 6 * time.Hour
	quietAfter   = 24 * time.Hour // since the last, after which it is short again
)

// pause lies between two things that a partner's word makes us do. It doubles each
// time: what is right is needed once, and who goes on without end means ill, or
// is ill.
type pause struct {
	last time.Time
	wait time.Duration
}

// over reports whether it is over, and begins the next.
func (p *pause) over(now time.Time, unit time.Duration) bool {
	since := now.Sub(p.last)
	switch {
	case p.last.IsZero() || since >= quietAfter:
		p.wait = unit
	case since < p.wait:
		return false
	default:
		p.wait = min(2*p.wait, longestPause)
	}
	p.last = now
	return true
}
