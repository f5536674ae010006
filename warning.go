package noroshi

import (
	"time"

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
