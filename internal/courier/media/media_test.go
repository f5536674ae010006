package media_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/media"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// envelopes are random bytes of many sizes: what is sealed looks like that.
func envelopes(seed uint64, n, most int) [][]byte {
	random := rand.New(rand.NewPCG(seed, 1))
	list := make([][]byte, n)
	for i := range list {
		list[i] = make([]byte, 1+random.IntN(most))
		for j := range list[i] {
			list[i][j] = byte(random.Uint32())
		}
	}
	return list
}

func pack(t testing.TB, path string, list [][]byte) {
	t.Helper()
	w, err := media.Create(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func unpack(t testing.TB, path string) (list [][]byte, found media.Found) {
	t.Helper()
	m, err := media.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	found, err = m.Each(func(e []byte) error {
		list = append(list, bytes.Clone(e))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, found
}

func same(a, b [][]byte) bool {
	text := func(list [][]byte) (s []string) {
		for _, e := range list {
			s = append(s, string(e))
		}
		slices.Sort(s)
		return slices.Compact(s)
	}
	return slices.Equal(text(a), text(b))
}

// places are the two forms of a medium: a folder and a file.
func places(t *testing.T) map[string]string {
	return map[string]string{"folder": t.TempDir(), "file": filepath.Join(t.TempDir(), "medium")}
}

// TestThereAndBack: what was packed comes out, added to again and again, with
// one code for whoever packs and whoever unpacks.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for name, path := range places(t) {
		var all [][]byte
		codes := map[string]bool{}
		for i, n := range []int{1, 30, 200} {
			list := envelopes(uint64(i), n, 3<<uint(3*i+6))
			all = append(all, list...)
			pack(t, path, list)
			got, found := unpack(t, path)
			if !same(got, all) || found.Parts < i+1 || len(found.Lost) > 0 || found.Repaired > 0 {
				t.Fatalf("%s, pack %d: %d of %d envelopes, %+v", name, i, len(got), len(all), found)
			}
			if len(found.Code) != 23 || codes[found.Code] {
				t.Errorf("%s: code %q", name, found.Code)
			}
			codes[found.Code] = true
		}
		err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
			fi, serr := os.Stat(p)
			if err != nil || serr != nil || !d.IsDir() && (fi.Mode().Perm() != 0o600 || strings.HasSuffix(p, ".part")) {
				t.Errorf("%s: %s is %v", name, p, fi.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamage: a fifth of all blocks gone or overwritten, sectors in a row too,
// and everything is restored; more than parity can give, and it is said.
func TestDamage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(tier.N(6, 60)) {
		random := rand.New(rand.NewPCG(seed, 2))
		list := envelopes(seed, 1+random.IntN(60), 1+random.IntN(40_000))
		for name, path := range places(t) {
			pack(t, path, list)
			_, before := unpack(t, path)
			if name == "folder" {
				files, err := os.ReadDir(path)
				if err != nil {
					t.Fatal(err)
				}
				random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
				for i, f := range files[:len(files)/5] {
					if i%2 == 0 {
						os.Remove(filepath.Join(path, f.Name()))
					} else {
						spoil(t, filepath.Join(path, f.Name()), random, 1)
					}
				}
			} else {
				spoil(t, path, random, 4096)
			}
			got, found := unpack(t, path)
			if !same(got, list) || len(found.Lost) > 0 || found.Code != before.Code {
				t.Errorf("seed %d, %s: %d of %d envelopes, %+v", seed, name, len(got), len(list), found)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "medium")
	pack(t, path, envelopes(1, 50, 1000))
	if err := os.Truncate(path, 9000); err != nil {
		t.Fatal(err)
	}
	if got, found := unpack(t, path); len(got) > 0 || len(found.Lost) != 1 || found.Code == "" {
		t.Errorf("a medium cut off: %d envelopes, %+v", len(got), found)
	}
}

// spoil overwrites some bytes in a row.
func spoil(t *testing.T, path string, random *rand.Rand, n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := random.IntN(max(1, len(b)-n)) / 512 * 512
	for i := at; i < min(len(b), at+n); i++ {
		b[i] ^= byte(1 + random.IntN(255))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestHalfWritten: a medium of which writing broke off anywhere is completed by
// the next pack, and what could not be restored is on it no more.
func TestHalfWritten(t *testing.T) {
	t.Parallel()
	first, second := envelopes(1, 40, 2000), envelopes(2, 40, 2000)
	whole := t.TempDir()
	pack(t, whole, first)
	files, err := os.ReadDir(whole)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(files) + 1 {
		path := t.TempDir()
		for i, f := range files[:n] {
			b, err := os.ReadFile(filepath.Join(whole, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			name, b := f.Name(), b
			if i == n-1 && n < len(files) {
				name, b = name+".part", b[:len(b)/2]
			}
			if err := os.WriteFile(filepath.Join(path, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pack(t, path, second)
		got, found := unpack(t, path)
		if len(found.Lost) > 0 || found.Repaired > 0 || !same(got, second) && !same(got, append(slices.Clone(first), second...)) {
			t.Errorf("%d of %d files: %d envelopes, %+v", n, len(files), len(got), found)
		}
	}
	file := filepath.Join(t.TempDir(), "medium")
	pack(t, file, first)
	w, err := media.Create(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(second[0]); err != nil {
		t.Fatal(err)
	}
	if got, _ := unpack(t, file); !same(got, first) { // as if killed here
		t.Errorf("a file that is being replaced has %d envelopes", len(got))
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsNotOurs: other files, links and folders are left alone and change
// nothing; a name says nothing.
func TestWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	list := envelopes(3, 20, 500)
	path, elsewhere := t.TempDir(), t.TempDir()
	pack(t, path, list)
	pack(t, elsewhere, envelopes(4, 20, 500))
	for i, f := range entries(t, path) {
		if err := os.Rename(filepath.Join(path, f), filepath.Join(path, fmt.Sprintf("%d.jpg", i))); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range entries(t, elsewhere) {
		if err := os.Symlink(filepath.Join(elsewhere, f), filepath.Join(path, fmt.Sprintf("link%d.nx", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(path, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"readme.txt": []byte("hello"), "empty.nx": nil, "a.png": []byte("\x89PNG\r\n\x1a\nno"), "zeros": make([]byte, 1<<20)} {
		if err := os.WriteFile(filepath.Join(path, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, found := unpack(t, path); !same(got, list) || len(found.Lost) > 0 || found.Other < 4 {
		t.Errorf("%d of %d envelopes, %+v", len(got), len(list), found)
	}
	if _, err := media.Open(filepath.Join(path, "nowhere")); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a medium that is not there: %v", err)
	}
	if got, found := unpack(t, t.TempDir()); len(got) > 0 || found.Code != "" {
		t.Errorf("an empty medium: %+v", found)
	}
}

func entries(t *testing.T, path string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestLinksLeftOnAMedium: a link under a name that is written does not lead
// anywhere.
func TestLinksLeftOnAMedium(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := envelopes(6, 5, 500)
	p, err := media.NewPart(list, 0)
	if err != nil {
		t.Fatal(err)
	}
	whole := t.TempDir()
	pack(t, whole, list)
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "medium")
	links := []string{file + ".part"}
	for _, name := range entries(t, whole) {
		links = append(links, filepath.Join(folder, name+".part"))
	}
	for _, link := range links {
		if err := os.Symlink(victim, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{folder, file} {
		pack(t, path, list)
		if got, found := unpack(t, path); !same(got, list) || found.Code != media.Code([]media.PartID{p.ID}) {
			t.Errorf("%s: %d envelopes, %+v", path, len(got), found)
		}
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the victim is %q (%v)", b, err)
	}
}

// TestRoom: what Room promises finds room.
func TestRoom(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{60_000, 300_000, 2_000_000, 12_000_000} {
		path := filepath.Join(t.TempDir(), "medium")
		w, err := media.Create(path, limit)
		if err != nil {
			t.Fatal(err)
		}
		for room := w.Room(); room > 0; {
			e := envelopes(uint64(limit), 1, int(min(room, 200_000)))[0]
			if room -= int64(len(e)); room >= 0 {
				err = w.Add(e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Size() > limit || fi.Size() < limit/3 {
			t.Errorf("of %d bytes %v are used (%v)", limit, fi.Size(), err)
		}
	}
}

// TestNothingReadable: but for the first byte of a block and the lengths that
// say how it is cut, what lies on a medium looks like noise; the same envelopes
// make the same bytes.
func TestNothingReadable(t *testing.T) {
	t.Parallel()
	p, err := media.NewPart(envelopes(5, 100, 4000), 0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := media.NewPart(envelopes(5, 100, 4000), 0)
	if err != nil || again.ID != p.ID {
		t.Errorf("the same envelopes make another part: %v", err)
	}
	var counts [256]int
	total := 0
	for _, b := range p.Blocks {
		if b[0] != 0x21 || len(b)%64 != 0 {
			t.Fatalf("a block begins with %x and has %d bytes", b[0], len(b))
		}
		for _, c := range b[48:] {
			counts[c]++
			total++
		}
	}
	for c, n := range counts {
		if c != 0 && (n < total/256*9/10 || n > total/256*11/10) {
			t.Errorf("byte %02x stands %d times in %d", c, n, total)
		}
	}
}

// TestRemoveLeavesOthers: of a medium for several nodes only the files go whose
// every envelope was taken over; what is being written is not looked at.
func TestRemoveLeavesOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spool, err := media.OpenSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, list := range [][][]byte{{[]byte("mine"), []byte("mine too")}, {[]byte("also mine"), []byte("another's")}, {[]byte("another's again")}} {
		name, err := spool.Put(list)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	half, err := os.ReadFile(filepath.Join(dir, names[2]))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0000000000000000.nx.part"), half, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := media.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var got []string
	found, err := m.Each(func(e []byte) error { got = append(got, string(e)); return nil })
	if err != nil || found.Files != 3 || found.Other != 0 || len(got) != 5 {
		t.Fatalf("%d envelopes in %+v: %v", len(got), found, err)
	}
	var left []int
	for i, e := range got {
		if strings.HasPrefix(e, "another") {
			left = append(left, i)
		}
	}
	if err := m.Remove(found, left); err != nil {
		t.Fatal(err)
	}
	want := append([]string{"0000000000000000.nx.part"}, names[1:]...)
	if there := entries(t, dir); !slices.Equal(there, want) {
		t.Errorf("left are %q, want %q", there, want)
	}
}
