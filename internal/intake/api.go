// Package intake is the ENTRY GATE: nothing enters unnamed. It decodes, checks,
// bounds, flags and admits; what is not understood is quarantined for a
// person, never dropped or guessed.
package intake

import (
	"context"
	"io"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Options of a Gate.
type Options struct {
	Realm noroshi.Realm
	Node  noroshi.NodeID
	Self  noroshi.Organisation
	Lists *WarningLists    // known-good values; nil = none
	Now   func() time.Time // nil = time.Now
}

// Gate admits things into one store.
type Gate struct{}

// New returns the gate of a store.
func New(s *store.Store, o Options) *Gate { panic("stub") }

// Prepared is what came from one source, read and checked outside the write
// lane: versions to put and things to quarantine. The zero value admits nothing.
type Prepared struct{}

// Raw is one object as it came.
type Raw struct {
	Bytes []byte
	View  uint32
	Place string // for quarantine: "message 12, object 3", "line 7"
}

// Prepare reads, checks and flags objects of one source. src must be valid.
func (g *Gate) Prepare(src noroshi.Source, run string, objects []Raw) (*Prepared, error) {
	panic("stub")
}

// PrepareObjects prepares objects made here: sightings, warnings.
func (g *Gate) PrepareObjects(src noroshi.Source, run string, objects []*stix.Object) (*Prepared, error) {
	panic("stub")
}

// Fault is one element that was quarantined.
type Fault struct {
	Index int
	Code  string // technical code, such as "malformed", "future", "too-large"
}

// Admitted counts what Admit did.
type Admitted struct {
	New, Updated, Unchanged, Older, Foreign, Quarantined int
	Faults                                               []Fault
	Seqs                                                 []int64 // of what is new
}

// Admit puts what was prepared, inside an act. It is the only way in.
func (g *Gate) Admit(tx *store.Tx, p *Prepared) (Admitted, error) { panic("stub") }

// ImportOptions says how to read a file.
type ImportOptions struct {
	Name     string      // base name, shown and kept as the source's name
	Format   string      // "", "stix", "list", "tsv": "" = told by content
	Marking  noroshi.TLP // assigned to what has no handling marking; NoTLP = none
	Person   noroshi.Signed
	Strict   bool  // also demand that stix.Validate finds nothing: else those are admitted with a note... see docs
	Size     int64 // bytes of the input if known, for progress
	Progress func(Progress)
}

// Progress of an import.
type Progress struct {
	Bytes, Size int64
	Objects     int
}

// Report is the outcome of an import.
type Report struct {
	Run         string   `json:"run"`
	New         int      `json:"new"`
	Updated     int      `json:"updated"`
	Unchanged   int      `json:"unchanged"`
	Older       int      `json:"older"`
	Foreign     int      `json:"foreign"`
	Quarantined int      `json:"quarantined"`
	Flagged     int      `json:"flagged"`          // named by a warning-list
	NotArmed    int      `json:"not_armed"`        // indicators whose pattern is not of an armed form
	Resumed     int      `json:"resumed"`          // elements a former, interrupted run had done
	Faults      []Placed `json:"faults,omitempty"` // the first 100
}

// Placed is a quarantined element and its place.
type Placed struct {
	Line  int    `json:"line"`
	Code  string `json:"code"`
	Value string `json:"value"` // the beginning of what was refused
	Msg   string `json:"msg"`
}

// Import reads a whole input (plain or gz) and admits it in slices; the same
// input again adds nothing, an interrupted one goes on where it stopped.
func (g *Gate) Import(ctx context.Context, r io.Reader, o ImportOptions) (Report, error) {
	panic("stub")
}
