package stix

import (
	"fmt"
	"strconv"
)

// Member is one property for Make, in the order to be written.
type Member struct {
	Name  string
	Value any // string, bool, int, int64, ID, Time, []ID, []string, []Member (an object), []any, RawValue
}

// Make writes an object with its members in the given order and without white
// space, leaves out members whose value is "", nil, an empty slice or a zero
// Time, and reads the result strictly. Equal members always give equal bytes.
func Make(members ...Member) (*Object, error) {
	raw, err := appendObject(make([]byte, 0, 512), members)
	if err != nil {
		return nil, err
	}
	o, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("make object: %w", err)
	}
	return o, nil
}

func appendObject(b []byte, members []Member) ([]byte, error) {
	b = append(b, '{')
	first := true
	for _, m := range members {
		if blank(m.Value) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, m.Name), ':')
		var err error
		if b, err = appendValue(b, m.Value); err != nil {
			return nil, fmt.Errorf("make object, member %s: %w", m.Name, err)
		}
	}
	return append(b, '}'), nil
}

// blank reports whether Make leaves the value out.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case ID:
		return v == ""
	case Time:
		return v.IsZero()
	case []ID:
		return len(v) == 0
	case []string:
		return len(v) == 0
	case []Member:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case RawValue:
		return len(v) == 0
	}
	return false
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendString(b, v), nil
	case ID:
		return appendString(b, string(v)), nil
	case Time:
		return appendString(b, v.String()), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case []Member:
		return appendObject(b, v)
	case RawValue:
		return append(b, v...), nil
	case []ID:
		return appendList(b, v)
	case []string:
		return appendList(b, v)
	case []any:
		return appendList(b, v)
	}
	return nil, fmt.Errorf("a value of type %T cannot be written", v)
}

func appendList[T any](b []byte, list []T) ([]byte, error) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, v); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// appendString writes a string with the escapes JSON demands and no others.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
