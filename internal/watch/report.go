package watch

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/stix"
)

// said is one warning's text in one language.
type said struct {
	Title, Text string
	labels      []string // noroshi.TranslationLabels
}

// warningObjects makes the two objects of a warning: a report with the warning
// extension, in English, and the language-content that says it in Japanese
// (STIX 2.1 §4.16, §7.1). Both carry the same markings.
func warningObjects(w noroshi.Warning, texts map[locale.Lang]said, translation, self stix.ID, now time.Time, marks []stix.ID) (report, words *stix.Object, err error) {
	at := stix.TimeOf(now)
	extension := []stix.Member{
		{Name: "extension_type", Value: "property-extension"},
		{Name: "severity", Value: string(w.Severity)},
		{Name: "precedence", Value: w.Precedence.String()},
		{Name: "action", Value: w.Action},
	}
	if !w.Due.IsZero() {
		extension = append(extension, stix.Member{Name: "due", Value: stix.TimeOf(w.Due)})
	}
	extension = append(extension,
		stix.Member{Name: "audience", Value: w.Audience},
		stix.Member{Name: "replaces", Value: w.Replaces},
		stix.Member{Name: "number", Value: w.Number})
	report, err = stix.Make(
		stix.Member{Name: "type", Value: "report"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: w.ID},
		stix.Member{Name: "created_by_ref", Value: self},
		stix.Member{Name: "created", Value: at},
		stix.Member{Name: "modified", Value: at},
		stix.Member{Name: "labels", Value: texts[locale.EN].labels},
		stix.Member{Name: "lang", Value: string(locale.EN)},
		stix.Member{Name: "name", Value: texts[locale.EN].Title},
		stix.Member{Name: "description", Value: texts[locale.EN].Text},
		stix.Member{Name: "report_types", Value: []string{"indicator"}},
		stix.Member{Name: "published", Value: at},
		stix.Member{Name: "object_refs", Value: w.Refs},
		stix.Member{Name: "object_marking_refs", Value: marks},
		stix.Member{Name: "extensions", Value: []stix.Member{{Name: string(noroshi.WarningExtension), Value: extension}}},
	)
	if err != nil {
		return nil, nil, err
	}
	words, err = stix.Make(
		stix.Member{Name: "type", Value: "language-content"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: translation},
		stix.Member{Name: "created_by_ref", Value: self},
		stix.Member{Name: "created", Value: at},
		stix.Member{Name: "modified", Value: at},
		stix.Member{Name: "labels", Value: texts[locale.JA].labels},
		stix.Member{Name: "object_ref", Value: w.ID},
		stix.Member{Name: "object_modified", Value: at},
		stix.Member{Name: "contents", Value: []stix.Member{{Name: string(locale.JA), Value: []stix.Member{
			{Name: "name", Value: texts[locale.JA].Title},
			{Name: "description", Value: texts[locale.JA].Text},
		}}}},
		stix.Member{Name: "object_marking_refs", Value: marks},
	)
	return report, words, err
}
