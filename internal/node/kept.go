package node

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// kept is how the files kept for sensors stand, by file.
type kept struct {
	mu    sync.Mutex // guards files
	files map[string]web.KeptExport
}

// note keeps what came of looking at a file; a failure leaves when it last was
// as it should be.
func (k *kept) note(file string, now time.Time, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files == nil {
		k.files = map[string]web.KeptExport{}
	}
	x := web.KeptExport{File: file, Looked: now.UTC()}
	if err != nil {
		x.Looked, x.Error = k.files[file].Looked, noroshi.Tell(err)
	}
	k.files[file] = x
}

// list returns the files by name.
func (k *kept) list() (list []web.KeptExport) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, x := range k.files {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b web.KeptExport) int { return cmp.Compare(a.File, b.File) })
	return list
}

// keepExports keeps scheduled exports in their files until ctx ends.
func (n *Node) keepExports(ctx context.Context, s door.Scheduled) error {
	for {
		changed, err := n.Door.Refresh(ctx, s)
		if ctx.Err() != nil {
			return nil
		}
		n.kept.note(s.File, n.opts.Now(), err)
		switch {
		case err != nil:
			n.opts.Log.Error("an export could not be made; it is tried again", "file", s.File, "err", err)
		case changed:
			n.opts.Log.Info("export made", "file", s.File)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.Every):
		}
	}
}

// checkExports says of each file kept for sensors whether it is as it should be:
// a sensor does not see that its file is old.
func (n *Node) checkExports() (out []web.Check) {
	for _, x := range n.kept.list() {
		if x.Error.Message != "" {
			out = append(out, web.Check{Name: "export", State: "fail", Code: "export-error", Args: []string{x.File, x.Error.Message}, Why: x.Error})
			continue
		}
		out = append(out, web.Check{Name: "export", State: "ok", Code: "export-kept", Args: []string{x.File, x.Looked.Format(time.RFC3339)}})
	}
	return out
}
