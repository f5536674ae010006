package release

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/noroshi-cti/noroshi"
)

// Schema is the Cedar schema clauses are written against. The principal is the
// partner; level is the TLP, an IEP's included: 1 CLEAR, 2 GREEN, 3 AMBER,
// 4 AMBER+STRICT, 5 RED, 0 none; classification is that of ACS and Japanese
// markings, these by the agreement's table: 1 U, 2 C, 3 S, 4 TS, 0 none;
// precedence is 1 routine to 4 flash; source is self, partner or other; sectors
// are those the object names; now is in milliseconds since 1970 UTC; emergency
// is whether a declared one lasts.
const Schema = `entity Node { call_sign: String, country: String, communities: Set<String> };
entity Object {
  type: String,
  level: Long,
  tlp: String,
  classification: Long,
  audience: String,
  source: String,
  origin: String,
  sectors: Set<String>,
  precedence: Long,
  warning: Bool,
  known_good: Bool,
  revoked: Bool,
};
action release, releaseWithTwoPersons appliesTo {
  principal: [Node],
  resource: [Object],
  context: { now: Long, emergency: Bool },
};
`

// Clauses are an agreement's clauses, checked and ready to be asked. They are
// safe for concurrent use and remember the answer for each class of objects.
type Clauses struct {
	agreement *noroshi.Agreement
	policies  *cedar.PolicySet
	clause    map[cedar.PolicyID]string
	timed     bool // a clause reads the moment: answers hold for one only
	emergency bool // a clause may read whether there is an emergency

	mu    sync.Mutex
	known map[class]answer // guarded by mu, as the next; at most maxClasses
	said  map[class]*said  // by class without its markings
	at    time.Time        // moment of the answers, when timed
}

// maxClasses bounds the remembered answers; classes are few, hostile input may
// try to make many.
const maxClasses = 10_000

// class is what a clause can see of an object.
type class struct {
	partner    noroshi.NodeID
	typ        string
	level      noroshi.TLP
	classified noroshi.Level
	source     Origin
	origin     string
	sectors    string // joined by line feeds
	emergency  bool
	precedence noroshi.Precedence
	warning    bool
	knownGood  bool
	revoked    bool
}

// Compile checks and reads an agreement's clauses.
func Compile(a *noroshi.Agreement) (*Clauses, error) {
	c := &Clauses{agreement: a, policies: cedar.NewPolicySet(), clause: map[cedar.PolicyID]string{}, known: map[class]answer{}, said: map[class]*said{}}
	v, err := validator()
	if err != nil {
		return nil, err
	}
	for _, cl := range a.Clauses {
		list, err := cedar.NewPolicyListFromBytes("clause "+cl.ID, []byte(cl.Cedar))
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Invalid, "agreement.clause", "clause %s: %w", cl.ID, err)
		}
		if len(list) == 0 {
			return nil, noroshi.Errorf(noroshi.Invalid, "agreement.clause", "clause %s: %w", cl.ID, fmt.Errorf("has no policy"))
		}
		for i, p := range list {
			id := fmt.Sprintf("%s policy %d", cl.ID, i+1)
			if err := v.Policy(id, (*xast.Policy)(p.AST())); err != nil {
				return nil, noroshi.Errorf(noroshi.Invalid, "agreement.clause", "clause %s: %w", cl.ID, err)
			}
			c.policies.Add(cedar.PolicyID(id), p)
			c.clause[cedar.PolicyID(id)] = cl.ID
		}
		// An emergency is part of the class; whatever else is read of the
		// context is the moment.
		c.timed = c.timed || strings.Contains(strings.ReplaceAll(cl.Cedar, "context.emergency", ""), "context")
		c.emergency = c.emergency || strings.Contains(cl.Cedar, "emergency")
	}
	return c, nil
}

// CheckClauses reports whether every clause of an agreement is a Cedar policy
// that fits Schema: an unknown attribute, action or type is an error here, not
// a clause that silently never applies.
func CheckClauses(a *noroshi.Agreement) error {
	_, err := Compile(a)
	return err
}

func validator() (*validate.Validator, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(Schema)); err != nil {
		return nil, fmt.Errorf("read clause schema: %w", err)
	}
	r, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("resolve clause schema: %w", err)
	}
	return validate.New(r), nil
}

// Agreement returns the agreement.
func (c *Clauses) Agreement() *noroshi.Agreement { return c.agreement }

// clause asks the agreement: released alone, with two persons, or not at all.
// A FLASH always needs two persons, whatever clause permits it, unless two have
// signed in advance for its kind (see Allowance). Where some of
// the label is not understood, a clause may deny and permits nothing yet: no
// clause sees that part, so what is denied now is denied when it is understood.
func (c *Case) clause(it *Item, d *Decision) {
	if c.Clauses == nil || !it.Label.Handled() {
		return
	}
	class := c.classOf(it)
	a := c.Clauses.ask(c.Partner, c.Now, class)
	d.Asked = a.less
	switch by := a.by(class.precedence); {
	case len(by) == 0:
		r := noroshi.Reason{Code: "clause.none"}
		if a.without != "" {
			r = noroshi.Reason{Code: a.without}
		}
		d.deny(r)
	case len(it.Label.Unknown) > 0:
	case class.precedence >= noroshi.Flash:
		d.Clause = by[0]
		if r := c.rule(it, class.level, class.classified); r != nil {
			d.Standing = r.ID
			d.release(noroshi.Reason{Code: "clause.standing", Clause: d.Clause, Args: []string{r.ID}})
			return
		}
		d.hold(noroshi.TwoPersons, noroshi.Reason{Code: "precedence.flash", Clause: d.Clause})
	case len(a.alone) > 0:
		d.Clause = by[0]
		d.release(noroshi.Reason{Code: "clause.permit", Clause: d.Clause})
	default:
		d.Clause = by[0]
		d.hold(noroshi.TwoPersons, noroshi.Reason{Code: "clause.two-persons", Clause: d.Clause})
	}
}

// classOf returns what a clause can see of an item. A Japanese class the
// agreement does not compare counts as the highest there is.
func (c *Case) classOf(it *Item) class {
	level, classified := it.Label.TLP, noroshi.NoLevel
	for _, p := range it.Label.IEP {
		level = max(level, p.TLP)
	}
	for _, a := range it.Label.ACS {
		classified = max(classified, a.Level, noroshi.Unclassified)
	}
	for _, m := range it.Label.JPN {
		equal := c.terms().Japanese.Of(m.Kubun)
		if equal == noroshi.NoLevel {
			equal = noroshi.TopSecret
		}
		classified = max(classified, equal)
	}
	return class{
		partner: c.Partner.Node, typ: it.Type, level: level, classified: classified, source: it.Origin, origin: string(it.Maker),
		sectors: strings.Join(it.Sectors, "\n"), emergency: c.inEmergency(), precedence: it.Precedence, warning: it.Warning,
		knownGood: it.KnownGood, revoked: it.Revoked,
	}
}

// permits asks Cedar for one class, exactly as the policies are written: the
// clauses that permit an action, and whether one forbids it. A policy that
// cannot be evaluated forbids.
func (c *Clauses) permits(action string, p noroshi.Party, now time.Time, k class) (ids []string, forbidden bool) {
	who := cedar.NewEntityUID("Node", cedar.String(p.Node.String()))
	what := cedar.NewEntityUID("Object", "object")
	entities := cedar.EntityMap{
		who: {UID: who, Attributes: cedar.NewRecord(cedar.RecordMap{
			"call_sign": cedar.String(p.CallSign), "country": cedar.String(p.CallSign.Country()),
			"communities": words(c.agreement.Communities),
		})},
		what: {UID: what, Attributes: cedar.NewRecord(cedar.RecordMap{
			"type": cedar.String(k.typ), "level": cedar.Long(k.level), "tlp": cedar.String(k.level.String()),
			"classification": cedar.Long(k.classified),
			"audience":       cedar.String(audience(k.level)), "source": cedar.String(k.source.String()), "origin": cedar.String(k.origin),
			"sectors":    words(strings.FieldsFunc(k.sectors, func(r rune) bool { return r == '\n' })),
			"precedence": cedar.Long(k.precedence), "warning": cedar.Boolean(k.warning),
			"known_good": cedar.Boolean(k.knownGood), "revoked": cedar.Boolean(k.revoked),
		})},
	}
	ok, why := cedar.Authorize(c.policies, entities, cedar.Request{
		Principal: who, Action: cedar.NewEntityUID("Action", cedar.String(action)), Resource: what,
		Context: cedar.NewRecord(cedar.RecordMap{"now": cedar.Long(now.UnixMilli()), "emergency": cedar.Boolean(k.emergency)}),
	})
	if ok != cedar.Allow || len(why.Errors) > 0 {
		return nil, len(why.Errors)+len(why.Reasons) > 0
	}
	for _, r := range why.Reasons {
		ids = append(ids, c.clause[r.PolicyID])
	}
	slices.Sort(ids)
	return slices.Compact(ids), false
}

// words is a list as clauses see it.
func words(list []string) cedar.Set {
	values := make([]cedar.Value, len(list))
	for i, w := range list {
		values[i] = cedar.String(w)
	}
	return cedar.NewSet(values...)
}

// audience is whom a level may reach at all.
func audience(t noroshi.TLP) string {
	switch t {
	case noroshi.Clear:
		return "public"
	case noroshi.Green:
		return "partners"
	case noroshi.Amber, noroshi.AmberStrict:
		return "partner"
	}
	return "nobody"
}
