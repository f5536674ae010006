package audit_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// allies are two real nodes that ask each other to countersign often.
func allies(t *testing.T) (usa, jpn *nodetest.Party) {
	t.Helper()
	usa, jpn = nodetest.Alliance(t, noroshi.Real)
	for _, p := range []*nodetest.Party{usa, jpn} {
		p.Stop()
		p.Checkpoint = 200 * time.Millisecond
		p.Start()
	}
	return usa, jpn
}

func names(of, with *nodetest.Party) audit.Names {
	return audit.Names{Realm: noroshi.Real, Node: id(of), Partner: id(with)}
}

func id(p *nodetest.Party) noroshi.NodeID { return p.Node.Keys.NodeID() }

// countersigned waits until everything done on the link of two nodes is
// countersigned by the other side.
func countersigned(t *testing.T, a, b *nodetest.Party) {
	t.Helper()
	nodetest.Whole(t, a, b)
	for _, pair := range [][2]*nodetest.Party{{a, b}, {b, a}} {
		of, by := pair[0], pair[1]
		of.Until("countersigned by "+string(by.Sign), func() (bool, error) {
			size, err := audit.LastCosigned(t.Context(), of.Node.Store.Reads, noroshi.Real, id(by))
			if err != nil {
				return false, err
			}
			acted, _, err := of.Node.Store.LinkActed(t.Context(), id(by), size)
			return size > 0 && !acted, err
		})
	}
}

// data returns the ids of the messages of a kind in a stream of a node.
func sent(t *testing.T, of, to *nodetest.Party, kind message.Kind) (ids []noroshi.Hash, batches []string) {
	t.Helper()
	epochs, err := of.Node.Store.Epochs(t.Context(), id(to), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range epochs {
		list, err := of.Node.Store.Out(t.Context(), id(to), e, 1, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if m.Kind == uint8(kind) {
				ids, batches = append(ids, m.ID), append(batches, m.Batch)
			}
		}
	}
	return ids, batches
}

func prove(t *testing.T, of *nodetest.Party, a audit.Asked) []byte {
	t.Helper()
	file, err := audit.Prove(t.Context(), of.Node.Store.Reads, noroshi.Real, id(of), a)
	if err != nil {
		t.Fatalf("prove %+v: %v", a, err)
	}
	return file
}

func export(t *testing.T, of, with *nodetest.Party) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := audit.Export(t.Context(), of.Node.Store.Reads, names(of, with), time.Now(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compare(t *testing.T, a, b []byte) audit.Compared {
	t.Helper()
	c, err := audit.Compare("a", bytes.NewReader(a), "b", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// codes are the differences found, each code once.
func codes(c audit.Compared) (list []string) {
	for _, d := range c.Differences {
		list = append(list, d.Code)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestWhatTwoNodesCanProve tells one story: two nodes exchange, one recalls;
// each thing can be proven by a file alone, either side's export agrees with
// the other's, and nothing that was countersigned can be changed unseen.
func TestWhatTwoNodesCanProve(t *testing.T) {
	t.Parallel()
	usa, jpn := allies(t)
	usa.Import("list.txt", "tlp:green", strings.NewReader("one.example\ntwo.example\n"))
	countersigned(t, usa, jpn)
	early := export(t, usa, jpn)
	object := only(t, jpn)
	recall(t, usa, object)
	countersigned(t, usa, jpn)
	// A receipt causes no checkpoint: what comes next covers it.
	usa.Import("more.txt", "tlp:green", strings.NewReader("three.example\n"))
	countersigned(t, usa, jpn)
	messages, batches := sent(t, usa, jpn, message.Data)
	if len(messages) == 0 {
		t.Fatal("nothing was sent")
	}

	t.Run("prove", func(t *testing.T) {
		for _, c := range []struct {
			name   string
			by     *nodetest.Party
			asked  audit.Asked
			shows  string
			action noroshi.Action
		}{
			{"sent", usa, audit.Asked{Message: messages[0]}, audit.ShowsSent, noroshi.ActSend},
			{"received", jpn, audit.Asked{Message: messages[0]}, audit.ShowsReceived, noroshi.ActReceive},
			{"released", usa, audit.Asked{Batch: batches[0]}, audit.ShowsReleased, noroshi.ActRelease},
			{"receipt", usa, audit.Asked{Receipt: messages[0]}, audit.ShowsReceipt, noroshi.ActReceipt},
			{"recall sent", usa, audit.Asked{Recall: string(object)}, audit.ShowsSent, noroshi.ActSend},
			{"recall received", jpn, audit.Asked{Recall: string(object)}, audit.ShowsReceived, noroshi.ActReceive},
		} {
			file := prove(t, c.by, c.asked)
			x, err := audit.Check(file)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			other := jpn
			if c.by == jpn {
				other = usa
			}
			fingerprint := c.by.Node.Keys.Keyset().Fingerprint()
			if x.Shows != c.shows || x.Action != c.action || x.Node.Node != id(c.by) || x.Partner.Node != id(other) || x.Countersigned.IsZero() ||
				!slices.Equal(x.Node.Fingerprints, []string{fingerprint}) || x.Node.First != 1 {
				t.Errorf("%s: got %+v", c.name, x)
			}
			if (x.Shows == audit.ShowsReceipt) != (x.Receipt != nil) || x.Receipt != nil && !x.Receipt.Applied {
				t.Errorf("%s: receipt %+v", c.name, x.Receipt)
			}
			if c.asked.Recall != "" && (len(x.Recall) != 1 || x.Recall[0].Object != string(object)) {
				t.Errorf("%s: recall %+v", c.name, x.Recall)
			}
			if c.asked.Recall == "" && !c.asked.Message.IsZero() && x.Message.ID != c.asked.Message {
				t.Errorf("%s: message %+v", c.name, x.Message)
			}
			everyValueCounts(t, c.name, file)
		}
		if _, err := audit.Prove(t.Context(), jpn.Node.Store.Reads, noroshi.Real, id(jpn), audit.Asked{Receipt: messages[0]}); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("the receiver proves its own receipt: %v", err)
		}
		if _, err := audit.Prove(t.Context(), usa.Node.Store.Reads, noroshi.Real, id(usa), audit.Asked{Message: messages[0], Partner: id(usa)}); noroshi.KindOf(err) != noroshi.NotFound {
			t.Errorf("a message on another link: %v", err)
		}
		if _, err := audit.Prove(t.Context(), usa.Node.Store.Reads, noroshi.Real, id(usa), audit.Asked{Message: noroshi.Hash{1}}); noroshi.KindOf(err) != noroshi.NotFound {
			t.Errorf("a message nobody has: %v", err)
		}
	})

	t.Run("compare", func(t *testing.T) {
		a, b := export(t, usa, jpn), export(t, jpn, usa)
		c := compare(t, a, b)
		if c.Contradictions+c.OneSided > 0 || c.Agreed != c.Sent[0]+c.Sent[1] || c.Sent[0] < 3 || c.Heads < 4 {
			t.Errorf("both sides: %+v", c)
		}
		if c := compare(t, early, a); c.Contradictions > 0 || !slices.Equal(codes(c), []string{audit.DiffLater}) {
			t.Errorf("one side at two times: %+v", c)
		}
		doctored(t, a, b)
	})

	t.Run("insider", func(t *testing.T) {
		jpnHas := export(t, jpn, usa)
		usa.Stop()
		public, sign := usa.Node.Keys.Control()
		done := false
		if n := storetest.Rewrite(t, place(usa), noroshi.Real, public, sign, func(l *ledger.Leaf) {
			if !done && l.Action == string(noroshi.ActSend) && l.Count > 0 {
				l.Count--
				done = true
			}
		}); n != 1 {
			t.Fatalf("%d entries rewritten, want 1", n)
		}
		usa.Start()
		v, err := usa.Node.Store.Verify(t.Context(), nil)
		if err != nil || len(v.Faults) == 0 || slices.ContainsFunc(v.Faults, func(f store.Fault) bool { return f.Code != "cosignature" }) {
			t.Errorf("verify: %+v, %v", v.Faults, err)
		}
		c := compare(t, export(t, usa, jpn), jpnHas)
		if c.Contradictions == 0 || !slices.Equal(codes(c), []string{audit.DiffHead}) || c.Differences[0].Of != id(usa) {
			t.Errorf("compared with what the partner holds: %+v", c)
		}
		if c := compare(t, early, export(t, usa, jpn)); !slices.Contains(codes(c), audit.DiffLeaf) {
			t.Errorf("compared with an earlier export: %+v", c)
		}
	})
}

// only returns the first indicator a node got from its partner.
func only(t *testing.T, p *nodetest.Party) (found stix.ID) {
	t.Helper()
	if err := p.Node.Store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		if found == "" && r.Source.Kind == noroshi.FromPartner {
			found = r.Object.ID
		}
		return nil
	}); err != nil || found == "" {
		t.Fatalf("no indicator came, error %v", err)
	}
	return found
}

func recall(t *testing.T, p *nodetest.Party, object stix.ID) {
	t.Helper()
	var plan web.RecallPlanned
	p.Must("recall.plan", courier.RecallOrder{Object: object, Reason: message.RecallSpill, Scope: message.RecallDelete}, &plan)
	by, err := p.Signed(t.Context(), "release1", noroshi.ActRecall, string(object), plan.Bound)
	if err != nil {
		t.Fatal(err)
	}
	var sent web.RecallSent
	if err := p.Do(t.Context(), "recall.send", web.RecallSend{Order: plan.Order, By: by}, &sent); err != nil {
		t.Fatal(err)
	}
}

// place is where the store of a stopped node is.
func place(p *nodetest.Party) string {
	return filepath.Join(p.Dir, noroshi.Real.File())
}

// doctored changes one thing in one of two exports: each change is named.
func doctored(t *testing.T, a, b []byte) {
	t.Helper()
	edit := func(export []byte, word string, nth int, change func(*audit.Entry) bool) []byte {
		var out []byte
		for _, l := range bytes.SplitAfter(export, []byte("\n")) {
			w, text, _ := strings.Cut(strings.TrimSuffix(string(l), "\n"), " ")
			if w == word {
				if nth--; nth == -1 {
					v, err := base64.StdEncoding.DecodeString(text)
					if err != nil {
						t.Fatal(err)
					}
					var e audit.Entry
					if err := cbor.Unmarshal(v, &e); err != nil {
						t.Fatal(err)
					}
					if !change(&e) {
						continue
					}
					v, err = cbor.Marshal(e)
					if err != nil {
						t.Fatal(err)
					}
					l = fmt.Appendf(nil, "%s %s\n", w, base64.StdEncoding.EncodeToString(v))
				}
			}
			out = append(out, l...)
		}
		return out
	}
	gone := func(*audit.Entry) bool { return false }
	for _, c := range []struct {
		name string
		a, b []byte
		want string
	}{
		{"the receiver leaves one out", a, edit(b, "in", 1, gone), audit.DiffReceipt},
		{"the sender leaves one out", edit(a, "out", 1, gone), b, audit.DiffForeign},
		{"another message under the sequence", a, edit(b, "in", 1, func(e *audit.Entry) bool { e.ID[0] ^= 1; return true }), audit.DiffID},
		{"the sender has no receipt of it", edit(a, "out", 1, func(e *audit.Entry) bool { e.State = 0; return true }), edit(b, "in", 1, gone), audit.DiffSent},
		{"the sender closed it", edit(a, "out", 1, func(e *audit.Entry) bool { e.State = uint8(store.Withheld); return true }), edit(b, "in", 1, gone), audit.DiffClosed},
	} {
		for _, turned := range []bool{false, true} {
			first, second := c.a, c.b
			if turned {
				first, second = second, first
			}
			got := compare(t, first, second)
			if len(got.Differences) != 1 || got.Differences[0].Code != c.want || got.Differences[0].Seq != 2 {
				t.Errorf("%s, turned %t: %+v, want %s alone", c.name, turned, got.Differences, c.want)
			}
		}
	}
	// What is signed cannot be left out or changed.
	for _, word := range []string{"leaf", "head", "keyset", "partner", "end", "node"} {
		bad := regexp.MustCompile("(?m)^"+word+" .*\n").ReplaceAllString(string(a), "")
		if _, err := audit.Compare("a", strings.NewReader(bad), "b", bytes.NewReader(b)); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("without %s: %v", word, err)
		}
	}
	if _, err := audit.Compare("a", strings.NewReader("something else"), "b", bytes.NewReader(b)); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("no export: %v", err)
	}
}

// everyValueCounts changes each line of a proof file in turn: none may be
// changed, left out or doubled, and what the proof needs not may not be in it.
func everyValueCounts(t *testing.T, name string, file []byte) {
	t.Helper()
	all := bytes.SplitAfter(file, []byte("\n"))
	keys := slices.IndexFunc(all, func(l []byte) bool { return bytes.HasPrefix(l, []byte("keyset ")) })
	for _, word := range []string{"message", "content", "state"} {
		if !bytes.Contains(file, []byte("\n"+word+" ")) {
			broken(t, name+": with "+word, all, keys, word+" AAAA\n"+string(all[keys]))
		}
	}
	for i, l := range all[1 : len(all)-1] {
		word, text, _ := strings.Cut(strings.TrimSuffix(string(l), "\n"), " ")
		v, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(v) / 2, len(v) - 1} {
			bad := slices.Clone(v)
			bad[at] ^= 1
			broken(t, fmt.Sprintf("%s: line %d, %s, byte %d changed", name, i+2, word, at), all, i+1, fmt.Sprintf("%s %s\n", word, base64.StdEncoding.EncodeToString(bad)))
		}
		broken(t, fmt.Sprintf("%s: line %d, %s, doubled", name, i+2, word), all, i+1, string(l)+string(l))
		if word != "cosign" && word != "content" { // without them the file shows less, and says so
			broken(t, fmt.Sprintf("%s: line %d, %s, left out", name, i+2, word), all, i+1, "")
		}
	}
}

func broken(t *testing.T, what string, all [][]byte, at int, line string) {
	t.Helper()
	bad := slices.Clone(all)
	bad[at] = []byte(line)
	if x, err := audit.Check(bytes.Join(bad, nil)); err == nil {
		t.Errorf("%s: passes: %+v", what, x)
	} else if k := noroshi.KindOf(err); k != noroshi.Broken && k != noroshi.Invalid {
		t.Errorf("%s: %v of kind %v", what, err, k)
	}
}
