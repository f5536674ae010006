package release

import (
	"iter"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// A policy may ask for any level, exactly or from below, and would then permit
// what gets a marking more than what has it not. So an agreement is read by two
// rules, under which a further marking never lets anything go, for any text:
//
//   - What it lets go marked more strictly, with markings of the same kinds, it
//     lets go marked less strictly. What it forbids, it forbids marked more
//     strictly too.
//   - What has a TLP (an IEP's counts) and an ACS or Japanese marking goes only
//     where it would go with either kind alone.

// answer is what an agreement permits a class.
type answer struct {
	alone, two []string // clauses by which it goes by itself, and with two persons; sorted
	less       []string // clauses it goes under, or would with fewer markings: what they ask to be said less counts
	without    string   // reason: with one kind of its markings alone nothing would go, where with both it would
}

// by returns the clauses by which something goes: those that let it go by
// itself, where two persons need not sign anyway.
func (a answer) by(p noroshi.Precedence) []string {
	if p < noroshi.Flash && len(a.alone) > 0 {
		return a.alone
	}
	return append(slices.Clone(a.two), a.alone...)
}

// freer reports whether an answer lets more go than another.
func (a answer) freer(b answer) bool {
	if len(a.alone) > 0 {
		return len(b.alone) == 0
	}
	return len(a.two) > 0 && len(b.alone)+len(b.two) == 0
}

// said is what the policies say, as they are written, of one class at each
// level; nil = not asked yet.
type said [noroshi.Red + 1][noroshi.TopSecret + 1]*saying

type saying struct {
	alone, two     []string // clauses that permit; sorted
	noAlone, noTwo bool     // a clause forbids
}

// ask returns what the agreement permits a class, working each class out once.
func (c *Clauses) ask(p noroshi.Party, now time.Time, k class) answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (c.timed && !c.at.Equal(now)) || len(c.known) >= maxClasses {
		clear(c.known)
		clear(c.said)
		c.at = now
	}
	a, ok := c.known[k]
	if !ok {
		bare := k
		bare.level, bare.classified = noroshi.NoTLP, noroshi.NoLevel
		if c.said[bare] == nil {
			c.said[bare] = &said{}
		}
		q := question{c, p, now, bare, c.said[bare]}
		a = q.answer(k.level, k.classified)
		c.known[k] = a
	}
	return a
}

// question is one being asked about a class at any level.
type question struct {
	c    *Clauses
	p    noroshi.Party
	now  time.Time
	bare class
	said *said
}

func (q question) at(level noroshi.TLP, classified noroshi.Level) *saying {
	s := q.said[level][classified]
	if s == nil {
		k := q.bare
		k.level, k.classified = level, classified
		s = &saying{}
		s.alone, s.noAlone = q.c.permits("release", q.p, q.now, k)
		s.two, s.noTwo = q.c.permits("releaseWithTwoPersons", q.p, q.now, k)
		q.said[level][classified] = s
	}
	return s
}

// answer reads the agreement for a class at a level by both rules.
func (q question) answer(level noroshi.TLP, classified noroshi.Level) answer {
	own := q.kind(level, classified)
	a := own
	if level > noroshi.NoTLP && classified > noroshi.NoLevel {
		for _, x := range []struct {
			name string
			part answer
		}{{"clause.none-class", q.kind(noroshi.NoTLP, classified)}, {"clause.none-tlp", q.kind(level, noroshi.NoLevel)}} {
			if a.freer(x.part) {
				a = x.part
				a.without = x.name
			}
		}
	}
	for s, d := range lower(level, classified) {
		a.less = append(a.less, q.kind(s, d).by(q.bare.precedence)...)
	}
	slices.Sort(a.less)
	a.less = slices.Compact(a.less)
	return a
}

// kind reads the agreement for markings of the same kinds: by the nearest level
// from this one up at which a clause permits, unless one forbids from this one
// down.
func (q question) kind(level noroshi.TLP, classified noroshi.Level) (a answer) {
	for s, d := range upper(level, classified) {
		x := q.at(s, d)
		if a.alone == nil {
			a.alone = x.alone
		}
		if a.two == nil {
			a.two = x.two
		}
	}
	for s, d := range lower(level, classified) {
		x := q.at(s, d)
		if x.noAlone {
			a.alone = nil
		}
		if x.noTwo {
			a.two = nil
		}
	}
	return a
}

// upper goes through what is marked as strictly or more with the same kinds.
func upper(level noroshi.TLP, classified noroshi.Level) iter.Seq2[noroshi.TLP, noroshi.Level] {
	most, highest := noroshi.Red, noroshi.TopSecret
	if level == noroshi.NoTLP {
		most = noroshi.NoTLP
	}
	if classified == noroshi.NoLevel {
		highest = noroshi.NoLevel
	}
	return levels(level, most, classified, highest)
}

// lower goes through what is marked as strictly or less, with fewer kinds too,
// but not through what is not marked: nothing of that goes.
func lower(level noroshi.TLP, classified noroshi.Level) iter.Seq2[noroshi.TLP, noroshi.Level] {
	return func(yield func(noroshi.TLP, noroshi.Level) bool) {
		for s, d := range levels(noroshi.NoTLP, level, noroshi.NoLevel, classified) {
			if (s > noroshi.NoTLP || d > noroshi.NoLevel) && !yield(s, d) {
				return
			}
		}
	}
}

func levels(from, to noroshi.TLP, low, high noroshi.Level) iter.Seq2[noroshi.TLP, noroshi.Level] {
	return func(yield func(noroshi.TLP, noroshi.Level) bool) {
		for s := from; s <= to; s++ {
			for d := low; d <= high; d++ {
				if !yield(s, d) {
					return
				}
			}
		}
	}
}
