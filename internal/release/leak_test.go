package release_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

var fromFile = noroshi.Source{Kind: noroshi.FromFile, Name: "report.json"}

// TestAPartnerDefinesNobodyElsesMarkings: what a partner says a marking means
// frees nothing that came by another door, and stops nothing either; its own
// things are read with it.
func TestAPartnerDefinesNobodyElsesMarkings(t *testing.T) {
	statement := id("marking-definition", 8)
	define := func(id stix.ID, text string) string {
		return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, id, text)
	}
	marked := func(n int, maker stix.ID) string {
		return strings.Replace(object("malware", n, maker, noroshi.Green, `,"name":"m","is_family":false`), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, statement), 1)
	}
	t.Run("frees nothing", func(t *testing.T) {
		o := newOffice(t, jpn, kor)
		o.put(version(t, fromFile, "run", marked(1, "")), version(t, fromJPN, "", marked(2, jpn.Identity)))
		o.put(version(t, fromJPN, "", define(statement, allowed)))
		o.settle()
		has(t, o.sends(jpn))
		has(t, o.sends(kor), id("malware", 2), statement)
		// Our own definition does.
		o.put(version(t, fromFile, "run", define(statement, allowed)))
		o.settle()
		has(t, o.sends(jpn), id("malware", 1))
		has(t, o.sends(kor), id("malware", 1))
	})
	t.Run("its body does not travel as ours", func(t *testing.T) {
		o := newOffice(t, jpn, kor)
		o.put(version(t, fromJPN, "", define(statement, "another text")))
		o.put(version(t, fromFile, "run", marked(1, "")), version(t, fromFile, "run", define(statement, allowed)))
		o.settle()
		has(t, o.sends(jpn))
		has(t, o.sends(kor))
	})
	t.Run("stops nothing", func(t *testing.T) {
		o := newOffice(t, jpn, kor)
		o.put(version(t, fromFile, "run", define(statement, allowed)), version(t, fromFile, "run", marked(1, "")), malware(t, 2, noroshi.Green))
		o.put(version(t, fromJPN, "", define(statement, "another text")), version(t, fromJPN, "", define(noroshi.Green.MarkingID(), allowed)),
			version(t, fromJPN, "", marked(3, jpn.Identity)))
		o.settle()
		has(t, o.sends(kor), statement, id("malware", 1), id("malware", 2))
		has(t, o.sends(jpn), id("malware", 1), id("malware", 2))
	})
}

// TestNothingNamesWhatWasStopped: what stands in the stream and never left is
// not what the partner has. Once it may not go, nothing that refers to it may,
// though that be more urgent and be sealed first.
func TestNothingNamesWhatWasStopped(t *testing.T) {
	for name, stop := range map[string]func(o *office, seq int64){
		"relabelled": func(o *office, seq int64) {
			o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, noroshi.Red.MarkingID()) })
		},
		"withdrawn": func(o *office, seq int64) {
			o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 1), made.Owner()) })
		},
	} {
		for _, left := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, left %v", name, left), func(t *testing.T) {
				o := newOffice(t, jpn)
				about := fmt.Sprintf(`,"sighting_of_ref":%q,"count":1`, id("indicator", 1))
				seqs := o.put(indicator(t, 1, noroshi.Green), version(t, made, "", object("sighting", 2, usa.Identity, noroshi.Green, about)))
				o.settle()
				has(t, o.sends(jpn), id("indicator", 1), id("sighting", 2))
				var messages []store.OutMessage
				for seq := uint64(1); ; seq++ {
					out, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, seq, 1)
					if err != nil {
						t.Fatal(err)
					}
					if len(out) == 0 {
						break
					}
					messages = append(messages, out[0])
				}
				if len(messages) != 2 {
					t.Fatalf("%d messages in the stream", len(messages))
				}
				if left { // the partner may have it already
					o.do(noroshi.ActAttempt, func(tx *store.Tx) error {
						return tx.SetOutState(jpn.Node, [16]byte{1}, []uint64{messages[0].Seq, messages[1].Seq}, store.Attempted, "https")
					})
				}
				stop(o, seqs[0])
				var goes []stix.ID
				for _, m := range messages {
					c, err := o.desk.Again(o.ctx, m)
					if err != nil && noroshi.KindOf(err) != noroshi.Refused {
						t.Fatal(err)
					}
					for _, x := range c.Objects() {
						ob, err := stix.Parse(x.Bytes)
						if err != nil {
							t.Fatal(err)
						}
						goes = append(goes, ob.ID)
					}
				}
				want := 0
				if left {
					want = 1 // the sighting: the partner may know the id already
				}
				if len(goes) != want {
					t.Errorf("goes: %v, want %d objects", goes, want)
				}
			})
		}
	}
}
