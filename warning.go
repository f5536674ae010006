package noroshi

import (
	"regexp"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi/stix"
)

// Extension ids noroshi published for its own properties on standard types.
const (
	WarningExtension  stix.ID = "extension-definition--7f27c84d-02d1-44aa-88a3-1808c901d359" // on report
	ExerciseExtension stix.ID = "extension-definition--4d03630f-a267-5d7f-be48-4682a29d5de9" // on marking-definition
)

// Severity is how bad a warning says things are.
type Severity string

// The severities, worst last.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// Warning is the typed view of a report with the warning extension: what a
// duty officer is asked to look at, and to do, by when.
type Warning struct {
	ID         stix.ID    `json:"id"`
	Number     string     `json:"number,omitempty"` // to be said aloud, such as USA-01/2026/48310: of its maker's giving, "" where it gives none
	Title      string     `json:"title"`
	Text       string     `json:"text"`
	Severity   Severity   `json:"severity"`
	Precedence Precedence `json:"precedence"`
	Action     string     `json:"action"` // action code: see docs/words.md
	Due        time.Time  `json:"due,omitzero"`
	Audience   []string   `json:"audience,omitempty"` // call signs; empty = every partner released to
	Replaces   stix.ID    `json:"replaces,omitempty"`
	Refs       []stix.ID  `json:"refs,omitempty"` // object_refs
	Label      string     `json:"label"`
}

// numbered is the form of a warning's number: call sign, year, number.
var numbered = regexp.MustCompile(`^[A-Z]{3}-[0-9]{2}/[0-9]{4}/[0-9]{1,9}$`)

// WarningOf returns the typed view of a report; ok is false when it is no
// warning of ours or a partner's. A field it cannot read is left empty: the
// object was admitted and is shown with what there is.
func WarningOf(o *stix.Object) (w Warning, ok bool) {
	if o.Type != "report" {
		return w, false
	}
	var extensions map[stix.ID]struct {
		Severity   Severity `json:"severity"`
		Precedence string   `json:"precedence"`
		Action     string   `json:"action"`
		Due        string   `json:"due"`
		Audience   []string `json:"audience"`
		Replaces   stix.ID  `json:"replaces"`
		Number     string   `json:"number"`
	}
	if json.Unmarshal(o.Property("extensions"), &extensions) != nil {
		return w, false
	}
	x, ok := extensions[WarningExtension]
	if !ok {
		return w, false
	}
	w = Warning{ID: o.ID, Title: o.Text("name"), Text: o.Text("description"), Severity: x.Severity,
		Action: x.Action, Audience: x.Audience, Replaces: x.Replaces}
	w.Precedence, _ = ParsePrecedence(x.Precedence)
	if t, err := stix.ParseTime(x.Due); err == nil {
		w.Due = t.Time()
	}
	if numbered.MatchString(x.Number) {
		w.Number = x.Number
	}
	for _, r := range o.Refs() {
		if len(r.Path) > 11 && r.Path[:11] == "object_refs" {
			w.Refs = append(w.Refs, r.Target)
		}
	}
	return w, true
}
