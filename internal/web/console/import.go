package console

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// asMarked is the choice of who adds no marking: what has none waits.
const asMarked = "none"

// importData is the form a file is brought with.
type importData struct {
	Formats  []string
	Profiles []string
	Most     int64 // MiB
}

func importForm(v *visit) error {
	d := importData{Formats: intake.Formats(), Most: web.MaxSignedImport >> 20}
	for _, p := range intake.Profiles() {
		d.Profiles = append(d.Profiles, p.Name)
	}
	return v.show("indicators-import", d)
}

// importUpload takes a file and looks at it: nothing of it is let in.
func importUpload(v *visit) error {
	x, err := v.bring()
	if err != nil {
		return v.again(err, importForm)
	}
	return v.goTo("/indicators/import/"+x.Token, "")
}

// bring reads the form of a file, which stands in its last part, and surveys it.
func (v *visit) bring() (x *upload, err error) {
	parts, err := v.r.MultipartReader()
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err)
	}
	fields := map[string]string{}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, noroshi.Errorf(noroshi.Invalid, "console.no-file", "no file was chosen")
		}
		if err != nil {
			return nil, tooLarge(err)
		}
		if p.FormName() == "file" {
			return v.surveyed(p, fields)
		}
		b, err := io.ReadAll(io.LimitReader(p, 1024))
		if err != nil {
			return nil, tooLarge(err)
		}
		fields[p.FormName()] = string(b)
		v.r.Form.Set(p.FormName(), string(b)) // what was chosen stays chosen where the file is refused
	}
}

// tooLarge says of a form that breaks off at its bound what is wrong with it.
func tooLarge(err error) error {
	var most *http.MaxBytesError
	if errors.As(err, &most) {
		return noroshi.Errorf(noroshi.Invalid, "import.signed-size", "a file that a person signs for may have at most %d MiB", web.MaxSignedImport>>20)
	}
	return err
}

func (v *visit) surveyed(p *multipart.Part, fields map[string]string) (*upload, error) {
	name := path.Base(strings.ReplaceAll(p.FileName(), `\`, "/"))
	switch {
	case p.FileName() == "":
		return nil, noroshi.Errorf(noroshi.Invalid, "console.no-file", "no file was chosen")
	case fields["marking"] == "":
		return nil, noroshi.Errorf(noroshi.Invalid, "console.no-marking", "choose what marking the import gives to what has none")
	}
	ref := web.ImportRef{Name: name, Format: fields["format"]}
	if profile, ok := strings.CutPrefix(fields["marking"], "profile:"); ok {
		ref.Profile = profile
	} else if fields["marking"] != asMarked {
		ref.Marking = fields["marking"]
	}
	x, err := v.uploads.keep(v.person.ID, p, v.now)
	if err != nil {
		return nil, tooLarge(err)
	}
	x.Ref = ref
	f, err := os.Open(x.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x.Survey, err = askBody[intake.Survey](v, "import.survey", ref, f)
	if err != nil {
		v.uploads.forget(v.now, func(y *upload) bool { return y == x })
	}
	return x, err
}

// previewData is what a file would bring, or has brought.
type previewData struct {
	upload
	Marking  string
	Kilobyte string
	Same     int // that are here already
	Usable   int // that are not refused
	Types    []counted
	Markings []counted
	Lists    []counted
	Faults   []faultRow
	Outcome  []counted // of the import
}

// counted is a word and how many.
type counted struct {
	Word  string
	Count string
	N     int
}

// faultRow is one element that would be quarantined.
type faultRow struct {
	intake.Placed
	Why string
}

func importPreview(v *visit) error {
	x, err := v.uploads.of(v.person.ID, v.r.PathValue("token"), v.now)
	if err != nil {
		return err
	}
	for level := range x.Survey.Markings {
		if level != "" {
			if err := v.mark(level); err != nil {
				return err
			}
		}
	}
	return v.show("indicators-preview", v.brought(x))
}

func (v *visit) brought(x upload) previewData {
	s := x.Survey
	d := previewData{upload: x, Kilobyte: grouped(int(x.Size+1023) / 1024), Usable: s.Elements - s.Protected - s.Refused}
	d.Same = d.Usable - s.New
	switch {
	case x.Ref.Profile != "":
		d.Marking = v.t("console.import.profile", x.Ref.Profile)
	case x.Ref.Marking != "":
		d.Marking = strings.ToUpper(x.Ref.Marking)
	default:
		d.Marking = v.t("console.import.as-marked")
	}
	d.Types = tallied(s.Types, v.typeName)
	d.Markings = tallied(s.Markings, func(level string) string {
		if level == "" {
			return v.t("console.import.unmarked")
		}
		return level
	})
	d.Lists = tallied(s.Lists, func(list string) string { return list })
	faults := s.Faults
	if x.Report != nil {
		faults = x.Report.Faults
		d.Outcome = v.outcome(*x.Report)
	}
	for _, f := range faults {
		d.Faults = append(d.Faults, faultRow{f, v.quarantined(f.Code, noroshi.Told{Code: f.Reason, Message: f.Msg, Args: f.Args})})
	}
	return d
}

// tallied are counts, the largest first.
func tallied(m map[string]int, word func(string) string) (list []counted) {
	for key, n := range m {
		list = append(list, counted{word(key), grouped(n), n})
	}
	slices.SortFunc(list, func(a, b counted) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Word, b.Word)
	})
	return list
}

// outcome says what an import did, but for what it did not do at all.
func (v *visit) outcome(r intake.Report) (list []counted) {
	for _, c := range []struct {
		key string
		n   int
	}{{"new", r.New}, {"updated", r.Updated}, {"unchanged", r.Unchanged}, {"older", r.Older}, {"foreign", r.Foreign}, {"conflicts", r.Conflicts}, {"marked", r.Marked},
		{"marked-otherwise", r.Otherwise}, {"quarantined", r.Quarantined}, {"flagged", r.Flagged}, {"not-armed", r.NotArmed}, {"resumed", r.Resumed}} {
		if c.n > 0 || c.key == "new" {
			list = append(list, counted{v.t("console.import.outcome." + c.key), grouped(c.n), c.n})
		}
	}
	return list
}

// quarantined says why something waits in quarantine: what is said of its kind,
// and what was found wrong.
func (v *visit) quarantined(code string, found noroshi.Told) string {
	kind := locale.Or(v.lang, "quarantine."+code, code)
	switch said := locale.Or(v.lang, "error."+found.Code, found.Message, locale.Strings(found.Args)...); {
	case said == "":
		return kind
	case v.lang == locale.EN && found.Code == "":
		return said
	default:
		return v.t("cli.found", kind, said)
	}
}

// importConfirm signs for a file that was looked at, and imports it.
func importConfirm(v *visit) error {
	token := v.r.PathValue("token")
	if err := v.letIn(token); err != nil {
		return v.again(err, importPreview)
	}
	return v.goTo("/indicators/import/"+token, "imported")
}

func (v *visit) letIn(token string) error {
	x, err := v.uploads.of(v.person.ID, token, v.now)
	if err != nil {
		return err
	}
	if v.brought(x).Usable == 0 {
		return noroshi.Errorf(noroshi.Invalid, "console.nothing-usable", "nothing in %s can be imported", x.Ref.Name)
	}
	by, err := v.sign(noroshi.ActImport, x.Ref.Name, web.ImportBound(x.Ref, x.hash))
	if err != nil {
		return err
	}
	x, done, err := v.uploads.take(v.person.ID, token, v.now)
	if err != nil {
		return err
	}
	var report *intake.Report
	defer func() { done(report) }()
	f, err := os.Open(x.path)
	if err != nil {
		return err
	}
	defer f.Close()
	x.Ref.By = &by
	r, err := askBody[intake.Report](v, "import", x.Ref, web.Laid{ReadSeeker: f})
	if err == nil {
		report = &r
	}
	return err
}

func importDrop(v *visit) error {
	x, err := v.uploads.of(v.person.ID, v.r.PathValue("token"), v.now)
	if err != nil {
		return err
	}
	v.uploads.forget(v.now, func(y *upload) bool { return y.Token == x.Token })
	return v.goTo("/indicators/import", "dropped")
}
