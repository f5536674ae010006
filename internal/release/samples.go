package release

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Samples is a folder of release-decision samples: bundles, what is expected
// of each (expected.json) and between whom (agreements.json).
type Samples struct {
	dir      fs.FS
	expected struct {
		Now   time.Time    `json:"now"`
		Cases []SampleCase `json:"cases"`
	}
	world SampleWorld
}

// SampleCase is one bundle with the decisions expected of it.
type SampleCase struct {
	File          string                                   `json:"file"`
	Holder        string                                   `json:"holder"`
	Mode          string                                   `json:"mode"` // real, or exercise
	Expected      map[string]map[stix.ID]SampleExpectation `json:"expected"`
	MustNotAppear map[string][]string                      `json:"must_not_appear"`
}

// SampleExpectation is what is expected of one object for one partner.
type SampleExpectation struct {
	Decision string   `json:"decision"`
	Remove   []string `json:"remove"`
}

// SampleWorld is agreements.json: nodes, and what a holder agreed with a
// partner ("USA>JPN") or owes everybody ("*>PUBLIC").
type SampleWorld struct {
	Now   time.Time `json:"now"`
	Nodes map[string]struct {
		Genc     string   `json:"genc"`
		Identity stix.ID  `json:"identity"`
		Tokens   []string `json:"org_tokens"`
	} `json:"nodes"`
	Agreements map[string]struct {
		MaxLevel noroshi.Level `json:"max_level"`
		Entities []string      `json:"entities"`
	} `json:"agreements"`
	Statements []string       `json:"statement_allowlist"`
	Levels     noroshi.Kubuns `json:"jpn_levels"`
}

// SampleFault is one way a sample did not come out.
type SampleFault struct {
	File    string           `json:"file"`
	Partner string           `json:"partner"`
	Object  stix.ID          `json:"object,omitempty"`
	Leak    string           `json:"leak,omitempty"` // what must not appear and would leave
	Got     string           `json:"got,omitempty"`
	Want    string           `json:"want,omitempty"`
	Reasons []noroshi.Reason `json:"reasons,omitempty"`
}

// SampleReport is the outcome of a folder of samples. A leak anywhere fails
// the whole folder.
type SampleReport struct {
	Passed    int           `json:"passed"` // bundles of which everything came out
	Failed    int           `json:"failed"`
	Decisions int           `json:"decisions"`
	Leaks     []SampleFault `json:"leaks"`
	Faults    []SampleFault `json:"faults"`
	Advisory  []SampleFault `json:"advisory"` // held where it was to be denied, or the reverse: the same for the wire
}

// maxSampleFile bounds one file of a folder of samples.
const maxSampleFile = 16 << 20

// OpenSamples reads a folder of samples. A file that cannot be read is an
// error that names it.
func OpenSamples(dir fs.FS) (*Samples, error) {
	s := &Samples{dir: dir}
	if err := s.read("expected.json", &s.expected); err != nil {
		return nil, err
	}
	if err := s.read("agreements.json", &s.world); err != nil {
		return nil, err
	}
	if s.world.Now.IsZero() {
		s.world.Now = s.expected.Now
	}
	if len(s.expected.Cases) == 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "samples.none", "expected.json names no cases")
	}
	return s, nil
}

// read reads a JSON file of the folder into v.
func (s *Samples) read(name string, v any) error {
	b, err := s.bytes(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return noroshi.Errorf(noroshi.Invalid, "samples.file", "read %s: %w", name, err)
	}
	return nil
}

func (s *Samples) bytes(name string) ([]byte, error) {
	f, err := s.dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noroshi.Errorf(noroshi.NotFound, "samples.no-file", "there is no %s in the folder of samples", name)
	}
	if err != nil {
		return nil, noroshi.Errorf(noroshi.NotFound, "samples.file", "read %s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSampleFile+1))
	if err == nil && len(b) > maxSampleFile {
		err = fmt.Errorf("is larger than %d bytes", maxSampleFile)
	}
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "samples.file", "read %s: %w", name, err)
	}
	return b, nil
}

// Objects reads the objects of a bundle. What cannot be read as an object is
// not decided, so it does not go.
func (s *Samples) Objects(file string) ([]*stix.Object, error) {
	b, err := s.bytes(file)
	if err != nil {
		return nil, err
	}
	var bundle struct {
		Objects []jsontext.Value `json:"objects"`
	}
	// Names in the objects are the strict reader's business, not this one's.
	if err := json.Unmarshal(b, &bundle, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "samples.file", "read %s: %w", file, err)
	}
	var objects []*stix.Object
	for _, raw := range bundle.Objects {
		if o, err := stix.Parse(raw); err == nil {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// Run decides every case for every partner and compares.
func (s *Samples) Run() (SampleReport, error) {
	var r SampleReport
	for _, x := range s.expected.Cases {
		objects, err := s.Objects(x.File)
		if err != nil {
			return r, err
		}
		before := len(r.Leaks) + len(r.Faults)
		for _, partner := range slices.Sorted(maps.Keys(x.Expected)) {
			if err := s.compare(&r, x, partner, objects); err != nil {
				return r, fmt.Errorf("%s for %s: %w", x.File, partner, err)
			}
		}
		if len(r.Leaks)+len(r.Faults) > before {
			r.Failed++
		} else {
			r.Passed++
		}
	}
	return r, nil
}

// compare decides one case for one partner.
func (s *Samples) compare(r *SampleReport, x SampleCase, partner string, objects []*stix.Object) error {
	c, err := s.Case(x.Holder, partner, x.Mode, objects)
	if err != nil {
		return err
	}
	out := Decide(c)
	wire, err := leaving(c, out)
	if err != nil {
		return err
	}
	for _, secret := range x.MustNotAppear[partner] {
		if strings.Contains(wire, secret) {
			r.Leaks = append(r.Leaks, SampleFault{File: x.File, Partner: partner, Leak: secret})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(x.Expected[partner])) {
		r.Decisions++
		want := x.Expected[partner][id]
		f := SampleFault{File: x.File, Partner: partner, Object: id, Got: noroshi.Hold.String(), Want: want.text()}
		if i := slices.IndexFunc(c.Items, func(it Item) bool { return it.ID == id }); i >= 0 {
			f.Got, f.Reasons = SampleExpectation{out[i].Outcome.String(), out[i].Cut}.text(), out[i].Reasons
		}
		switch {
		case f.Got == f.Want:
		case stays(f.Got) && stays(f.Want):
			r.Advisory = append(r.Advisory, f)
		default:
			r.Faults = append(r.Faults, f)
		}
	}
	return nil
}

// text is a decision as it is compared: what is removed matters in any order.
func (e SampleExpectation) text() string {
	if e.Decision != noroshi.Redact.String() {
		return e.Decision
	}
	return e.Decision + " " + strings.Join(slices.Sorted(slices.Values(e.Remove)), " ")
}

func stays(decision string) bool {
	return decision == noroshi.Hold.String() || decision == noroshi.Deny.String()
}

// leaving is everything that would leave now: the views of what is released
// and the definitions that travel with them.
func leaving(c Case, out []Decision) (string, error) {
	var wire strings.Builder
	travel := map[stix.ID]bool{}
	for i := range c.Items {
		d := &out[i]
		if c.Items[i].Type == "marking-definition" || d.Outcome != noroshi.Release && d.Outcome != noroshi.Redact {
			continue
		}
		v, err := View(c.Items[i].Object, d.Cut)
		if err != nil {
			return "", err
		}
		wire.Write(v.Bytes())
		for _, m := range d.marks() {
			travel[m] = true
		}
	}
	for i := range c.Items {
		if travel[c.Items[i].ID] {
			wire.Write(c.Items[i].Object.Bytes())
		}
	}
	return wire.String(), nil
}

// Case makes the case of a bundle for one partner: every object counts as
// borne out by its created_by_ref. A partner that is no node is everybody.
func (s *Samples) Case(holder, partner, mode string, objects []*stix.Object) (Case, error) {
	realm, err := sampleRealm(mode, objects)
	if err != nil {
		return Case{}, err
	}
	clauses, err := s.clauses(holder, partner, realm)
	if err != nil {
		return Case{}, err
	}
	w := &s.world
	_, node := w.Nodes[partner]
	c := Case{Realm: realm, Now: w.Now, Self: w.Nodes[holder].Identity, Holder: w.party(holder), Partner: w.party(partner),
		Public: !node, Clauses: clauses, Nodes: map[stix.ID]bool{}}
	for _, n := range w.Nodes {
		c.Nodes[n.Identity] = true
	}
	defs := func(id stix.ID) (found []*stix.Object) {
		for _, o := range objects {
			if o.ID == id {
				found = append(found, o)
			}
		}
		return found
	}
	seen := map[stix.ID]int{}
	for _, o := range objects {
		src, sender := w.source(holder, o)
		it := ItemOf(o, Facts{Label: noroshi.LabelOf(o, nil, defs, w.Statements), Portions: noroshi.PortionsOf(o, defs, w.Statements),
			Source: src, Self: c.Self, Sender: sender, Partner: c.Partner, Mark: PortionMark(o.Bytes())})
		it.Theirs, it.Echo = false, false // the samples ask what may go, not whether it is news
		if at, twice := seen[o.ID]; twice {
			again(&c.Items[at], it)
			continue
		}
		seen[o.ID] = len(c.Items)
		c.Items = append(c.Items, it)
	}
	Translate(c.Items)
	return c, nil
}

// again takes in another body of an object: the later version counts; two
// bodies of one version and none goes.
func again(it *Item, other Item) {
	a, b := it.Object, other.Object
	switch {
	case a.Type == "marking-definition" || string(a.Bytes()) == string(b.Bytes()):
	case a.Modified.Compare(b.Modified) < 0:
		*it = other
	case !a.Modified.IsZero() && a.Modified.Compare(b.Modified) == 0:
		it.Conflict = true
	}
}

// sampleRealm is the realm a mode stands for: the exercise mode is the one
// exercise the bundle's markings name.
func sampleRealm(mode string, objects []*stix.Object) (noroshi.Realm, error) {
	if mode != "exercise" {
		return noroshi.ParseRealm(cmp.Or(mode, "real"))
	}
	for _, o := range objects {
		if m, err := o.MarkingDefinition(); err == nil && m.Exercise != "" {
			if r, err := noroshi.ParseRealm("exercise:" + strings.ToLower(m.Exercise)); err == nil {
				return r, nil
			}
		}
	}
	return noroshi.ParseRealm("exercise:none")
}

// party makes a node of the samples a party: one country is one node there.
func (w *SampleWorld) party(name string) noroshi.Party {
	id := noroshi.Sum([]byte(name))
	n, ok := w.Nodes[name]
	if !ok { // everybody: a party of no country the samples know
		n.Genc, n.Identity = "ZZZ", "identity--00000000-0000-4000-8000-000000000000"
	}
	return noroshi.Party{CallSign: noroshi.CallSign(n.Genc + "-01"), Node: noroshi.NodeID(id[:16]), Identity: n.Identity, Tokens: n.Tokens}
}

// source is whose an object counts as.
func (w *SampleWorld) source(holder string, o *stix.Object) (noroshi.Source, stix.ID) {
	for name, n := range w.Nodes {
		if n.Identity == o.CreatedBy && name != holder {
			return noroshi.Source{Kind: noroshi.FromPartner, Partner: w.party(name).Node, Message: noroshi.Sum([]byte(name))}, n.Identity
		}
	}
	return noroshi.Source{Kind: noroshi.FromSelf}, ""
}

// clauses are those of an agreement with the samples' terms. The samples say
// what markings mean; its one clause lets everything pass that they let pass.
func (s *Samples) clauses(holder, partner string, realm noroshi.Realm) (*Clauses, error) {
	w := &s.world
	a, err := noroshi.ParseAgreement(Template(Draft{Realm: realm, Self: w.party(holder), Partner: w.party(partner),
		From: w.Now.AddDate(-1, 0, 0), Until: w.Now.AddDate(1, 0, 0), Statements: w.Statements}))
	if err != nil {
		return nil, err
	}
	terms, ok := w.Agreements[holder+">"+partner]
	if !ok {
		terms, ok = w.Agreements["*>"+partner]
	}
	if !ok {
		return nil, errors.New("agreements.json has no agreement of " + holder + " with " + partner)
	}
	a.MaxLevel, a.Entities, a.Japanese = terms.MaxLevel, terms.Entities, w.Levels
	a.Clauses = []noroshi.Clause{{ID: "all", ArticleEN: "1", ArticleJA: "1", EN: "all", JA: "全", Cedar: `permit (principal, action, resource);`}}
	return Compile(a)
}
