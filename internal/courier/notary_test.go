package courier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// checked is a pair that issues heads often.
func checked(t *testing.T, seed uint64, loss int) *pair {
	p := newPair(t, seed, loss, 0)
	p.a.check, p.b.check = 300*time.Millisecond, 300*time.Millisecond
	return p
}

// heads returns the sizes of what a node has kept of the other's statements of
// a kind, the latest first.
func (n *node) heads(other *node, kind uint8) (sizes []uint64) {
	n.t.Helper()
	rows, err := n.store.EvidenceOf(n.t.Context(), other.id(), kind, 0, 1000)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, r := range rows {
		st, err := message.DecodeStatement(noroshi.Real, r.Signed)
		if err != nil {
			n.t.Fatal(err)
		}
		if st.Kind == message.CosignKind {
			body, err := message.DecodeCosign(st.Body)
			if err != nil {
				n.t.Fatal(err)
			}
			sizes = append(sizes, body.Size)
			continue
		}
		body, err := message.DecodeCheckpoint(st.Body)
		if err != nil {
			n.t.Fatal(err)
		}
		head, err := ledger.Peek(body.Note)
		if err != nil {
			n.t.Fatal(err)
		}
		sizes = append(sizes, head.Size)
	}
	return sizes
}

// covered reports whether every act on the link stands under a cosignature of
// the other side, and the other side holds the same head.
func (n *node) covered(other *node) bool {
	n.t.Helper()
	cosigned := n.heads(other, uint8(message.CosignKind))
	theirs := other.heads(n, uint8(message.CheckpointKind))
	if len(cosigned) == 0 || len(theirs) == 0 || theirs[0] != cosigned[0] {
		return false
	}
	acted, _, err := n.store.LinkActed(n.t.Context(), other.id(), cosigned[0])
	if err != nil {
		n.t.Fatal(err)
	}
	return !acted
}

func (p *pair) covered() bool { return p.settled() && p.a.covered(p.b) && p.b.covered(p.a) }

// alarms returns the codes of the alarms a node raised.
func (n *node) alarms() (codes []string) {
	n.t.Helper()
	list, err := n.store.Alarms(n.t.Context(), 100)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range list {
		codes = append(codes, e.Act.Subject)
	}
	return codes
}

// intact verifies a node's record and returns how far it is countersigned.
func (n *node) intact() store.LinkWitness {
	n.t.Helper()
	v, err := n.store.Verify(n.t.Context(), nil)
	if err != nil || len(v.Faults) > 0 || len(v.Cosigned) != 1 {
		n.t.Fatalf("%s: %+v, error %v", n.sign, v, err)
	}
	return v.Cosigned[0]
}

// TestLedgersAreCountersigned: whatever happens on a link stands soon under the
// other side's cosignature, over a wire that loses a third, through restarts;
// then all is quiet.
func TestLedgersAreCountersigned(t *testing.T) {
	t.Parallel()
	p := checked(t, 41, 30)
	p.start()
	p.a.importList("one.txt", 0, 40)
	p.until("both ledgers countersigned", 20*time.Second, func() bool { return p.b.count("indicator") == 40 && p.covered() })
	p.a.end()
	p.a.open()
	p.a.start()
	p.b.importList("two.txt", 100, 140)
	p.until("both again", 20*time.Second, func() bool { return p.a.count("indicator") == 40 && p.covered() })

	// An idle link stays idle: not one entry more in many turns.
	before := p.entries()
	p.beats(8)
	if now := p.entries(); now != before {
		t.Errorf("entries while nothing happens: %v, then %v", before, now)
	}
	for _, n := range []*node{p.a, p.b} {
		if w := n.intact(); w.Size == 0 || w.At.IsZero() || !w.Since.IsZero() || w.Leaves < w.Size {
			t.Errorf("%s: %+v", n.sign, w)
		}
		if codes := n.alarms(); len(codes) > 0 {
			t.Errorf("%s: alarms %v", n.sign, codes)
		}
	}
	w, err := p.a.store.Docs(t.Context(), "link-checkpoint")
	if err != nil || !strings.Contains(string(w[p.b.id().String()]), `"salt"`) {
		t.Errorf("what opens the commitment is not kept: %q, %v", w, err)
	}
}

func (p *pair) entries() string {
	a, byA := p.a.acts()
	b, byB := p.b.acts()
	return fmt.Sprint(a, byA, b, byB)
}

// beats waits until both sides have heard some heartbeats more.
func (p *pair) beats(n int) {
	p.t.Helper()
	start := p.a.running().Counters().Statements
	p.until("heartbeats", 20*time.Second, func() bool { return p.a.running().Counters().Statements >= start+int64(n) })
}

// TestACheckpointGoesWithEveryFlash: a FLASH does not wait for the turn of the
// next checkpoint.
func TestACheckpointGoesWithEveryFlash(t *testing.T) {
	t.Parallel()
	p := newPair(t, 42, 0, 0)
	p.a.check, p.b.check = 30*time.Second, 30*time.Second
	p.standing()
	p.start()
	p.until("the first", 10*time.Second, func() bool { return len(p.a.heads(p.b, uint8(message.CosignKind))) == 1 })
	p.a.importList("routine.txt", 0, 5)
	p.until("what is no FLASH", 10*time.Second, func() bool { return p.b.count("indicator") == 5 && p.settled() })
	if n := len(p.a.heads(p.b, uint8(message.CosignKind))); n != 1 {
		t.Errorf("%d checkpoints, want 1 within one turn", n)
	}
	p.a.flash()
	p.until("the checkpoint of the FLASH", 10*time.Second, func() bool { return p.b.count("report") == 1 && p.a.covered(p.b) })
}

// TestARewrittenLedgerIsFound: somebody with a node's database and keys makes
// the whole ledger of it anew, with one entry changed that the partner has
// countersigned. Its own cosignatures tell, and so does the partner at the next
// exchange; both officers are told, and what was signed is kept.
func TestARewrittenLedgerIsFound(t *testing.T) {
	t.Parallel()
	p := checked(t, 43, 0)
	p.start()
	p.a.importList("one.txt", 0, 10)
	p.until("both ledgers countersigned", 20*time.Second, func() bool { return p.b.count("indicator") == 10 && p.covered() })
	kept := p.b.heads(p.a, uint8(message.CheckpointKind))
	p.a.end()
	public, sign := p.a.keys.Control()
	done := false
	n := storetest.Rewrite(t, p.a.at, noroshi.Real, public, sign, func(l *ledger.Leaf) {
		if !done && l.Action == string(noroshi.ActSend) && l.Count > 0 {
			l.Count--
			done = true
		}
	})
	if n != 1 {
		t.Fatalf("%d entries rewritten, want 1", n)
	}
	p.a.open()
	v, err := p.a.store.Verify(t.Context(), nil)
	if err != nil || len(v.Faults) == 0 || slices.ContainsFunc(v.Faults, func(f store.Fault) bool { return f.Code != "cosignature" }) {
		t.Errorf("verify of the rewritten record: %+v, %v, want faults of cosignatures alone", v.Faults, err)
	}
	p.a.start()
	p.a.importList("two.txt", 20, 30)
	p.until("alarms on both sides", 20*time.Second, func() bool {
		return slices.Contains(p.a.alarms(), "own-log") && slices.Contains(p.b.alarms(), "log-rewritten")
	})
	if got := p.b.heads(p.a, uint8(message.CheckpointKind)); !slices.Equal(got, kept) {
		t.Errorf("heads countersigned at B: %v, then %v", kept, got)
	}
	if got := p.b.heads(p.a, store.RefusedCheckpoint); len(got) == 0 {
		t.Error("what A claims now is not kept")
	}
	if got := p.a.heads(p.b, store.ForeignCosign); len(got) == 0 {
		t.Error("A does not keep what B countersigned")
	}
}

// TestARestoredLedgerIsExplained: a node put back to an earlier copy says so in
// its EPOCH, and takes back what it lost on a person's word; its partner countersigns the new branch, keeps the old one, and
// nobody is told that a record was rewritten.
func TestARestoredLedgerIsExplained(t *testing.T) {
	t.Parallel()
	p := checked(t, 44, 0)
	p.start()
	p.a.importList("one.txt", 0, 10)
	p.until("both ledgers countersigned", 20*time.Second, func() bool { return p.b.count("indicator") == 10 && p.covered() })
	p.a.end()
	backup := storetest.In(t, t.TempDir(), noroshi.Real)
	if _, err := store.Copy(t.Context(), p.a.at, backup, noroshi.Real, nil); err != nil {
		t.Fatal(err)
	}
	p.a.open()
	p.a.start()
	p.a.importList("two.txt", 20, 30)
	p.until("more countersigned", 20*time.Second, func() bool { return p.b.count("indicator") == 20 && p.covered() })
	before := p.b.heads(p.a, uint8(message.CheckpointKind))
	p.a.end()
	p.a.at = backup
	p.a.open()
	p.a.start()
	p.takeBack()
	p.a.importList("three.txt", 40, 50)
	p.until("the new branch countersigned", 30*time.Second, func() bool {
		return p.b.count("indicator") == 30 && p.covered() && len(p.b.heads(p.a, uint8(message.CheckpointKind))) > len(before)
	})
	after := p.b.heads(p.a, uint8(message.CheckpointKind))
	if !slices.Equal(after[len(after)-len(before):], before) {
		t.Errorf("heads of the old branch: %v, then %v", before, after)
	}
	for n, codes := range map[*node][]string{p.a: p.a.alarms(), p.b: p.b.alarms()} {
		if slices.Contains(codes, "log-rewritten") || slices.Contains(codes, "own-log") {
			t.Errorf("%s: alarms %v", n.sign, codes)
		}
		n.intact()
	}
}

// TestARestoreIsSaidAgain: a key is revoked after a restore, before the partner has
// heard of that. What it hears then is the epoch of the revocation, which says too
// that this node was put back: nobody is told that a record was rewritten.
func TestARestoreIsSaidAgain(t *testing.T) {
	t.Parallel()
	p := checked(t, 45, 0)
	p.start()
	p.until("both ledgers countersigned", 20*time.Second, p.covered)
	backup := p.a.copyOf()
	p.a.importList("one.txt", 0, 10)
	p.until("more countersigned", 20*time.Second, func() bool { return p.b.count("indicator") == 10 && p.covered() })
	p.net.setCut(true)
	p.a.putBack(backup, true, true)
	epochs := func() int {
		_, by := p.a.acts()
		return by[noroshi.ActEpoch]
	}
	p.until("the epoch of the restore", 20*time.Second, func() bool { return p.a.link().Recovering == "recalls" })
	before := epochs()
	p.a.running().Reopen()
	p.until("the epoch of the revocation", 20*time.Second, func() bool { return epochs() > before })
	p.net.setCut(false)
	p.until("the new branch countersigned", 30*time.Second, func() bool { return p.a.recovered() && p.b.count("indicator") == 10 && p.covered() })
	for n, codes := range map[*node][]string{p.a: p.a.alarms(), p.b: p.b.alarms()} {
		if slices.Contains(codes, "log-rewritten") || slices.Contains(codes, "own-log") {
			t.Errorf("%s: alarms %v", n.sign, codes)
		}
		n.intact()
	}
}

// TestElsewhere: who was told again and again where its proof is to begin has rewritten
// its ledger. Who was started again meanwhile may not have it, nor who has yet to hear
// it, but not for a day.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	each := make([]byte, 200)
	for i := range each {
		each[i] = byte(i)
	}
	for name, c := range map[string]struct {
		runs    []byte
		apart   time.Duration
		unheard int
		want    int
	}{
		"in one run":                       {make([]byte, 100), time.Minute, 0, 20},
		"in one run, seldom":               {make([]byte, 19), 24 * time.Hour, 0, 0},
		"started again each time":          {each, time.Minute, 0, 0},
		"so for more than a day":           {each, 10 * time.Minute, 0, 145},
		"few, over days":                   {each[:10], 24 * time.Hour, 0, 0},
		"in one run, after one of another": {append([]byte{9}, make([]byte, 100)...), time.Minute, 0, 21},
		"twenty minutes away":              {make([]byte, 100), time.Minute, 20, 0},
		"twenty minutes away, for long":    {make([]byte, 1000), time.Minute, 20, 400},
		"never hearing":                    {make([]byte, 200), 10 * time.Minute, 1000, 145},
	} {
		if got := courier.Elsewheres(c.runs, c.apart, c.unheard); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
