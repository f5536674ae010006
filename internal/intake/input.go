package intake

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
)

// Bounds of an input.
const (
	// DefaultMaxBytes is how much an import reads, counted after gunzip, where
	// ImportOptions does not say.
	DefaultMaxBytes = 4 << 30
	headBytes       = 64 << 10 // the beginning by which an input is known again and its format told
)

// input is what an import reads: gunzipped where it was gz, counted before and
// after, hashed as it is read, and ended with an error at a limit.
type input struct {
	name  string // as a person knows it
	raw   countReader
	r     *bufio.Reader // after gunzip
	limit int64
	read  int64 // after gunzip
	sum   hash.Hash
	head  []byte
	want  reached // what an interrupted run had read; zero = not to be checked
}

// errChanged says that an input is not the one an interrupted run had begun.
var errChanged = errors.New("the input has changed since the interrupted import")

type countReader struct {
	r io.Reader
	n atomic.Int64 // read by the progress, written by the reading goroutine
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// Open returns what an input unpacks to, plain or gz. Reading it beyond limit
// bytes is an error; name is the input's in errors.
func Open(r io.Reader, name string, limit int64) (io.Reader, error) {
	return openInput(r, name, limit)
}

// openInput looks at the beginning of an input. It holds at most two buffers.
func openInput(r io.Reader, name string, limit int64) (*input, error) {
	if limit <= 0 {
		limit = DefaultMaxBytes
	}
	in := &input{name: name, limit: limit, sum: sha256.New()}
	in.raw.r = r
	in.r = bufio.NewReaderSize(&in.raw, headBytes)
	if magic, _ := in.r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in.r)
		if err != nil {
			return nil, in.unreadable(err)
		}
		in.r = bufio.NewReaderSize(z, headBytes)
	}
	head, err := in.r.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, in.unreadable(err)
	}
	in.head = bytes.Clone(head)
	return in, nil
}

// unreadable says that an input cannot be read, or not unpacked.
func (in *input) unreadable(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return noroshi.Errorf(noroshi.Invalid, "import.gzip", "%s breaks off or is damaged, packed as it is: %w", in.name, err)
	}
	return noroshi.Errorf(noroshi.Invalid, "import.read", "%s cannot be read: %w", in.name, err)
}

// Read hands out the input and counts and hashes what it hands out.
func (in *input) Read(p []byte) (int, error) {
	if in.read >= in.limit {
		if _, err := in.r.Peek(1); errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		return 0, noroshi.Errorf(noroshi.Invalid, "import.too-large", "%s is larger than %d bytes (unpacked): nothing beyond is read", in.name, in.limit)
	}
	upTo := in.limit
	if in.want.read > in.read {
		upTo = min(upTo, in.want.read)
	}
	n, err := in.r.Read(p[:min(int64(len(p)), upTo-in.read)])
	in.read += int64(n)
	in.sum.Write(p[:n])
	if in.want.read > 0 && (in.read == in.want.read || errors.Is(err, io.EOF)) {
		if in.at() != in.want {
			return 0, errChanged
		}
		in.want = reached{}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = in.unreadable(err)
	}
	return n, err
}

// at says how far the input has been read.
func (in *input) at() reached { return reached{in.read, noroshi.Hash(in.sum.Sum(nil))} }

// reached says how far an input had been read, and the SHA-256 of that much.
type reached struct {
	read int64
	sum  noroshi.Hash
}

// format tells the format of an input by its beginning, or says why it has none
// that is known.
func (in *input) format(asked string) (string, error) {
	if asked != "" && slices.Contains(Formats(), asked) {
		return asked, nil
	}
	if asked != "" {
		return "", noroshi.Errorf(noroshi.Invalid, "import.format-unknown", "format %q must be one of %s", asked, strings.Join(Formats(), ", "))
	}
	if bytes.IndexByte(in.head, 0) >= 0 {
		return "", noroshi.Errorf(noroshi.Invalid, "import.format", "%s is neither STIX nor a list: it is no UTF-8 text; name its format if it is one", in.name)
	}
	if f := lift.Told(in.head); f != nil {
		return f.Name, nil
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(in.head, []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("{")) || isJSONArray(text) {
		return "stix", nil
	}
	return "list", in.noTable()
}

// noTable refuses what is a table rather than a list, by its beginning: rows of as
// many cells, of which none is an entry of a list. Read as a list all of it would
// lie in quarantine.
func (in *input) noTable() error {
	heads := sheet.Heads(in.head, len(in.head) < headBytes)
	if len(heads) < 2 {
		return nil
	}
	lines := newLineReader(bytes.NewReader(in.head))
	for range sheet.SniffRows {
		line, err := lines.next()
		if err != nil {
			break
		}
		if _, no := line.value(""); no == nil {
			return nil
		}
	}
	columns := Beginning([]byte(strings.Join(heads, ", ")))
	if _, err := sheet.Sniff(in.head, &sheet.Mapping{}, len(in.head) < headBytes); err == nil {
		return noroshi.Errorf(noroshi.Invalid, "import.table", "%s is a table, with the columns %s: name the format csv", in.name, columns)
	}
	return noroshi.Errorf(noroshi.Invalid, "import.table-columns", "%s is a table, with the columns %s: say which has the values", in.name, columns)
}

// isJSONArray tells an array of objects from a list that begins with an
// address in brackets.
func isJSONArray(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte("["))
	if !ok {
		return false
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) == 0 || rest[0] == '{' || rest[0] == ']'
}
