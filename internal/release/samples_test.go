package release_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

const samples = "../../testdata/markings"

// reached lists the samples whose wire result this version reaches. All others
// (those where ACS, IEP, Japanese and granular markings or cuts let something
// out) must not let more out than expected.
var reached = cases([][2]int{{1, 15}, {17, 18}, {20, 20}, {22, 22}, {25, 26}, {33, 38}, {40, 44}, {46, 49}, {54, 54}, {57, 59}, {61, 62}})

// exact lists those whose hold or deny comes out as well: TLP, statements,
// unknown markings, text, exercises.
var exact = cases([][2]int{{1, 15}, {33, 38}, {47, 49}, {57, 59}})

func cases(ranges [][2]int) map[string]bool {
	m := map[string]bool{}
	for _, r := range ranges {
		for n := r[0]; n <= r[1]; n++ {
			m[fmt.Sprintf("d%03d", n)] = true
		}
	}
	return m
}

type expected struct {
	Now   time.Time
	Cases []struct {
		File, Holder, Mode string
		Expected           map[string]map[stix.ID]struct{ Decision string }
		MustNotAppear      map[string][]string `json:"must_not_appear"`
	}
}

type world struct {
	Nodes map[string]struct {
		Genc     string
		Identity stix.ID
		Tokens   []string `json:"org_tokens"`
	}
	Statements []string `json:"statement_allowlist"`
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func readBundle(t *testing.T, file string) []*stix.Object {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(samples, file))
	if err != nil {
		t.Fatal(err)
	}
	var bundle struct{ Objects []json.RawMessage }
	if err := json.Unmarshal(b, &bundle); err != nil {
		t.Fatal(file, err)
	}
	var objects []*stix.Object
	for _, raw := range bundle.Objects {
		o, err := stix.Parse(raw)
		if err != nil {
			t.Fatal(file, err)
		}
		objects = append(objects, o)
	}
	return objects
}

// party makes a node of the samples a party: one country is one node there.
func (w world) party(name string) noroshi.Party {
	n := w.Nodes[name]
	id := noroshi.Sum([]byte(name))
	return noroshi.Party{CallSign: noroshi.CallSign(n.Genc + "-01"), Node: noroshi.NodeID(id[:16]), Identity: n.Identity, Tokens: n.Tokens}
}

func (w world) clauses(t *testing.T, holder, partner string, realm noroshi.Realm) *release.Clauses {
	t.Helper()
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	a, err := noroshi.ParseAgreement(release.Template(release.Draft{
		Realm: realm, Self: w.party(holder), Partner: w.party(partner),
		From: now.AddDate(-1, 0, 0), Until: now.AddDate(1, 0, 0), Statements: w.Statements,
	}))
	if err != nil {
		t.Fatal(err)
	}
	// The samples test what markings mean; the clause of this agreement lets
	// everything pass that markings let pass.
	a.Clauses = []noroshi.Clause{{ID: "all", ArticleEN: "1", ArticleJA: "1", EN: "all", JA: "全", Cedar: `permit (principal, action, resource);`}}
	c, err := release.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// graphOf makes the case of a bundle: every object counts as borne out.
func (w world) graphOf(t *testing.T, objects []*stix.Object, holder, partner string, realm noroshi.Realm, now time.Time) release.Case {
	t.Helper()
	defs := func(id stix.ID) (found []*stix.Object) {
		for _, o := range objects {
			if o.ID == id {
				found = append(found, o)
			}
		}
		return found
	}
	c := release.Case{
		Realm: realm, Now: now, Self: w.Nodes[holder].Identity, Partner: w.party(partner),
		Clauses: w.clauses(t, holder, partner, realm),
	}
	for _, o := range objects {
		src := noroshi.Source{Kind: noroshi.FromSelf}
		sender := stix.ID("")
		for name, n := range w.Nodes {
			if n.Identity == o.CreatedBy && name != holder {
				src = noroshi.Source{Kind: noroshi.FromPartner, Partner: w.party(name).Node, Message: noroshi.Sum(nil)}
				sender = n.Identity
			}
		}
		it := release.ItemOf(o, release.Facts{
			Label:  noroshi.LabelOf(o, nil, defs, w.Statements),
			Source: src, Self: c.Self, Sender: sender, Partner: c.Partner, Mark: release.PortionMark(o.Bytes()),
		})
		it.Theirs = false // the samples ask what may go, not whether it is news
		c.Items = append(c.Items, it)
	}
	release.Translate(c.Items)
	return c
}

func TestSamples(t *testing.T) {
	var want expected
	var w world
	readJSON(t, "expected.json", &want)
	readJSON(t, "agreements.json", &w)
	if len(want.Cases) != 63 {
		t.Fatalf("%d cases, want 63", len(want.Cases))
	}
	for _, x := range want.Cases {
		t.Run(strings.TrimSuffix(x.File, ".json"), func(t *testing.T) {
			objects := readBundle(t, x.File)
			realm := noroshi.Real
			if x.Mode == "exercise" {
				realm, _ = noroshi.ParseRealm("exercise:ex-2026-1")
			}
			for partner, decisions := range x.Expected {
				if partner == "PUBLIC" {
					continue // no agreement, no partner: nothing goes there in this version
				}
				c := w.graphOf(t, objects, x.Holder, partner, realm, want.Now)
				got := release.Decide(c)
				var wire strings.Builder
				for i, it := range c.Items {
					if it.Type == "marking-definition" {
						continue
					}
					sent := got[i].Outcome == noroshi.Release
					if sent {
						wire.Write(objects[i].Bytes())
					}
					expect := decisions[it.ID].Decision
					if sent && expect != "release" {
						t.Errorf("%s %s: sent, want %s", partner, it.ID, expect)
					}
					if reached[x.File[:4]] && sent != (expect == "release") {
						t.Errorf("%s %s: got %s %v, want %s", partner, it.ID, got[i].Outcome, got[i].Reasons, expect)
					}
					if len(got[i].Reasons) == 0 {
						t.Errorf("%s %s: no reason", partner, it.ID)
					}
					if exact[x.File[:4]] && got[i].Outcome.String() != expect {
						t.Errorf("%s %s: got %s, want %s: %v", partner, it.Type, got[i].Outcome, expect, got[i].Reasons)
					}
				}
				for _, canary := range x.MustNotAppear[partner] {
					if strings.Contains(wire.String(), canary) {
						t.Errorf("%s: %q is on the wire", partner, canary)
					}
				}
			}
		})
	}
}
