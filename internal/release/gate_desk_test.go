package release_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// admit brings a drawing into an office's store, each thing by the door it
// came through, definitions first.
func (g *drawing) admit(o *office) {
	o.t.Helper()
	var all []*store.Version
	written := g.String()
	for _, s := range stamps() {
		if !strings.Contains(written, string(s.id)) || g.gone[s.id] {
			continue
		}
		for _, b := range s.bodies {
			all = append(all, version(o.t, made, "", b))
		}
	}
	for _, x := range g.things {
		src := x.src
		if x.had {
			src = fromJPN
			src.Partner = g.partner().Node
		}
		all = append(all, version(o.t, src, x.run, x.bytes()))
		if x.conflict {
			all = append(all, version(o.t, src, x.run, strings.TrimSuffix(x.bytes(), "}")+`,"x_other":1}`))
		}
	}
	o.put(all...)
}

// stream is what a courier puts into the stream for a partner: signed messages.
type stream struct {
	o       *office
	to      noroshi.Party
	keys    *message.Keyring
	bare    bool
	seq     uint64
	objects int
	out     strings.Builder
}

// pull signs what is cleared for the partner as the courier does.
func (s *stream) pull() (went bool) {
	t := s.o.t
	t.Helper()
	ids, err := s.o.store.UnsentBatches(s.o.ctx, s.to.Node)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		cursor, err := s.o.store.Cursor(s.o.ctx, "test "+id)
		if err != nil {
			t.Fatal(err)
		}
		for first := int(cursor); ; {
			c, err := s.o.desk.Next(s.o.ctx, id, first)
			if err != nil && noroshi.KindOf(err) != noroshi.Refused {
				t.Fatal(err)
			}
			if !c.Valid() {
				break
			}
			s.o.stream(s.to, c)
			s.sign(c)
			first, went = c.First()+len(c.Objects()), true
			if err := s.o.store.Advance(s.o.ctx, "test "+id, int64(first)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return went
}

func (s *stream) sign(c release.Cleared) {
	s.o.t.Helper()
	var list []message.Object
	for _, x := range c.Objects() {
		n := x.View
		if s.bare {
			n = 0
		}
		list = append(list, message.Object{View: n, Bytes: x.Bytes})
		s.objects++
	}
	s.seq++
	b := c.Batch()
	content := message.EncodeObjects(list)
	m, err := message.Sign(s.keys, message.Context{Realm: real, From: s.keys.NodeID(), To: s.to.Node, Epoch: message.Epoch{1}, Agreement: b.Agreement},
		message.Header{Seq: s.seq, Kind: message.Data, Prec: b.Precedence, Created: s.o.now, Form: message.ObjectsForm, Label: b.Label}, content)
	if err != nil {
		s.o.t.Fatal(err)
	}
	fmt.Fprintf(&s.out, "%s %s %d of %d bytes\n%s\n%x\n", b.Label, b.Precedence, len(list), len(content), content, m.EncodeSigned())
}

// throughDesk is every byte that goes into the stream to the partner, by itself
// and after persons approved all they may.
func (g *drawing) throughDesk(t *testing.T, keys *message.Keyring, bare bool) (wire string, objects int) {
	t.Helper()
	o := newOffice(t)
	for _, p := range []noroshi.Party{jpn, kor} {
		o.agree(p, []byte(strings.Replace(string(termsWith(p)), "statements = []", fmt.Sprintf("statements = [%q]", allowed), 1)))
	}
	g.admit(o)
	s := stream{o: o, to: g.partner(), keys: keys, bare: bare}
	for range 50 {
		o.settle()
		if s.pull() {
			continue
		}
		holds := slices.DeleteFunc(o.holds(), func(h store.HoldGroup) bool {
			_, ok := release.Approvals(h.Key)
			return !ok || h.Partner != s.to.Node
		})
		if len(holds) == 0 {
			return s.out.String(), s.objects
		}
		slices.SortFunc(holds, func(a, b store.HoldGroup) int { return cmp.Compare(o.first(a), o.first(b)) })
		if holds[0].Key == noroshi.Review {
			if _, _, err := o.approve("jones", holds[0].ID); err != nil {
				t.Fatal(err)
			}
			continue
		}
		o.twoApprove(holds[0].ID)
	}
	t.Fatal("the desk never comes to rest")
	return "", 0
}

// TestDeskNonInterference is L1 through a real store and desk: the signed
// messages to a partner, their heads, boundaries, counts and sequences, are the
// same whatever stands in what it may not see; and L2: no canary is in them.
// The desk's slices of the feed are not exceeded: how a list of more than a
// slice falls into messages shows how much of it was withheld.
func TestDeskNonInterference(t *testing.T) {
	keys, err := message.NewKeyring(real, now.AddDate(0, 0, -1))
	if err != nil {
		t.Fatal(err)
	}
	rounds := tier.N(40, 1_600)
	seeds := []uint64{173, 1153, 1536} // what was found once
	for seed := range uint64(rounds) {
		seeds = append(seeds, seed)
	}
	objects := 0
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 12))
			g := draw(r)
			clear(g.around)
			h, bare := g.twin(r)
			wire, n := g.throughDesk(t, keys, bare)
			objects += n
			other, _ := h.throughDesk(t, keys, bare)
			if diff := differ(wire, other); diff != "" {
				t.Errorf("what leaves depends on what may not:\n%s\nof\n%s\nand\n%s", diff, g, h)
			}
			for _, w := range g.forbidden(g.sees(persons)) {
				if strings.Contains(wire, w) {
					t.Errorf("%s leaves:\n%s\nof\n%s", w, wire, g)
				}
			}
		})
	}
	if objects < rounds {
		t.Errorf("%d objects went in %d rounds", objects, rounds)
	}
	t.Logf("%d objects went in %d rounds", objects, rounds)
}
