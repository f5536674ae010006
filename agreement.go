package noroshi

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/noroshi-cti/noroshi/stix"
)

// Agreement is what two nodes signed: who, which classes of things under which
// clause, how fast, over what. Its file is TOML; its hash is the SHA-256 of
// the file's exact bytes. In force means both nodes signed that hash.
type Agreement struct {
	Version       int             `toml:"version"` // counts up; a higher version in force supersedes
	TitleEN       string          `toml:"title_en"`
	TitleJA       string          `toml:"title_ja"`
	Realm         Realm           `toml:"realm"`
	From          time.Time       `toml:"from"`                      // in force not before
	Until         time.Time       `toml:"until"`                     // nor after; past it everything is denied
	SightingMark  string          `toml:"sighting_mark"`             // joined with the indicator's label to mark sightings; default tlp:amber
	Suites        []string        `toml:"suites"`                    // KnownSuites; S1 among them
	Channels      []string        `toml:"channels"`                  // kinds of channels anything may go over: https, mail, media, line
	Statements    []string        `toml:"statements,omitempty"`      // statement markings of exactly this text have no effect
	MaxLevel      Level           `toml:"max_level,omitempty"`       // U, C, S or TS: nothing classified higher goes, with whatever signatures; default U
	Entities      []string        `toml:"entities,omitempty"`        // what the partner's staff are, for ACS markings limited to some: MIL GOV CTR SVR SVC DEV NET
	Japanese      Kubuns          `toml:"japanese_levels,omitempty"` // what each Japanese class is equal to; one that is not named is not understood, but 公開
	Types         []string        `toml:"types,omitempty"`           // object types that may go at all; empty = every type
	Sectors       []string        `toml:"sectors,omitempty"`         // sectors (STIX industry-sector-ov) an object may name; empty = every one
	Communities   []string        `toml:"communities,omitempty"`     // what both parties belong to, for clauses to read
	Onward        Onward          `toml:"onward,omitempty"`          // whether what one party sends may be passed on; absent = as it is marked
	OnwardTo      []string        `toml:"onward_to,omitempty"`       // to whom, when listed
	RetentionDays int             `toml:"retention_days,omitempty"`  // how long what was received may be kept; 0 = not limited
	FlashPerHour  int             `toml:"flash_per_hour,omitempty"`  // FLASH that may go each hour under standing rules two officers signed in advance; 0 = none
	Emergency     *EmergencyTerms `toml:"emergency,omitempty"`       // nil = there is never an emergency
	Dictionaries  []Dictionary    `toml:"dictionary,omitempty"`      // what may compress contents besides zstd; empty = nothing
	Clocks        []Clock         `toml:"clock"`
	Parties       []Party         `toml:"party"`
	Clauses       []Clause        `toml:"clause"`
	Carriers      []Carrier       `toml:"channel"` // what a kind of channel may carry

	Hash Hash   `toml:"-"`
	File []byte `toml:"-"` // the exact file
}

// Party is one side of an agreement.
type Party struct {
	CallSign CallSign `toml:"call_sign"`
	Node     NodeID   `toml:"node"`
	Identity stix.ID  `toml:"identity"`
	Tokens   []string `toml:"tokens,omitempty"`
}

// Kubuns say what Japanese classes are equal to, by class. 公開 is U without
// being named; for any other class the table is all there is.
type Kubuns map[string]Level

// Of returns what a class is equal to, or NoLevel.
func (k Kubuns) Of(kubun string) Level {
	if kubun == KubunOpen {
		return Unclassified
	}
	return k[kubun]
}

// Clause is one release rule: a Cedar policy with its article and its text.
// No clause lifts what a marking holds or denies.
type Clause struct {
	ID        string `toml:"id" json:"id"`                 // such as "1"; cited by every release it allowed
	ArticleEN string `toml:"article_en" json:"article_en"` // such as "Article 1"
	ArticleJA string `toml:"article_ja" json:"article_ja"`
	EN        string `toml:"en" json:"en"`
	JA        string `toml:"ja" json:"ja"`
	Cedar     string `toml:"cedar" json:"cedar"`

	Generalise []Generalise `toml:"generalise,omitempty" json:"generalise,omitempty"` // what goes under it says less there
}

// Clock says how fast a precedence is to be received and acknowledged.
type Clock struct {
	Precedence Precedence    `toml:"precedence"`
	Receipt    time.Duration `toml:"receipt"`               // a receipt later than this is late
	Ack        time.Duration `toml:"acknowledge,omitempty"` // a person's; 0 = none asked
}

// ParseAgreement reads an agreement file and checks its form: two parties,
// every clause with id, article and text in both languages and a policy, known suites and
// channels. Unknown keys are errors. The Cedar text is checked in release.
func ParseAgreement(file []byte) (*Agreement, error) {
	if len(file) > 256<<10 {
		return nil, Errorf(Invalid, "agreement.too-large", "agreement is %d bytes, at most 262144 are read", len(file))
	}
	var a Agreement
	md, err := toml.NewDecoder(bytes.NewReader(file)).Decode(&a)
	if err != nil {
		return nil, Errorf(Invalid, "agreement.syntax", "read agreement: %w", err)
	}
	if u := md.Undecoded(); len(u) > 0 {
		return nil, Errorf(Invalid, "agreement.unknown-key", "agreement has unknown key %q", u[0].String())
	}
	if a.SightingMark == "" {
		a.SightingMark = "tlp:amber"
	}
	for key, empty := range map[string]bool{"types": len(a.Types) == 0, "sectors": len(a.Sectors) == 0, "onward": a.Onward == "", "retention_days": a.RetentionDays == 0, "flash_per_hour": a.FlashPerHour == 0} {
		if md.IsDefined(key) && empty { // would read as no limit
			return nil, Errorf(Invalid, "agreement.field", "agreement: %s: %s", key, "must not be empty: leave it out")
		}
	}
	if !md.IsDefined("max_level") {
		a.MaxLevel = Unclassified
	}
	a.Hash, a.File = Sum(file), bytes.Clone(file)
	return &a, a.check()
}

func (a *Agreement) check() error {
	bad := func(field, want string) error {
		return Errorf(Invalid, "agreement.field", "agreement: %s: %s", field, want)
	}
	if a.Realm.IsZero() {
		return bad("realm", "must be real or exercise:ID")
	}
	if a.Version < 1 {
		return bad("version", "must be 1 or more")
	}
	if len(a.Parties) != 2 || a.Parties[0].Node == a.Parties[1].Node {
		return bad("party", "must name two different nodes")
	}
	for _, p := range a.Parties {
		if _, err := ParseCallSign(string(p.CallSign)); err != nil || p.Identity.Type() != "identity" {
			return bad("party", "each needs call_sign, node and identity")
		}
	}
	if !a.Until.After(a.From) {
		return bad("until", "must be later than from")
	}
	if _, err := ParseTLP(a.SightingMark); err != nil {
		return bad("sighting_mark", err.Error())
	}
	for _, e := range a.Entities {
		if !slices.Contains(acsEntities, e) {
			return bad("entities", "must be of "+strings.Join(acsEntities, " "))
		}
	}
	for k, level := range a.Japanese {
		if !slices.Contains(kubuns, k) || k == KubunOpen && level != Unclassified {
			return bad("japanese_levels", "must be of "+strings.Join(kubuns, " ")+", and 公開 is U")
		}
	}
	if field, want := a.checkTerms(); field != "" {
		return bad(field, want)
	}
	seen := map[string]bool{}
	for _, c := range a.Clauses {
		if c.ID == "" || c.ArticleEN == "" || c.ArticleJA == "" || c.EN == "" || c.JA == "" || c.Cedar == "" || seen[c.ID] {
			return bad("clause "+c.ID, "needs an id of its own, article_en, article_ja, en, ja and cedar")
		}
		seen[c.ID] = true
		if fault := checkGeneralise(c.Generalise); fault != "" {
			return bad("clause "+c.ID+", generalise", fault)
		}
	}
	for _, s := range a.Suites {
		if !slices.Contains(KnownSuites, s) {
			return bad("suites", "known are "+strings.Join(KnownSuites, ", "))
		}
	}
	if !slices.Contains(a.Suites, SuiteS1) {
		return bad("suites", "must list S1: first contact and documents go under it")
	}
	numbers := map[uint8]bool{}
	for _, d := range a.Dictionaries {
		var h Hash
		if d.Number < 2 || numbers[d.Number] || h.UnmarshalText([]byte(d.Hash)) != nil {
			return bad("dictionary", "each needs a number of its own from 2 to 255 and a hash of 64 hexadecimal digits")
		}
		numbers[d.Number] = true
	}
	if len(a.Channels) == 0 {
		return bad("channels", "must not be empty")
	}
	if field, want := a.checkCarriers(); field != "" {
		return bad(field, want)
	}
	return nil
}

// Other returns the party that is not self, and whether self is a party.
func (a *Agreement) Other(self NodeID) (Party, bool) {
	switch self {
	case a.Parties[0].Node:
		return a.Parties[1], true
	case a.Parties[1].Node:
		return a.Parties[0], true
	}
	return Party{}, false
}

// InForce reports whether now lies in the agreement's time.
func (a *Agreement) InForce(now time.Time) bool {
	return !now.Before(a.From) && now.Before(a.Until)
}

// ClockFor returns the clock of a precedence, or the zero Clock.
func (a *Agreement) ClockFor(p Precedence) Clock {
	for _, c := range a.Clocks {
		if c.Precedence == p {
			return c
		}
	}
	return Clock{}
}
