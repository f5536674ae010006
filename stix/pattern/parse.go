package pattern

import (
	"slices"
	"strconv"
)

// parser is a recursive descent over the tokens, one ahead.
type parser struct {
	lex   lexer
	tok   token
	opt   Options
	depth int
}

func (p *parser) advance() error {
	t, err := p.lex.next()
	p.tok = t
	return err
}

func (p *parser) fail(code, format string, args ...any) error {
	return errorAt(p.lex.src, p.tok.at, code, format, args...)
}

// expected refuses the token in hand.
func (p *parser) expected(what string) error {
	if p.tok.kind == tEOF {
		return p.fail("syntax", "pattern ends where %s is expected", what)
	}
	return p.fail("syntax", "%q where %s is expected", clip(p.lex.src[p.tok.at:p.tok.end]), what)
}

func (p *parser) is(kind tokenKind, text string) bool {
	return p.tok.kind == kind && p.tok.text == text
}

// accept takes the token if it is the one.
func (p *parser) accept(kind tokenKind, text string) (bool, error) {
	if !p.is(kind, text) {
		return false, nil
	}
	return true, p.advance()
}

// demand takes the token and fails if it is another.
func (p *parser) demand(kind tokenKind, text string) error {
	ok, err := p.accept(kind, text)
	if err == nil && !ok {
		err = p.expected(text)
	}
	return err
}

func (p *parser) pattern() (Expr, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.followed()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tEOF {
		return nil, p.expected("an operator, a qualifier or the end")
	}
	return e, nil
}

// nest counts a parenthesis against MaxDepth; the caller undoes it.
func (p *parser) nest() error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail("depth", "parentheses are nested deeper than %d", MaxDepth)
	}
	return p.advance()
}

// followed: FOLLOWEDBY binds weaker than OR, OR weaker than AND.
func (p *parser) followed() (Expr, error)   { return chain(p, FollowedBy, p.observeOr, combination) }
func (p *parser) observeOr() (Expr, error)  { return chain(p, Or, p.observeAnd, combination) }
func (p *parser) observeAnd() (Expr, error) { return chain(p, And, p.qualified, combination) }

func combination(op Operator, terms []Expr) Expr { return &Combination{Op: op, Terms: terms} }

// chain reads a term, or several with an operator between them, which are joined.
func chain[T any](p *parser, op Operator, term func() (T, error), join func(Operator, []T) T) (none T, err error) {
	first, err := term()
	if err != nil || !p.is(tKeyword, string(op)) {
		return first, err
	}
	terms := []T{first}
	for p.is(tKeyword, string(op)) {
		if err := p.advance(); err != nil {
			return none, err
		}
		next, err := term()
		if err != nil {
			return none, err
		}
		terms = append(terms, next)
	}
	return join(op, terms), nil
}

// qualified reads an observation or a group and its qualifiers. The same kind
// twice is refused on a bare observation; on a group the second qualifies the
// first's result, as the OASIS validator reads it.
func (p *parser) qualified() (Expr, error) {
	group := p.is(tPunct, "(")
	e, err := p.observation()
	if err != nil {
		return nil, err
	}
	var qs []Qualifier
	for {
		at := p.tok.at
		q, ok, err := p.qualifier()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if slices.ContainsFunc(qs, func(have Qualifier) bool { return have.Kind == q.Kind }) {
			if !group {
				return nil, errorAt(p.lex.src, at, "qualifier", "%s stands twice on one expression; put the first into parentheses", q.Kind)
			}
			e, qs = &Qualified{Expr: e, Qualifiers: qs}, nil
			if p.depth++; p.depth > MaxDepth {
				return nil, errorAt(p.lex.src, at, "depth", "qualifiers are nested deeper than %d", MaxDepth)
			}
		}
		qs = append(qs, q)
	}
	if len(qs) == 0 {
		return e, nil
	}
	return &Qualified{Expr: e, Qualifiers: qs}, nil
}

func (p *parser) observation() (Expr, error) {
	switch {
	case p.is(tPunct, "["):
		if err := p.advance(); err != nil {
			return nil, err
		}
		t, err := p.testOr()
		if err != nil {
			return nil, err
		}
		return &Observation{Test: t}, p.demand(tPunct, "]")
	case p.is(tPunct, "("):
		if err := p.nest(); err != nil {
			return nil, err
		}
		e, err := p.followed()
		if err != nil {
			return nil, err
		}
		p.depth--
		return e, p.demand(tPunct, ")")
	}
	return nil, p.expected("[ or (")
}

// qualifier reads one qualifier if there is one.
func (p *parser) qualifier() (q Qualifier, ok bool, err error) {
	if p.tok.kind != tKeyword {
		return q, false, nil
	}
	switch q.Kind = QualifierKind(p.tok.text); q.Kind {
	case Within:
		q.Seconds, err = p.positive("a number of seconds", Integer, Float)
		if err == nil {
			err = p.demand(tKeyword, "SECONDS")
		}
	case Repeats:
		q.Times, err = p.times()
	case StartStop:
		if q.Start, err = p.instant(); err != nil {
			break
		}
		if !p.is(tKeyword, "STOP") {
			return q, false, p.expected("STOP")
		}
		q.Stop, err = p.instant()
	default:
		return q, false, nil
	}
	return q, true, err
}

// positive takes the keyword in hand and the number after it.
func (p *parser) positive(what string, kinds ...ConstantKind) (string, error) {
	if err := p.advance(); err != nil {
		return "", err
	}
	for _, k := range kinds {
		if c := p.tok.con; p.tok.kind == tConst && c.Kind == k && c.Text[0] != '-' {
			return c.Text, p.advance()
		}
	}
	return "", p.expected(what)
}

func (p *parser) times() (int, error) {
	at := p.tok.at
	s, err := p.positive("a whole number of times", Integer)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n == 0 {
		return 0, errorAt(p.lex.src, at, "constant", "REPEATS %s is not a count from 1 to 2147483647", clip(s))
	}
	return int(n), p.demand(tKeyword, "TIMES")
}

// instant takes START or STOP and the timestamp after it.
func (p *parser) instant() (string, error) {
	if err := p.advance(); err != nil {
		return "", err
	}
	c := p.tok.con
	plain20 := p.opt.Version20 && c.Kind == String && timestamp(c.Text)
	if p.tok.kind == tConst && (c.Kind == Timestamp || plain20) {
		return c.Text, p.advance()
	}
	return "", p.expected("a timestamp t'...'")
}
