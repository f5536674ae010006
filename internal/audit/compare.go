package audit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Codes of differences. The first group cannot both be true; of the second one
// side may only be later than the other.
const (
	DiffLeaf    = "other-entry"       // exports of one node: an entry is not the same
	DiffHead    = "other-head"        // a ledger is not the one the other side countersigned
	DiffBeyond  = "fewer-entries"     // more entries were countersigned than there are
	DiffID      = "other-message"     // two messages under one sequence
	DiffReceipt = "untrue-receipt"    // one side holds a receipt of what the other has not
	DiffForeign = "never-sent"        // one side received what the other never sent
	DiffSent    = "not-received-yet"  // sent, not there
	DiffClosed  = "not-closed-yet"    // closed by its sender, and the other side does not know
	DiffLater   = "only-in-the-later" // exports of one node: entries of one alone
)

// Difference is one thing on which two exports do not agree.
type Difference struct {
	Code  string         `json:"code"`
	Of    noroshi.NodeID `json:"of"`              // whose ledger or stream
	Index uint64         `json:"index,omitempty"` // entry or size of the ledger
	Epoch string         `json:"epoch,omitempty"`
	Seq   uint64         `json:"seq,omitempty"`
	First string         `json:"first,omitempty"`  // what the first export has
	Then  string         `json:"second,omitempty"` // what the second has
}

// Contradicts reports whether the difference cannot come of one export being
// later than the other.
func (d Difference) Contradicts() bool {
	return d.Code != DiffSent && d.Code != DiffClosed && d.Code != DiffLater
}

// Compared is what came of comparing two exports.
type Compared struct {
	First   noroshi.NodeID `json:"first"`
	Second  noroshi.NodeID `json:"second"`
	Entries [2]uint64      `json:"entries"` // of the link's ledger in each
	Sent    [2]int         `json:"sent"`    // messages in the stream of each
	Agreed  int            `json:"agreed"`  // messages both have alike
	Heads   int            `json:"heads"`   // countersigned heads that were compared

	Contradictions int          `json:"contradictions"`
	OneSided       int          `json:"one_sided"`
	Differences    []Difference `json:"differences"` // contradictions first; at most maxDifferences
}

const maxDifferences = 1000

// Compare reads two exports of one link, of both nodes or of one at two times,
// checks each by itself and says where they differ: contradictions first, each
// in the order of entries, then what only one of them has.
func Compare(firstName string, first io.Reader, secondName string, second io.Reader) (out Compared, err error) {
	a, err := readExport(firstName, first)
	if err != nil {
		return out, err
	}
	b, err := readExport(secondName, second)
	if err != nil {
		return out, err
	}
	c := &comparer{a: a, b: b}
	c.out.First, c.out.Second = a.names.Node, b.names.Node
	c.out.Entries = [2]uint64{a.head.Size, b.head.Size}
	c.out.Sent = [2]int{len(a.out), len(b.out)}
	switch {
	case a.names == b.names:
		c.same()
	case a.names.Realm == b.names.Realm && a.names.Node == b.names.Partner && a.names.Partner == b.names.Node:
		c.sides()
	default:
		return out, noroshi.Errorf(noroshi.Invalid, "audit.other-link", "%s and %s are not of one link", firstName, secondName)
	}
	slices.SortStableFunc(c.out.Differences, func(x, y Difference) int { return rankOf(x) - rankOf(y) })
	c.out.Differences = c.out.Differences[:min(len(c.out.Differences), maxDifferences)]
	return c.out, nil
}

func rankOf(d Difference) int {
	if d.Contradicts() {
		return 0
	}
	return 1
}

type comparer struct {
	a, b *exported
	out  Compared
}

func (c *comparer) differ(d Difference) {
	if d.Contradicts() {
		c.out.Contradictions++
	} else {
		c.out.OneSided++
	}
	if len(c.out.Differences) < 20*maxDifferences {
		c.out.Differences = append(c.out.Differences, d)
	}
}

// same compares exports of one node: the shorter must be the beginning of the
// longer.
func (c *comparer) same() {
	of := c.a.names.Node
	n := min(len(c.a.leaves), len(c.b.leaves))
	for i := range n {
		if c.a.leaves[i].hash != c.b.leaves[i].hash {
			c.differ(Difference{Code: DiffLeaf, Of: of, Index: uint64(i), First: c.a.leaves[i].String(), Then: c.b.leaves[i].String()})
			return // what follows rests on it
		}
	}
	if len(c.a.leaves) != len(c.b.leaves) {
		c.differ(Difference{Code: DiffLater, Of: of, Index: uint64(n), First: count(len(c.a.leaves) - n), Then: count(len(c.b.leaves) - n)})
	}
	c.heads(c.a, c.b.cosigned, false)
	c.heads(c.b, c.a.cosigned, true)
}

func count(n int) string { return fmt.Sprintf("%d", n) }

func (l leafAt) String() string {
	return string(l.action) + " " + time.UnixMicro(l.time).UTC().Format(time.RFC3339)
}

// sides compares the exports of both nodes.
func (c *comparer) sides() {
	c.heads(c.a, append(slices.Clone(c.a.cosigned), c.b.seen...), false)
	c.heads(c.b, append(slices.Clone(c.b.cosigned), c.a.seen...), true)
	c.stream(c.a, c.b, false)
	c.stream(c.b, c.a, true)
}

// heads holds a ledger against what was countersigned of it. A ledger that was
// put back to a backup keeps the older heads; those of the branch it lost are
// differences, and an inquiry finds the EPOCH that explains them.
func (c *comparer) heads(of *exported, claims []claim, second bool) {
	slices.SortStableFunc(claims, func(x, y claim) int { return cmp.Or(cmp.Compare(x.size, y.size), x.made.Compare(y.made)) })
	claims = slices.CompactFunc(claims, func(x, y claim) bool { return x.size == y.size && x.text == y.text })
	roots := of.rootsAt(claims)
	for _, x := range claims {
		c.out.Heads++
		root, there := roots[x.size]
		d := Difference{Of: of.names.Node, Index: x.size}
		switch {
		case !there && (c.a.names == c.b.names || !x.made.Before(of.at)):
			continue // the export is of before
		case !there:
			d.Code = DiffBeyond
			d.First, d.Then = swap(count(len(of.leaves)), count(int(x.size)), second)
		case noroshi.Sum(ledger.Checkpoint{Origin: of.names.Own(), Size: x.size, Root: root}.Text()) != x.text:
			d.Code = DiffHead
		default:
			continue
		}
		c.differ(d)
	}
}

func swap(first, second string, turned bool) (string, string) {
	if turned {
		return second, first
	}
	return first, second
}

type streamAt struct {
	epoch [16]byte
	seq   uint64
}

// stream compares what one node sent with what the other received.
func (c *comparer) stream(from, to *exported, second bool) {
	got := make(map[streamAt]*Entry, len(to.in))
	for i := range to.in {
		if x := &to.in[i]; !x.Second {
			got[streamAt{x.Epoch, x.Seq}] = x
		}
	}
	for i := range from.out {
		x := &from.out[i]
		at := streamAt{x.Epoch, x.Seq}
		y := got[at]
		delete(got, at)
		c.pair(from, x, y, second)
	}
	var rest []*Entry
	for _, y := range got {
		if store.InState(y.State) != store.Tombstoned {
			rest = append(rest, y)
		}
	}
	slices.SortFunc(rest, func(x, y *Entry) int {
		if k := slices.Compare(x.Epoch[:], y.Epoch[:]); k != 0 {
			return k
		}
		return int(int64(x.Seq) - int64(y.Seq))
	})
	for _, y := range rest {
		d := differenceOf(from, DiffForeign, y)
		d.First, d.Then = swap("", noroshi.Hash(y.ID).String(), second)
		c.differ(d)
	}
}

func differenceOf(from *exported, code string, x *Entry) Difference {
	return Difference{Code: code, Of: from.names.Node, Epoch: fmt.Sprintf("%x", message.Epoch(x.Epoch)), Seq: x.Seq}
}

// pair compares one message as its sender and its receiver have it.
func (c *comparer) pair(from *exported, x, y *Entry, second bool) {
	state := store.OutState(x.State)
	closed := state == store.Withheld || state == store.Expired
	there := y != nil && store.InState(y.State) != store.Tombstoned
	var code, has string
	switch {
	case there && y.ID != x.ID:
		code, has = DiffID, noroshi.Hash(y.ID).String()
	case there:
		c.out.Agreed++
		return
	case state >= store.StoredThere && !closed:
		code = DiffReceipt
	case y != nil && !closed:
		code, has = DiffForeign, "closed"
	case closed && y != nil:
		return // closed on both sides
	case closed:
		code = DiffClosed
	default:
		code = DiffSent
	}
	d := differenceOf(from, code, x)
	d.First, d.Then = swap(noroshi.Hash(x.ID).String(), has, second)
	c.differ(d)
}
