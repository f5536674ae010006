package taxii

import (
	"bytes"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// shelf is a collection of a Memory.
type shelf struct {
	collection Collection

	mu      sync.RWMutex // guards what follows
	records []*shelved   // in order of Added
	byID    map[stix.ID]*family
	last    time.Time // the last Added given
}

// family is the versions of one object.
type family struct{ versions []*shelved }

// shelved is a record with what queries ask of it.
type shelved struct {
	Record
	family *family
	kind   string    // type
	at     stix.Time // version; zero where the object has none
}

func newShelf(c Collection) *shelf {
	return &shelf{collection: c, byID: map[stix.ID]*family{}}
}

// put takes one posted element; the caller holds the lock.
func (s *shelf) put(p Posted, now time.Time) (StatusDetail, bool) {
	if p.Err != nil {
		return p.Detail(p.Err.Error()), false
	}
	o := p.Object
	at := VersionOf(o)
	f := s.byID[o.ID]
	if f == nil {
		f = &family{}
		s.byID[o.ID] = f
	}
	for _, old := range f.versions {
		same := bytes.Equal(old.Bytes, p.Raw)
		if same {
			return StatusDetail{ID: string(o.ID), Version: old.Version}, true
		}
		if !at.IsZero() && old.at.Compare(at) == 0 && old.Spec == SpecOf(o) {
			return p.Detail("another object with this id and version is there"), false
		}
	}
	added := now.UTC().Truncate(time.Microsecond)
	if !added.After(s.last) {
		added = s.last.Add(time.Microsecond)
	}
	s.last = added
	version := at.String()
	if at.IsZero() {
		version = Timestamp(added)
	}
	r := &shelved{family: f, kind: o.Type, at: at, Record: Record{ID: o.ID, Spec: SpecOf(o), Version: version, Added: added, Bytes: p.Raw}}
	s.records = append(s.records, r)
	f.versions = append(f.versions, r)
	return StatusDetail{ID: string(o.ID), Version: version}, true
}

// page returns the records that q asks for.
func (s *shelf) page(q Query) (page []Record, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	start := sort.Search(len(s.records), func(i int) bool { return s.records[i].Added.After(q.After) })
	size := 0
	for _, r := range s.records[start:] {
		if !r.matches(q) {
			continue
		}
		if len(page) == q.Limit || q.Size > 0 && size >= q.Size {
			return page, true
		}
		if page == nil {
			page = make([]Record, 0, min(q.Limit, len(s.records)-start, 1000))
		}
		one := r.Record
		if !q.Bodies {
			one.Bytes = nil
		}
		size += len(one.Bytes)
		page = append(page, one)
	}
	return page, false
}

func (r *shelved) matches(q Query) bool {
	return (q.IDs == nil || slices.Contains(q.IDs, r.ID)) &&
		(q.Types == nil || slices.Contains(q.Types, r.kind)) &&
		r.matchesSpec(q.Specs) &&
		r.matchesVersion(q)
}

// matchesSpec: where none is asked for, the latest the object is there in.
func (r *shelved) matchesSpec(specs []string) bool {
	if specs != nil {
		return slices.Contains(specs, r.Spec)
	}
	for _, o := range r.family.versions {
		if o.Spec > r.Spec {
			return false
		}
	}
	return true
}

func (r *shelved) matchesVersion(q Query) bool {
	if len(q.Version) == 0 {
		return r.extreme(q.Specs, 1)
	}
	for _, v := range q.Version {
		switch {
		case v.Kind == All,
			v.Kind == Last && r.extreme(q.Specs, 1),
			v.Kind == First && r.extreme(q.Specs, -1),
			v.Kind == Exactly && r.version().Compare(v.At) == 0:
			return true
		}
	}
	return false
}

// extreme reports whether no version of the object, of those that may be given,
// is later (sign 1) or earlier (sign -1) than r.
func (r *shelved) extreme(specs []string, sign int) bool {
	for _, o := range r.family.versions {
		if o == r || !o.matchesSpec(specs) {
			continue
		}
		c := o.version().Compare(r.version())
		if c == 0 {
			c = o.Added.Compare(r.Added)
		}
		if c == sign {
			return false
		}
	}
	return true
}

// version is what the record's version is compared by.
func (r *shelved) version() stix.Time {
	if !r.at.IsZero() {
		return r.at
	}
	t, _ := stix.ParseTime(r.Version) // Timestamp wrote it
	return t
}

// remove takes away the versions q names, all where it names none.
func (s *shelf) remove(id stix.ID, q Query) bool {
	if len(q.Version) == 0 {
		q.Version = []VersionMatch{{Kind: All}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byID[id]
	if f == nil {
		return false
	}
	gone := map[*shelved]bool{}
	for _, r := range f.versions {
		specs := q.Specs == nil || slices.Contains(q.Specs, r.Spec)
		if specs && r.matchesVersion(q) {
			gone[r] = true
		}
	}
	keep := func(list []*shelved) []*shelved {
		return slices.DeleteFunc(list, func(r *shelved) bool { return gone[r] })
	}
	s.records, f.versions = keep(s.records), keep(f.versions)
	if len(f.versions) == 0 {
		delete(s.byID, id)
	}
	return len(gone) > 0
}
