package message_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func linkBody() message.LinkBody {
	return message.LinkBody{Gate: [32]byte(vectorSecret("gate")), Line: [32]byte(vectorSecret("line")), Day: vectorDay}
}

// narrow is the link of a pair with the secrets of a LINK on both sides.
func (p *pair) narrow() (message.Outbound, message.Inbound) {
	out, in := p.out(), p.in()
	out.Suite, out.Links = message.S2, []message.LinkBody{linkBody()}
	in.Suites, in.Links, in.Now = []message.Suite{message.S1, message.S2}, out.Links, now
	in.Recent, in.Epochs = []noroshi.Hash{inForce, {}}, []message.Epoch{p.epoch, {9}}
	return out, in
}

func sealed(t testing.TB, x message.Plain, o message.Outbound) []byte {
	t.Helper()
	e, err := message.Seal(x, o, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// plains is one of each form there is.
func plains(t testing.TB, p *pair) map[string]message.Plain {
	t.Helper()
	st, err := message.SignStatement(p.a, p.context(), 4, message.StateKind, now, message.EncodeState(stateHeader()))
	if err != nil {
		t.Fatal(err)
	}
	c := p.context()
	c.Agreement = noroshi.Hash{}
	free, err := message.Sign(p.a, c, message.Header{Seq: 1, Kind: message.EpochStart, Prec: noroshi.Priority, Created: now, Form: message.ControlForm},
		message.EncodeEpoch(message.EpochBody{Reason: message.FirstEpoch}))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]message.Plain{
		"one object":        {Message: p.sign(t, dataHeader(2), message.EncodeObjects(objects(1)))},
		"forty objects":     {Message: p.sign(t, dataHeader(3), message.EncodeObjects(objects(40)))},
		"without agreement": {Message: free},
		"state":             {Statement: st},
		"keyset":            {Document: p.a.Keyset().Bytes()},
	}
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	out, in := p.narrow()
	for name, x := range plains(t, p) {
		for _, full := range []bool{false, true} {
			out.Full = full
			e := sealed(t, x, out)
			g, err := message.ReadGate(e)
			if err != nil || g.Suite() != message.S2 || !narrowLine(in).Opens(e, now) || g.Match(p.secret, p.realm, in.From, in.To) {
				t.Errorf("%s: gate is %v, %v", name, g.Suite(), err)
			}
			got, err := message.Unseal(p.b, in, e)
			if err != nil || !reflect.DeepEqual(got, x) {
				t.Errorf("%s, full is %t: got %+v, %v", name, full, got, err)
			}
		}
	}
}

func narrowLine(in message.Inbound) message.Line {
	return message.Line{Realm: in.Realm, From: in.From, To: in.To, Links: in.Links, Card: in.Secret}
}

// What a line costs besides the content: envelope 29, signature 66, header 18,
// the label, and 4 around them.
func TestNarrowSizes(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	out, _ := p.narrow()
	m := p.sign(t, message.Header{Seq: 1000, Kind: message.Data, Prec: noroshi.Flash, Created: now, TTL: 3600, Label: "TLP:GREEN", Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: make([]byte, 100)}}))
	if n := len(sealed(t, message.Plain{Message: m}, out)) - len(m.Content); n != message.NarrowCost+10 {
		t.Errorf("a message costs %d bytes besides its content, want 127", n)
	}
	state := message.State{Out: message.OutHead{Head: 1000}, In: []message.InSet{{Epoch: message.Epoch{2}, Cum: 1000}}, Cited: message.Citation{Epoch: message.Epoch{2}, Counter: 1000},
		Keys: [2]message.KeyVersion{{Version: 1}, {Version: 1}}}
	st, err := message.SignStatement(p.a, p.context(), 1000, message.StateKind, now, message.EncodeState(state))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(sealed(t, message.Plain{Statement: st}, out)); n != 29+66+12+4+135 { // docs/wire.md says so
		t.Errorf("a STATE has %d bytes, want 246", n)
	}
}

func TestNarrowRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	out, in := p.narrow()
	x := message.Plain{Message: p.sign(t, dataHeader(1), message.EncodeObjects(objects(1)))}
	e := sealed(t, x, out)
	other := linkBody()
	other.Line[0] ^= 1
	later := linkBody()
	later.Day += 2
	for _, c := range []struct {
		name   string
		change func(in *message.Inbound)
		want   string
	}{
		{"no agreement lists it", func(in *message.Inbound) { in.Suites = []message.Suite{message.S1H} }, "message.suite"},
		{"no LINK", func(in *message.Inbound) { in.Links = nil }, "message.unseal"},
		{"another secret", func(in *message.Inbound) { in.Links = []message.LinkBody{other} }, "message.unseal"},
		{"a later LINK", func(in *message.Inbound) { in.Links = []message.LinkBody{later} }, "message.unseal"},
		{"after the overlap", func(in *message.Inbound) { in.Now = now.AddDate(0, 0, 4) }, "message.unseal"},
		{"two days before", func(in *message.Inbound) { in.Now = now.AddDate(0, 0, -2) }, "message.unseal"},
		{"no epoch", func(in *message.Inbound) { in.Epochs = nil }, "message.compact"},
		{"an unknown epoch", func(in *message.Inbound) { in.Epochs = []message.Epoch{{1}, {2}} }, "message.signature"},
		{"the epoch is a fourth", func(in *message.Inbound) { in.Epochs = []message.Epoch{{1}, {2}, {3}, p.epoch} }, "message.signature"},
		{"the agreement is a third", func(in *message.Inbound) { in.Recent = []noroshi.Hash{{}, {}, inForce} }, "message.agreement"},
		{"an agreement only one signed", func(in *message.Inbound) { in.Agreements = nil }, "message.unknown-agreement"},
		{"keys of another", func(in *message.Inbound) { in.Keys = p.b.Keyset() }, "message.context"},
	} {
		in := in
		c.change(&in)
		if _, err := message.Unseal(p.b, in, e); codeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	for i := range e {
		b := bytes.Clone(e)
		b[i] ^= 1
		if _, err := message.Unseal(p.b, in, b); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
	}
	if _, err := message.Seal(x, p.out(), rand.Reader); err != nil {
		t.Error(err)
	}
	none := out
	none.Links = nil
	if _, err := message.Seal(x, none, rand.Reader); codeOf(err) != "message.no-line" {
		t.Errorf("sealed without a LINK: got %v", err)
	}
	large := make([]byte, message.MaxNarrow)
	rand.Read(large)
	big := message.Plain{Message: p.sign(t, dataHeader(1), message.EncodeObjects([]message.Object{{Bytes: large}}))}
	if _, err := message.Seal(big, out, rand.Reader); codeOf(err) != "message.too-large" {
		t.Errorf("a large one: got %v", err)
	}
}

// Each day has a key that the next day's does not give back; what was under way
// opens for three days more, and a sender a day ahead is understood.
func TestDays(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	out, in := p.narrow()
	x := message.Plain{Message: p.sign(t, dataHeader(1), message.EncodeObjects(objects(1)))}
	for day := range 40 {
		out.Now = now.AddDate(0, 0, day)
		e := sealed(t, x, out)
		for after := -1; after < 6; after++ {
			in.Now = out.Now.AddDate(0, 0, after)
			in.Links = []message.LinkBody{linkBody().Kept(in.Now)}
			if _, err := message.Unseal(p.b, in, e); (err == nil) != (after <= 3) {
				t.Errorf("of day %d, %d days later: got %v", day, after, err)
			}
		}
	}
	kept := linkBody().Kept(now.AddDate(0, 0, 10))
	if kept.Day != vectorDay+7 || kept.Line == linkBody().Line {
		t.Errorf("after ten days: kept is of day %d", kept.Day)
	}
	if _, ok := kept.On(vectorDay); ok {
		t.Error("an earlier day comes out of a later")
	}
	if again := kept.Kept(now); again != kept {
		t.Error("a clock set back changes what is kept")
	}
	out.Links, out.Now = []message.LinkBody{kept}, now.AddDate(0, 0, 6)
	if _, err := message.Seal(x, out, rand.Reader); err != nil {
		t.Errorf("clock a day back: %v", err)
	}
	out.Now = now
	if _, err := message.Seal(x, out, rand.Reader); codeOf(err) != "message.no-line" {
		t.Errorf("clock a week back: got %v", err)
	}
	if _, ok := linkBody().On(vectorDay + 4000); ok {
		t.Error("a secret is moved on without bound")
	}
}

func TestFragments(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	_, in := p.narrow()
	line := narrowLine(in)
	next := linkBody()
	next.Line, next.Day = [32]byte{7}, vectorDay+1
	at := func(day int, links ...message.LinkBody) message.FragmentKeys {
		l := line
		l.Links = links
		return l.Fragments(now.AddDate(0, 0, day))
	}
	piece := []byte("a piece")
	tag := func(f message.FragmentKeys) [8]byte {
		mac, ok := f.MAC(piece)
		if !ok {
			t.Fatal("no key")
		}
		return mac
	}
	today, card := tag(at(0, linkBody())), tag(at(0))
	for _, c := range []struct {
		name string
		keys message.FragmentKeys
		tag  [8]byte
		want bool
	}{
		{"the same day", at(0, linkBody()), today, true},
		{"three days after", at(3, linkBody()), today, true},
		{"four days after", at(4, linkBody()), today, false},
		{"under the next LINK too", at(1, next, linkBody()), today, true},
		{"under the next LINK alone", at(1, next), today, false},
		{"the card's, before the first LINK", at(0), card, true},
		{"the card's, after", at(0, linkBody()), card, true},
		{"nobody's", at(0, linkBody()), [8]byte{}, false},
	} {
		if got := c.keys.Check(piece, c.tag); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
	back := line
	back.From, back.To = line.To, line.From
	back.Links = []message.LinkBody{linkBody()}
	if back.Fragments(now).Check(piece, today) {
		t.Error("a fragment of one direction is one of the other")
	}
	if _, ok := (message.FragmentKeys{}).MAC(piece); ok {
		t.Error("no key makes a tag")
	}
	voice, err1 := line.Voice(piece)
	line.Links = nil
	spoken, err2 := line.Voice(piece)
	if err1 != nil || err2 != nil || voice == spoken {
		t.Errorf("voice: %x and %x, %v, %v", voice[:4], spoken[:4], err1, err2)
	}
}

// high is a pair of which both have keys of S1H.
func high(t testing.TB) *pair {
	t.Helper()
	p := newPair(t, noroshi.Real)
	for _, k := range []*message.Keyring{p.a, p.b} {
		before := k.Keyset()
		if before.Has(message.S1H, now) {
			t.Fatal("has S1H from the start")
		}
		for range 2 { // the second time there is nothing to do
			if err := k.Strengthen(seed("high"), now); err != nil {
				t.Fatal(err)
			}
		}
		if confirm, err := k.Keyset().Succeeds(before); confirm || err != nil || k.Keyset().Version != before.Version+1 || !k.Keyset().Has(message.S1H, now) {
			t.Fatalf("keyset %d: confirm is %t, %v", k.Keyset().Version, confirm, err)
		}
	}
	return p
}

func TestHigh(t *testing.T) {
	t.Parallel()
	p := high(t)
	b, err := p.b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	read, err := message.UnmarshalKeyring(b)
	if err != nil {
		t.Fatal(err)
	}
	out, in := p.out(), p.in()
	out.Suite, in.Suites = message.S1H, []message.Suite{message.S1, message.S1H}
	for name, x := range plains(t, p) {
		e := sealed(t, x, out)
		for _, k := range []*message.Keyring{p.b, read} {
			if got, err := message.Unseal(k, in, e); err != nil || !reflect.DeepEqual(got, x) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
		if got, err := message.Unseal(p.b, in, p.seal(t, x)); err != nil || !reflect.DeepEqual(got, x) {
			t.Errorf("%s under S1: got %+v, %v", name, got, err)
		}
		if _, err := message.Unseal(p.b, p.in(), e); codeOf(err) != "message.suite" {
			t.Errorf("%s: no agreement lists S1H: got %v", name, err)
		}
		e[0] = byte(message.S1)
		if _, err := message.Unseal(p.b, in, e); err == nil {
			t.Errorf("%s: opens as S1", name)
		}
	}
	plain := newPair(t, noroshi.Real)
	o := plain.out()
	o.Suite = message.S1H
	if _, err := message.Seal(message.Plain{Document: plain.a.Keyset().Bytes()}, o, rand.Reader); codeOf(err) != "message.kem" {
		t.Errorf("sealed for a node without such a key: got %v", err)
	}
}

func TestSuites(t *testing.T) {
	t.Parallel()
	s1, high, all := []message.Suite{message.S1}, []message.Suite{message.S1H}, []message.Suite{message.S1, message.S1H, message.S2}
	a := func(suites []string, carriers ...noroshi.Carrier) *noroshi.Agreement {
		return &noroshi.Agreement{Suites: suites, Channels: []string{"https", "mail", "line"}, Carriers: carriers}
	}
	every := []string{"S1", "S1H", "S2"}
	for _, c := range []struct {
		a    *noroshi.Agreement
		kind string
		want []message.Suite
	}{
		{nil, "line", s1},
		{a([]string{"S1"}), "line", s1},
		{a([]string{"S2", "S1"}), "line", []message.Suite{message.S1, message.S2}},
		{a(every), "line", all},
		{a(every), "https", all[:2]},
		{a(every, noroshi.Carrier{Kind: "https", Suites: []string{"S1H"}}), "https", high},
		{a(every, noroshi.Carrier{Kind: "https", Suites: []string{"S1H"}}), "mail", all[:2]},
		{a(every, noroshi.Carrier{Kind: "line", Suites: []string{"S2"}}), "line", all[2:]},
		{a(every), "media", all[:2]}, // not listed: what came by it all the same is told by its label
	} {
		if got := message.SuitesOn(c.a, c.kind); !slices.Equal(got, c.want) {
			t.Errorf("%v on %s: got %v, want %v", c.a, c.kind, got, c.want)
		}
	}
	if got := fmt.Sprint(message.S1, message.S1H, message.S2, message.Suite(9)); got != "S1 S1H S2 " {
		t.Errorf("names are %q", got)
	}
}

// TestSuiteOfTheChannel: an envelope is taken under the suites agreed for the kind
// of channel it came by, and under S1 besides that what makes the others possible.
func TestSuiteOfTheChannel(t *testing.T) {
	t.Parallel()
	p := high(t)
	out, in := p.narrow()
	link, err := message.Sign(p.a, p.context(), message.Header{Seq: 4, Kind: message.Link, Prec: noroshi.Immediate, Created: now, Form: message.ControlForm}, []byte{0x80})
	if err != nil {
		t.Fatal(err)
	}
	list := plains(t, p)
	list["link"] = message.Plain{Message: link}
	for _, c := range []struct {
		agreed []message.Suite
		taken  map[message.Suite]string // all others are refused
	}{
		{nil, map[message.Suite]string{message.S1: "all"}},
		{[]message.Suite{message.S1}, map[message.Suite]string{message.S1: "all"}},
		{[]message.Suite{message.S1, message.S1H}, map[message.Suite]string{message.S1: "all", message.S1H: "all"}},
		{[]message.Suite{message.S1H}, map[message.Suite]string{message.S1: "state keyset", message.S1H: "all"}},
		{[]message.Suite{message.S2}, map[message.Suite]string{message.S1: "state keyset link without agreement", message.S2: "all"}},
		{[]message.Suite{message.S1H, message.S2}, map[message.Suite]string{message.S1: "state keyset", message.S1H: "all", message.S2: "all"}},
	} {
		for name, x := range list {
			for _, s := range []message.Suite{message.S1, message.S1H, message.S2} {
				o, in := out, in
				o.Suite, o.Full, in.Suites = s, true, c.agreed
				want := "message.suite"
				if taken := c.taken[s]; taken == "all" || strings.Contains(taken, name) {
					want = ""
				}
				if _, err := message.Unseal(p.b, in, sealed(t, x, o)); codeOf(err) != want {
					t.Errorf("%s under %s where %v are agreed: got %v, want %q", name, s, c.agreed, err, want)
				}
			}
		}
	}
}

// TestShortProfileIsNarrow: what the short profile takes to read is worth it on a
// narrow line alone, so nothing wide makes this node do that work.
func TestShortProfileIsNarrow(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	out, in := p.narrow()
	in.Packings = []uint8{2, 128, 129}
	m := p.sign(t, dataHeader(2), message.EncodeObjects(objects(1)))
	short := message.Shorten(m.Content)
	if got, err := message.Unseal(p.b, in, message.SealNarrow(message.PlainWith(m, 129, short, nil), out)); err != nil || got.Message.ID() != m.ID() {
		t.Errorf("under S2: got %v", err)
	}
	_, err := message.Unseal(p.b, in, message.SealRaw(message.PlainWith(m, 129, short, make([]byte, 100)), p.out(), [8]byte{1}))
	code(t, err, "message.compression")
}

// TestNarrowNonces is I16: whatever is sealed, and however often, no nonce is
// used twice: not for one sequence either, which comes again with other content
// where a node was put back.
func TestNarrowNonces(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	out, _ := p.narrow()
	met := map[string]bool{}
	for name, x := range plains(t, p) {
		for n := range 8 {
			out.Full = n%2 == 0
			nonce := string(sealed(t, x, out)[1:13])
			if met[nonce] {
				t.Errorf("%s: nonce %x is used again", name, nonce)
			}
			met[nonce] = true
		}
	}
	for life := range 8 { // of a node that is put back again and again
		c := p.context()
		c.Epoch = message.Epoch{byte(life + 1)}
		for seq := range uint64(4) {
			m, err := message.Sign(p.a, c, dataHeader(seq+1), message.EncodeObjects(objects(1+life)))
			if err != nil {
				t.Fatal(err)
			}
			nonce := string(sealed(t, message.Plain{Message: m}, out)[1:13])
			if met[nonce] {
				t.Errorf("life %d, sequence %d: nonce %x is used again", life, seq+1, nonce)
			}
			met[nonce] = true
		}
	}
}
