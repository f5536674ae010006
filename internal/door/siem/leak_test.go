package siem_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/internal/door/siem/siemtest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

var (
	green = noroshi.Green.MarkingID()
	amber = noroshi.Amber.MarkingID()
	red   = noroshi.Red.MarkingID()
)

// secrets is a store with things at every level. What stands in never may be in
// no byte of a destination for TLP:AMBER, what stands in goes must arrive.
type secrets struct {
	store       *store.Store
	never, goes []string
	withheld    int // events above the level
}

// keep puts objects in an act of their own; its subject is the first of them.
func (x *secrets) keep(t testing.TB, objects ...*store.Version) { put(t, x.store, objects...) }

func (x *secrets) hide(withheld int, texts ...string) {
	x.never, x.withheld = append(x.never, texts...), x.withheld+withheld
}

func (x *secrets) show(texts ...string) { x.goes = append(x.goes, texts...) }

// filled makes the store. Of an object above the level, the act that brought it
// is withheld as well: its subject names it.
func filled(t testing.TB) *secrets {
	t.Helper()
	x := &secrets{store: open(t)}
	plain, secret := indicator(t, "plain.example", amber), indicator(t, "canary-value.example", red)
	x.keep(t, plain)
	x.keep(t, secret)
	x.show("plain.example")
	x.hide(1, "canary-value", string(secret.Object.ID))
	x.warnings(t, plain.Object.ID, secret.Object.ID)
	x.sightings(t, plain.Object.ID, secret.Object.ID)
	x.markings(t, plain.Object.ID)
	x.acts(t, secret.Object.ID)
	return x
}

func (x *secrets) warnings(t testing.TB, plain, secret stix.ID) {
	seen := warning(t, "shown-warning", plain, green)
	about := warning(t, "shown-without-value", secret, green)
	above := warning(t, "canary-red-warning", plain, red)
	part := marked(t, warning(t, "canary-portion", plain, green), red, "description")
	x.keep(t, seen)
	x.keep(t, about)
	x.keep(t, above)
	x.keep(t, part)
	x.show("shown-warning", "shown-without-value")
	x.hide(4, "canary-red-warning", string(above.Object.ID), "canary-portion", string(part.Object.ID))
	gone := warning(t, "canary-withdrawn", plain, green)
	x.keep(t, gone)
	if _, err := x.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithdraw, Subject: string(gone.Object.ID)}, func(tx *store.Tx) error {
		return tx.Withdraw(gone.Object.ID, "self")
	}); err != nil {
		t.Fatal(err)
	}
	x.hide(0, "canary-withdrawn")
	words := object(t, "language-content", []stix.ID{red}, stix.Member{Name: "object_ref", Value: seen.Object.ID}, stix.Member{Name: "object_modified", Value: past},
		stix.Member{Name: "contents", Value: []stix.Member{{Name: "ja", Value: []stix.Member{{Name: "name", Value: "canary-translation"}}}}})
	x.keep(t, words)
	x.hide(1, "canary-translation", string(words.Object.ID))
}

// marked is a version with one of its properties marked more strictly.
func marked(t testing.TB, v *store.Version, mark stix.ID, selector string) *store.Version {
	t.Helper()
	raw := strings.TrimSuffix(string(v.Object.Bytes()), "}") + fmt.Sprintf(`,"granular_markings":[{"marking_ref":%q,"selectors":[%q]}]}`, mark, selector)
	o, err := stix.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	m := *v
	m.Object, m.Hash = o, noroshi.Sum(o.Bytes())
	return &m
}

func (x *secrets) sightings(t testing.TB, plain, secret stix.ID) {
	seen, above, about := sighting(t, plain, amber), sighting(t, plain, red), sighting(t, secret, amber)
	assigned := sighting(t, plain, green)
	assigned.Assign = []stix.ID{red}
	unmarked := sighting(t, plain)
	for _, v := range []*store.Version{seen, above, about, assigned, unmarked} {
		x.keep(t, v)
	}
	x.show(string(seen.Object.ID), string(about.Object.ID))
	x.hide(6, string(above.Object.ID), string(assigned.Object.ID), string(unmarked.Object.ID))
}

// markings that are not understood, or are of a kind the level does not name.
func (x *secrets) markings(t testing.TB, plain stix.ID) {
	define := func(more ...stix.Member) stix.ID {
		d := version(t, append([]stix.Member{{Name: "type", Value: "marking-definition"}, {Name: "spec_version", Value: "2.1"},
			{Name: "id", Value: stix.NewID("marking-definition")}, {Name: "created", Value: past}}, more...)...)
		x.keep(t, d)
		return d.Object.ID
	}
	statement := func(text string) stix.ID {
		return define(stix.Member{Name: "definition_type", Value: "statement"}, stix.Member{Name: "definition", Value: []stix.Member{{Name: "statement", Value: text}}})
	}
	japanese := define(stix.Member{Name: "extensions", Value: []stix.Member{{Name: string(noroshi.JapaneseExtension), Value: []stix.Member{
		{Name: "extension_type", Value: "property-extension"}, {Name: "kubun", Value: "秘"}, {Name: "originator", Value: "JPN.MOD"}}}}})
	for n, mark := range []stix.ID{stix.NewID("marking-definition"), statement("do not store"), japanese} {
		w := warning(t, fmt.Sprintf("canary-marked-%d", n), plain, green, mark)
		x.keep(t, w)
		x.hide(2, fmt.Sprintf("canary-marked-%d", n), string(w.Object.ID))
	}
	w := warning(t, "shown-statement", plain, green, statement("Copyright of nobody"))
	x.keep(t, w)
	x.show("shown-statement")
}

func (x *secrets) acts(t testing.TB, secret stix.ID) {
	act(t, x.store, noroshi.Act{Action: noroshi.ActHold, Subject: "canary-hold", Label: "TLP:RED"})
	act(t, x.store, noroshi.Act{Action: noroshi.ActHold, Subject: "canary-odd", Label: "no label"})
	act(t, x.store, noroshi.Act{Action: noroshi.ActRecall, Subject: string(secret)})
	act(t, x.store, noroshi.Act{Action: noroshi.ActRefuse, Subject: "warning.ack " + string(secret) + " taro warning.none"})
	x.hide(4, "canary-hold", "canary-odd")
	act(t, x.store, noroshi.Act{Action: noroshi.ActRefuse, Subject: "import canary-name taro person.unknown"})
	act(t, x.store, noroshi.Act{Action: noroshi.ActApprove, Subject: "shown-hold", Label: "TLP:AMBER", Count: 4, Persons: []noroshi.Signed{{Person: "rel1"}}})
	act(t, x.store, noroshi.Act{Action: noroshi.ActImport, Subject: "import-canary-print-1"})
	x.hide(0, "canary-name", "canary-print")
	x.show("shown-hold", "rel1", "import - taro person.unknown")
	act(t, x.store, noroshi.Act{Action: noroshi.ActConfigure, Subject: "the-end"})
}

// TestNothingAboveTheLabel: nothing above a destination's highest label is in a
// byte of what it gets, in any format and language; what is not above it is
// there with its marking; and what was withheld is counted.
func TestNothingAboveTheLabel(t *testing.T) {
	t.Parallel()
	x := filled(t)
	for _, f := range formats {
		for _, lang := range []string{"en", "ja"} {
			t.Run(string(f)+" "+lang, func(t *testing.T) {
				r := siemtest.New(t)
				d := to(r)
				d.Name, d.Format, d.Lang, d.Statements = "soc-"+string(f)+lang, f, lang, []string{"Copyright of nobody"}
				s, _ := run(t, x.store, d, options())
				r.Until("what may go", having(append([]string{"the-end"}, x.goes...)...))
				st := until(t, s, func(st siem.Status) bool { return st.Behind == 0 && st.Sent > 0 })
				if st.Withheld != uint64(x.withheld) {
					t.Errorf("%d withheld, want %d", st.Withheld, x.withheld)
				}
				for _, m := range r.Messages() {
					for _, bad := range append([]string{"canary", "TLP:RED", "JPN:"}, x.never...) {
						if strings.Contains(m, bad) {
							t.Errorf("%q is in %s", bad, m)
						}
					}
					if strings.Contains(m, "plain.example") && !strings.Contains(m, "TLP:AMBER") {
						t.Errorf("a value of TLP:AMBER goes without its marking: %s", m)
					}
				}
			})
		}
	}
}

// TestHigherLabel: what a destination for more may have it gets; without that
// the leak test would prove little.
func TestHigherLabel(t *testing.T) {
	t.Parallel()
	x := filled(t)
	r := siemtest.New(t)
	d := to(r)
	d.Lang, d.Statements = "ja", []string{"Copyright of nobody", "do not store"}
	d.Max = noroshi.Ceiling{TLP: noroshi.Red, Japanese: []string{"秘"}, Unmarked: true}
	run(t, x.store, d, options())
	r.Until("what was above", having("the-end", "canary-value", "canary-red-warning", "canary-portion", "canary-translation", "canary-marked-1", "canary-marked-2", "canary-hold"))
	for _, m := range r.Messages() {
		for _, bad := range []string{"canary-withdrawn", "canary-marked-0", "canary-odd", "canary-name"} {
			if strings.Contains(m, bad) {
				t.Errorf("%q is in %s", bad, m)
			}
		}
	}
}

// TestLanguage: a destination reads warnings in its language where their source
// gave them in it, of the version sent.
func TestLanguage(t *testing.T) {
	t.Parallel()
	s := open(t)
	plain := indicator(t, "plain.example", green)
	first, second := warning(t, "first-title", plain.Object.ID, green), warning(t, "second-title", plain.Object.ID, green)
	say := func(of *store.Version, at stix.Time, title string) *store.Version {
		return object(t, "language-content", []stix.ID{green}, stix.Member{Name: "object_ref", Value: of.Object.ID}, stix.Member{Name: "object_modified", Value: at},
			stix.Member{Name: "contents", Value: []stix.Member{{Name: "ja", Value: []stix.Member{{Name: "name", Value: title}, {Name: "description", Value: "本文"}}}}})
	}
	stranger := say(second, past, "他者の題")
	stranger.Source = noroshi.Source{Kind: noroshi.FromFeed, Name: "other"}
	put(t, s, plain, first, say(first, past, "最初の題"), second, say(second, stix.TimeOf(past.Time().Add(time.Millisecond)), "古い題"), stranger)
	r := siemtest.New(t)
	d := to(r)
	d.Lang = "ja"
	run(t, s, d, options())
	r.Until("both", having("最初の題: 本文", "second-title", "ja configure"))
	for _, m := range r.Messages() {
		if strings.Contains(m, "first-title") || strings.Contains(m, "古い題") || strings.Contains(m, "他者の題") {
			t.Errorf("says %s", m)
		}
	}
}
