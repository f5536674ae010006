package feed

import (
	"bytes"
	"context"
	"io"
	"os"
	"path"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

// mispSource is where the files of a MISP feed lie. A name is one that this node
// made: of the manifest, or of an event by its UUID.
type mispSource interface {
	open(ctx context.Context, name string) (io.ReadCloser, error)
}

// mispSite is a MISP feed at a URL.
type mispSite struct{ out *outside }

func (s mispSite) open(ctx context.Context, name string) (io.ReadCloser, error) {
	u := *s.out.base
	u.RawPath = ""
	u.Path = path.Join("/", strings.TrimSuffix(u.Path, "/manifest.json"), name)
	res, err := s.out.get(ctx, &u, nil)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// mispFolder is a MISP feed in a folder.
type mispFolder struct {
	r    *feeding
	root *os.Root
}

func (s mispFolder) open(_ context.Context, name string) (io.ReadCloser, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Refused, "feed.file", "%s in %s is not read: %w", name, s.r.feed.Path, err)
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, noroshi.Errorf(noroshi.Refused, "feed.file", "%s in %s is not read: %w", name, s.r.feed.Path, os.ErrInvalid)
	}
	return f, nil
}

// readMISP reads the events that the manifest says are new or have changed.
func (r *feeding) readMISP(ctx context.Context, from mispSource) error {
	now, err := r.manifest(ctx, from)
	if err != nil {
		return err
	}
	parts, err := r.reader.parts(ctx, r.feed)
	if err != nil {
		return err
	}
	changes := now.Since(manifestOf(parts))
	b := batch{r: r}
	for _, e := range changes.Vanished {
		b.gone = append(b.gone, e.UUID)
	}
	for _, e := range append(changes.New, changes.Changed...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := r.event(ctx, from, e)
		if err != nil {
			r.blame(err)
			continue
		}
		if err := b.add(ctx, *p); err != nil {
			return err
		}
	}
	if len(now.Faults) > 0 {
		r.blame(noroshi.Errorf(noroshi.Invalid, "feed.entry", "%d entries of the manifest cannot be read; the first: %s: %s", len(now.Faults), now.Faults[0].Place, now.Faults[0].Text))
	}
	return b.flush(ctx)
}

// manifest reads the table of contents.
func (r *feeding) manifest(ctx context.Context, from mispSource) (*misp.Manifest, error) {
	body, err := from.open(ctx, "manifest.json")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, misp.MaxManifestBytes+1))
	if err != nil {
		return nil, err
	}
	m, err := misp.ReadManifest(bytes.TrimPrefix(text, []byte("\ufeff")))
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "feed.manifest", "manifest.json of %s is none: %w", r.feed.place(), err)
	}
	return m, nil
}

// manifestOf is the manifest as far as it was taken.
func manifestOf(parts map[string]part) *misp.Manifest {
	m := &misp.Manifest{}
	for uuid, p := range parts {
		if at, err := stix.ParseTime(p.Print); err == nil && !p.Gone {
			m.Entries = append(m.Entries, misp.Entry{UUID: uuid, At: at, SHA256: p.Digest})
		}
	}
	return m
}

// event fetches one event.
func (r *feeding) event(ctx context.Context, from mispSource, e misp.Entry) (*piece, error) {
	body, err := from.open(ctx, e.File())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	file, size, sum, err := r.spool(body, maxFile)
	if err != nil {
		return nil, err
	}
	if e.SHA256 != "" && e.SHA256 != sum.String() {
		return nil, noroshi.Errorf(noroshi.Invalid, "feed.digest", "event %s of %s is not the one its manifest names: its digest is another", e.UUID, r.feed.place())
	}
	return &piece{name: e.UUID, title: intake.Beginning([]byte(e.File())), file: file, size: size,
		part: part{Print: e.At.String(), Sum: sum.String(), Digest: e.SHA256}}, nil
}
