// Package detect matches events against indicators: pure, fast, no I/O but the
// reader it is handed.
package detect

import (
	"io"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Entry is one armed indicator.
type Entry struct {
	Seq        int64 // the caller's number for it: the store's sequence of the version
	ID         stix.ID
	Values     []noroshi.Value
	ValidFrom  time.Time // zero = always
	ValidUntil time.Time // zero = for ever
	Flagged    bool      // a warning-list names one of its values
}

// Options of an Index.
type Options struct {
	ExactDomains bool // STIX "=" to the letter: no subdomains
	NoWeak       bool // an address+port entry meets only that port
}

// Index holds armed indicators: an immutable base and a small delta behind one
// atomic pointer. Put is visible to Match when it returns.
type Index struct{}

// NewIndex returns an empty index.
func NewIndex(o Options) *Index { panic("stub") }

// Put arms or re-arms an indicator under its ID.
func (x *Index) Put(e Entry) { panic("stub") }

// Load arms many at once into the base; next returns io.EOF at the end.
func (x *Index) Load(next func() (Entry, error)) error { panic("stub") }

// Remove disarms an indicator (revoked, withdrawn, superseded).
func (x *Index) Remove(id stix.ID) { panic("stub") }

// Armed reports whether an indicator is armed.
func (x *Index) Armed(id stix.ID) bool { panic("stub") }

// Stats of an index.
type Stats struct {
	Indicators int // armed
	Values     int // index entries
	Bytes      int // memory of tables and values
}

// Stats counts.
func (x *Index) Stats() Stats { panic("stub") }

// Strength of a hit.
type Strength string

// Strong: the event meets the entry as it is. Weak: an address+port entry met
// its bare address elsewhere.
const (
	Strong Strength = "strong"
	Weak   Strength = "weak"
)

// Hit is an event that met an indicator.
type Hit struct {
	Indicator stix.ID       `json:"indicator"`
	Seq       int64         `json:"-"`
	Value     noroshi.Value `json:"value"`    // the indicator's value
	Observed  string        `json:"observed"` // what the event carried
	Field     string        `json:"field"`    // where: "query", "answers", "server_name", ...
	Strength  Strength      `json:"strength"`
	Flagged   bool          `json:"flagged,omitempty"`
	Time      time.Time     `json:"time"` // of the event
	Line      int           `json:"line"`
	Offset    int64         `json:"offset"`
	Log       string        `json:"log"` // "dns", "ssl", "alert" ...
}

// Report counts what a run over a file saw.
type Report struct {
	Events   int64     `json:"events"`
	Bytes    int64     `json:"bytes"`
	Hits     int64     `json:"hits"`
	Strong   int64     `json:"strong"`
	Weak     int64     `json:"weak"`
	Bad      int64     `json:"bad"` // lines that were not events; the first few in Problems
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is a line that is no event.
type Problem struct {
	Line   int    `json:"line"`
	Offset int64  `json:"offset"`
	Code   string `json:"code"`
	Msg    string `json:"msg"`
}

// Run reads events (Zeek JSON or Suricata EVE, one a line, plain or gz, told
// apart by content) and calls hit for each one that meets an indicator valid at
// the event's time.
func (x *Index) Run(r io.Reader, hit func(Hit) error) (Report, error) { panic("stub") }
