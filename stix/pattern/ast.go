package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// Expr is an observation expression (STIX 2.1 §9.4): *Observation, *Combination
// or *Qualified. String writes the normal spelling, which parses to the same
// tree.
type Expr interface {
	String() string
	expr()
}

// Observation is one bracketed expression: a single observation meets Test.
type Observation struct {
	Test Test
}

// Operator joins expressions.
type Operator string

// The operators of observation and comparison expressions.
const (
	And        Operator = "AND"
	Or         Operator = "OR"
	FollowedBy Operator = "FOLLOWEDBY" // observation expressions only
)

// Combination joins two or more observation expressions by one operator,
// evaluated from the left (STIX 2.1 §9.4).
type Combination struct {
	Op    Operator
	Terms []Expr
}

// Qualified is an expression with one or more qualifiers, no kind twice.
type Qualified struct {
	Expr       Expr
	Qualifiers []Qualifier
}

// QualifierKind says what a qualifier bounds (STIX 2.1 §9.4, table of qualifiers).
type QualifierKind string

// The qualifiers.
const (
	Within    QualifierKind = "WITHIN"
	Repeats   QualifierKind = "REPEATS"
	StartStop QualifierKind = "START"
)

// Qualifier bounds an expression in time or number.
type Qualifier struct {
	Kind    QualifierKind
	Seconds string // Within: decimal number as written
	Times   int    // Repeats: at least 1
	Start   string // StartStop: RFC 3339 timestamp, inclusive
	Stop    string // StartStop: exclusive
}

// Test is a comparison expression (STIX 2.1 §9.5): *Comparison or *Junction.
type Test interface {
	String() string
	test()
}

// Junction joins two or more comparisons by And or Or.
type Junction struct {
	Op    Operator
	Terms []Test
}

// CompareOp is a comparison operator (STIX 2.1 §9.6).
type CompareOp string

// The comparison operators; "==" is read as "=" and "<>" as "!=".
const (
	Equal      CompareOp = "="
	NotEqual   CompareOp = "!="
	Greater    CompareOp = ">"
	Less       CompareOp = "<"
	GreaterEq  CompareOp = ">="
	LessEq     CompareOp = "<="
	In         CompareOp = "IN"
	Like       CompareOp = "LIKE"
	Matches    CompareOp = "MATCHES"
	IsSubset   CompareOp = "ISSUBSET"
	IsSuperset CompareOp = "ISSUPERSET"
	Exists     CompareOp = "EXISTS"
)

// Comparison compares what a path names with constants.
type Comparison struct {
	Path         Path
	Not          bool
	Op           CompareOp
	Values       []Constant // one; any number for In; none for Exists
	Backtracking bool       // Matches only: RE2 cannot run the expression
}

// Path names a property of an object type (STIX 2.1 §9.7).
type Path struct {
	Type  string
	Steps []Step
}

// Step is one part of a path: a property, an index or [*].
type Step struct {
	Name  string // "" for an index
	Index int    // Any for [*]; only when Name is ""
}

// Any is the Index of a [*] step.
const Any = -1

// ConstantKind is the type of a constant (STIX 2.1 §9.2).
type ConstantKind string

// The kinds of constants.
const (
	String    ConstantKind = "string"
	Integer   ConstantKind = "integer"
	Float     ConstantKind = "float"
	Boolean   ConstantKind = "boolean"
	Binary    ConstantKind = "binary"
	Hex       ConstantKind = "hex"
	Timestamp ConstantKind = "timestamp"
)

// Constant is a literal. Text is the decoded string, the bytes of a binary or
// hex literal, the timestamp without t”, or the number or boolean as written.
type Constant struct {
	Kind ConstantKind
	Text string
}

// binding orders the operators by how tightly they bind.
var binding = map[Operator]int{FollowedBy: 1, Or: 2, And: 3}

func (*Observation) expr() {}
func (*Combination) expr() {}
func (*Qualified) expr()   {}
func (*Comparison) test()  {}
func (*Junction) test()    {}

func (o *Observation) String() string { return "[" + o.Test.String() + "]" }

func (c *Combination) String() string {
	parts := make([]string, len(c.Terms))
	for i, t := range c.Terms {
		parts[i] = t.String()
		if n, nested := t.(*Combination); nested && binding[n.Op] <= binding[c.Op] {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, " "+string(c.Op)+" ")
}

func (q *Qualified) String() string {
	s := q.Expr.String()
	if _, simple := q.Expr.(*Observation); !simple {
		s = "(" + s + ")"
	}
	for _, f := range q.Qualifiers {
		s += " " + f.String()
	}
	return s
}

// String returns the qualifier as a pattern writes it.
func (q Qualifier) String() string {
	switch q.Kind {
	case Within:
		return "WITHIN " + q.Seconds + " SECONDS"
	case Repeats:
		return "REPEATS " + strconv.Itoa(q.Times) + " TIMES"
	default:
		return "START t'" + q.Start + "' STOP t'" + q.Stop + "'"
	}
}

func (j *Junction) String() string {
	parts := make([]string, len(j.Terms))
	for i, t := range j.Terms {
		parts[i] = t.String()
		if n, nested := t.(*Junction); nested && binding[n.Op] <= binding[j.Op] {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, " "+string(j.Op)+" ")
}

func (c *Comparison) String() string {
	not := ""
	if c.Not {
		not = "NOT "
	}
	if c.Op == Exists {
		return not + "EXISTS " + c.Path.String()
	}
	s := c.Path.String() + " " + not + string(c.Op) + " "
	if c.Op != In {
		return s + c.Values[0].String()
	}
	parts := make([]string, len(c.Values))
	for i, v := range c.Values {
		parts[i] = v.String()
	}
	return s + "(" + strings.Join(parts, ", ") + ")"
}

// String returns the path as a pattern writes it, names quoted where the
// grammar wants it.
func (p Path) String() string {
	var b strings.Builder
	b.WriteString(p.Type)
	for i, s := range p.Steps {
		switch {
		case s.Name == "" && !s.empty() && s.Index == Any:
			b.WriteString("[*]")
		case s.Name == "" && !s.empty():
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		default:
			if i == 0 {
				b.WriteByte(':')
			} else {
				b.WriteByte('.')
			}
			b.WriteString(pathName(s.Name))
		}
	}
	return b.String()
}

// emptyName is the Index of a step named by the empty string.
const emptyName = -2

func (s Step) empty() bool { return s.Index == emptyName }

func pathName(name string) string {
	if plainIdentifier(name) && keywords[name] == "" {
		return name
	}
	return Quote(name)
}

// String returns the constant as a pattern writes it.
func (c Constant) String() string {
	switch c.Kind {
	case String:
		return Quote(c.Text)
	case Binary:
		return "b'" + base64.StdEncoding.EncodeToString([]byte(c.Text)) + "'"
	case Hex:
		return "h'" + hex.EncodeToString([]byte(c.Text)) + "'"
	case Timestamp:
		return "t'" + c.Text + "'"
	default:
		return c.Text
	}
}

// Quote returns s as a string literal: a backslash before ' and \.
func Quote(s string) string {
	return "'" + quoter.Replace(s) + "'"
}

var quoter = strings.NewReplacer(`\`, `\\`, `'`, `\'`)
