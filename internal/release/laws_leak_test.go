package release_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestBytesMonotone is L6 on bytes: one more marking of any kind on an object
// or on a part of one, its definition here or not, lets no word out that did
// not leave before, whatever persons approve, under clauses that ask for a TLP
// level and under one that permits all that the markings do.
func TestBytesMonotone(t *testing.T) {
	fewer := 0
	for seed := range uint64(tier.N(2_000, 30_000)) {
		r := rand.New(rand.NewPCG(seed, 13))
		g := draw(r)
		h := &drawing{jpn: g.jpn, around: g.around, gone: map[stix.ID]bool{}}
		for _, x := range g.things {
			h.things = append(h.things, x.clone())
		}
		x := h.things[r.IntN(len(h.things))]
		if x.had || !slices.ContainsFunc(x.stamps, func(s *stamp) bool { return s.handles }) {
			continue // the first handling marking is what lifts "unmarked"
		}
		more := stamps()[r.IntN(len(stamps()))]
		names := func(y *thing) bool {
			return slices.ContainsFunc(references(y), func(r reference) bool { return r.to == more.id })
		}
		if slices.ContainsFunc(g.things, names) {
			continue // what speaks of a marking may go once its definition does
		}
		if x.dirty {
			continue // with the text cut out that a person had to look at, the rest goes
		}
		if places := portionsOf(x); r.IntN(2) == 0 && len(places) > 0 {
			x.portions = append(x.portions, &portion{stamp: more, selectors: []string{places[r.IntN(len(places))]}})
		} else {
			x.stamps = append(x.stamps, more)
		}
		known := &memory{}
		now, approved, err := g.outbound(seed, sound(), true, known)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		nowToo, approvedToo, err := h.outbound(seed, sound(), true, known)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		kept := g.forbidden(g.sees(persons))
		for _, y := range g.things {
			var words []string
			texts(y.root, &words)
			for _, w := range append(words, string(y.id)) {
				switch {
				case w == string(more.by): // the definition names its maker
				case strings.Contains(nowToo, w) && !strings.Contains(now, w),
					strings.Contains(approvedToo, w) && !strings.Contains(approved, w) && slices.Contains(kept, w):
					t.Fatalf("seed %d: %s leaves only because %s was marked %s too:\n%s\nof\n%s", seed, w, x.id, more.name, approvedToo, h)
				case !strings.Contains(approvedToo, w) && strings.Contains(approved, w):
					fewer++
				}
			}
		}
	}
	if fewer == 0 {
		t.Error("no marking ever kept anything here")
	}
}

// TestWhatEndsAnAgreementStopsTheQueue is L7: an agreement that is removed,
// suspended, superseded or expires stops what is decided, approved and in the
// stream, at every door of the desk.
func TestWhatEndsAnAgreementStopsTheQueue(t *testing.T) {
	for name, end := range map[string]func(o *office){
		"expired": func(o *office) { o.now = now.AddDate(0, 2, 0) },
		"suspended": func(o *office) {
			o.doc(noroshi.DocPartner, jpn.Node.String(), noroshi.Partner{Node: jpn.Node, Trust: noroshi.Suspended})
		},
		"removed": func(o *office) {
			o.doc(noroshi.DocPartner, jpn.Node.String(), noroshi.Partner{Node: jpn.Node, Trust: noroshi.InForce})
		},
		"superseded": func(o *office) {
			o.agree(jpn, release.Template(release.Draft{Version: 2, Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 2, 0)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			o.put(indicator(t, 1, noroshi.Green))
			o.settle()
			has(t, o.sends(jpn), id("indicator", 1)) // in the stream, not sealed
			o.put(indicator(t, 2, noroshi.Green), indicator(t, 3, noroshi.Amber))
			o.settle()
			o.twoApprove(o.holds()[0].ID)
			m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
			if err != nil || len(m) != 1 {
				t.Fatal(m, err)
			}
			if _, err := o.desk.Again(o.ctx, m[0]); err != nil {
				t.Fatal(err)
			}
			ids, err := o.store.UnsentBatches(o.ctx, jpn.Node)
			if err != nil || len(ids) == 0 {
				t.Fatal(ids, err)
			}
			end(o)
			if c, err := o.desk.Again(o.ctx, m[0]); noroshi.KindOf(err) != noroshi.Refused || c.Valid() {
				t.Errorf("what is in the stream: %v", err)
			}
			if rest, err := o.desk.Rest(o.ctx, m[0]); err != nil && noroshi.KindOf(err) != noroshi.Queued || len(rest) > 0 {
				t.Errorf("what is left of it: %v, %v", rest, err)
			}
			want := noroshi.Queued // it may be resumed
			if name == "superseded" {
				want = noroshi.Refused
			}
			for _, id := range ids {
				if c, err := o.desk.Next(o.ctx, id, 0); noroshi.KindOf(err) != want || c.Valid() {
					t.Errorf("what is decided: %v", err)
				}
			}
			if name == "superseded" {
				return // what the next agreement permits is decided under it
			}
			o.put(indicator(t, 4, noroshi.Green))
			o.settle()
			has(t, o.sends(jpn))
		})
	}
}

// TestCrashBetweenApprovalAndSend is L9: a node that ends after the approval
// and before or after the message is in the stream sends it once when it comes
// back, and not at all what was un-approved meanwhile.
func TestCrashBetweenApprovalAndSend(t *testing.T) {
	for name, x := range map[string]struct {
		meanwhile func(o *office, seq int64)
		want      int
	}{
		"nothing": {func(*office, int64) {}, 2},
		"relabel": {func(o *office, seq int64) {
			o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, noroshi.Red.MarkingID()) })
		}, 1},
		"withdraw": {func(o *office, _ int64) {
			o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", 1), made.Owner()) })
		}, 1},
		"agreement": {func(o *office, _ int64) {
			o.doc(noroshi.DocPartner, jpn.Node.String(), noroshi.Partner{Node: jpn.Node, Trust: noroshi.Suspended})
		}, 0},
	} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, streamed %v", name, streamed), func(t *testing.T) {
				o := newOffice(t, jpn)
				seqs := o.put(indicator(t, 1, noroshi.Amber), indicator(t, 2, noroshi.Amber))
				o.settle()
				o.twoApprove(o.holds()[0].ID)
				if streamed {
					has(t, o.sends(jpn), id("indicator", 1), id("indicator", 2))
				}
				x.meanwhile(o, seqs[0])
				desk, err := release.New(o.store, release.Options{ // the node comes back
					Realm: real, Node: usa.Node, Self: noroshi.Organisation{CallSign: usa.CallSign, Identity: usa.Identity}, Now: func() time.Time { return o.now },
				})
				if err != nil {
					t.Fatal(err)
				}
				o.desk = desk
				if streamed {
					m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
					if err != nil || len(m) != 1 {
						t.Fatal(m, err)
					}
					goes := 0
					if c, err := o.desk.Again(o.ctx, m[0]); err == nil {
						goes = len(c.Objects())
					} else if rest, err := o.desk.Rest(o.ctx, m[0]); err == nil {
						for _, c := range rest {
							goes += len(c.Objects())
						}
					}
					if goes != x.want {
						t.Errorf("%d of the stream go, want %d", goes, x.want)
					}
					o.settle()
					has(t, o.sends(jpn)) // nothing twice
					return
				}
				o.settle()
				if got := o.sends(jpn); len(got) != x.want {
					t.Errorf("%d go, want %d", len(got), x.want)
				}
				o.settle()
				has(t, o.sends(jpn)) // nothing twice
			})
		}
	}
}

// TestThirdPartyThroughAnyChain is L10: what Korea gave for this node alone
// reaches Japan through nothing that is made of it: derived objects, notes,
// reports, translations, merged objects, sightings, observed data, references
// of any name; nor does its id. Korea itself gets them.
func TestThirdPartyThroughAnyChain(t *testing.T) {
	o := newOffice(t, jpn, kor)
	fromKOR := fromJPN
	fromKOR.Partner = kor.Node
	theirs := id("indicator", 1)
	o.put(version(t, fromKOR, "", object("indicator", 1, kor.Identity, noroshi.Amber, `,"name":"zz-canary"`)))
	green := func(typ string, n int, members string) *store.Version {
		return version(t, made, "", object(typ, n, usa.Identity, noroshi.Green, members))
	}
	o.put(
		green("malware", 2, fmt.Sprintf(`,"name":"m","is_family":false,"x_derived_from_ref":%q,"extensions":{"extension-definition--00000000-0000-4000-8000-000000000001":{"extension_type":"property-extension","merged_refs":[%q]}}`, theirs, theirs)),
		green("relationship", 3, strings.Replace(ends(id("malware", 2), theirs), "indicates", "derived-from", 1)),
		green("note", 4, fmt.Sprintf(`,"content":"n","object_refs":[%q,%q]`, theirs, id("malware", 2))),
		green("note", 5, fmt.Sprintf(`,"content":"n","object_refs":[%q]`, theirs)),
		green("report", 6, fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q,%q,%q]`, id("malware", 2), theirs, id("relationship", 3), id("note", 5))),
		green("language-content", 7, fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"zz-canary"}}`, theirs)),
		green("sighting", 8, fmt.Sprintf(`,"count":3,"sighting_of_ref":%q`, theirs)),
		green("sighting", 9, fmt.Sprintf(`,"sighting_of_ref":%q,"observed_data_refs":[%q]`, id("malware", 2), id("observed-data", 10))),
		green("observed-data", 10, fmt.Sprintf(`,"first_observed":"2026-11-01T00:00:00Z","last_observed":"2026-11-01T00:00:00Z","number_observed":1,"object_refs":[%q]`, theirs)),
		green("opinion", 11, fmt.Sprintf(`,"opinion":"agree","object_refs":[%q]`, theirs)),
		green("note", 12, fmt.Sprintf(`,"content":"about a note","object_refs":[%q]`, id("note", 5))),
	)
	o.settle()
	for range 5 {
		for _, h := range o.holds() {
			if _, ok := release.Approvals(h.Key); ok && h.Partner == jpn.Node {
				o.twoApprove(h.ID)
			}
		}
		o.settle()
	}
	got := o.sends(jpn)
	has(t, got, id("malware", 2), id("note", 4), id("report", 6), id("sighting", 9))
	if wire := fmt.Sprint(got); strings.Contains(wire, string(theirs)) || strings.Contains(wire, "zz-canary") {
		t.Errorf("Japan gets %s", wire)
	}
	back := o.sends(kor)
	if back[theirs] != "" || back[id("sighting", 8)] == "" || back[id("language-content", 7)] == "" || back[id("relationship", 3)] == "" {
		t.Errorf("Korea gets %v", back)
	}
}

// TestRelabelledGoesInNoVersion is L12: once an object is relabelled, no
// version of it leaves that has not: not what is decided, approved, or in the
// stream; and nothing that goes names it.
func TestRelabelledGoesInNoVersion(t *testing.T) {
	for name, relabel := range map[string]func(o *office, seq int64){
		"here": func(o *office, seq int64) {
			o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, noroshi.Red.MarkingID()) })
		},
		"in a later version": func(o *office, _ int64) {
			o.put(version(o.t, made, "", later(object("indicator", 1, usa.Identity, noroshi.Red, ""))))
		},
		"in part": func(o *office, _ int64) {
			o.put(version(o.t, made, "", later(granular(object("indicator", 1, usa.Identity, noroshi.Green, ""), noroshi.Red.MarkingID(), "pattern"))))
		},
	} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, streamed %v", name, streamed), func(t *testing.T) {
				o := newOffice(t, jpn)
				seqs := o.put(version(t, made, "", object("indicator", 1, usa.Identity, noroshi.Green, "")), malware(t, 2, noroshi.Green))
				o.put(version(t, made, "", object("note", 3, usa.Identity, noroshi.Green, fmt.Sprintf(`,"content":"n","object_refs":[%q,%q]`, id("malware", 2), id("indicator", 1)))))
				o.settle()
				var wire string
				if streamed {
					o.sends(jpn)
				}
				relabel(o, seqs[0])
				if streamed {
					m, err := o.store.Out(o.ctx, jpn.Node, [16]byte{1}, 1, 10)
					if err != nil || len(m) == 0 {
						t.Fatal(m, err)
					}
					for _, x := range m {
						list, err := o.desk.Rest(o.ctx, x)
						if c, e := o.desk.Again(o.ctx, x); e == nil {
							list = append(list, c)
						}
						for _, c := range list {
							for _, ob := range c.Objects() {
								wire += string(ob.Bytes)
							}
						}
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				first, _ := json.Marshal(o.sends(jpn))
				o.settle()
				second, _ := json.Marshal(o.sends(jpn))
				wire += string(first) + string(second)
				if strings.Contains(wire, string(id("indicator", 1))) {
					t.Errorf("leaves: %s", wire)
				}
				if !strings.Contains(wire, string(id("malware", 2))) {
					t.Errorf("nothing leaves: %s", wire)
				}
			})
		}
	}
}
