package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// tokenKind is the kind of a token.
type tokenKind uint8

const (
	tEOF      tokenKind = iota
	tIdent              // identifier without hyphen
	tHyphened           // identifier with a hyphen: an object type only
	tKeyword            // reserved word, upper case
	tConst              // literal, in token.con
	tPunct              // operator or bracket
)

// token is one token; text is the identifier, keyword or punctuation.
type token struct {
	kind tokenKind
	text string
	con  Constant
	at   int // byte where it begins
	end  int // byte after it
}

// keywords of the grammar; true and false are constants.
var keywords = map[string]string{
	"AND": "AND", "OR": "OR", "NOT": "NOT", "FOLLOWEDBY": "FOLLOWEDBY", "LIKE": "LIKE",
	"MATCHES": "MATCHES", "ISSUPERSET": "ISSUPERSET", "ISSUBSET": "ISSUBSET", "EXISTS": "EXISTS",
	"LAST": "LAST", "IN": "IN", "START": "START", "STOP": "STOP", "SECONDS": "SECONDS",
	"true": "true", "false": "false", "WITHIN": "WITHIN", "REPEATS": "REPEATS", "TIMES": "TIMES",
}

// lexer cuts the text into tokens.
type lexer struct {
	src string
	pos int
}

// next returns the next token.
func (l *lexer) next() (token, error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	start := l.pos
	if start == len(l.src) {
		return token{kind: tEOF, at: start, end: start}, nil
	}
	t, err := l.scan(l.src[start])
	t.at, t.end = start, l.pos
	return t, err
}

func (l *lexer) scan(c byte) (token, error) {
	rest := l.src[l.pos:]
	switch {
	case c == '\'':
		s, err := l.quoted()
		return token{kind: tConst, con: Constant{String, s}}, err
	case len(rest) > 1 && rest[1] == '\'' && (c == 't' || c == 'b' || c == 'h'):
		return l.prefixed(c)
	case identStart(c):
		return l.word(), nil
	case digit(c) || (c == '+' || c == '-' || c == '.') && number(rest) > 0:
		return l.number(number(rest)), nil
	}
	for _, p := range [...]string{"==", "!=", "<>", "<=", ">=", "=", "<", ">", "[", "]", "(", ")", ":", ".", ",", "*"} {
		if strings.HasPrefix(rest, p) {
			l.pos += len(p)
			return token{kind: tPunct, text: p}, nil
		}
	}
	r, size := utf8.DecodeRuneInString(rest)
	if r == utf8.RuneError && size == 1 {
		return token{}, l.fail("utf8", "byte 0x%02x is not UTF-8", c)
	}
	return token{}, l.fail("syntax", "unexpected character %q", r)
}

func (l *lexer) fail(code, format string, args ...any) error {
	return errorAt(l.src, l.pos, code, format, args...)
}

// space skips white space and comments.
func (l *lexer) space() error {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexAny(rest, "\r\n")
			if n < 0 {
				n = len(rest)
			}
			if !utf8.ValidString(rest[:n]) {
				return l.fail("utf8", "comment is not UTF-8")
			}
			l.pos += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return l.fail("syntax", "comment is not closed by */")
			}
			if !utf8.ValidString(rest[:n+2]) {
				return l.fail("utf8", "comment is not UTF-8")
			}
			l.pos += n + 4
		default:
			r, size := utf8.DecodeRuneInString(rest)
			if !blank(r) {
				return nil
			}
			l.pos += size
		}
	}
	return nil
}

// blank reports the white space of the grammar: Unicode's White_Space.
func blank(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200A
}

// quoted reads a string literal; l.pos is at its first quote.
func (l *lexer) quoted() (string, error) {
	i := l.pos + 1
	plain := true
	for ; i < len(l.src) && l.src[i] != '\''; i++ {
		if l.src[i] != '\\' {
			continue
		}
		if i+1 >= len(l.src) || l.src[i+1] != '\'' && l.src[i+1] != '\\' {
			l.pos = i
			return "", l.fail("syntax", `only \' and \\ may follow a backslash in a string`)
		}
		plain = false
		i++
	}
	if i >= len(l.src) {
		return "", l.fail("syntax", "string is not closed by '")
	}
	s := l.src[l.pos+1 : i]
	if !utf8.ValidString(s) {
		return "", l.fail("utf8", "string is not UTF-8")
	}
	l.pos = i + 1
	if plain {
		return s, nil
	}
	return unquoter.Replace(s), nil
}

var unquoter = strings.NewReplacer(`\\`, `\`, `\'`, `'`)

// prefixed reads t”, b” and h” literals.
func (l *lexer) prefixed(prefix byte) (token, error) {
	n := strings.IndexByte(l.src[l.pos+2:], '\'')
	if n < 0 {
		return token{}, l.fail("syntax", "literal is not closed by '")
	}
	body := l.src[l.pos+2 : l.pos+2+n]
	con := Constant{Text: body}
	ok := true
	switch prefix {
	case 't':
		con.Kind, ok = Timestamp, timestamp(body)
	case 'h':
		b, err := hex.DecodeString(body)
		con, ok = Constant{Hex, string(b)}, err == nil
	case 'b':
		b, err := base64.StdEncoding.DecodeString(body)
		con, ok = Constant{Binary, string(b)}, err == nil && body != "" && !strings.ContainsAny(body, "\r\n")
	}
	if !ok {
		return token{}, l.fail("syntax", "%c'%s' is not a %s literal", prefix, clip(body),
			map[byte]string{'t': "timestamp (yyyy-mm-ddThh:mm:ss[.s]Z)", 'h': "hexadecimal", 'b': "base64"}[prefix])
	}
	l.pos += 3 + n
	return token{kind: tConst, con: con}, nil
}

// clip shortens foreign text for a message.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "\uFFFD") + "…"
}

func (l *lexer) word() token {
	i := l.pos
	hyphen := false
	for ; i < len(l.src) && (identStart(l.src[i]) || digit(l.src[i]) || l.src[i] == '-'); i++ {
		hyphen = hyphen || l.src[i] == '-'
	}
	w := l.src[l.pos:i]
	l.pos = i
	switch {
	case w == "true" || w == "false":
		return token{kind: tConst, con: Constant{Boolean, w}}
	case keywords[w] != "":
		return token{kind: tKeyword, text: w}
	case hyphen:
		return token{kind: tHyphened, text: w}
	}
	return token{kind: tIdent, text: w}
}

func (l *lexer) number(n int) token {
	s := l.src[l.pos : l.pos+n]
	l.pos += n
	if strings.Contains(s, ".") {
		return token{kind: tConst, con: Constant{Float, s}}
	}
	return token{kind: tConst, con: Constant{Integer, s}}
}

// number returns the length of the integer or float literal s begins with, or
// 0. An integer has no leading zero: "080" is 0 and then 80.
func number(s string) int {
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	from := i
	for i < len(s) && digit(s[i]) {
		i++
	}
	if i+1 < len(s) && s[i] == '.' && digit(s[i+1]) {
		for i++; i < len(s) && digit(s[i]); i++ {
		}
		return i
	}
	if i == from {
		return 0
	}
	if s[from] == '0' {
		return from + 1
	}
	return i
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func identStart(c byte) bool {
	return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func plainIdentifier(s string) bool {
	if s == "" || !identStart(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !identStart(s[i]) && !digit(s[i]) {
			return false
		}
	}
	return true
}
