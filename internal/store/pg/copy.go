package pg

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// copying is rows of one table, in the binary form of COPY, not sent yet.
type copying struct {
	s     *statement
	types []uint32
	data  []byte
}

// copyHead begins the binary form of COPY: signature, flags, no extension.
const copyHead = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// Append holds a row of a table back. Rows of all tables go out before the
// statements that were held back by Defer, in one COPY a table: nothing that is
// deferred may write to a table that is appended to in the same transaction.
func (c *Conn) Append(table string, columns []string, values ...any) error {
	x, err := c.copying(table, columns)
	if err != nil {
		return err
	}
	if len(x.data) == 0 {
		x.data = append(x.data, copyHead...)
		c.copies = append(c.copies, x)
	}
	data := binary.BigEndian.AppendUint16(x.data, uint16(len(values)))
	for i, v := range values {
		if data, err = encodeField(data, x.types[i], v); err != nil {
			return fmt.Errorf("append to %s: column %s: %w", table, columns[i], err)
		}
	}
	n := len(data) - len(x.data)
	x.data = data
	return c.hold(n)
}

// copying returns the rows of a table; the types of its columns are asked for
// once.
func (c *Conn) copying(table string, columns []string) (*copying, error) {
	if x := c.byTable[table]; x != nil {
		return x, nil
	}
	list := strings.Join(columns, ", ")
	shape, err := c.statement("SELECT " + list + " FROM " + table)
	if err != nil {
		return nil, err
	}
	s, err := c.statement("COPY " + table + " (" + list + ") FROM STDIN BINARY")
	if err != nil {
		return nil, err
	}
	x := &copying{s: s}
	for _, f := range shape.fields {
		x.types = append(x.types, f.DataTypeOID)
	}
	c.byTable[table] = x
	return x, nil
}

// encodeField appends a value with its length before it.
func encodeField(data []byte, oid uint32, v any) ([]byte, error) {
	v, err := driver.DefaultParameterConverter.ConvertValue(v)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return binary.BigEndian.AppendUint32(data, 0xffffffff), nil
	}
	at := len(data)
	b, err := encode(append(data, 0, 0, 0, 0), oid, v)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b, nil
}

// encode appends the messages that copy the rows. The data follow without
// waiting for the server to ask: should it refuse, it passes over them.
func (x *copying) encode(out []byte) ([]byte, error) {
	out, err := x.s.bind(out, "", nil)
	if err != nil {
		return nil, err
	}
	data := binary.BigEndian.AppendUint16(x.data, 0xffff)
	for len(data) > 0 && err == nil {
		n := min(len(data), 1<<20)
		out, err = (&pgproto3.CopyData{Data: data[:n]}).Encode(out)
		data = data[n:]
	}
	if err != nil {
		return nil, err
	}
	return (&pgproto3.CopyDone{}).Encode(out)
}

func (x *copying) clear() { x.data = x.data[:0] }
