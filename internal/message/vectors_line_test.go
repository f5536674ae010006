package message_test

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/message"
)

// lineVector holds what is derived of the secrets of a LINK in the direction
// USA-01 to JPN-01 on one day, and envelopes of S2 of that day.
type lineVector struct {
	Gate     hexBytes `json:"gate_secret"`
	Line     hexBytes `json:"line_secret"`
	Day      uint32   `json:"day"`
	Ratchets int      `json:"days_later"`
	Of       hexBytes `json:"line_secret_of_that_day"`
	Piece    hexBytes `json:"piece"`
	Tag      hexBytes `json:"fragment_mac"`
	Voice    hexBytes `json:"voice_of_piece"`
}

func vectorLine(p *pair) message.Line {
	return message.Line{Realm: p.realm, From: p.a.NodeID(), To: p.b.NodeID(), Links: []message.LinkBody{linkBody()}, Card: p.secret}
}

func TestLineVectors(t *testing.T) {
	p := vectorPair(t)
	var made []lineVector
	for _, later := range []int{0, 1, 29} {
		at := now.AddDate(0, 0, later)
		l, ok := linkBody().On(message.DayOf(at))
		if !ok {
			t.Fatal("no secret")
		}
		piece := []byte{byte(later), 2, 3}
		tag, _ := vectorLine(p).Fragments(at).MAC(piece)
		voice, err := vectorLine(p).Voice(piece)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, lineVector{Gate: vectorSecret("gate"), Line: vectorSecret("line"), Day: vectorDay, Ratchets: later,
			Of: l.Line[:], Piece: piece, Tag: tag[:], Voice: voice[:]})
	}
	golden(t, "links.json", made)
}

// suiteVector is an envelope of S1H or S2 that must open as it is.
type suiteVector struct {
	Name      string   `json:"name"`
	Seed      hexBytes `json:"kem_seed,omitempty"` // S1H: of JPN-01
	DaysLater int      `json:"days_later"`         // S2
	Envelope  hexBytes `json:"envelope"`
	Plaintext hexBytes `json:"plaintext"`
}

func highSeed() []byte {
	s := sha256.Sum256([]byte("JPN-01 S1H"))
	return s[:]
}

func TestSuiteVectors(t *testing.T) {
	p := vectorPair(t)
	if err := p.b.Strengthen(bytes.NewReader(highSeed()), now); err != nil {
		t.Fatal(err)
	}
	names, list := vectorMessages(t, p)
	st, err := message.SignStatement(p.a, p.context(), 1, message.StateKind, now, message.EncodeState(stateHeader()))
	if err != nil {
		t.Fatal(err)
	}
	plains := map[string]message.Plain{"state": {Statement: st}, "keyset": {Document: p.a.Keyset().Bytes()}}
	for i, m := range list {
		plains[names[i]] = message.Plain{Message: m}
	}
	out, in := p.narrow()
	in.Suites = []message.Suite{message.S1, message.S1H, message.S2}
	seal := func(v suiteVector, suite message.Suite, full bool) suiteVector {
		o := out
		o.Suite, o.Full, o.Now = suite, full, now.Add(time.Duration(v.DaysLater)*24*time.Hour)
		v.Envelope = sealed(t, plains[v.Name], o)
		in.Now = o.Now
		if v.Plaintext, err = message.Plaintext(p.b, in, v.Envelope); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if *update {
		var made []suiteVector
		made = append(made, seal(suiteVector{Name: names[1], Seed: highSeed()}, message.S1H, false),
			seal(suiteVector{Name: "state", Seed: highSeed()}, message.S1H, false),
			seal(suiteVector{Name: names[0]}, message.S2, true), seal(suiteVector{Name: "keyset"}, message.S2, false))
		for i, n := range append(names, "state") {
			made = append(made, seal(suiteVector{Name: n, DaysLater: i}, message.S2, false))
		}
		golden(t, "suites.json", made)
	}
	for _, v := range load[[]suiteVector](t, "suites.json") {
		in.Now = now.AddDate(0, 0, v.DaysLater)
		got, err := message.Unseal(p.b, in, v.Envelope)
		if err != nil || !reflect.DeepEqual(got, plains[v.Name]) {
			t.Errorf("%s: opens to something else, %v", v.Name, err)
		}
		if plain, err := message.Plaintext(p.b, in, v.Envelope); err != nil || !bytes.Equal(plain, v.Plaintext) {
			t.Errorf("%s: plaintext is not the vector, %v", v.Name, err)
		}
	}
}
