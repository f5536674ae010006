package media_test

import (
	"crypto/rand"
	"io"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/media"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// oneWay is a link of which one side is never heard: A sends, B receives and
// drives the stream's step with what comes.
type oneWay struct {
	t        *testing.T
	a, b     *message.Keyring
	secret   []byte
	epoch    message.Epoch
	log      []*message.Message
	chain    noroshi.Hash
	counter  uint64
	side     message.Side
	now      time.Time
	got      map[uint64]bool
	rejected int
}

func newOneWay(t *testing.T) *oneWay {
	t.Helper()
	o := &oneWay{t: t, secret: make([]byte, 32), epoch: message.Epoch{7}, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), got: map[uint64]bool{}}
	var err error
	if o.a, err = message.NewKeyring(noroshi.Real, o.now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if o.b, err = message.NewKeyring(noroshi.Real, o.now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	o.chain = message.ChainStart(noroshi.Real, o.a.NodeID(), o.b.NodeID(), o.epoch)
	rules := message.DefaultRules()
	rules.Realm, rules.Self, rules.Partner = noroshi.Real, o.b.NodeID(), o.a.NodeID()
	o.side = message.Rebuild(rules, message.Facts{Mine: []message.EpochHead{{Epoch: message.Epoch{8}}}}, o.now)
	return o
}

func (o *oneWay) context() message.Context {
	return message.Context{Realm: noroshi.Real, From: o.a.NodeID(), To: o.b.NodeID(), Epoch: o.epoch}
}

// add signs the next message of A's log.
func (o *oneWay) add(prec noroshi.Precedence, content []byte) {
	o.t.Helper()
	c := o.context()
	c.Agreement = noroshi.Hash{1}
	h := message.Header{Seq: uint64(len(o.log)) + 1, Kind: message.Data, Prec: prec, Created: o.now, Label: "TLP:GREEN", Form: message.ObjectsForm}
	m, err := message.Sign(o.a, c, h, content)
	if err != nil {
		o.t.Fatal(err)
	}
	o.log = append(o.log, m)
	o.chain = message.ChainNext(o.chain, m.ID())
}

func (o *oneWay) seal(p message.Plain) []byte {
	o.t.Helper()
	e, err := message.Seal(p, message.Outbound{Realm: noroshi.Real, From: o.a.NodeID(), To: o.b.Keyset(), Secret: o.secret, Now: o.now}, rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	return e
}

// state is A's STATE as it is now.
func (o *oneWay) state() []byte {
	o.t.Helper()
	o.counter++
	body := message.EncodeState(message.State{Out: message.OutHead{Head: uint64(len(o.log)), Chain: [16]byte(o.chain[:16])}})
	st, err := message.SignStatement(o.a, o.context(), o.counter, message.StateKind, o.now, body)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.seal(message.Plain{Statement: st})
}

// turn writes one turn of the carousel.
func (o *oneWay) turn(spool *media.Spool) *media.Cycle {
	o.t.Helper()
	said := [][]byte{o.seal(message.Plain{Document: o.a.Keyset().Bytes()}), o.state()}
	var urgent, rest [][]byte
	bytes := 0
	for _, m := range o.log {
		e := o.seal(message.Plain{Message: m})
		if m.Header.Prec == noroshi.Flash {
			urgent = append(urgent, e)
			continue
		}
		rest, bytes = append(rest, e), bytes+len(e)
	}
	c, err := spool.Begin(said, urgent, int64(bytes))
	for _, e := range rest {
		if err == nil {
			err = c.Add(e)
		}
	}
	if err == nil {
		err = c.End()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// cross takes every file of the spool through a diode that loses packets, and
// leaves what came on the other side.
func cross(t *testing.T, from, to string, random *mrand.Rand, loss int) (sent, lost int) {
	t.Helper()
	for _, name := range entries(t, from) {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(b); at += media.Datagram {
			packet := b[at:min(at+media.Datagram, len(b))]
			if sent++; random.IntN(100) < loss {
				lost++
				continue
			}
			if _, err := out.Write(packet); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	return sent, lost
}

// receive takes in what lies on B's side and removes what is whole.
func (o *oneWay) receive(path string) media.Found {
	o.t.Helper()
	m, err := media.Open(path)
	if err != nil {
		o.t.Fatal(err)
	}
	defer m.Close()
	in := message.Inbound{Realm: noroshi.Real, From: o.a.NodeID(), To: o.b.NodeID(), Secret: o.secret, Keys: o.a.Keyset(), Agreements: []noroshi.Hash{{1}}}
	found, err := m.Each(func(e []byte) error {
		p, err := message.Unseal(o.b, in, e)
		switch {
		case err != nil:
			o.rejected++
		case p.Message != nil:
			o.keep(p.Message)
		case p.Statement != nil:
			s, err := message.DecodeState(p.Statement.Body)
			if err != nil {
				return err
			}
			o.step(message.Told{Epoch: o.epoch, Counter: p.Statement.Counter, Sum: noroshi.Sum(p.Statement.Body), State: s})
		}
		return nil
	})
	if err == nil {
		err = m.Remove(found, nil)
	}
	if err != nil && err != io.EOF {
		o.t.Fatal(err)
	}
	return found
}

func (o *oneWay) step(e message.Event) (fx []message.Effect) {
	o.side, fx = message.Step(o.side, e, o.now)
	return fx
}

// keep is what a driver does with a message: durable, then told to the step.
func (o *oneWay) keep(m *message.Message) {
	in := message.In{Epoch: o.epoch, Seq: m.Header.Seq, ID: m.ID(), Kind: m.Header.Kind, Prec: m.Header.Prec}
	for _, x := range o.step(message.Arrived{In: in}) {
		if k, ok := x.(message.Keep); ok && k.Apply {
			o.got[m.Header.Seq] = true
			k.In.Standing = message.Applied
			o.step(message.Kept{In: k.In})
		}
	}
}

// TestDiode: over a link that runs one way and loses a fifth of its packets,
// everything arrives, or what is missing is shown within two heartbeats, which
// here are turns; nothing is lost in silence, and a FLASH is there after the
// first turn.
func TestDiode(t *testing.T) {
	t.Parallel()
	for seed := range uint64(tier.N(2, 3)) {
		o := newOneWay(t)
		random := mrand.New(mrand.NewPCG(seed, 3))
		count, size := tier.N(96, 105), tier.N(44_000, 1_000_000) // 4 MiB and 100 MiB
		for i := range count {
			prec := noroshi.Routine
			if i%24 == 5 {
				prec = noroshi.Flash
			}
			content := make([]byte, size)
			if prec == noroshi.Flash {
				content = content[:600]
			}
			for j := range content {
				content[j] = byte(random.Uint32())
			}
			o.add(prec, message.EncodeObjects([]message.Object{{Bytes: content}}))
		}
		out, in := t.TempDir(), t.TempDir()
		spool, err := media.OpenSpool(out)
		if err != nil {
			t.Fatal(err)
		}
		for turn := 1; len(o.got) < len(o.log); turn++ {
			c := o.turn(spool)
			sent, lost := cross(t, out, in, random, 20)
			found := o.receive(in)
			st := o.side.Status()
			t.Logf("seed %d, turn %d: %d files, %d of %d packets lost; %d messages, %d parts lost, missing %v", seed, turn, c.Files, lost, sent, len(o.got), len(found.Lost), st.Missing)
			if turn >= 2 { // two heartbeats: head is known, and what is not here is shown
				missing := uint64(0)
				for _, r := range st.Missing {
					missing += r.B - r.A + 1
				}
				if st.InHead != uint64(len(o.log)) || missing != uint64(len(o.log)-len(o.got)) {
					t.Fatalf("seed %d, turn %d: %d of %d messages are here, missing %v of %d", seed, turn, len(o.got), len(o.log), st.Missing, st.InHead)
				}
			}
			for _, m := range o.log {
				if m.Header.Prec == noroshi.Flash && !o.got[m.Header.Seq] {
					t.Errorf("seed %d: a FLASH is not there after turn %d", seed, turn)
				}
			}
			if turn > 5 {
				t.Fatalf("seed %d: not whole after %d turns", seed, turn)
			}
		}
		if len(o.side.Status().Missing) > 0 || o.rejected > 0 {
			t.Errorf("seed %d: whole, and missing %v, %d rejected", seed, o.side.Status().Missing, o.rejected)
		}
	}
}

// TestDiodeThatIsTooBad: half of all packets are lost, more than parity can
// give, and what is missing is shown as soon as one STATE has come.
func TestDiodeThatIsTooBad(t *testing.T) {
	t.Parallel()
	o := newOneWay(t)
	random := mrand.New(mrand.NewPCG(9, 3))
	for range 40 {
		content := make([]byte, 60_000)
		for j := range content {
			content[j] = byte(random.Uint32())
		}
		o.add(noroshi.Routine, message.EncodeObjects([]message.Object{{Bytes: content}}))
	}
	out, in := t.TempDir(), t.TempDir()
	spool, err := media.OpenSpool(out)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		o.turn(spool)
		cross(t, out, in, random, 50)
		if found := o.receive(in); len(found.Lost) == 0 {
			t.Errorf("half of it lost, and restored: %+v", found)
		}
	}
	st := o.side.Status()
	if st.InHead != 40 || len(st.Missing) != 1 || st.Missing[0] != (message.Range{A: 1, B: 40}) {
		t.Errorf("head %d, missing %v", st.InHead, st.Missing)
	}
	if n, err := spool.Waiting(); err != nil || n != 0 {
		t.Errorf("%d files wait in the spool (%v)", n, err)
	}
}
