package courier_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// memoryVault keeps what Save was given, and ends its node at one Save, before
// or after it is done.
type memoryVault struct {
	node *node

	mu    sync.Mutex
	kept  []byte
	saves int
	at    int  // the Save that ends the node; 0 = none
	after bool // when it is done
}

var errCrash = errors.New("the node ends here")

func (v *memoryVault) Load() ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kept, nil
}

func (v *memoryVault) Save(b []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.saves++
	crash := v.at > 0 && v.saves >= v.at
	if crash {
		v.node.mu.Lock()
		stop := v.node.stop
		v.node.mu.Unlock()
		if stop != nil {
			stop() // nothing is committed from here on
		}
		if !v.after || v.saves > v.at {
			return errCrash
		}
	}
	v.kept = bytes.Clone(b)
	return nil
}

func (v *memoryVault) crashed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at > 0 && v.saves >= v.at
}

func (v *memoryVault) set(kept []byte, at int, after bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept, v.saves, v.at, v.after = kept, 0, at, after
}

// secrets is what a vault holds of the one link of its node.
type secrets struct {
	Made *struct {
		Body  []byte
		Epoch message.Epoch
		Seq   uint64
	}
	Next *struct{ Seq uint64 }
	Held []struct{ Body []byte }
}

func (v *memoryVault) secrets(t testing.TB) (s secrets) {
	t.Helper()
	b, _ := v.Load()
	var all map[string]secrets
	if len(b) > 0 {
		if err := json.Unmarshal(b, &all); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range all {
		return s
	}
	return s
}

func (v *memoryVault) body(t testing.TB) (b message.LinkBody) {
	t.Helper()
	if s := v.secrets(t); s.Made != nil {
		b, _ = message.DecodeLink(s.Made.Body)
	}
	return b
}

// keyed is a pair with vaults and a clock that the test moves.
type keyed struct {
	*pair
	va, vb *memoryVault
	ahead  *atomic.Int64
}

func newKeyed(t testing.TB, seed uint64) *keyed {
	t.Helper()
	k := &keyed{pair: newPair(t, seed, 0, 0), ahead: new(atomic.Int64)}
	k.va, k.vb = &memoryVault{node: k.a}, &memoryVault{node: k.b}
	k.a.vault, k.b.vault = k.va, k.vb
	clock := func() time.Time { return time.Now().Add(time.Duration(k.ahead.Load())) }
	k.a.clock, k.b.clock = clock, clock
	return k
}

// agree puts a changed agreement in force on both sides.
func (k *keyed) agree(old, new string) {
	k.t.Helper()
	file := bytes.Replace(k.file, []byte(old), []byte(new), 1)
	ab, ba := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))
	k.a.meet(k.b, file, ab, ba)
	k.b.meet(k.a, file, ba, ab)
}

// linked reports whether each side has a LINK that the other holds.
func (k *keyed) linked() bool {
	a, b := k.va.secrets(k.t), k.vb.secrets(k.t)
	return a.Made != nil && b.Made != nil && a.Next == nil && b.Next == nil && holds(b, a) && holds(a, b)
}

func holds(there, here secrets) bool {
	mine, _ := message.DecodeLink(here.Made.Body)
	for _, h := range there.Held {
		if theirs, err := message.DecodeLink(h.Body); err == nil && theirs.Gate == mine.Gate {
			return true
		}
	}
	return false
}

// quick lets the clock go a hundred times as fast until the test is done with
// what it then returns.
func (k *keyed) quick() func() {
	begun, from := time.Now(), k.ahead.Load()
	return func() { k.ahead.Store(from + 100*int64(time.Since(begun))) }
}

// talks sends something from each side and waits until it is there; with each
// look the clock is moved.
func (k *keyed) talks(name string, clock func()) {
	k.t.Helper()
	a, b := k.a.count("indicator"), k.b.count("indicator")
	k.a.importList(name+"-a", a*1000, a*1000+3)
	k.b.importList(name+"-b", b*1000+500, b*1000+503)
	k.until(name+": three more on each side", 60*time.Second, func() bool {
		clock()
		return k.a.count("indicator") == a+3 && k.b.count("indicator") == b+3
	})
}

func TestLinkSecrets(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, 21)
	k.start()
	k.until("both have stored the other's LINK", 10*time.Second, k.linked)
	k.talks("first", func() {})
	k.until("all is receipted", 5*time.Second, k.settled)
	k.net.mu.Lock()
	k.net.watch = true
	k.net.mu.Unlock()
	k.talks("second", func() {})
	k.net.mu.Lock()
	seen := k.net.seen
	k.net.mu.Unlock()
	for _, e := range seen {
		if message.GateMatch([]byte(strings.Repeat("a", 32)), noroshi.Real, k.a.id(), k.b.id(), e) ||
			message.GateMatch([]byte(strings.Repeat("b", 32)), noroshi.Real, k.b.id(), k.a.id(), e) {
			t.Error("an envelope goes under the card's secret")
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d envelopes went", len(seen))
	}
	k.notInDatabase()
	day := k.va.body(t)
	k.ahead.Add(int64(24 * time.Hour))
	k.until("the day's secret has taken the place of the day before's", 5*time.Second, func() bool {
		now := k.va.body(t)
		return now.Day == day.Day+1 && now.Line != day.Line && now.Gate == day.Gate
	})
	k.ahead.Add(int64(30 * 24 * time.Hour))
	k.until("a new LINK after thirty days", 10*time.Second, func() bool {
		return k.linked() && k.va.body(t).Gate != day.Gate
	})
	before := k.vb.body(t)
	if err := k.b.running().NewLink(t.Context(), k.a.id()); err != nil {
		t.Fatal(err)
	}
	k.until("a new LINK on demand", 10*time.Second, func() bool { return k.linked() && k.vb.body(t).Gate != before.Gate })
	k.talks("third", func() {})
	out, _, err1 := k.a.running().FragmentKeys(k.b.id())
	_, in, err2 := k.b.running().FragmentKeys(k.a.id())
	if tag, ok := out.MAC([]byte("piece")); !ok || err1 != nil || err2 != nil || !in.Check([]byte("piece"), tag) || in.Check([]byte("other"), tag) {
		t.Errorf("a fragment of A is none at B: %v, %v", err1, err2)
	}
}

// notInDatabase fails when a LINK is in the database with its content, and when
// the ledgers do not verify.
func (k *keyed) notInDatabase() {
	k.t.Helper()
	for _, n := range []*node{k.a, k.b} {
		links := 0
		if v, err := n.store.Verify(k.t.Context(), nil); err != nil {
			k.t.Errorf("%s: %+v, %v", n.sign, v, err)
		}
		for _, v := range []*memoryVault{k.va, k.vb} {
			s := v.secrets(k.t)
			other := k.b
			if n == k.b {
				other = k.a
			}
			out, err := n.store.Out(k.t.Context(), other.id(), s.Made.Epoch, s.Made.Seq, 1)
			if err != nil {
				k.t.Fatal(err)
			}
			in, err := n.store.In(k.t.Context(), other.id(), s.Made.Epoch, s.Made.Seq, 1)
			if err != nil {
				k.t.Fatal(err)
			}
			for _, o := range out {
				if links++; message.Kind(o.Kind) != message.Link || len(o.Content) > 0 || o.State < store.StoredThere {
					k.t.Errorf("%s: sent %+v", n.sign, o)
				}
			}
			for _, i := range in {
				if links++; message.Kind(i.Kind) != message.Link || len(i.Content) > 0 || i.State != store.Applied {
					k.t.Errorf("%s: received %+v", n.sign, i)
				}
			}
		}
		if links != 2 {
			k.t.Errorf("%s: %d rows of LINKs, want 2", n.sign, links)
		}
	}
}

// Whichever write of its vault a node ends at, before it or after it, it and its
// partner come to hold each other's secrets, and lose nothing.
func TestLinkSecretsCrash(t *testing.T) {
	t.Parallel()
	for at := 1; at <= 5; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d,%t", at, after), func(t *testing.T) {
				t.Parallel()
				k := newKeyed(t, 22)
				k.va.set(nil, at, after)
				k.start()
				k.until("A ends", 10*time.Second, k.va.crashed)
				k.a.end()
				k.va.mu.Lock()
				k.va.at = 0
				k.va.mu.Unlock()
				k.a.open()
				k.a.start()
				k.until("both have stored the other's LINK", 10*time.Second, k.linked)
				k.talks("after the crash", func() {})
				k.until("all is receipted", 5*time.Second, k.settled)
				k.notInDatabase()
			})
		}
	}
}

// TestLinkLostAndMoreStored: A's LINK is lost on the way again and again, and what went
// after it has its receipts. A that starts anew does not take the LINK for stored: it
// would say all under secrets that B lacks, and never be heard again.
func TestLinkLostAndMoreStored(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, 27)
	card := message.Inbound{Realm: noroshi.Real, From: k.a.id(), To: k.b.id(), Secret: []byte(strings.Repeat("a", 32)), Keys: k.a.keys.Keyset(), Agreements: []noroshi.Hash{noroshi.Sum(k.file)}}
	k.net.spoils = func(from *node, envelope []byte) bool {
		in := card
		in.Now = time.Now()
		plain, err := message.Unseal(k.b.keys, in, envelope)
		return from == k.a && err == nil && plain.Message != nil && plain.Message.Header.Kind == message.Link
	}
	k.start()
	k.until("A has put a LINK into the stream", 10*time.Second, func() bool { next := k.va.secrets(t).Next; return next != nil && next.Seq > 0 })
	lost := k.va.secrets(t).Next.Seq
	for i := range lost {
		k.a.importAt(fmt.Sprintf("after-%d", i), noroshi.Green)
		k.until("what came after has its receipt", 10*time.Second, func() bool { return k.a.link().OutStored > i })
	}
	k.a.end()
	k.a.open()
	k.a.start()
	k.until("A is heard", 10*time.Second, func() bool { return k.a.link().Confirmed })
	if s := k.va.secrets(t); s.Made != nil || s.Next == nil || s.Next.Seq != lost {
		t.Errorf("after the start: %+v, want LINK %d not stored", s, lost)
	}
	k.net.mu.Lock()
	k.net.spoils = nil
	k.net.mu.Unlock()
	k.until("both have stored the other's LINK", 10*time.Second, k.linked)
	k.until("all is there", 10*time.Second, func() bool { return k.b.count("indicator") == int(lost) && k.settled() })
	k.talks("at last", func() {})
	k.until("all is receipted", 5*time.Second, k.settled)
}

// Whoever loses its secrets, or comes back with old ones, both find together
// again by themselves, although the card's secret has long stopped to serve.
func TestLinkSecretsLost(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(k *keyed, old []byte){
		"B has none":      func(k *keyed, old []byte) { k.vb.set(nil, 0, false) },
		"B has old ones":  func(k *keyed, old []byte) { k.vb.set(old, 0, false) },
		"neither has any": func(k *keyed, old []byte) { k.vb.set(nil, 0, false); k.va.set(nil, 0, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 23)
			k.start()
			k.until("both have stored the other's LINK", 10*time.Second, k.linked)
			k.talks("first", func() {})
			old, _ := k.vb.Load()
			k.ahead.Add(int64(31 * 24 * time.Hour))
			first := k.vb.body(t)
			k.until("the next LINKs", 10*time.Second, func() bool { return k.linked() && k.vb.body(t).Gate != first.Gate })
			k.talks("second", func() {})
			k.ahead.Add(int64(4 * 24 * time.Hour)) // the card and the first LINKs serve no more
			k.talks("third", func() {})
			k.b.end()
			if name == "neither has any" {
				k.a.end()
			}
			back(k, old)
			if name == "neither has any" {
				k.a.open()
				k.a.start()
			}
			k.b.open()
			k.b.start()
			k.talks("after the loss", k.quick())
			clock := k.quick()
			k.until("both have stored the other's LINK", 60*time.Second, func() bool { clock(); return k.linked() })
			k.talks("at last", func() {})
		})
	}
}

// A narrow line takes the short suite once the agreement lists it and both sides
// have stored a LINK, and nothing is lost on the way there.
func TestNarrowLine(t *testing.T) {
	t.Parallel()
	for _, listed := range []bool{true, false} {
		t.Run(fmt.Sprintf("listed is %t", listed), func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 24)
			k.net.narrow = true
			suites := `suites = ["S1"]`
			if listed { // S1H too, which without keys for it is not used
				suites = `suites = ["S1", "S1H", "S2"]`
			}
			k.agree("suites = [\"S1\", \"S2\"]\nchannels = [\"https\"]", suites+"\nchannels = [\"line\"]")
			k.start()
			k.until("both have stored the other's LINK", 10*time.Second, k.linked)
			k.talks("first", func() {})
			k.until("all is receipted", 5*time.Second, k.settled)
			k.net.mu.Lock()
			k.net.watch = true
			k.net.mu.Unlock()
			k.talks("second", func() {})
			k.net.mu.Lock()
			short := 0
			for _, e := range k.net.seen {
				if e[0] == byte(message.S2) {
					short++
				}
			}
			if listed && short != len(k.net.seen) || !listed && short > 0 || len(k.net.seen) < 2 {
				t.Errorf("%d of %d envelopes are of S2", short, len(k.net.seen))
			}
			k.net.seen = nil
			k.net.mu.Unlock()
			k.proposes(t)
		})
	}
}

// proposes has A propose another agreement: a document that goes under S1, since
// who has not signed the one in force yet knows no other suite.
func (k *keyed) proposes(t *testing.T) {
	t.Helper()
	doc, err := message.SignAgreement(k.a.keys, append([]byte("# another\n"), k.file...), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.a.running().Document(t.Context(), k.b.id(), doc); err != nil {
		t.Fatal(err)
	}
	k.until("the document went under S1", 10*time.Second, func() bool {
		k.net.mu.Lock()
		defer k.net.mu.Unlock()
		return slices.ContainsFunc(k.net.seen, func(e []byte) bool { return e[0] == byte(message.S1) && len(e) > len(k.file) })
	})
}

// late lets the time of the card's secret and of what was before the last LINKs go by.
func (k *keyed) late() {
	k.t.Helper()
	k.start()
	k.until("both have stored the other's LINK", 10*time.Second, k.linked)
	k.talks("first", func() {})
	k.ahead.Add(int64(4 * 24 * time.Hour))
	k.talks("the card serves no more", func() {})
}

// TestLinkUsedLongAfterItCame: a LINK has come, and the receipt for it does not get
// through for weeks. The one before it counts meanwhile, and it itself when its sender
// begins with it; then the one before ends, three days later.
func TestLinkUsedLongAfterItCame(t *testing.T) {
	t.Parallel()
	at := func(day int) time.Time { return time.Date(2026, 11, day, 9, 0, 0, 0, time.UTC) }
	var h courier.Holding
	h.Takes(1, at(1))
	h.Takes(2, at(5))
	for day := 6; day <= 25; day++ {
		h.Turns(at(day))
		if !h.Opens(1, at(day)) {
			t.Fatalf("day %d: the LINK in use counts no more", day)
		}
	}
	for day := 26; day <= 30; day++ {
		h.Turns(at(day))
		if !h.Opens(2, at(day)) {
			t.Fatalf("day %d: the LINK that came last does not count", day)
		}
	}
	h.Turns(at(30))
	if h.Opens(1, at(30)) {
		t.Error("the LINK before it counts for ever")
	}
	for gate := byte(10); gate < 30; gate++ {
		h.Takes(gate, at(30))
	}
	if !h.Opens(2, at(30)) {
		t.Error("LINKs that were never used shut out the one in use")
	}
	h.Takes(3, at(30))
	if h.Turns(at(30)); !h.Opens(2, at(30)) || !h.Opens(3, at(30)) {
		t.Error("one that has just come ends the one in use")
	}
}

// TestLinkOfARevokedKey: what a revoked key gave above its last good point opens nothing
// any more, and what it gave below does.
func TestLinkOfARevokedKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	revoked := func(key byte, last uint64) message.Revocation {
		return message.Revocation{ID: [4]byte{key}, Last: []message.LastGood{{Epoch: message.Epoch{1}, Seq: last}}}
	}
	var h courier.Holding
	for gate := byte(1); gate <= 3; gate++ {
		h.Takes(gate, now)
	}
	h.Hears(&message.Keyset{Revoked: []message.Revocation{revoked(1, 1), revoked(2, 1)}})
	for gate, want := range map[byte]bool{1: true, 2: false, 3: true} {
		if got := h.Opens(gate, now); got != want {
			t.Errorf("LINK %d opens: %t, want %t", gate, got, want)
		}
	}
}

// TestANewLifeIsNotShutOut: a node begins a new life long after its LINKs, with much
// waiting that its partner would open under none of them. It needs no time to be
// heard again, however much of it goes before its new LINK.
func TestANewLifeIsNotShutOut(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(k *keyed){
		"opened": func(k *keyed) { k.a.running().Reopen() },
		"put back without secrets": func(k *keyed) {
			k.a.end()
			k.va.set(nil, 0, false)
			k.a.putBack(k.a.at, true, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 25)
			k.late()
			k.net.setCut(true)
			before := k.b.count("indicator")
			for i := range 12 { // each a message
				head := k.a.link().OutHead
				k.a.importList(fmt.Sprint("waits-", i), 5000+i, 5001+i)
				k.until("it is in the stream", 10*time.Second, func() bool { return k.a.link().OutHead > head })
			}
			first := k.va.body(t)
			back(k)
			if name == "opened" {
				k.until("that it is unheard is told", 10*time.Second, func() bool { return k.a.link().Unheard })
			}
			k.net.setCut(false)
			k.until("all of it is there", 2*time.Second, func() bool { return k.b.count("indicator") == before+12 && k.settled() })
			k.until("and a new LINK", 2*time.Second, func() bool { return k.linked() && k.va.body(t).Gate != first.Gate })
			if k.a.link().Unheard {
				t.Error("it is told to be unheard though all of it is there")
			}
			k.ahead.Add(int64(4 * 24 * time.Hour))
			k.talks("under it", func() {})
		})
	}
}
