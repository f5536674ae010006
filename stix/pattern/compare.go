package pattern

import (
	"math"
	"strconv"
)

// testOr and testAnd: AND binds tighter than OR.
func (p *parser) testOr() (Test, error)  { return chain(p, Or, p.testAnd, junction) }
func (p *parser) testAnd() (Test, error) { return chain(p, And, p.propTest, junction) }

func junction(op Operator, terms []Test) Test { return &Junction{Op: op, Terms: terms} }

// propTest reads one comparison, EXISTS, or a group in parentheses.
func (p *parser) propTest() (Test, error) {
	if p.is(tPunct, "(") {
		if err := p.nest(); err != nil {
			return nil, err
		}
		t, err := p.testOr()
		if err != nil {
			return nil, err
		}
		p.depth--
		return t, p.demand(tPunct, ")")
	}
	not, err := p.accept(tKeyword, "NOT")
	if err != nil {
		return nil, err
	}
	if not || p.is(tKeyword, "EXISTS") {
		if err := p.demand(tKeyword, "EXISTS"); err != nil {
			return nil, err
		}
		path, err := p.path()
		return &Comparison{Path: path, Not: not, Op: Exists}, err
	}
	return p.comparison()
}

func (p *parser) comparison() (Test, error) {
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	not, err := p.accept(tKeyword, "NOT")
	if err != nil {
		return nil, err
	}
	c := &Comparison{Path: path, Not: not}
	at := p.tok.at
	switch {
	case p.tok.kind == tPunct && operators[p.tok.text] != "":
		c.Op = operators[p.tok.text]
	case p.tok.kind == tKeyword && wordOperators[CompareOp(p.tok.text)]:
		c.Op = CompareOp(p.tok.text)
	default:
		return nil, p.expected("a comparison operator")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if err := p.operands(c); err != nil {
		return nil, err
	}
	if e := checkOperands(c); e != nil {
		return nil, errorAt(p.lex.src, at, e.Code, "%s", e.Msg)
	}
	return c, nil
}

var operators = map[string]CompareOp{
	"=": Equal, "==": Equal, "!=": NotEqual, "<>": NotEqual,
	">": Greater, "<": Less, ">=": GreaterEq, "<=": LessEq,
}

var wordOperators = map[CompareOp]bool{In: true, Like: true, Matches: true, IsSubset: true, IsSuperset: true}

// operands reads what stands right of the operator.
func (p *parser) operands(c *Comparison) error {
	if c.Op == In {
		return p.set(c)
	}
	if p.tok.kind != tConst {
		return p.expected("a constant")
	}
	switch con := p.tok.con; c.Op {
	case Equal, NotEqual:
	case Greater, Less, GreaterEq, LessEq:
		if con.Kind == Boolean {
			return p.expected("a constant that has an order")
		}
	default:
		if con.Kind != String {
			return p.expected("a string")
		}
	}
	c.Values = []Constant{p.tok.con}
	return p.advance()
}

// set reads a parenthesised list, which may be empty.
func (p *parser) set(c *Comparison) error {
	if err := p.demand(tPunct, "("); err != nil {
		return err
	}
	if ok, err := p.accept(tPunct, ")"); ok || err != nil {
		return err
	}
	for {
		if p.tok.kind != tConst {
			return p.expected("a constant")
		}
		c.Values = append(c.Values, p.tok.con)
		if err := p.advance(); err != nil {
			return err
		}
		more, err := p.accept(tPunct, ",")
		if err != nil {
			return err
		}
		if !more {
			return p.demand(tPunct, ")")
		}
	}
}

// path reads type:property and further steps.
func (p *parser) path() (Path, error) {
	if p.tok.kind != tIdent && p.tok.kind != tHyphened {
		return Path{}, p.expected("an object type")
	}
	path := Path{Type: p.tok.text}
	if err := p.advance(); err != nil {
		return path, err
	}
	if err := p.demand(tPunct, ":"); err != nil {
		return path, err
	}
	if err := p.property(&path); err != nil {
		return path, err
	}
	for {
		switch {
		case p.is(tPunct, "."):
			if err := p.advance(); err != nil {
				return path, err
			}
			if err := p.property(&path); err != nil {
				return path, err
			}
		case p.is(tPunct, "["):
			if err := p.index(&path); err != nil {
				return path, err
			}
		default:
			return path, nil
		}
	}
}

func (p *parser) property(path *Path) error {
	step := Step{}
	switch {
	case p.tok.kind == tIdent:
		step.Name = p.tok.text
	case p.tok.kind == tConst && p.tok.con.Kind == String:
		if step.Name = p.tok.con.Text; step.Name == "" {
			step.Index = emptyName
		}
	case p.tok.kind == tHyphened:
		return p.expected("a property name; one with a hyphen is put in quotes, which")
	default:
		return p.expected("a property name")
	}
	path.Steps = append(path.Steps, step)
	return p.advance()
}

func (p *parser) index(path *Path) error {
	if err := p.advance(); err != nil {
		return err
	}
	step := Step{Index: Any}
	switch {
	case p.is(tPunct, "*"):
	case p.tok.kind == tConst && p.tok.con.Kind == Integer:
		n, err := strconv.ParseInt(p.tok.con.Text, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt32 {
			return p.fail("constant", "index %s can match nothing", clip(p.tok.con.Text))
		}
		step.Index = int(n)
	default:
		return p.expected("an index or *")
	}
	path.Steps = append(path.Steps, step)
	if err := p.advance(); err != nil {
		return err
	}
	return p.demand(tPunct, "]")
}
