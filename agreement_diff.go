package noroshi

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AgreementChange is one thing that differs between two agreements: a key of
// the file, or of one of its clauses, clocks, parties or channels.
type AgreementChange struct {
	Key  string `json:"key"`            // as in the file: max_level, cedar ...
	Of   string `json:"of,omitempty"`   // "clause", "clock", "party" or "channel", when the key is of one
	Name string `json:"name,omitempty"` // which: clause id, precedence, call sign, kind
	Old  string `json:"old"`            // "" = not there
	New  string `json:"new"`
}

// DiffAgreements lists what differs between two agreements, key by key and
// clause by clause, in the order of the file. What is spelled otherwise and
// means the same (comments, order of keys) is no change.
func DiffAgreements(old, now *Agreement) []AgreementChange {
	d := differ{}
	d.keys("", "", old.keys(), now.keys())
	d.tables("party", tableOf(old.Parties, partyKeys), tableOf(now.Parties, partyKeys))
	d.tables("clock", tableOf(old.Clocks, clockKeys), tableOf(now.Clocks, clockKeys))
	d.tables("channel", tableOf(old.Carriers, carrierKeys), tableOf(now.Carriers, carrierKeys))
	d.tables("clause", tableOf(old.Clauses, clauseKeys), tableOf(now.Clauses, clauseKeys))
	return d.found
}

// pair is a key of the file with its value as text, "" when it is not there.
type pair struct{ key, value string }

// table is the pairs of each of a list of tables, by what names it.
type table struct {
	names []string
	of    map[string][]pair
}

type differ struct{ found []AgreementChange }

// keys compares two lists of the same keys; a list that is missing has none.
func (d *differ) keys(of, name string, old, now []pair) {
	for i := range max(len(old), len(now)) {
		c := AgreementChange{Of: of, Name: name}
		if i < len(old) {
			c.Key, c.Old = old[i].key, old[i].value
		}
		if i < len(now) {
			c.Key, c.New = now[i].key, now[i].value
		}
		if c.Old != c.New {
			d.found = append(d.found, c)
		}
	}
}

func (d *differ) tables(of string, old, now table) {
	for _, name := range old.names {
		d.keys(of, name, old.of[name], now.of[name])
	}
	for _, name := range now.names {
		if _, both := old.of[name]; !both {
			d.keys(of, name, nil, now.of[name])
		}
	}
}

func tableOf[T any](list []T, keys func(T) (string, []pair)) table {
	t := table{of: map[string][]pair{}}
	for _, x := range list {
		name, pairs := keys(x)
		if _, twice := t.of[name]; !twice {
			t.names = append(t.names, name)
		}
		t.of[name] = append(t.of[name], pairs...)
	}
	return t
}

// keys returns every key of the file but the tables, in the order of the struct.
func (a *Agreement) keys() []pair {
	emergency, retention, flash := "", "", ""
	if a.FlashPerHour > 0 {
		flash = strconv.Itoa(a.FlashPerHour)
	}
	if a.Emergency != nil {
		emergency = strconv.Itoa(a.Emergency.Hours)
	}
	if a.RetentionDays > 0 {
		retention = strconv.Itoa(a.RetentionDays)
	}
	var levels []string
	for _, k := range slices.Sorted(maps.Keys(a.Japanese)) {
		levels = append(levels, k+" = "+a.Japanese[k].String())
	}
	var dictionaries []string
	for _, d := range a.Dictionaries {
		dictionaries = append(dictionaries, fmt.Sprintf("%d:%.16s", d.Number, d.Hash))
	}
	return []pair{
		{"version", strconv.Itoa(a.Version)}, {"title_en", a.TitleEN}, {"title_ja", a.TitleJA}, {"realm", a.Realm.String()},
		{"from", a.From.UTC().Format(time.RFC3339)}, {"until", a.Until.UTC().Format(time.RFC3339)}, {"sighting_mark", a.SightingMark},
		{"suites", spaced(a.Suites)}, {"channels", spaced(a.Channels)}, {"dictionary", spaced(dictionaries)}, {"statements", strings.Join(a.Statements, "\n")},
		{"max_level", a.MaxLevel.String()}, {"entities", spaced(a.Entities)}, {"japanese_levels", strings.Join(levels, ", ")},
		{"types", spaced(a.Types)}, {"sectors", spaced(a.Sectors)}, {"communities", spaced(a.Communities)},
		{"onward", string(a.Onward)}, {"onward_to", spaced(a.OnwardTo)}, {"retention_days", retention}, {"flash_per_hour", flash}, {"emergency", emergency},
	}
}

// spaced writes a list whose order means nothing.
func spaced(list []string) string {
	return strings.Join(slices.Sorted(slices.Values(list)), " ")
}

func partyKeys(p Party) (string, []pair) {
	return string(p.CallSign), []pair{{"node", p.Node.String()}, {"identity", string(p.Identity)}, {"tokens", spaced(p.Tokens)}}
}

func clockKeys(c Clock) (string, []pair) {
	ack := ""
	if c.Ack > 0 {
		ack = fmt.Sprint(c.Ack)
	}
	return c.Precedence.String(), []pair{{"receipt", fmt.Sprint(c.Receipt)}, {"acknowledge", ack}}
}

func carrierKeys(c Carrier) (string, []pair) {
	return c.Kind, []pair{{"max_tlp", TLP(c.MaxTLP).String()}, {"max_level", c.MaxLevel.String()}, {"suites", spaced(c.Suites)}}
}

func clauseKeys(c Clause) (string, []pair) {
	less := make([]string, len(c.Generalise))
	for i, g := range c.Generalise {
		less[i] = fmt.Sprint(g.Type, " ", g.Selector, " ", g.How)
	}
	slices.Sort(less)
	return c.ID, []pair{{"article_en", c.ArticleEN}, {"article_ja", c.ArticleJA}, {"en", c.EN}, {"ja", c.JA}, {"cedar", strings.TrimSpace(c.Cedar)},
		{"generalise", strings.Join(less, "; ")}}
}
