package pg

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Types by their number in the catalogue (pg_type.oid, fixed since ever).
const (
	oidBool  = 16
	oidBytea = 17
	oidName  = 19
	oidInt8  = 20
	oidInt2  = 21
	oidInt4  = 23
	oidText  = 25
	oidVar   = 1043
)

// binaryForm asks for, and says of, values that they are in binary form.
var binaryForm = []int16{1}

// bind appends the messages that run the statement whole.
func (s *statement) bind(out []byte, portal string, args []driver.NamedValue) ([]byte, error) {
	return s.bound(out, portal, args, 0)
}

// bindRows appends the message that opens a portal; Execute follows it.
func (s *statement) bindRows(out []byte, portal string, args []driver.NamedValue) ([]byte, error) {
	return s.bound(out, portal, args, -1)
}

func (s *statement) bound(out []byte, portal string, args []driver.NamedValue, max int) ([]byte, error) {
	if len(args) != len(s.params) {
		return nil, fmt.Errorf("%d arguments for %d parameters of %q", len(args), len(s.params), s.text)
	}
	values := make([][]byte, len(args))
	for i, a := range args {
		v, err := encode(nil, s.params[i], a.Value)
		if err != nil {
			return nil, fmt.Errorf("parameter $%d of %q: %w", i+1, s.text, err)
		}
		values[i] = v
	}
	out, err := (&pgproto3.Bind{DestinationPortal: portal, PreparedStatement: s.name, ParameterFormatCodes: binaryForm,
		Parameters: values, ResultFormatCodes: binaryForm}).Encode(out)
	if err != nil || max < 0 {
		return out, err
	}
	return (&pgproto3.Execute{Portal: portal, MaxRows: uint32(max)}).Encode(out)
}

// encode appends a value in the binary form of a type; NULL is nil.
func encode(b []byte, oid uint32, v driver.Value) ([]byte, error) {
	if b == nil {
		b = []byte{}
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		switch {
		case oid == oidInt8:
			return binary.BigEndian.AppendUint64(b, uint64(v)), nil
		case oid == oidInt4 && int64(int32(v)) == v:
			return binary.BigEndian.AppendUint32(b, uint32(v)), nil
		case oid == oidInt2 && int64(int16(v)) == v:
			return binary.BigEndian.AppendUint16(b, uint16(v)), nil
		}
	case string:
		if oid == oidText || oid == oidVar || oid == oidName || oid == oidBytea {
			return append(b, v...), nil
		}
	case []byte:
		if oid == oidBytea || oid == oidText {
			return append(b, v...), nil
		}
	case bool:
		if oid == oidBool {
			return append(b, map[bool]byte{true: 1}[v]), nil
		}
	}
	return nil, fmt.Errorf("a %T for type %d", v, oid)
}

// decode reads a value that is not NULL from its binary form. Texts are bytes.
func decode(oid uint32, b []byte) (driver.Value, error) {
	switch {
	case oid == oidInt8 && len(b) == 8:
		return int64(binary.BigEndian.Uint64(b)), nil
	case oid == oidInt4 && len(b) == 4:
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case oid == oidInt2 && len(b) == 2:
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case oid == oidBool && len(b) == 1:
		return b[0] == 1, nil
	case oid == oidText, oid == oidBytea, oid == oidVar, oid == oidName:
		return b, nil
	}
	return nil, fmt.Errorf("%d bytes of type %d", len(b), oid)
}

// Sizes of the parts in which a result is read: few rows first, then as many
// as come to partBytes.
const (
	firstRows = 64
	maxRows   = 8192
	partBytes = 1 << 20
)

// rows is an open result. Values are valid until the next call of Next.
type rows struct {
	s      *statement
	portal string
	data   []byte  // the part read, value after value
	ends   []int32 // of each value in data; -1 for NULL
	at     int     // next value
	pos    int     // in data
	size   int     // rows of the next part
	more   bool
	closed bool
}

// fetch reads a part; before goes in front of it.
func (r *rows) fetch(ctx context.Context, before []byte) error {
	last, err := (&pgproto3.Execute{Portal: r.portal, MaxRows: uint32(r.size)}).Encode(before)
	if err != nil {
		return err
	}
	if r.data == nil {
		r.data = []byte{} // of which a part is never nil, which would be NULL
	}
	r.data, r.ends, r.at, r.pos = r.data[:0], r.ends[:0], 0, 0
	tag, err := r.s.c.exchange(ctx, last, func(values [][]byte) {
		for _, v := range values {
			if v == nil {
				r.ends = append(r.ends, -1)
				continue
			}
			r.data = append(r.data, v...)
			r.ends = append(r.ends, int32(len(r.data)))
		}
	})
	if err != nil {
		r.closed = true // the portal went with the transaction
		return err
	}
	if r.more = tag.String() == ""; r.more {
		n := max(len(r.ends)/max(len(r.s.fields), 1), 1)
		r.size = min(max(partBytes*n/max(len(r.data), 1), 8), maxRows)
	}
	return nil
}

// Columns returns the names of the columns.
func (r *rows) Columns() []string {
	names := make([]string, len(r.s.fields))
	for i, f := range r.s.fields {
		names[i] = f.Name
	}
	return names
}

// ColumnTypeDatabaseTypeName returns INTEGER, TEXT, BLOB or BOOLEAN.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	switch r.s.fields[i].DataTypeOID {
	case oidInt8, oidInt4, oidInt2:
		return "INTEGER"
	case oidBytea:
		return "BLOB"
	case oidBool:
		return "BOOLEAN"
	}
	return "TEXT"
}

// Next gives the next row.
func (r *rows) Next(dest []driver.Value) error {
	if r.at == len(r.ends) {
		if !r.more {
			return io.EOF
		}
		if err := r.fetch(context.Background(), nil); err != nil {
			return err
		}
		if len(r.ends) == 0 {
			return io.EOF
		}
	}
	for i := range dest {
		end := r.ends[r.at]
		r.at++
		if end < 0 {
			dest[i] = nil
			continue
		}
		v, err := decode(r.s.fields[i].DataTypeOID, r.data[r.pos:end:end])
		if err != nil {
			return fmt.Errorf("column %s of %q: %w", r.s.fields[i].Name, r.s.text, err)
		}
		dest[i], r.pos = v, int(end)
	}
	return nil
}

// Close gives the portal back.
func (r *rows) Close() error {
	if !r.closed {
		r.closed = true
		r.s.c.closePortal(r.portal)
	}
	return nil
}
