package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// samples are the release-decision samples, with the rules they follow.
const samples = "../../testdata/markings"

// expected is expected.json.
type expected struct {
	Now   time.Time
	Cases []struct {
		File, Holder, Mode string
		Expected           map[string]map[stix.ID]struct {
			Decision string
			Remove   []string
		}
		MustNotAppear map[string][]string `json:"must_not_appear"`
	}
}

// world is agreements.json: nodes, and what a holder agreed with a partner
// ("USA>JPN") or owes everybody ("*>PUBLIC").
type world struct {
	Now   time.Time
	Nodes map[string]struct {
		Genc     string
		Identity stix.ID
		Tokens   []string `json:"org_tokens"`
	}
	Agreements map[string]struct {
		MaxLevel noroshi.Level `json:"max_level"`
		Entities []string
	}
	Statements []string       `json:"statement_allowlist"`
	Levels     noroshi.Kubuns `json:"jpn_levels"`
}

// public is what the samples call everybody.
const public = "PUBLIC"

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func readWorld(t testing.TB) (w world) {
	t.Helper()
	readJSON(t, "agreements.json", &w)
	return w
}

func readBundle(t testing.TB, file string) []*stix.Object {
	t.Helper()
	var bundle struct{ Objects []json.RawMessage }
	readJSON(t, file, &bundle)
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

// realmOf returns the realm a sample's mode stands for.
func realmOf(t testing.TB, mode string) noroshi.Realm {
	t.Helper()
	if mode != "exercise" {
		return noroshi.Real
	}
	r, err := noroshi.ParseRealm("exercise:ex-2026-1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// party makes a node of the samples a party: one country is one node there.
func (w world) party(name string) noroshi.Party {
	id := noroshi.Sum([]byte(name))
	n, ok := w.Nodes[name]
	if !ok { // everybody: a party of no country the samples know
		n.Genc, n.Identity = "ZZZ", "identity--00000000-0000-4000-8000-000000000000"
	}
	return noroshi.Party{CallSign: noroshi.CallSign(n.Genc + "-01"), Node: noroshi.NodeID(id[:16]), Identity: n.Identity, Tokens: n.Tokens}
}

// clauses are those of an agreement with the sample's terms. The samples test
// what markings mean; its one clause lets everything pass that they let pass.
func (w world) clauses(t testing.TB, holder, partner string, realm noroshi.Realm) *release.Clauses {
	t.Helper()
	a, err := noroshi.ParseAgreement(release.Template(release.Draft{
		Realm: realm, Self: w.party(holder), Partner: w.party(partner),
		From: w.Now.AddDate(-1, 0, 0), Until: w.Now.AddDate(1, 0, 0), Statements: w.Statements,
	}))
	if err != nil {
		t.Fatal(err)
	}
	terms, ok := w.Agreements[holder+">"+partner]
	if !ok && partner != public {
		t.Fatalf("the samples have no agreement of %s with %s", holder, partner)
	}
	a.MaxLevel, a.Entities, a.Japanese = terms.MaxLevel, terms.Entities, w.Levels
	a.Clauses = []noroshi.Clause{{ID: "all", ArticleEN: "1", ArticleJA: "1", EN: "all", JA: "全", Cedar: `permit (principal, action, resource);`}}
	c, err := release.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// caseOf is a case without items.
func (w world) caseOf(t testing.TB, holder, partner string, realm noroshi.Realm) release.Case {
	t.Helper()
	return release.Case{
		Realm: realm, Now: w.Now, Self: w.Nodes[holder].Identity, Holder: w.party(holder), Partner: w.party(partner),
		Public: partner == public, Clauses: w.clauses(t, holder, partner, realm),
	}
}

// definitions finds the bodies of markings in a bundle.
func definitions(objects []*stix.Object) func(stix.ID) []*stix.Object {
	return func(id stix.ID) (found []*stix.Object) {
		for _, o := range objects {
			if o.ID == id {
				found = append(found, o)
			}
		}
		return found
	}
}

// graphOf makes the case of a bundle: every object counts as borne out.
func (w world) graphOf(t testing.TB, objects []*stix.Object, holder, partner string, realm noroshi.Realm) release.Case {
	t.Helper()
	c := w.caseOf(t, holder, partner, realm)
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
			Label:  noroshi.LabelOf(o, nil, definitions(objects), w.Statements),
			Source: src, Self: c.Self, Sender: sender, Partner: c.Partner, Mark: release.PortionMark(o.Bytes()),
		})
		it.Theirs = false // the samples ask what may go, not whether it is news
		c.Items = append(c.Items, it)
	}
	release.Translate(c.Items)
	return c
}
