package message_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// note is a signed note of n lines of signatures.
func note(size int, signatures int) []byte {
	b := fmt.Appendf(nil, "noroshi/real/usa-01/link/jpn-01\n%d\n%s\n\n", size, base64.StdEncoding.EncodeToString(make([]byte, 32)))
	for i := range signatures {
		b = append(b, noteLine(byte(i))...)
	}
	return b
}

func noteLine(i byte) []byte {
	sig := bytes.Repeat([]byte{i}, 4+ed25519.SignatureSize)
	return fmt.Appendf(nil, "— noroshi/real/usa-01/link/jpn-01 %s\n", base64.StdEncoding.EncodeToString(sig))
}

func recallList(n int) []message.RecallEntry {
	list := make([]message.RecallEntry, n)
	for i := range list {
		list[i] = message.RecallEntry{Message: noroshi.Hash{1, byte(i), byte(i >> 8)}, Object: recalled, Modified: "2026-01-02T03:04:05Z",
			Reason: message.RecallMistaken, Scope: message.RecallStopUse}
	}
	return list
}

func checkpoints() []message.CheckpointBody {
	return []message.CheckpointBody{
		{Note: note(7, 1), Commitment: noroshi.Hash{3}},
		{Note: note(7, 2), From: 7, Commitment: noroshi.Hash{3}},
		{Note: note(1<<40, 8), From: 7, Proof: []noroshi.Hash{{1}, {2}}, Commitment: noroshi.Hash{3}},
	}
}

func TestStatementBodies(t *testing.T) {
	t.Parallel()
	for _, c := range checkpoints() {
		if got, err := message.DecodeCheckpoint(message.EncodeCheckpoint(c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("checkpoint: got %+v (%v), want %+v", got, err, c)
		}
	}
	cosign := message.CosignBody{Checkpoint: noroshi.Hash{9}, Size: 7, Signature: noteLine(5)}
	if got, err := message.DecodeCosign(message.EncodeCosign(cosign)); err != nil || !reflect.DeepEqual(got, cosign) {
		t.Errorf("cosign: got %+v (%v), want %+v", got, err, cosign)
	}
	for _, n := range []int{0, 1, 512} {
		body := message.SplitRecalls(recallList(n))[0]
		if got, err := message.DecodeRecalls(message.EncodeRecalls(body)); err != nil || got.List != body.List || len(got.Entries) != n {
			t.Errorf("recalls of %d: got %+v (%v)", n, got, err)
		}
	}
	link := message.LinkBody{Gate: [32]byte{1}, Line: [32]byte{2}, Day: 20_000}
	if got, err := message.DecodeLink(message.EncodeLink(link)); err != nil || got != link {
		t.Errorf("link: got %+v (%v), want %+v", got, err, link)
	}
}

func TestReturn(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	whole := p.sign(t, dataHeader(1), message.EncodeObjects(objects(3)))
	bare, err := message.DecodeSigned(noroshi.Real, p.sign(t, dataHeader(2), message.EncodeObjects(objects(1))).EncodeSigned())
	if err != nil {
		t.Fatal(err)
	}
	got, err := message.DecodeReturn(noroshi.Real, message.EncodeReturn([]*message.Message{whole, bare}))
	if err != nil || len(got) != 2 || got[0].ID() != whole.ID() || got[1].ID() != bare.ID() {
		t.Fatalf("got %v, %v", got, err)
	}
	if !bytes.Equal(got[0].Content, whole.Content) || got[1].Content != nil {
		t.Errorf("contents: got %d and %d bytes", len(got[0].Content), len(got[1].Content))
	}
	for _, m := range got {
		if err := m.Verify(p.a.Keyset()); err != nil {
			t.Error(err)
		}
	}
	other := *whole
	other.Content = bytes.Clone(whole.Content)
	other.Content[9] ^= 1
	large := p.sign(t, dataHeader(3), message.EncodeObjects([]message.Object{{Bytes: make([]byte, message.MaxBatchLen)}}))
	for _, c := range []struct {
		name string
		list []*message.Message
		want string
	}{
		{"none", nil, "message.size"},
		{"another content", []*message.Message{&other}, "message.hash"},
		{"a large one in company", []*message.Message{whole, large}, "message.form"},
		{"too many", slices.Repeat([]*message.Message{bare}, 257), "message.size"},
	} {
		if _, err := message.DecodeReturn(noroshi.Real, message.EncodeReturn(c.list)); codeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// A RETURN is held to the labels of what it gives back, and to no suite that DATA
// may not go under.
func TestReturnHasLabels(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	of := func(seq uint64, label string, ref uint64) *message.Message {
		h := dataHeader(seq)
		h.Label, h.LabelRef = label, ref
		return p.sign(t, h, message.EncodeObjects(objects(1)))
	}
	control := p.sign(t, message.Header{Seq: 9, Kind: message.Outcome, Prec: noroshi.Routine, Created: now, Form: message.ControlForm}, []byte{0x80})
	for _, c := range []struct {
		name string
		list []*message.Message
		want []string
	}{
		{"control", []*message.Message{control}, nil},
		{"of two labels", []*message.Message{of(1, "TLP:GREEN", 0), control, of(2, "TLP:RED", 0), of(3, "TLP:GREEN", 0)}, []string{"TLP:GREEN", "TLP:RED"}},
		{"of one that is an index", []*message.Message{of(1, "", 1)}, []string{message.UnreadLabel}},
	} {
		st := &message.Statement{Context: message.Context{Realm: noroshi.Real}, Kind: message.ReturnKind, Body: message.EncodeReturn(c.list)}
		if got, err := (message.Plain{Statement: st}).Labels(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
		if got, err := (message.Plain{Message: c.list[0]}).Labels(); err != nil || !slices.Equal(got, c.want[:min(1, len(c.want))]) {
			t.Errorf("%s, sent: got %q, %v", c.name, got, err)
		}
	}
	if _, err := (message.Plain{Statement: &message.Statement{Kind: message.ReturnKind, Body: []byte{1}}}).Labels(); err == nil {
		t.Error("a RETURN that cannot be read has no labels")
	}
	for _, k := range []message.Kind{message.Data, message.ReturnKind} {
		if message.MayCarry([]message.Suite{message.S2}, message.S1, k) {
			t.Errorf("kind %d goes under S1 where S2 alone is agreed", k)
		}
	}
	if !message.MayCarry([]message.Suite{message.S2}, message.S1, message.WantKind) {
		t.Error("a WANT does not go under S1 where S2 alone is agreed")
	}
}

// A largest message comes back, sealed like any statement.
func TestReturnLargest(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	m := p.sign(t, dataHeader(1), message.EncodeObjects([]message.Object{{Bytes: make([]byte, message.MaxContent-8)}}))
	st, err := message.SignStatement(p.a, p.context(), 1, message.ReturnKind, now, message.EncodeReturn([]*message.Message{m}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := message.Unseal(p.b, p.in(), p.seal(t, message.Plain{Statement: st}))
	if err != nil {
		t.Fatal(err)
	}
	list, err := message.DecodeReturn(noroshi.Real, got.Statement.Body)
	if err != nil || len(list) != 1 || list[0].ID() != m.ID() {
		t.Errorf("got %d messages, %v", len(list), err)
	}
}

func TestRecallParts(t *testing.T) {
	t.Parallel()
	list := recallList(1100)
	parts := message.SplitRecalls(list)
	if len(parts) != 3 {
		t.Fatalf("got %d parts, want 3", len(parts))
	}
	if _, whole, err := message.JoinRecalls(parts[1:]); whole || err != nil {
		t.Errorf("without the first part: whole is %t, %v", whole, err)
	}
	got, whole, err := message.JoinRecalls([]message.RecallsBody{parts[2], parts[0], parts[2], parts[1]})
	if err != nil || !whole || !slices.Equal(got, list) {
		t.Errorf("got %d entries, whole is %t, %v", len(got), whole, err)
	}
	other := message.SplitRecalls(recallList(1099))
	if _, _, err := message.JoinRecalls([]message.RecallsBody{parts[0], other[1]}); codeOf(err) != "message.form" {
		t.Errorf("parts of two lists: got %v", err)
	}
	parts[0].Entries = parts[1].Entries
	if _, _, err := message.JoinRecalls(parts); codeOf(err) != "message.form" {
		t.Errorf("an entry changed: got %v", err)
	}
	if got, whole, err := message.JoinRecalls(message.SplitRecalls(nil)); !whole || err != nil || len(got) != 0 {
		t.Errorf("empty list: got %d entries, whole is %t, %v", len(got), whole, err)
	}
	if _, whole, _ := message.JoinRecalls(nil); whole {
		t.Error("nothing came, and the list is whole")
	}
}

func TestStatementBodiesRefused(t *testing.T) {
	t.Parallel()
	checkpoint := func(change func(*message.CheckpointBody)) error {
		c := checkpoints()[2]
		change(&c)
		_, err := message.DecodeCheckpoint(message.EncodeCheckpoint(c))
		return err
	}
	withNote := func(old, new string) error {
		return checkpoint(func(c *message.CheckpointBody) { c.Note = []byte(strings.Replace(string(c.Note), old, new, 1)) })
	}
	cosign := func(s string) error {
		_, err := message.DecodeCosign(message.EncodeCosign(message.CosignBody{Signature: []byte(s)}))
		return err
	}
	recalls := func(change func(*message.RecallsBody)) error {
		r := message.SplitRecalls(recallList(2))[0]
		change(&r)
		_, err := message.DecodeRecalls(message.EncodeRecalls(r))
		return err
	}
	link := func(l message.LinkBody) error { _, err := message.DecodeLink(message.EncodeLink(l)); return err }
	line := string(noteLine(5))
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"note without signature", withNote("\n\n", "\n"), "message.form"},
		{"note of nine signatures", checkpoint(func(c *message.CheckpointBody) { c.Note = note(7, 9) }), "message.form"},
		{"a sentence as origin", withNote("noroshi/real", "we saw a thing"), "message.form"},
		{"a fourth line", withNote("\n\n", "\nwe saw a thing\n\n"), "message.form"},
		{"size with a zero before it", withNote("\n1099511627776\n", "\n01099511627776\n"), "message.form"},
		{"root of another length", withNote("AAAA", ""), "message.form"},
		{"signer with a space", withNote("— noroshi", "— we saw"), "message.form"},
		{"signature in another spelling", withNote("AAA=\n— ", "AAB=\n— "), "message.form"},
		{"proof from above", checkpoint(func(c *message.CheckpointBody) { c.From = 1<<40 + 1 }), "message.form"},
		{"proof from nothing", checkpoint(func(c *message.CheckpointBody) { c.From = 0 }), "message.form"},
		{"proof of nothing", checkpoint(func(c *message.CheckpointBody) { c.From = 1 << 40 }), "message.form"},
		{"no proof", checkpoint(func(c *message.CheckpointBody) { c.Proof = nil }), "message.form"},
		{"proof without end", checkpoint(func(c *message.CheckpointBody) { c.Proof = make([]noroshi.Hash, 129) }), "message.size"},
		{"cosign without newline", cosign(line[:len(line)-1]), "message.form"},
		{"cosign of two lines", cosign(line + line), "message.form"},
		{"cosign of text", cosign("we saw a thing\n"), "message.form"},
		{"recalls part 0", recalls(func(r *message.RecallsBody) { r.Part = 0 }), "message.form"},
		{"recalls part of none", recalls(func(r *message.RecallsBody) { r.Part = 2 }), "message.form"},
		{"recalls empty part", recalls(func(r *message.RecallsBody) { r.Parts, r.Entries = 2, nil }), "message.size"},
		{"recalls too many", recalls(func(r *message.RecallsBody) { r.Entries = recallList(513) }), "message.size"},
		{"recalls bad entry", recalls(func(r *message.RecallsBody) { r.Entries[0].Scope = 9 }), "message.form"},
		{"link without gate", link(message.LinkBody{Line: [32]byte{1}}), "message.form"},
		{"link without line", link(message.LinkBody{Gate: [32]byte{1}}), "message.form"},
		{"link after the year 9999", link(message.LinkBody{Gate: [32]byte{1}, Line: [32]byte{1}, Day: 1 << 31}), "message.form"},
	} {
		if codeOf(c.err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, c.err, c.want)
		}
	}
}
