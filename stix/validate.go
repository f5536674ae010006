package stix

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// Problem is one way an object departs from STIX 2.1.
type Problem struct {
	Code string // stable; see the Problem constants
	Path string // JSON pointer (RFC 6901)
	Msg  string
}

// MaxProblems is how many problems of one object Validate returns; it stops
// counting there.
const MaxProblems = 100

// Codes of a Problem.
const (
	ProblemMissing  = "missing"    // a required property is not there
	ProblemType     = "type"       // a value of the wrong JSON type
	ProblemEmpty    = "empty"      // a list or dictionary without a member
	ProblemNull     = "null"       // STIX has no null; what is absent is left out
	ProblemName     = "name"       // a property, key or type has a name that STIX does not allow
	ProblemReserved = "reserved"   // a name that STIX keeps for itself (§11)
	ProblemValue    = "value"      // not one of the values allowed, or of another form
	ProblemRange    = "range"      // a number too small or too large
	ProblemID       = "id"         // not an identifier (§2.9)
	ProblemRef      = "ref"        // a reference to a type that may not stand there
	ProblemTime     = "time"       // not a timestamp (§2.12)
	ProblemCalendar = "calendar"   // a timestamp of a day or second that does not exist
	ProblemOrder    = "time-order" // two times in the wrong order
	ProblemTogether = "together"   // properties that need or exclude each other
)

// Validate is noroshi's own check of an object against STIX 2.1: required and
// known properties, their types, vocabularies that are closed, id forms,
// reference types, time order. It is a table walked once, fit for the bulk
// path.
//
// It agrees with the OASIS JSON schemas of STIX 2.1, applied to the object by
// its type (common/core.json for a type they do not know, or
// common/cyber-observable-core.json when it has neither created nor modified):
// no problem means they accept it, and the reverse, but for a short list where
// they part from the specification:
//
//   - days and leap seconds that do not exist, and times in the wrong order,
//     are problems here (ProblemCalendar, ProblemOrder);
//   - a granular marking may have a lang and no marking_ref (§7.2.3);
//   - a selector may name keys in capitals, such as hashes.MD5;
//   - an IPv6 address is read by RFC 4291, the schema's expression is garbled;
//   - a process may have created_time alone, a registry key modified_time alone.
//
// Like the schemas without their optional formats it does not judge the inside
// of URLs, domain names and mail addresses, nor patterns (see package
// stix/pattern).
func Validate(o *Object) []Problem {
	c := checkers.Get().(*checker)
	c.object(o.Root())
	problems := c.problems
	clear(c.members[:cap(c.members)]) // so that no object is kept alive
	clear(c.path[:cap(c.path)])
	*c = checker{table: shapes, members: c.members[:0], path: c.path[:0]}
	if cap(c.members) <= 1024 {
		checkers.Put(c)
	}
	return problems
}

// checkers saves the memory a walk needs from one object to the next.
var checkers = sync.Pool{New: func() any {
	return &checker{table: shapes, members: make([]entry, 0, 32), path: make([]step, 0, 8)}
}}

// check is one rule about one value.
type check func(c *checker, v RawValue)

// shape is what the specification says of one type.
type shape struct {
	core     *shape           // the common properties it has too
	props    map[string]check // by name; those not in it are custom
	required []string
	any      []string         // at least one of them must be there
	order    [][2]string      // pairs of times of which the second is not earlier
	strictly [][2]string      // pairs of which the second is later
	rest     func(c *checker) // rules about several properties
}

// checker walks over one object.
type checker struct {
	table    map[string]*shape
	problems []Problem
	path     []step
	members  []entry // of the open objects, outermost first
	base     int     // where those of the innermost begin
}

// entry is a member of an open object.
type entry struct {
	name  []byte
	value RawValue
}

// add notes a problem at the place of the checker; two rules may find the same.
func (c *checker) add(code, msg string) {
	n := len(c.problems)
	if n == MaxProblems {
		return
	}
	p := Problem{Code: code, Path: pointer(c.path), Msg: msg}
	if n == 0 || c.problems[n-1].Code != p.Code || c.problems[n-1].Path != p.Path {
		c.problems = append(c.problems, p)
	}
}

// at adds a problem about a member of the open object.
func (c *checker) at(name, code, msg string) {
	c.path = append(c.path, step{name: []byte(name)})
	c.add(code, msg)
	c.path = c.path[:len(c.path)-1]
}

// get returns a member of the open object.
func (c *checker) get(name string) RawValue {
	for _, e := range c.members[c.base:] {
		if string(e.name) == name {
			return e.value
		}
	}
	return nil
}

func (c *checker) has(name string) bool { return c.get(name) != nil }

// open takes the members of an object in, until close, which wants what open
// returned.
func (c *checker) open(v RawValue) (outer int) {
	outer = c.base
	c.base = len(c.members)
	for name, value := range v.members() {
		c.members = append(c.members, entry{name, value})
	}
	return outer
}

func (c *checker) close(outer int) {
	c.members = c.members[:c.base]
	c.base = outer
}

// object checks a whole STIX object by its type.
func (c *checker) object(v RawValue) {
	if v.kind() != '{' {
		c.add(ProblemType, "must be an object")
		return
	}
	outer := c.open(v)
	defer c.close(outer)
	s, known := c.table[c.get("type").Text()]
	if !known {
		s = &customObservable
		if c.has("created") || c.has("modified") {
			s = &customObject
		}
	}
	c.apply(s)
}

// apply checks the open object against a shape.
func (c *checker) apply(s *shape) {
	base, end := c.base, len(c.members)
	for i := base; i < end; i++ {
		e := c.members[i]
		c.path = append(c.path, step{name: e.name})
		if s.core != nil {
			checkMember(c, e.name, e.value)
			if f := s.core.props[string(e.name)]; f != nil {
				f(c, e.value)
			}
		}
		if f := s.props[string(e.name)]; f != nil {
			f(c, e.value)
		}
		c.path = c.path[:len(c.path)-1]
	}
	if s.core != nil {
		c.rules(s.core)
	}
	c.rules(s)
}

// rules checks what concerns more than one property.
func (c *checker) rules(s *shape) {
	for _, name := range s.required {
		if !c.has(name) {
			c.add(ProblemMissing, "the property "+name+" is required")
		}
	}
	if len(s.any) > 0 && !c.hasAny(s.any) {
		c.add(ProblemMissing, "at least one of "+strings.Join(s.any, ", ")+" is required")
	}
	for _, pair := range s.order {
		c.inOrder(pair, true)
	}
	for _, pair := range s.strictly {
		c.inOrder(pair, false)
	}
	if s.rest != nil {
		s.rest(c)
	}
}

func (c *checker) hasAny(names []string) bool {
	for _, name := range names {
		if c.has(name) {
			return true
		}
	}
	return false
}

func (c *checker) inOrder(pair [2]string, equal bool) {
	first, second := Time{c.get(pair[0]).Text()}, Time{c.get(pair[1]).Text()}
	if !isTime(first.text) || !isTime(second.text) {
		return
	}
	if d := first.Compare(second); d > 0 || d == 0 && !equal {
		c.at(pair[1], ProblemOrder, "must be later than "+pair[0])
	}
}

// pointer writes a place as a JSON pointer.
func pointer(path []step) string {
	var b strings.Builder
	for _, p := range path {
		switch {
		case p.name != nil:
			b.WriteString("/" + pointerEscaper.Replace(string(p.name)))
		case p.index != noElement:
			b.WriteString("/" + strconv.Itoa(p.index))
		}
	}
	return b.String()
}

// checkMember holds for every property of an object and of an extension: how
// it may be called (§3.1), that it is not null, not an empty list, and of its
// type when its name ends in _bin or _hex (§2.1, §2.7).
func checkMember(c *checker, name []byte, v RawValue) {
	if !propertyName(name) {
		c.add(ProblemName, "no property may be called so")
	}
	filled(c, v)
	if bytes.HasSuffix(name, []byte("_bin")) && lowerName(name) {
		binary64(c, v)
	}
	if bytes.HasSuffix(name, []byte("_hex")) && lowerName(name) {
		hexadecimal(c, v)
	}
}

// propertyName: at least three of a-z, 0-9 and underscore, a letter first. As
// the schemas do it does not look beyond the third character.
func propertyName(name []byte) bool {
	if len(name) >= 3 && name[0] >= 'a' && name[0] <= 'z' && lowerOrDigit(name[1]) && lowerOrDigit(name[2]) {
		return true
	}
	return bytes.HasSuffix(name, []byte("id"))
}

func lowerOrDigit(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
}

func lowerName(name []byte) bool {
	if len(name) > longestType || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for _, c := range name {
		if !lowerOrDigit(c) {
			return false
		}
	}
	return true
}
