package line_test

import (
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// named are ten published indicators of the demo's data (demodata/LICENCES.txt).
var named = []struct{ bundle, id string }{
	{"rcs.json.gz", "indicator--7c6b4d6d-a2eb-41ba-9be8-1793a9b2ed9d"},
	{"rcs.json.gz", "indicator--e45361fc-f23f-4964-9c52-126298268a37"},
	{"wyrmspy_dragonegg.json.gz", "indicator--7490d78f-3a96-446e-b32c-ec52c1ae2246"},
	{"wyrmspy_dragonegg.json.gz", "indicator--50f69bd2-821f-47d8-b7ce-5fd3c5ca9d77"},
	{"candiru.json.gz", "indicator--c3da5ff0-5358-4dbb-b397-2cb6da008a7e"},
	{"candiru.json.gz", "indicator--dd9fae15-2a0f-464d-978d-6d4eac18d139"},
	{"pegasus.json.gz", "indicator--05b7c427-1452-437e-a19e-32590edf60c3"},
	{"pegasus.json.gz", "indicator--55749188-0bfd-49a1-a752-ecafc6648bae"},
	{"kingspawn.json.gz", "indicator--36072c71-c967-4698-810e-15649388169c"},
	{"kingspawn.json.gz", "indicator--836f1acb-530c-425b-b7a3-734cdd8f7313"},
}

// hf is the line the budget of DESIGN speaks of.
var hf = conditions{rate: 75, turn: 2 * time.Second, bits: 1e-3}

// maxJSON is how long the JSON of such a FLASH is at most.
const maxJSON = 600

// TestFlashPassesARoutine: 75 bit/s, one bit in a thousand wrong, two seconds to
// turn, 100 KiB of ROUTINE in the way, from either side or both, and the
// heartbeats of both: a FLASH of a published indicator is there, open and verified,
// within a minute in 95 of 100 cases and within two in all.
func TestFlashPassesARoutine(t *testing.T) {
	t.Parallel()
	seeds := uint64(tier.N(2, 100))
	for i, x := range indicators(t) {
		f := newFlight(t, x)
		slow := uint64(0)
		for n := range seeds {
			if f.pass(t, n*10+uint64(i)) > time.Minute {
				slow++
			}
		}
		if slow*20 > seeds {
			t.Errorf("%s: %d of %d took more than a minute", named[i].id, slow, seeds)
		}
	}
}

// indicators are those that are named, byte for byte as published.
func indicators(t testing.TB) (list [][]byte) {
	t.Helper()
	for _, x := range named {
		f, err := demodata.STIX().Open(x.bundle)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var bundle struct{ Objects []json.RawMessage }
		if err := json.NewDecoder(z).Decode(&bundle); err != nil {
			t.Fatal(err)
		}
		found := len(list)
		for _, o := range bundle.Objects {
			var head struct{ ID string }
			if json.Unmarshal(o, &head) == nil && head.ID == x.id && len(list) == found {
				list = append(list, o)
			}
		}
		if len(list) == found || len(list[found]) > maxJSON {
			t.Fatalf("%s is not in %s with at most %d bytes", x.id, x.bundle, maxJSON)
		}
	}
	return list
}

// flight is a FLASH of one object between two nodes that have exchanged LINKs,
// under an agreement with every dictionary.
type flight struct {
	m        *message.Message
	beat     [2]*message.Statement // a STATE of each end
	from, to *message.Keyring
	out, in  message.Outbound
	open     message.Inbound
}

func newFlight(t testing.TB, object []byte) *flight {
	t.Helper()
	at := time.Unix(1_800_000_000, 0)
	f := &flight{}
	for _, k := range []**message.Keyring{&f.from, &f.to} {
		var err error
		if *k, err = message.NewKeyring(noroshi.Real, at); err != nil {
			t.Fatal(err)
		}
	}
	agreed := &noroshi.Agreement{Suites: noroshi.KnownSuites, Channels: []string{noroshi.ChannelLine}, Dictionaries: noroshi.KnownDictionaries()}
	hash, day := noroshi.Sum([]byte("an agreement")), uint32(at.Unix()/86400)
	outbound := func(from, to *message.Keyring) (message.Outbound, message.Context) {
		b := message.LinkBody{Day: day}
		rand.Read(b.Line[:])
		rand.Read(b.Gate[:])
		return message.Outbound{Realm: noroshi.Real, From: from.NodeID(), To: to.Keyset(), Secret: b.Gate[:], Now: at, Suite: message.S2,
				Links: []message.LinkBody{b}, Packings: message.Packings(agreed)},
			message.Context{Realm: noroshi.Real, From: from.NodeID(), To: to.NodeID(), Epoch: message.Epoch(b.Gate[:16]), Agreement: hash}
	}
	var there, back message.Context
	f.out, there = outbound(f.from, f.to)
	f.in, back = outbound(f.to, f.from)
	f.open = message.Inbound{Realm: noroshi.Real, From: f.from.NodeID(), To: f.to.NodeID(), Keys: f.from.Keyset(), Agreements: []noroshi.Hash{hash}, Now: at,
		Suites: message.SuitesOn(agreed, noroshi.ChannelLine), Packings: f.out.Packings, Links: f.out.Links, Recent: []noroshi.Hash{hash}, Epochs: []message.Epoch{there.Epoch}}
	var err error
	f.m, err = message.Sign(f.from, there, message.Header{Seq: 70, Kind: message.Data, Prec: noroshi.Flash, Created: at, TTL: 3600,
		Label: "TLP:GREEN", Form: message.ObjectsForm}, message.EncodeObjects([]message.Object{{Bytes: object}}))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []struct {
		keys *message.Keyring
		c    message.Context
	}{{f.from, there}, {f.to, back}} {
		f.beat[i], err = message.SignStatement(e.keys, e.c, 900, message.StateKind, at, message.EncodeState(busyState()))
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// busyState is a STATE of an end that has much open: random where it is in use.
func busyState() message.State {
	var b [96]byte
	rand.Read(b[:])
	return message.State{Run: [8]byte(b[0:]), Challenge: [8]byte(b[8:]), Echo: [8]byte(b[16:]),
		Out:  message.OutHead{Head: 70, Chain: [16]byte(b[24:])},
		In:   []message.InSet{{Epoch: message.Epoch(b[40:]), Cum: 68, ChainCum: [16]byte(b[56:]), Ranges: []message.Range{{A: 70, B: 74}}, Open: []uint64{66}}},
		Keys: [2]message.KeyVersion{{Version: 3, Hash: [8]byte(b[72:])}, {Version: 2, Hash: [8]byte(b[80:])}}}
}

// pass is how long the FLASH takes past the ROUTINE that a seed puts in its way,
// at some moment of it; not over two minutes.
func (f *flight) pass(t testing.TB, seed uint64) time.Duration {
	t.Helper()
	w := newWorld(t, hf, seed)
	if seed%4 != 1 {
		w.queue(0, 1, noroshi.Routine, w.envelope(100<<10))
	}
	if seed%4 > 0 {
		w.queue(1, 1, noroshi.Routine, w.envelope(100<<10))
	}
	begin, beat := 5*time.Minute+time.Duration(w.r.Int64N(int64(40*time.Second))), uint64(10)
	for ; begin > 0; begin -= time.Minute { // heartbeats ride along
		for i, o := range []message.Outbound{f.out, f.in} {
			w.queue(i, beat, 0, f.seal(t, message.Plain{Statement: f.beat[i]}, o))
		}
		beat++
		w.pass(min(time.Minute, begin))
	}
	flash := f.seal(t, message.Plain{Message: f.m}, f.out)
	w.queue(0, 2, noroshi.Flash, flash)
	took := w.until(2*time.Minute, func() bool { _, ok := w.ends[1].has(flash); return ok })
	if p, err := message.Unseal(f.to, f.open, flash); err != nil || p.Message.ID() != f.m.ID() {
		t.Fatalf("what came does not open: %v", err)
	}
	return took
}

func (f *flight) seal(t testing.TB, p message.Plain, o message.Outbound) []byte {
	t.Helper()
	e, err := message.Seal(p, o, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(e) > line.Largest {
		t.Fatalf("%d bytes", len(e))
	}
	return e
}
