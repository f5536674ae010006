package courier_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// assault is one kind of hostile act: what goes to the victim, in this order.
type assault struct {
	name string
	do   func(f *foe) [][]byte
}

func one(fn func(f *foe) []byte) func(*foe) [][]byte {
	return func(f *foe) [][]byte { return [][]byte{fn(f)} }
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func freshEpoch() (e message.Epoch) {
	rand.Read(e[:])
	return e
}

// assaults is every kind, the costly last.
var assaults = []assault{
	{"noise", one(func(f *foe) []byte { return append([]byte{0xee}, noise(2000)...) })},
	{"noise as an envelope", one(func(f *foe) []byte { return append([]byte{0x11}, noise(1500)...) })},
	{"nothing", one(func(f *foe) []byte { return nil })},
	{"a suite not agreed", one(func(f *foe) []byte { return append([]byte{0x12}, noise(1900)...) })},
	{"noise under the seal", one(func(f *foe) []byte { return f.raw(noise(300)) })},
	{"CBOR as deep as it gets", one(func(f *foe) []byte { return f.raw(bytes.Repeat([]byte{0x81}, 60_000)) })},
	{"CBOR that promises", one(func(f *foe) []byte { return f.raw([]byte{0x88, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) })},
	{"a broken signature", one(func(f *foe) []byte {
		m := *f.sign(data(noroshi.Routine), f.objects(f.indicator(f.newID(), f.ident, "")))
		m.Signature = append([]byte{^m.Signature[0]}, m.Signature[1:]...)
		return f.seal(message.Plain{Message: &m})
	})},
	{"another content", one(func(f *foe) []byte {
		m := f.sign(data(noroshi.Routine), f.objects(f.indicator(f.newID(), f.ident, "")))
		return f.raw(around(m, 0, bytes.Repeat([]byte{1}, len(m.Content))))
	})},
	{"a bomb", one(func(f *foe) []byte {
		m := f.sign(data(noroshi.Routine), f.objects(f.indicator(f.newID(), f.ident, "")))
		return f.raw(around(m, 1, bomb(8<<20)))
	})},
	{"another realm", one(func(f *foe) []byte {
		x, err := noroshi.ParseRealm("exercise:keen-edge")
		if err != nil {
			panic(err)
		}
		k, err := message.NewKeyring(x, f.now())
		if err != nil {
			panic(err)
		}
		c := f.context()
		c.Realm, c.From = x, k.NodeID()
		m, err := message.Sign(k, c, message.Header{Seq: 1, Kind: message.Data, Prec: noroshi.Flash, Created: f.now(), Label: foeLabel, Form: message.ObjectsForm}, f.objects([]byte("{}")))
		if err != nil {
			panic(err)
		}
		return f.raw(around(m, 0, m.Content))
	})},
	{"for another node", one(func(f *foe) []byte {
		c := f.context()
		c.To = noroshi.NodeID{9}
		m, err := message.Sign(f.keys, c, message.Header{Seq: 1, Kind: message.Data, Prec: noroshi.Flash, Created: f.now(), Label: foeLabel, Form: message.ObjectsForm}, f.objects([]byte("{}")))
		if err != nil {
			panic(err)
		}
		return f.raw(around(m, 0, m.Content))
	})},
	{"under another agreement", one(func(f *foe) []byte {
		is := f.agreement
		defer func() { f.agreement = is }()
		f.agreement = noroshi.Hash{7}
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Flash), f.objects(f.indicator(f.newID(), f.ident, "")))})
	})},
	{"a kind nobody knows", one(func(f *foe) []byte { return f.control(200, []byte{0x80}) })},
	{"a form nobody knows", one(func(f *foe) []byte {
		h := data(noroshi.Flash)
		h.Form = 9
		return f.seal(message.Plain{Message: f.sign(h, noise(100))})
	})},
	{"dated ahead", one(func(f *foe) []byte {
		h := data(noroshi.Flash)
		h.Created = f.now().Add(40 * time.Hour)
		return f.seal(message.Plain{Message: f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))})
	})},
	{"a label nobody knows", one(func(f *foe) []byte {
		h := data(noroshi.Flash)
		h.Label = "TLP:Green "
		return f.seal(message.Plain{Message: f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))})
	})},
	{"a content that is none", one(func(f *foe) []byte {
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Priority), bytes.Repeat([]byte{0x81}, 60_000))})
	})},
	{"deep JSON", one(func(f *foe) []byte {
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Priority), f.objects(deepJSON(100_000), deepJSON(70)))})
	})},
	{"two under one sequence", func(f *foe) [][]byte {
		h := data(noroshi.Flash)
		first := f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))
		h.Seq = f.seq
		second := f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))
		return [][]byte{f.seal(message.Plain{Message: first}), f.seal(message.Plain{Message: second})}
	}},
	{"again", func(f *foe) (list [][]byte) {
		for range min(8, len(f.sent)) {
			list = append(list, f.sent[f.rng.IntN(len(f.sent))])
		}
		return list
	}},
	{"a gap that never closes", one(func(f *foe) []byte {
		h := data(noroshi.Routine)
		h.Seq = f.seq + 300 + uint64(f.rng.IntN(9000))
		return f.seal(message.Plain{Message: f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))})
	})},
	{"the end of all sequences", one(func(f *foe) []byte {
		h := data(noroshi.Flash)
		h.Seq = 1<<63 + f.rng.Uint64N(1<<62)
		return f.seal(message.Plain{Message: f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))})
	})},
	{"waiting for what never comes", one(func(f *foe) []byte {
		h := data(noroshi.Flash)
		h.Seq = f.seq + 200
		h.Deps = []uint64{f.seq + 150, f.seq + 151}
		return f.seal(message.Plain{Message: f.sign(h, f.objects(f.indicator(f.newID(), f.ident, "")))})
	})},
	{"a life for every message", func(f *foe) (list [][]byte) {
		for range 3 {
			is := f.epoch
			if len(f.lives) < 40 { // what comes of more is in package message
				f.lives = append(f.lives, f.epoch)
				f.epoch, f.seq = freshEpoch(), 0
			}
			old := f.lives[f.rng.IntN(len(f.lives))]
			list = append(list, f.control(message.EpochStart, message.EncodeEpoch(message.EpochBody{Reason: message.RolledBack, Parents: []message.Parent{{Epoch: is, Seq: 1}}})),
				f.state(func(s *message.State) { s.Out.Parents = []message.Epoch{is} }),
				f.sayAt(old, 1<<40+f.counter, message.StateKind, message.EncodeState(message.State{Run: [8]byte{2}, Out: message.OutHead{Parents: []message.Epoch{f.epoch}}})))
		}
		return list
	}},
	{"we were rolled back", one(func(f *foe) []byte {
		return f.state(func(s *message.State) {
			s.Cited = message.Citation{Epoch: freshEpoch(), Counter: 1 << 40}
			for range 16 {
				s.In = append(s.In, message.InSet{Epoch: freshEpoch(), Cum: 1 << 40})
			}
		})
	})},
	{"receipts given and taken", func(f *foe) (list [][]byte) {
		for range 4 {
			list = append(list, f.state(func(s *message.State) {
				s.In = []message.InSet{{Epoch: f.life, Cum: f.told.Out.Head, ChainCum: f.told.Out.Chain}}
			}), f.state(func(s *message.State) { s.In = []message.InSet{{Epoch: f.life}} }))
		}
		return list
	}},
	{"receipts for what never went", one(func(f *foe) []byte {
		return f.state(func(s *message.State) {
			s.In = []message.InSet{{Epoch: f.life, Cum: 1, Ranges: []message.Range{{A: 5, B: 1 << 50}}, Open: []uint64{7}}}
		})
	})},
	{"one counter twice", func(f *foe) [][]byte {
		a := f.state(nil)
		f.counter--
		return [][]byte{a, f.state(nil)}
	}},
	{"WANT without end", func(f *foe) (list [][]byte) {
		for reason := uint8(1); reason <= 4; reason++ {
			w := message.Want{Reason: reason}
			for i := range uint64(200) {
				w.Runs = append(w.Runs, message.EpochRange{Epoch: f.life, Range: message.Range{A: 1 + i*1000, B: 1000 + i*1000}})
			}
			list = append(list, f.say(message.WantKind, message.EncodeWant(w)))
		}
		return list
	}},
	{"what do you hold", one(func(f *foe) []byte {
		h := message.Holdings{Epoch: f.life}
		rand.Read(h.Nonce[:])
		for i := range uint64(100) {
			h.Runs = append(h.Runs, message.HeldRun{Range: message.Range{A: 1 + i*20_000, B: 20_000 + i*20_000}})
		}
		return f.say(message.HoldingsKind, message.EncodeHoldings(h))
	})},
	{"holdings nobody asked for", one(func(f *foe) []byte {
		return f.say(message.HoldingsKind, message.EncodeHoldings(message.Holdings{Answer: true, Nonce: [8]byte{1}, Epoch: f.life, Runs: []message.HeldRun{{Range: message.Range{A: 1, B: 9}}}}))
	})},
	{"statements that cannot be read", func(f *foe) (list [][]byte) {
		for k := message.StateKind; k <= message.RecallsKind+2; k++ {
			list = append(list, f.say(k, bytes.Repeat([]byte{0x81}, 900)))
		}
		return list
	}},
	{"refusals", func(f *foe) (list [][]byte) {
		for code := uint8(1); code <= 5; code++ {
			list = append(list, f.say(message.RefuseKind, message.EncodeRefuse(message.Refuse{Code: code})))
		}
		return list
	}},
	{"recalls of what is others'", one(func(f *foe) []byte { return f.control(message.Recall, message.EncodeRecall(f.othersObjects())) })},
	{"recalls of what is nowhere", one(func(f *foe) []byte {
		list := make([]message.RecallEntry, 50)
		for i := range list {
			list[i] = message.RecallEntry{Object: f.newID(), Reason: message.RecallSpill, Scope: message.RecallDelete}
		}
		return f.control(message.Recall, message.EncodeRecall(list))
	})},
	{"recalls in force nobody asked for", one(func(f *foe) []byte {
		return f.say(message.RecallsKind, message.EncodeRecalls(message.RecallsBody{List: noroshi.Hash{1}, Part: 1, Parts: 1, Entries: f.othersObjects()}))
	})},
	{"answers to no recall", one(func(f *foe) []byte {
		return f.control(message.RecallDone, message.EncodeRecallDone(message.RecallDoneBody{Recall: noroshi.Hash{5}, Results: []message.RecallResult{{Found: 1 << 30, Onward: 1 << 30}}}))
	})},
	{"tombs of what never was", one(func(f *foe) []byte {
		list := make([]message.TombstoneBody, 20)
		for i := range list {
			list[i] = message.TombstoneBody{Epoch: f.epoch, Seq: f.seq + 5000 + uint64(i), ID: noroshi.Hash{byte(i), 1}, Reason: 2}
		}
		return f.control(message.Tombstone, message.EncodeTombstones(list))
	})},
	{"tombs up to where sixty-four keys end", func(f *foe) [][]byte {
		return [][]byte{f.seal(message.Plain{Message: f.ends.held}), f.control(message.Tombstone, tombs(f.ends.lines...))}
	}},
	{"read and faults of what never went", func(f *foe) [][]byte {
		at := uint64(1) << 40
		return [][]byte{
			f.control(message.Read, message.EncodeRead(message.ReadBody{Epoch: f.life, Seq: at, Role: noroshi.Duty, Time: f.now()})),
			f.control(message.Outcome, message.EncodeOutcomes([]message.OutcomeBody{{Epoch: f.life, Seq: at, Codes: []message.OutcomeCode{{Index: 999, Code: 5}}}})),
			f.control(message.Link, []byte{0x80}),
		}
	}},
	{"what was yours, given back", one(func(f *foe) []byte {
		return f.say(message.ReturnKind, message.EncodeReturn([]*message.Message{f.sign(data(noroshi.Flash), f.objects(f.indicator(f.newID(), f.v.ident, "")))}))
	})},
	{"two heads of one size", func(f *foe) [][]byte { return [][]byte{f.head(7, 1), f.head(7, 2)} }},
	{"a head that shrinks", func(f *foe) [][]byte { return [][]byte{f.head(9, 3), f.head(3, 4)} }},
	{"cosigning what is not ours", one(func(f *foe) []byte {
		return f.say(message.CosignKind, message.EncodeCosign(message.CosignBody{Checkpoint: noroshi.Hash{3}, Size: 3, Signature: []byte("— x AAAAAAAA\n")}))
	})},
	{"two key lists of one version", func(f *foe) (list [][]byte) {
		for range 3 {
			k := f.keys.Copy()
			if err := k.Rotate(rand.Reader, message.UseControl, f.now()); err != nil {
				f.t.Errorf("rotate: %v", err)
			}
			list = append(list, f.seal(message.Plain{Document: k.Keyset().Bytes()}))
		}
		return list
	}},
	{"agreements nobody made", one(func(f *foe) []byte {
		doc, err := message.SignAgreement(f.keys, bytes.Repeat([]byte("x = 1\n"), 4000), f.now())
		if err != nil {
			f.t.Errorf("agreement: %v", err)
		}
		return f.seal(message.Plain{Document: doc})
	})},
	{"the objects of others, changed", one(func(f *foe) []byte {
		var list [][]byte
		for _, e := range f.othersObjects() {
			list = append(list, f.indicator(e.Object, f.v.ident, `,"revoked":true`))
		}
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Flash), f.objects(list...))})
	})},
	{"a thousand empty objects", one(func(f *foe) []byte {
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Routine), f.objects(slices.Repeat([][]byte{[]byte("{}")}, message.MaxBatch)...))})
	})},
	{"an object of 16 MiB", one(func(f *foe) []byte {
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Flash), f.objects(bytes.Repeat([]byte(" "), message.MaxContent-8)))})
	})},
	{"a megabyte of good objects", one(func(f *foe) []byte {
		var list [][]byte
		for size := 0; size < 900<<10; {
			list = append(list, f.indicator(f.newID(), f.ident, `,"description":"`+strings.Repeat("x", 20_000)+`"`))
			size += len(list[0]) + 8
		}
		return f.seal(message.Plain{Message: f.sign(data(noroshi.Routine), f.objects(list...))})
	})},
}

// head is a CHECKPOINT of a ledger that the foe makes up.
func (f *foe) head(size uint64, root byte) []byte {
	public, sign := f.keys.Control()
	c := ledger.Checkpoint{Origin: fmt.Sprintf("noroshi/real/%s/link/%s", f.id(), f.v.id()), Size: size, Root: ledger.Hash{root}}
	return f.say(message.CheckpointKind, message.EncodeCheckpoint(message.CheckpointBody{Note: c.Sign(public, sign)}))
}

// othersObjects names some objects that the foe did not bring.
func (f *foe) othersObjects() (list []message.RecallEntry) {
	err := f.v.store.Each(context.Background(), "indicator", 0, func(r store.Record) error {
		if r.Source.Partner != f.id() && len(list) < 10 {
			list = append(list, message.RecallEntry{Object: r.Object.ID, Modified: r.Object.Modified.String(), Reason: message.RecallSpill, Scope: message.RecallDelete})
		}
		return nil
	})
	if err != nil {
		f.t.Error(err)
	}
	return list
}
