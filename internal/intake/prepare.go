package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// futureLimit is how far ahead of this node's clock a modified may lie.
const futureLimit = 24 * time.Hour

// maxMarkings bounds how many markings an object may have as a whole, and how
// many granular ones (STIX 2.1 §7.2): each is looked up whenever the object is
// shown or decided on, and sensible ones have two or three. What a node makes of
// others' objects joins their markings: such may have maxJoinedMarkings, made here or
// by a partner, or a warning would be lost by what somebody put on an indicator.
const (
	maxMarkings       = 64
	maxJoinedMarkings = 4 * maxMarkings
)

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
	codeTwice     = "twice"
	CodeProtected = "protected" // a guard held it back: a person may let it in as it is
)

// Raw is one object as it came.
type Raw struct {
	Bytes  []byte
	Object *stix.Object // they, where they were read already; nil = they were not
	View   uint32
	Label  noroshi.Label // of the message it came in, empty elsewhere
	Place  string        // for quarantine: "message 12, object 3", "line 7"
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
	doubt   bool          // its source has a restriction now that it had not when it was let in
	mapped  Mapped        // the rule of the import's profile, or of the source itself, that spoke on it
	made    *made         // of what the object is made, until its times are settled
	raw     []byte        // the part of the input it was made of, where that is not the object
	place   place
}

// place says where in an import an element stood.
type place struct {
	line   int
	offset int64
	end    int64  // of the first byte that does not belong to it; of a lifted document the number of the next item
	path   string // JSON pointer, "" where lines say it
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
	seq      int64
	tlp      noroshi.TLP
	assigned []stix.ID
	over     bool // revoked, as it had vanished: the entry is new again, under the next id
}

// refusal is why something is quarantined.
type refusal struct {
	code   string
	msg    string
	why    *noroshi.Error // msg with a code of its own and arguments; nil = it has none
	source noroshi.Source
	run    string
	place  string
	raw    []byte
	size   int64

	version *store.Version // what a guard held back, as it would have come in; nil = it was no guard
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{code: code, msg: fmt.Sprintf(format, args...)}
}

// refuseFor refuses for a reason that may have a code and words of its own.
func refuseFor(code string, why error) *refusal {
	r := refuse(code, "%s", why.Error())
	errors.As(why, &r.why)
	return r
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
	g.readAll(r, objects, p.elements)
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

// PrepareObjects prepares objects made here: sightings, warnings. What the gate
// would quarantine of somebody else's is refused with the reason: whoever makes
// it is there to hear it.
func (g *Gate) PrepareObjects(src noroshi.Source, run string, objects []*stix.Object) (*Prepared, error) {
	raws := make([]Raw, len(objects))
	for i, o := range objects {
		raws[i] = Raw{Bytes: o.Bytes(), Object: o, Place: fmt.Sprintf("object %d", i)}
	}
	p, err := g.Prepare(src, run, raws)
	if err != nil {
		return nil, err
	}
	for i := range p.elements {
		if r := p.elements[i].refused; r != nil && r.why != nil {
			return nil, r.why
		}
	}
	return p, nil
}

// readAtOnce is how many objects it takes to be worth a core of their own.
const readAtOnce = 250

// readAll reads and checks objects, on as many cores as are worth it.
func (g *Gate) readAll(r rules, objects []Raw, into []element) {
	cores := min(runtime.GOMAXPROCS(0), max(len(objects)/readAtOnce, 1))
	each := (len(objects) + cores - 1) / cores
	var wg sync.WaitGroup
	for first := 0; first < len(objects); first += each {
		part := objects[first:min(first+each, len(objects))]
		read := func() {
			for i, raw := range part {
				if raw.Object != nil {
					into[first+i] = g.check(r, raw.Object)
				} else {
					into[first+i] = g.read(r, raw.Bytes)
				}
			}
		}
		if first+each >= len(objects) {
			read() // the last part here
		} else {
			wg.Go(read)
		}
	}
	wg.Wait()
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
	r := refuse(code, "%s: %s", s.Code, s.Error())
	r.why = noroshi.Errorf(noroshi.Invalid, "syntax."+s.Code, "%s", r.msg)
	return r
}

// check judges one object that was read and makes its version.
func (g *Gate) check(r rules, o *stix.Object) element {
	if o.Type == "bundle" {
		return element{refused: refuseFor(codeMalformed, noroshi.Errorf(noroshi.Invalid, "intake.bundle", "a bundle is no object: give its objects"))}
	}
	if !o.Modified.IsZero() && o.Modified.Compare(r.ahead) > 0 {
		return element{refused: refuseFor(codeFuture, noroshi.Errorf(noroshi.Invalid, "intake.future", "modified %s lies more than 24 hours ahead", o.Modified))}
	}
	if why := tooMarked(r.source, o); why != nil {
		return element{refused: refuseFor(codeTooLarge, why)}
	}
	if r.strict {
		if problems := stix.Validate(o); len(problems) > 0 {
			p := problems[0]
			why := noroshi.Errorf(noroshi.Invalid, "intake.strict", "%s (%s; %d problems)", p.Path, p.Code, len(problems))
			why.Msg = p.Msg + " at " + why.Msg
			return element{refused: refuseFor(codeInvalid, why)}
		}
	}
	v := &store.Version{Object: o, Hash: o.Hash(), Source: r.source, Run: r.run, Refs: targets(o)}
	v.Creator = r.maker != "" && o.CreatedBy == r.maker
	var note string
	v.Values, note = ValuesOf(o)
	v.Flags = g.flags(v.Values)
	v.Text = words(o, v.Values)
	e := element{version: v, note: note}
	if v.Assign = Assigned(o, r.assign); r.profile != nil {
		v.Assign, e.mapped = r.profile.Assign(o)
	}
	return e
}

// tooMarked refuses an object with more markings than are taken in.
func tooMarked(src noroshi.Source, o *stix.Object) error {
	whole, parts, most := len(o.Markings), 0, maxMarkings
	if src.Kind == noroshi.FromSelf || src.Kind == noroshi.FromPartner {
		most = maxJoinedMarkings
	}
	if o.Granular {
		for range o.Property("granular_markings").Elements() {
			parts++
		}
	}
	if whole <= most && parts <= most {
		return nil
	}
	return noroshi.Errorf(noroshi.Invalid, "intake.markings", "%d markings of the whole object and %d granular ones; at most %d of each are taken in", whole, parts, most)
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
	values, _ := ValuesOf(o)
	return g.flags(values)
}

// ListsOf returns the warning-lists that name a value, sorted.
func (g *Gate) ListsOf(v noroshi.Value) []string { return g.flags([]noroshi.Value{v}) }

// flags returns the warning-lists that name any of the values, sorted.
func (g *Gate) flags(values []noroshi.Value) []string {
	var names []string
	for _, v := range values {
		names = append(names, g.o.Lists().Check(v)...)
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
