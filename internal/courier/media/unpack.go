package media

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
)

// Found says what was on a medium.
type Found struct {
	Code     string   `json:"code,omitempty"`
	Files    int      `json:"files"`  // with blocks
	Other    int      `json:"other"`  // files with nothing of ours
	Blocks   int      `json:"blocks"` // intact
	Parts    int      `json:"parts"`
	Repaired int      `json:"repaired"` // parts restored by parity
	Lost     []string `json:"lost,omitempty"`
	Spoilt   int      `json:"spoilt_files"` // files in which something between blocks is no block

	lost  map[PartID]bool
	until []int // per part, the number of envelopes handed over when it was done
}

// Each restores part after part and hands over each envelope. An error of give
// ends it. What is damaged beyond repair is named in Lost; the medium is left as
// it is.
func (m *Medium) Each(give func(envelope []byte) error) (Found, error) {
	r := Found{Code: m.Code(), Files: len(m.files), Other: m.other, Blocks: m.blocks + len(m.decoded), Parts: len(m.order), lost: map[PartID]bool{}}
	for _, f := range m.files {
		if f.spoilt > 0 {
			r.Spoilt++
		}
	}
	given := 0
	for _, id := range m.order {
		list, repaired, err := m.Envelopes(id)
		given += len(list)
		r.until = append(r.until, given)
		for _, e := range list {
			if err := give(e); err != nil {
				return r, err
			}
		}
		switch {
		case err != nil:
			r.Lost = append(r.Lost, id.String())
			r.lost[id] = true
		case repaired:
			r.Repaired++
		}
	}
	return r, nil
}

// Remove takes away the files of which everything was restored and taken over:
// what a one-way link has brought. Files with anything that was lost stay, and
// those with an envelope of left: which nobody took, being another's perhaps, as
// numbered from 0 in the order Each handed them over.
func (m *Medium) Remove(r Found, left []int) error {
	if m.root == nil {
		return nil
	}
	keep := maps.Clone(r.lost)
	for _, n := range left {
		if i, _ := slices.BinarySearch(r.until, n+1); i < len(r.until) {
			keep[m.order[i]] = true
		}
	}
	for _, f := range m.files {
		if slices.ContainsFunc(f.parts, func(id PartID) bool { return keep[id] }) {
			continue
		}
		if err := m.root.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unwritten(m.path, err)
		}
	}
	return nil
}

// Parts names the parts of which anything is there, in the order found.
func (m *Medium) Parts() []PartID { return m.order }

// Envelopes restores one part; repaired says that blocks of it are missing.
func (m *Medium) Envelopes(id PartID) (list [][]byte, repaired bool, err error) {
	p := m.parts[id]
	if p == nil {
		return nil, false, errLost
	}
	whole, restorable := p.counts()
	if !restorable {
		return nil, true, errLost
	}
	sets, err := m.shards(p)
	if err != nil {
		return nil, true, err
	}
	stream, err := restore(id, int(p.size), p.shape, sets)
	if err != nil {
		return nil, true, err
	}
	list, err = envelopesOf(stream)
	return list, !whole, err
}

// shards reads what is there of a part. Of parity no more is read than is
// missing of the rest.
func (m *Medium) shards(p *found) ([][][]byte, error) {
	sets := make([][][]byte, p.sets)
	for i := range sets {
		sets[i] = make([][]byte, p.shape.data+p.shape.parity)
	}
	var f *os.File
	var at int32 = -1
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	missing := make([]int, p.sets)
	for i := range missing {
		missing[i] = p.shape.data
	}
	for _, parity := range []bool{false, true} {
		for _, r := range p.refs {
			if parity != (int(r.index) >= p.shape.data) || missing[r.set] == 0 {
				continue
			}
			if r.file >= 0 && r.file != at {
				if f != nil {
					f.Close()
				}
				var err error
				if f, err = m.open(m.files[r.file].name); err != nil {
					f, at = nil, -1
					continue
				}
				at = r.file
			}
			b, ok := m.read(r, p.shape, f)
			if !ok || b.shape != p.shape || b.set != r.set || b.index != r.index {
				continue
			}
			sets[r.set][r.index] = b.bytes
			missing[r.set]--
		}
	}
	return sets, nil
}
