package door

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docEdition is the kind of document that says when an export last changed; its
// key is the export as JSON.
const docEdition = "export-edition"

// edition is what an export last was: files with the same content have the same
// head and the same tag, whenever they are made.
type edition struct {
	At    time.Time    `json:"at"`
	Sum   noroshi.Hash `json:"sum"`             // of all its files as of At
	Files []string     `json:"files,omitempty"` // those beside the first
}

// rendered is one file of an export on disk.
type rendered struct {
	name string // "" = the first
	file *os.File
}

// rendering is an export on disk, and what came of it.
type rendering struct {
	Exported
	edition
	files []rendered
	seqs  []int64
	until time.Time // when the next thing in it is over; zero = nothing will be
}

// Close takes the files away.
func (r *rendering) Close() error {
	var err error
	for _, f := range r.files {
		err = errors.Join(err, f.file.Close())
		if left := os.Remove(f.file.Name()); !errors.Is(left, fs.ErrNotExist) {
			err = errors.Join(err, left)
		}
	}
	return err
}

// render writes an export to files that are to take the place of one, or to
// unnamed ones where there is none. Its moment is that of the last
// change: where nothing changed since, the bytes are the same again. When
// something did, that is then on record.
func (d *Door) render(ctx context.Context, place string, x Export) (*rendering, error) {
	key, err := json.Marshal(x)
	if err != nil || !x.remembers() {
		return d.renderAs(ctx, place, string(key), x)
	}
	at, err := d.placeOf(ctx, x) // where the store was before it was read
	if err != nil {
		return nil, err
	}
	r, err := d.renderAs(ctx, place, string(key), x)
	if err == nil {
		d.memory.put(string(key), remembered{r.edition, at, r.until})
	}
	return r, err
}

func (d *Door) renderAs(ctx context.Context, place, key string, x Export) (*rendering, error) {
	r, _, err := d.unchanged(ctx, place, key, x)
	if r != nil || err != nil {
		return r, err
	}
	d.editions.Lock()
	defer d.editions.Unlock()
	r, last, err := d.unchanged(ctx, place, key, x) // another may just have made it
	if r != nil || err != nil {
		return r, err
	}
	if err := d.mayBegin(ctx, x, last); err != nil {
		return nil, err
	}
	made := d.o.Now().UTC().Truncate(time.Second)
	if !made.After(last.At) {
		made = last.At.Add(time.Second) // a zone's serial grows with every change
	}
	if r, err = d.files(ctx, place, x, made); err != nil {
		return nil, err
	}
	if err := d.noteEdition(ctx, key, x, r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// unchanged makes an export as of its last edition; nil when it is another now.
func (d *Door) unchanged(ctx context.Context, place, key string, x Export) (*rendering, edition, error) {
	last, err := store.DocOf[edition](ctx, d.store.Reads, docEdition, key)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, last, nil
	}
	if err != nil {
		return nil, last, err
	}
	r, err := d.files(ctx, place, x, last.At)
	if err != nil || r.Sum == last.Sum {
		return r, last, err
	}
	return nil, last, r.Close()
}

// editionsEach bounds how many exports a partner may have made: zones by all
// names there are, say. Each has a record.
const editionsEach = 64

// mayBegin refuses a partner one export more than it may have.
func (d *Door) mayBegin(ctx context.Context, x Export, last edition) error {
	if x.Partner == (noroshi.NodeID{}) || !last.At.IsZero() {
		return nil
	}
	all, err := d.store.Docs(ctx, docEdition)
	if err != nil {
		return err
	}
	n := 0
	for key := range all {
		var other Export
		if json.Unmarshal([]byte(key), &other) == nil && other.Partner == x.Partner {
			n++
		}
	}
	if n >= editionsEach {
		return noroshi.Errorf(noroshi.Busy, "export.many", "a partner has %d different exports and gets no more", n)
	}
	return nil
}

// noteEdition puts an export that changed on record, with what is in it.
func (d *Door) noteEdition(ctx context.Context, key string, x Export, r *rendering) error {
	return d.noteExport(ctx, x, &r.Exported, r.seqs, func(tx *store.Tx) error { return tx.PutJSON(docEdition, key, r.edition) })
}

// files writes all files of an export as of a moment.
func (d *Door) files(ctx context.Context, place string, x Export, made time.Time) (r *rendering, err error) {
	r = &rendering{edition: edition{At: made}}
	defer func() {
		if err != nil {
			r, err = nil, errors.Join(err, r.Close())
		}
	}()
	sum := sha256.New()
	err = r.add(place, "", sum, func(w io.Writer) error {
		var in content
		r.Exported, in, err = d.write(ctx, w, x, made)
		r.seqs, r.until = in.seqs, in.until
		return err
	})
	if err != nil {
		return r, err
	}
	for _, s := range r.Sets {
		if err := r.add(place, s.File, sum, func(w io.Writer) error { return d.WriteSet(ctx, w, x, r.Exported, s) }); err != nil {
			return r, err
		}
	}
	r.Sum = noroshi.Hash(sum.Sum(nil))
	return r, nil
}

func (r *rendering) add(place, name string, sum hash.Hash, write func(io.Writer) error) error {
	open := unnamed
	if place != "" {
		open = func() (*os.File, error) { return Beside(place) }
	}
	f, err := open()
	if err != nil {
		return err
	}
	r.files = append(r.files, rendered{name, f})
	if name != "" {
		r.Files = append(r.Files, name)
	}
	fmt.Fprintf(sum, "%q\n", name)
	w := bufio.NewWriterSize(io.MultiWriter(f, sum), 64<<10)
	return errors.Join(write(w), w.Flush())
}

// turn waits until an export may be rendered, and returns how the turn is given
// back. What partners ask for does not take the turns of our own tools.
func (d *Door) turn(ctx context.Context, x Export) (done func(), err error) {
	turns := d.renders
	if x.Partner != (noroshi.NodeID{}) {
		turns = d.visits
	}
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// rendered renders an export for a sensor, when its turn comes. Nobody keeps a
// turn while he reads.
func (d *Door) rendered(ctx context.Context, x Export) (out *rendering, status int, err error) {
	done, err := d.turn(ctx, x)
	if err != nil {
		return nil, http.StatusServiceUnavailable, nil
	}
	defer done()
	out, err = d.render(ctx, "", x)
	switch {
	case noroshi.KindOf(err) == noroshi.Busy:
		return nil, http.StatusTooManyRequests, nil
	case err != nil:
		return nil, http.StatusInternalServerError, err
	}
	return out, 0, nil
}
