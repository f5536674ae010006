package intake

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Profile says, for one kind of source, what stands for a marking in it: ids
// and tags of its own, or the absence of any. Whoever imports with one vouches
// that the file is of that source.
//
// A profile only assigns, beside the object, whose bytes stay as they came. It
// never lowers: what an object's own markings say is joined with what is
// assigned. What it does not name it leaves as it is, and what looks like a
// restriction it does not name keeps the object here.
//
// Its file is TOML; unknown keys are errors.
type Profile struct {
	Name       string             `toml:"name"`      // a to z, digits, hyphens
	Publisher  string             `toml:"publisher"` // who made what it is for
	EN         string             `toml:"en"`        // what it is for, in one line
	JA         string             `toml:"ja"`
	Unmarked   string             `toml:"unmarked,omitempty"` // for what says nothing about its handling; "" = stays unmarked
	Types      []string           `toml:"types,omitempty"`    // that unmarked counts for; needed with it
	Makers     []stix.ID          `toml:"makers,omitempty"`   // created_by_ref that unmarked counts for, "" = none named; the maker's own identity too
	Statements []ProfileStatement `toml:"statement,omitempty"`
	Markings   []ProfileMarking   `toml:"marking,omitempty"`
	Tags       []ProfileTag       `toml:"tag,omitempty"`

	Hash noroshi.Hash `toml:"-"` // of the file

	unmarked noroshi.TLP
	markings map[stix.ID]noroshi.TLP
	plain    map[stix.ID]bool
	tags     map[string]tagRule
}

// ProfileStatement is a statement marking that says nothing about handling. It
// has no effect on release only where the agreement lists its text.
type ProfileStatement struct {
	ID   stix.ID `toml:"id"`
	Text string  `toml:"text"`
}

// ProfileMarking is a marking id of the source's own that means a TLP level.
type ProfileMarking struct {
	ID   stix.ID `toml:"id"`
	Says string  `toml:"says"` // the level its maker calls it
	As   string  `toml:"as"`   // the level it counts as, never below
}

// ProfileTag is an entry of labels. Case, width and spaces do not count.
type ProfileTag struct {
	Text string `toml:"text"`
	As   string `toml:"as"` // a TLP level, "hold" = a person decides, "none" = says nothing about handling
}

// tagRule is what a tag does.
type tagRule struct {
	level noroshi.TLP
	hold  bool
}

// maxProfile bounds a profile's file.
const maxProfile = 64 << 10

//go:embed profiles/*.toml
var profileFiles embed.FS

// Profiles returns the profiles that come with the program, by name.
func Profiles() []*Profile {
	var list []*Profile
	names, err := fs.Glob(profileFiles, "profiles/*.toml")
	for _, name := range names {
		var file []byte
		var p *Profile
		if file, err = profileFiles.ReadFile(name); err == nil {
			p, err = ParseProfile(file)
		}
		if err != nil {
			break
		}
		list = append(list, p)
	}
	if err != nil {
		panic("a profile of the program itself cannot be read: " + err.Error())
	}
	return list
}

// ProfileNamed returns the profile of a name.
func ProfileNamed(name string) (*Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, noroshi.Errorf(noroshi.NotFound, "profile.none", "no profile %q: there are %s", name, strings.Join(names, ", "))
}

// ParseProfile reads a profile's file and checks that it can lower nothing.
func ParseProfile(file []byte) (*Profile, error) {
	if len(file) > maxProfile {
		return nil, noroshi.Errorf(noroshi.Invalid, "profile.too-large", "profile is %d bytes, at most %d are read", len(file), maxProfile)
	}
	p := &Profile{Hash: noroshi.Sum(file)}
	md, err := toml.NewDecoder(bytes.NewReader(file)).Decode(p)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "profile.syntax", "read profile: %w", err)
	}
	if u := md.Undecoded(); len(u) > 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "profile.unknown-key", "profile has unknown key %q", u[0].String())
	}
	return p, p.check()
}

func (p *Profile) check() error {
	bad := func(field, want string) error {
		return noroshi.Errorf(noroshi.Invalid, "profile.field", "profile: %s: %s", field, want)
	}
	if p.Name == "" || len(p.Name) > 40 || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return bad("name", "must be of a to z, digits and hyphens")
	}
	if p.Publisher == "" || p.EN == "" || p.JA == "" {
		return bad("publisher, en, ja", "must not be empty")
	}
	if p.Unmarked != "" {
		var err error
		if p.unmarked, err = noroshi.ParseTLP(p.Unmarked); err != nil {
			return bad("unmarked", err.Error())
		}
		if len(p.Types) == 0 || len(p.Makers) == 0 {
			return bad("unmarked", "needs types and makers")
		}
	}
	p.plain, p.markings, p.tags = map[stix.ID]bool{}, map[stix.ID]noroshi.TLP{}, map[string]tagRule{}
	for _, s := range p.Statements {
		if !ownMarking(s.ID) || s.Text == "" || p.plain[s.ID] {
			return bad("statement", "needs the id of a marking-definition that is no well-known one, and its text")
		}
		p.plain[s.ID] = true
	}
	for _, m := range p.Markings {
		says, err := noroshi.ParseTLP(m.Says)
		as, err2 := noroshi.ParseTLP(m.As)
		if err != nil || err2 != nil || as < says {
			return bad("marking "+string(m.ID), "as must be a TLP level, and not below what it says")
		}
		if _, twice := p.markings[m.ID]; twice || p.plain[m.ID] || !ownMarking(m.ID) {
			return bad("marking "+string(m.ID), "must be the id of a marking-definition that is no well-known one, once")
		}
		p.markings[m.ID] = as
	}
	for _, t := range p.Tags {
		if err := p.addTag(t); err != nil {
			return bad("tag "+t.Text, err.Error())
		}
	}
	return nil
}

func ownMarking(id stix.ID) bool {
	_, err := stix.ParseID(string(id))
	return err == nil && id.Type() == "marking-definition" && noroshi.TLPOf(id) == noroshi.NoTLP
}

func (p *Profile) addTag(t ProfileTag) error {
	key := foldTag(t.Text)
	var r tagRule
	switch t.As {
	case "hold":
		r.hold = true
	case "none":
	default:
		var err error
		if r.level, err = noroshi.ParseTLP(t.As); err != nil {
			return err
		}
	}
	if _, twice := p.tags[key]; twice || key == "" {
		return errors.New("must not be empty, and stand once")
	}
	// A tag that is a level's own name counts as no lower one.
	if own := levelNamed(key); !r.hold && r.level < own {
		return fmt.Errorf("must not count below %s", own)
	}
	p.tags[key] = r
	return nil
}

// levelNamed returns the level whose name a tag is, whatever stands between its
// letters, or NoTLP.
func levelNamed(tag string) noroshi.TLP {
	letters := strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, tag)
	return map[string]noroshi.TLP{"white": noroshi.Clear, "clear": noroshi.Clear, "green": noroshi.Green, "amber": noroshi.Amber,
		"amberstrict": noroshi.AmberStrict, "red": noroshi.Red}[strings.TrimPrefix(letters, "tlp")]
}

// allows reports whether the profile's word for what is unmarked counts for an
// object: one of its types, of one of its makers.
func (p *Profile) allows(o *stix.Object) bool {
	if p.unmarked == noroshi.NoTLP || !slices.Contains(p.Types, o.Type) {
		return false
	}
	return slices.Contains(p.Makers, o.CreatedBy) || o.CreatedBy == "" && slices.Contains(p.Makers, o.ID)
}
