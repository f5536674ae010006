package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// futureLimit is how far ahead of this node's clock a modified may lie.
const futureLimit = 24 * time.Hour

// Codes of faults. They are technical: they tell a partner nothing about what
// this node knows or guards.
const (
	codeMalformed = "malformed"
	codeTooLarge  = "too-large"
	codeFuture    = "future"
	codeLabel     = "label"
	codeRealm     = "realm"
	codeInvalid   = "invalid"
	codeConflict  = "conflict"
)

// Raw is one object as it came.
type Raw struct {
	Bytes []byte
	View  uint32
	Label noroshi.Label // of the message it came in, empty elsewhere
	Place string        // for quarantine: "message 12, object 3", "line 7"
}

// Prepared is what came from one source, read and checked outside the write
// lane: versions to put and things to quarantine. The zero value admits nothing.
type Prepared struct {
	gate     *Gate
	elements []element
}

// element is one thing prepared: a version to put or a refusal.
type element struct {
	version *store.Version
	refused *refusal
	known   *knownVersion // a list entry that is here already: nothing to put
	kept    bool          // refused, and in quarantine from an earlier import
	index   int           // in what Prepare was given
	note    string        // why an indicator is not armed, "" = armed or no indicator
	mapped  Mapped        // the rule of the import's profile that spoke on it
	place   place
}

// place says where in an import an element stood.
type place struct {
	line   int
	offset int64
	end    int64 // of the first byte that does not belong to it
}

// size is about what the element takes in memory.
func (e *element) size() int {
	if e.refused != nil {
		return len(e.refused.raw)
	}
	return len(e.version.Object.Bytes())
}

// knownVersion is a version the store has, and its handling marking, its own or
// assigned.
type knownVersion struct {
	seq int64
	tlp noroshi.TLP
}

// refusal is why something is quarantined.
type refusal struct {
	code   string
	msg    string
	source noroshi.Source
	run    string
	place  string
	raw    []byte
	size   int64
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{code: code, msg: fmt.Sprintf(format, args...)}
}

// rules are what Prepare checks beyond the limits of the reader.
type rules struct {
	source  noroshi.Source
	run     string
	assign  noroshi.TLP // for what has no handling marking
	profile *Profile    // what stands for markings in this source, nil = nothing
	strict  bool
	ahead   stix.Time // nothing may be modified after this
	maker   stix.ID   // the identity this source speaks for, "" = none
}

// Prepare reads, checks and flags objects of one source. src must be valid.
// Nothing is written: what is refused is quarantined by Admit.
func (g *Gate) Prepare(src noroshi.Source, run string, objects []Raw) (*Prepared, error) {
	r, err := g.rulesFor(src, run)
	if err != nil {
		return nil, err
	}
	p := &Prepared{gate: g, elements: make([]element, len(objects))}
	for i, raw := range objects {
		p.elements[i] = g.read(r, raw.Bytes)
	}
	if err := g.label(src, p.elements, objects); err != nil {
		return nil, err
	}
	g.checkRealm(p.elements)
	for i, raw := range objects {
		p.elements[i].index = i
		p.elements[i].from(r, raw)
	}
	return p, nil
}

// PrepareObjects prepares objects made here: sightings, warnings.
func (g *Gate) PrepareObjects(src noroshi.Source, run string, objects []*stix.Object) (*Prepared, error) {
	raws := make([]Raw, len(objects))
	for i, o := range objects {
		raws[i] = Raw{Bytes: o.Bytes(), Place: fmt.Sprintf("object %d", i)}
	}
	return g.Prepare(src, run, raws)
}

// read reads one object and checks it.
func (g *Gate) read(r rules, raw []byte) element {
	o, err := stix.Parse(raw)
	if err != nil {
		return element{refused: refuseSyntax(err)}
	}
	return g.check(r, o)
}

func (g *Gate) rulesFor(src noroshi.Source, run string) (rules, error) {
	if !src.Valid() {
		return rules{}, noroshi.Errorf(noroshi.Invalid, "intake.no-source", "nothing enters without a source: %q names none", string(src.Kind))
	}
	if g.o.Realm.IsZero() {
		return rules{}, noroshi.Errorf(noroshi.Invalid, "intake.no-realm", "the gate has no realm: nothing enters")
	}
	maker, err := g.maker(src)
	return rules{source: src, run: run, ahead: stix.TimeOf(g.o.Now().Add(futureLimit)), maker: maker}, err
}

// maker returns the identity a source speaks for: this node's for what was made
// here, a partner's for what came in its own message. A file, feed or client
// speaks for nobody, whatever its objects claim.
func (g *Gate) maker(src noroshi.Source) (stix.ID, error) {
	switch src.Kind {
	case noroshi.FromSelf:
		return g.o.Self.Identity, nil
	case noroshi.FromPartner:
		p, err := g.partner(src.Partner)
		return p.Organisation.Identity, err
	}
	return "", nil
}

// partner returns a partner's record, an empty one of who is none.
func (g *Gate) partner(node noroshi.NodeID) (p noroshi.Partner, err error) {
	body, err := g.store.Doc(context.Background(), noroshi.DocPartner, node.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		return noroshi.Partner{}, fmt.Errorf("read partner %s: %w", node, err)
	}
	return p, nil
}

// from completes an element with where it came from.
func (e *element) from(r rules, raw Raw) {
	switch {
	case e.refused != nil:
		e.refused.source, e.refused.run = r.source, r.run
		e.refused.place, e.refused.raw = raw.Place, bytes.Clone(raw.Bytes[:min(len(raw.Bytes), maxQuarantined)])
		e.refused.size = max(e.refused.size, int64(len(raw.Bytes)))
	case e.version != nil:
		e.version.View = raw.View
	}
}

// refuseSyntax turns the strict reader's error into a refusal.
func refuseSyntax(err error) *refusal {
	var s *stix.SyntaxError
	if !errors.As(err, &s) {
		return refuse(codeMalformed, "%s", err.Error())
	}
	code := codeMalformed
	if s.Code == "size" {
		code = codeTooLarge
	}
	return refuse(code, "%s: %s", s.Code, s.Error())
}

// check judges one object that was read and makes its version.
func (g *Gate) check(r rules, o *stix.Object) element {
	if o.Type == "bundle" {
		return element{refused: refuse(codeMalformed, "a bundle is no object: give its objects")}
	}
	if !o.Modified.IsZero() && o.Modified.Compare(r.ahead) > 0 {
		return element{refused: refuse(codeFuture, "modified %s lies more than 24 hours ahead", o.Modified)}
	}
	if r.strict {
		if problems := stix.Validate(o); len(problems) > 0 {
			p := problems[0]
			return element{refused: refuse(codeInvalid, "%s at %s (%s; %d problems)", p.Msg, p.Path, p.Code, len(problems))}
		}
	}
	v := &store.Version{Object: o, Hash: o.Hash(), Source: r.source, Run: r.run, Refs: targets(o)}
	v.Creator = r.maker != "" && o.CreatedBy == r.maker
	var note string
	v.Values, note = valuesOf(o)
	v.Flags = g.flags(v.Values)
	v.Text = words(o, v.Values)
	e := element{version: v, note: note}
	if v.Assign = Assigned(o, r.assign); r.profile != nil {
		v.Assign, e.mapped = r.profile.Assign(o)
	}
	return e
}

// targets returns what an object refers to, each once, its maker excepted: most
// objects of a source have the same.
func targets(o *stix.Object) []stix.ID {
	var ids []stix.ID
	seen := map[stix.ID]bool{}
	for _, r := range o.Refs() {
		if r.Path != "created_by_ref" && !seen[r.Target] {
			seen[r.Target] = true
			ids = append(ids, r.Target)
		}
	}
	return ids
}

// Flags returns the warning-lists that name a value of an object, as it would be
// flagged when it is let in.
func (g *Gate) Flags(o *stix.Object) []string {
	values, _ := valuesOf(o)
	return g.flags(values)
}

// flags returns the warning-lists that name any of the values, sorted.
func (g *Gate) flags(values []noroshi.Value) []string {
	var names []string
	for _, v := range values {
		names = append(names, g.o.Lists.Check(v)...)
	}
	return sortedUnique(names)
}

// Assigned returns the marking an import gives what has no handling marking of
// its own. A marking-definition is a marking and gets none.
func Assigned(o *stix.Object, t noroshi.TLP) []stix.ID {
	if t == noroshi.NoTLP || o.Type == "marking-definition" || handled(o.Markings) {
		return nil
	}
	return []stix.ID{t.MarkingID()}
}

// handled reports whether one of the markings is a well-known handling marking.
func handled(markings []stix.ID) bool { return strictest(markings) != noroshi.NoTLP }

// strictest is the strictest of the well-known handling markings among them.
func strictest(markings []stix.ID) noroshi.TLP {
	t := noroshi.NoTLP
	for _, m := range markings {
		t = max(t, noroshi.TLPOf(m))
	}
	return t
}
