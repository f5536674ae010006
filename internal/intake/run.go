package intake

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Kinds of the documents an import keeps.
const (
	RunDoc  = "run"    // key = run id, body = Run
	inputOf = "run-of" // key = what is known of an input beforehand, body = run id
)

// Run is what the store keeps of an import, written with every slice: holds are
// grouped by it, and an interrupted import goes on from it.
type Run struct {
	ID       string       `json:"id"`
	Nth      int          `json:"nth"`  // import of this input, from 1
	Name     string       `json:"name"` // of the file or list
	Format   string       `json:"format"`
	Marking  string       `json:"marking,omitempty"`
	Profile  string       `json:"profile,omitempty"` // name and SHA-256 of the file
	Person   string       `json:"person,omitempty"`
	Started  string       `json:"started"` // also created, modified and valid_from of a list's indicators
	Done     bool         `json:"done"`
	Elements int          `json:"elements"` // admitted or quarantined so far
	Offset   int64        `json:"offset"`   // of the first byte not yet admitted, unpacked
	Hashed   int64        `json:"hashed"`   // bytes that were read when the slice was made
	Sum      noroshi.Hash `json:"sum"`      // SHA-256 of them
	Counts   Admitted     `json:"counts"`   // of the whole run, without the lists
}

// ReadRun decodes a run document.
func ReadRun(body []byte) (Run, error) {
	var r Run
	if err := json.Unmarshal(body, &r); err != nil {
		return Run{}, fmt.Errorf("read run document: %w", err)
	}
	return r, nil
}

// fingerprint is what is known of an input before it is read: the same input
// under the same options has the same one.
func fingerprint(in *input, o ImportOptions, format string) string {
	h := sha256.New()
	head := sha256.Sum256(in.head)
	fmt.Fprintf(h, "%q %d %x %s %s %v", o.Name, o.Size, head, format, o.Marking, o.Strict)
	if o.Feed != "" {
		fmt.Fprintf(h, " feed %q", o.Feed)
	}
	if o.Columns != nil {
		columns, _ := json.Marshal(o.Columns, json.Deterministic(true)) // strings only: cannot fail
		fmt.Fprintf(h, " %s", columns)
	}
	if o.Profile != nil {
		fmt.Fprintf(h, " %x", o.Profile.Hash)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// runOpener says which run an input is.
type runOpener func(ctx context.Context, in *input, o ImportOptions, format string) (run Run, print string, err error)

// openRun finds the interrupted run of this input, or begins one.
func (g *Gate) openRun(ctx context.Context, in *input, o ImportOptions, format string) (run Run, print string, err error) {
	print = fingerprint(in, o, format)
	id, err := g.store.Doc(ctx, inputOf, print)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return Run{}, "", err
	}
	if err == nil {
		body, err := g.store.Doc(ctx, RunDoc, string(id))
		if err != nil {
			return Run{}, "", err
		}
		if run, err = ReadRun(body); err != nil {
			return Run{}, "", err
		}
		if !run.Done {
			return run, print, nil
		}
	}
	nth := run.Nth + 1
	profile := ""
	if o.Profile != nil {
		profile = o.Profile.Name + " " + o.Profile.Hash.String()
	}
	return Run{
		ID: fmt.Sprintf("import-%s-%d", print, nth), Nth: nth, Name: o.Name, Format: format, Marking: o.Marking.String(), Profile: profile,
		Person: o.Person.Person, Started: stix.TimeOf(g.o.Now()).String(),
	}, print, nil
}

func encodeRun(r Run) ([]byte, error) { return json.Marshal(r) }

// recognise looks which of the refused elements are in quarantine from an
// earlier import of this input: the same import again adds nothing.
func (im *importing) recognise(ctx context.Context, elements []element) error {
	for i := range elements {
		r := elements[i].refused
		if r == nil {
			continue
		}
		if im.seen == nil {
			if err := im.lookUp(ctx); err != nil {
				return err
			}
		}
		elements[i].kept = im.seen[im.o.quarantineKey(r.code, r.place, r.raw)]
	}
	return nil
}

// lookUp gathers what came from inputs of this name and is in quarantine.
func (im *importing) lookUp(ctx context.Context) error {
	im.seen = map[noroshi.Hash]bool{}
	from := im.o.source()
	for after := int64(0); ; {
		list, err := im.gate.store.QuarantineList(ctx, after, 500)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, q := range list {
			if after = q.Seq; q.Source.Kind == from.Kind && q.Source.Name == from.Name {
				im.seen[im.o.quarantineKey(q.Code, q.Place, q.Raw)] = true
			}
		}
	}
}

// quarantineKey is what a refused thing is known by: in a file its place too, in
// a feed not, whose entries move while it is read again and again.
func (o ImportOptions) quarantineKey(code, place string, raw []byte) noroshi.Hash {
	if o.Feed != "" {
		place = ""
	}
	return noroshi.Sum(fmt.Appendf(nil, "%s\n%s\n%s", code, place, raw))
}
