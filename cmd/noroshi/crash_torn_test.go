package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// tears plays what a cut of power would have left where a process died: of what
// SQLite had written and not synced, as the process itself noted, any sector may
// be missing. Everything that was confirmed must be there, and nothing by half.
type tears struct {
	t      *testing.T
	random *rand.Rand
	every  int // how many deaths in which something was not synced one is looked at of
	deaths int // that the journal told of when it was looked at last
	met    int
	torn   int // copies that were looked at
	worn   int // of them those in which the act in doubt was gone
}

// lost is a range of a file that was written and not synced.
type lost struct {
	file     string
	from, to int64
}

// at looks at the folder of a node that has died at a point. One that the story has
// killed is let be: of it nothing is noted, and what was not synced at the death
// before is long on the disk, with acts behind it.
func (x *tears) at(m *mortal) {
	deaths, point, ranges := m.lastDeath()
	died := deaths > x.deaths
	if x.deaths = deaths; !died || len(ranges) == 0 {
		return
	}
	if x.met++; x.met%x.every != 0 {
		return
	}
	file := noroshi.Real.File()
	whole := x.copied(m, file)
	acts, faults := x.look(filepath.Join(whole, file))
	if faults != "" {
		x.t.Errorf("%s died at %s: %s", m.Sign, point, faults)
		return
	}
	for range 2 {
		dir := x.copied(m, file)
		for _, r := range ranges {
			x.tear(filepath.Join(dir, r.file), r)
		}
		sizes := x.sizes(dir, file)
		left, faults := x.look(filepath.Join(dir, file))
		// One act is in doubt, from the write of its end until its sync.
		if faults != "" || left > acts || left+1 < acts {
			x.t.Errorf("%s died at %s; with %v torn %d of %d acts are left; %s; of %s, in the folder now %s",
				m.Sign, point, ranges, left, acts, faults, sizes, x.sizes(m.dir, file))
		}
		x.torn++
		if left < acts {
			x.worn++
		}
	}
}

// TestTearsAtDeathsAlone: of a node that the story has killed, after it died at a
// point and went on, nothing is torn: what that death had left unsynced is not at the
// log's end any more.
func TestTearsAtDeathsAlone(t *testing.T) {
	t.Parallel()
	m := &mortal{site: &site{t: t, dir: t.TempDir()}, journal: filepath.Join(t.TempDir(), "journal")}
	path := filepath.Join(m.dir, noroshi.Real.File())
	s, err := store.Open(t.Context(), path, store.Options{Realm: noroshi.Real})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	reads := func(n int) (end int64) {
		for i := range n {
			if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActRead, Subject: fmt.Sprint(i)}, func(*store.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	x := tears{t: t, random: rand.New(rand.NewPCG(1, 1)), every: 1}
	for i, journal := 1, ""; i < 3; i++ {
		from := reads(5)
		journal += fmt.Sprintf("read commit\t%d\tpassed\nread wal sync\t%d\tdied\t%s-wal:%d-%d \n", i, i, noroshi.Real.File(), from, reads(1))
		if err := os.WriteFile(m.journal, []byte(journal), 0o600); err != nil {
			t.Fatal(err)
		}
		x.at(m) // it has died
		if x.torn != 2*i {
			t.Errorf("after %d deaths %d copies were torn, want %d", i, x.torn, 2*i)
		}
		reads(5)
		x.at(m) // the story has killed it
	}
}

// copied copies the database and its log.
func (x *tears) copied(m *mortal, file string) string {
	dir := x.t.TempDir()
	for _, name := range []string{file, file + "-wal"} {
		b, err := os.ReadFile(filepath.Join(m.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			x.t.Error(err)
		}
	}
	return dir
}

// sizes tells how large the database and its log are.
func (x *tears) sizes(dir, file string) (told string) {
	for _, name := range []string{file, file + "-wal"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			x.t.Error(err)
			continue
		}
		told += fmt.Sprintf("%s:%d ", name, info.Size())
	}
	return told
}

// tear spoils a range as a disk may: cut off there, or sectors of it never
// written, or full of something else.
func (x *tears) tear(path string, r lost) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		x.t.Error(err)
		return
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil && end == r.to && x.random.IntN(3) == 0 {
		err = f.Truncate(r.from + x.random.Int64N(r.to-r.from))
	} else {
		for at := r.from; at < r.to && err == nil; at += sector {
			b := make([]byte, min(sector, r.to-at))
			switch x.random.IntN(4) {
			case 0:
				_, err = f.WriteAt(b, at)
			case 1:
				for i := range b {
					b[i] = byte(x.random.Uint32())
				}
				_, err = f.WriteAt(b, at)
			}
		}
	}
	if err != nil {
		x.t.Error(err)
	}
}

// sector is what a disk writes whole or not at all.
const sector = 512

// look opens a database, counts its acts and verifies it.
func (x *tears) look(path string) (acts uint64, faults string) {
	s, err := store.Open(x.t.Context(), path, store.Options{Realm: noroshi.Real, ReadOnly: true})
	if err != nil {
		return 0, err.Error()
	}
	defer s.Close()
	v, err := s.Verify(x.t.Context(), nil)
	if err != nil {
		return 0, err.Error()
	}
	for _, f := range v.Faults {
		faults += fmt.Sprintf("%s at %d in %s: %s; ", f.Code, f.Index, f.Table, f.Msg)
	}
	return v.Acts, faults
}

// lastDeath reads from the journal how often processes died at a point, where the
// last of them did, and what it had written and not synced.
func (m *mortal) lastDeath() (deaths int, point string, ranges []lost) {
	b, err := os.ReadFile(m.journal)
	if err != nil {
		return 0, "", nil // it was killed before there was a plan
	}
	var unsynced string
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 4 && f[2] == "died" {
			deaths, point, unsynced = deaths+1, f[0], f[3]
		}
	}
	for _, s := range strings.Fields(unsynced) {
		var r lost
		name, span, _ := strings.Cut(s, ":")
		if _, err := fmt.Sscanf(span, "%d-%d", &r.from, &r.to); err != nil {
			m.t.Errorf("journal names the range %q", s)
		}
		if r.file = name; name == noroshi.Real.File() || name == noroshi.Real.File()+"-wal" { // no snapshot's
			ranges = append(ranges, r)
		}
	}
	return deaths, point, ranges
}
