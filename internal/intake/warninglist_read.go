package intake

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/idna"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of reading warning-lists.
const (
	maxWarningLists     = 4096      // lists in one set
	maxWarningListBytes = 64 << 20  // one list's JSON
	maxWarningSetBytes  = 512 << 20 // all of them together
	maxWarningExpr      = 4 << 10   // one regular expression
)

// mispList is the warning-list format of MISP/misp-warninglists, as far as it
// is used; matching_attributes and other members are tolerated.
type mispList struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	Version jsontext.Value `json:"version"`
	List    jsontext.Value `json:"list"`
}

// listOfNets is the type of the lists that are taken in late.
const listOfNets = "cidr"

// entries are those of the list.
func (l mispList) entries() (list []string, err error) {
	if len(l.List) > 0 {
		err = json.Unmarshal(l.List, &list)
	}
	return list, err
}

// ReadWarningLists reads MISP warning-lists from a folder, a tar.gz archive or
// one JSON file. Lists and entries it refuses are in Faults; an error means
// that nothing could be read.
func ReadWarningLists(name string) (*WarningLists, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read warning-lists: %w", err)
	}
	if info.IsDir() {
		return ReadWarningListsFS(os.DirFS(name))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read warning-lists: %w", err)
	}
	defer f.Close()
	if strings.HasSuffix(name, ".json") {
		var b listBuilder
		if err := b.readFile(filepath.Base(name), f); err != nil {
			return nil, err
		}
		return b.done()
	}
	return ReadWarningArchive(f)
}

// ReadWarningListsFS reads every .json and .json.gz file in a file system. A list is named by
// its file, or by its folder where the file is list.json as in MISP's own tree.
func ReadWarningListsFS(fsys fs.FS) (*WarningLists, error) {
	var b listBuilder
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		plain, packed := strings.CutSuffix(p, ".gz")
		if err != nil || d.IsDir() || !strings.HasSuffix(plain, ".json") {
			return err
		}
		f, err := fsys.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		if !packed {
			return b.readFile(p, f)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		return b.readFile(plain, z)
	})
	if err != nil {
		return nil, fmt.Errorf("read warning-lists: %w", err)
	}
	return b.done()
}

// ReadWarningArchive reads every .json file of a tar.gz archive.
func ReadWarningArchive(r io.Reader) (*WarningLists, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "warninglists.archive", "warning-lists must be a folder, a .json file or a .tar.gz archive: %w", err)
	}
	var b listBuilder
	for t := tar.NewReader(io.LimitReader(z, maxWarningSetBytes)); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return b.done()
		}
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Invalid, "warninglists.archive", "warning-lists must be a folder, a .json file or a .tar.gz archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		if err := b.readFile(h.Name, t); err != nil {
			return nil, err
		}
	}
}

// listBuilder gathers lists; done sorts them and makes the tables.
type listBuilder struct {
	lists  []namedList
	faults []WarningListFault
	bytes  int64
}

type namedList struct {
	name string
	mispList
	read []string // its entries, unless they are networks
}

func refused(list, entry, msg string) WarningListFault {
	return WarningListFault{List: list, Entry: Beginning([]byte(entry)), Msg: msg}
}

func noList(name string, err error) WarningListFault {
	return refused(name, "", "not a MISP warning-list: "+err.Error())
}

func (b *listBuilder) readFile(p string, r io.Reader) error {
	name := strings.TrimSuffix(path.Base(p), ".json")
	if name == "list" && path.Dir(p) != "." {
		name = path.Base(path.Dir(p))
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxWarningListBytes+1))
	if err != nil {
		return fmt.Errorf("read warning-list %s: %w", name, err)
	}
	b.bytes += int64(len(raw))
	if len(raw) > maxWarningListBytes || b.bytes > maxWarningSetBytes || len(b.lists) == maxWarningLists {
		return noroshi.Errorf(noroshi.Invalid, "warninglists.too-large", "warning-list %s goes beyond the limits (%d bytes a list, %d lists)", name, maxWarningListBytes, maxWarningLists)
	}
	l := namedList{name: name}
	err = json.Unmarshal(raw, &l.mispList)
	if err == nil && l.Type != listOfNets {
		l.read, err = l.entries()
	}
	if err != nil {
		b.faults = append(b.faults, noList(name, err))
		return nil
	}
	if slices.ContainsFunc(b.lists, func(have namedList) bool { return have.name == name }) {
		b.faults = append(b.faults, refused(name, "", "a second list of this name"))
		return nil
	}
	b.lists = append(b.lists, l)
	return nil
}

func (b *listBuilder) done() (*WarningLists, error) {
	slices.SortFunc(b.lists, func(l, m namedList) int { return cmp.Compare(l.name, m.name) })
	w := &WarningLists{
		exact: map[string]listSet{}, under: map[string]listSet{},
		below: map[string]listSet{}, parts: map[string]listSet{},
	}
	late := map[uint16]namedList{}
	for _, l := range b.lists {
		if l.Type == listOfNets {
			late[uint16(len(w.lists))] = l
		}
		b.add(w, l)
	}
	w.nets = sync.OnceValue(func() *listNets { return readNets(late) })
	w.faults = b.faults
	if len(w.lists) == 0 || len(w.lists) == len(late) && len(w.Lists()) == 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "warninglists.none", "no warning-list could be read there: %d files were refused", len(w.Faults()))
	}
	return w, nil
}

// add takes in a list, of one of networks only what is said of it.
func (b *listBuilder) add(w *WarningLists, l namedList) {
	put := map[string]func(*WarningLists, listSet, string) string{
		"": putString, "string": putString, "hostname": putHost, "substring": putPart, "regex": putExpr,
	}[l.Type]
	if put == nil && l.Type != listOfNets {
		b.faults = append(b.faults, refused(l.name, "", fmt.Sprintf("list type %q is not known", l.Type)))
		return
	}
	self := listSet{uint16(len(w.lists))}
	n := 0
	for _, e := range l.read {
		if msg := put(w, self, strings.TrimSpace(e)); msg != "" {
			b.faults = append(b.faults, refused(l.name, e, msg))
			continue
		}
		n++
	}
	w.lists = append(w.lists, WarningList{
		Name: l.name, Title: l.Name, Type: cmp.Or(l.Type, "string"),
		Version: strings.Trim(string(l.Version), `"`), Entries: n,
	})
}

// readNets takes in the lists of networks, each under its number.
func readNets(lists map[uint16]namedList) *listNets {
	nets := &listNets{counts: map[uint16]int{}}
	for _, i := range slices.Sorted(maps.Keys(lists)) {
		l := lists[i]
		entries, err := l.entries()
		if err != nil {
			nets.faults = append(nets.faults, noList(l.name, err))
			continue
		}
		self := listSet{i}
		nets.counts[i] = 0
		for _, e := range entries {
			if msg := nets.put(self, strings.TrimSpace(e)); msg != "" {
				nets.faults = append(nets.faults, refused(l.name, e, msg))
				continue
			}
			nets.counts[i]++
		}
	}
	return nets
}

// The put functions enter one entry and return why it was refused, or "".

func putString(w *WarningLists, self listSet, e string) string {
	switch rest, dotted := strings.CutPrefix(e, "."); {
	case e == "" || e == ".":
		return "empty entry"
	case dotted:
		n := hostName(rest)
		w.below[n] = w.below[n].with(self)
	default:
		n := normal(e)
		w.exact[n] = w.exact[n].with(self)
	}
	return ""
}

func putHost(w *WarningLists, self listSet, e string) string {
	n := hostName(strings.TrimPrefix(strings.TrimPrefix(e, "*"), "."))
	if n == "" {
		return "empty entry"
	}
	w.under[n] = w.under[n].with(self)
	return ""
}

func putPart(w *WarningLists, self listSet, e string) string {
	if e == "" {
		return "empty entry, names every value"
	}
	e = strings.ToLower(e)
	w.parts[e] = w.parts[e].with(self)
	return ""
}

// putExpr reads a regular expression, bare or between slashes with flags as
// PCRE writes it. What Go's linear-time engine has not (look-around, back
// references) is refused.
func putExpr(w *WarningLists, self listSet, e string) string {
	if len(e) > maxWarningExpr {
		return "expression too long"
	}
	if end := strings.LastIndexByte(e, '/'); end > 0 && e[0] == '/' {
		flags := strings.Map(func(r rune) rune {
			if strings.ContainsRune("ims", r) {
				return r
			}
			return -1
		}, e[end+1:])
		e = e[1:end]
		if flags != "" {
			e = "(?" + flags + ")" + e
		}
	}
	x, err := regexp.Compile(e)
	if err != nil {
		return err.Error()
	}
	if x.MatchString("") && x.MatchString("a.example") && x.MatchString("0") {
		return "names every value"
	}
	w.exprs = append(w.exprs, listExpr{self, x})
	return ""
}

// put enters a network and returns why it was refused, or "".
func (n *listNets) put(self listSet, e string) string {
	p, err := prefixOf(e)
	if err != nil {
		return "neither address nor network"
	}
	if p.Bits() == 0 {
		return "names every address"
	}
	have, _ := n.table.Get(p)
	n.table.Insert(p, have.with(self))
	return ""
}

// prefixOf reads an address or a network.
func prefixOf(e string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(e); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(e)
	return p.Masked(), err
}

// normal returns an entry in the form values have.
func normal(e string) string {
	if a, err := netip.ParseAddr(e); err == nil {
		return a.Unmap().WithZone("").String()
	}
	if p, err := netip.ParsePrefix(e); err == nil {
		return p.Masked().String()
	}
	if strings.Contains(e, "/") { // a URL: only scheme and host are case-blind
		return e
	}
	return hostName(e)
}

// hostName returns a name in lower-case A-label form without trailing dot.
func hostName(e string) string {
	e = strings.ToLower(strings.TrimSuffix(e, "."))
	if a, err := idna.ToASCII(e); err == nil {
		return a
	}
	return e
}
