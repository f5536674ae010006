package noroshi

import "github.com/noroshi-cti/noroshi/stix"

// Labels of a language-content object that say how its words came about. STIX
// 2.1 §7.1 has no property for it. Who made and who checked them stands in the
// record: names stay here, outside the node speaks for its persons.
const (
	MachineTranslated  = "machine-translation" // a program drew the words
	TranslationChecked = "translation-checked" // a person held them against the original: of a person's words another one
)

// Translation is what a language-content object says of itself (STIX 2.1 §7.1).
type Translation struct {
	Of      stix.ID   // what it translates
	Version stix.Time // of that; zero = whatever was the latest when it was made
	Machine bool
	Checked bool

	made     stix.Time
	unspoken bool // names a version that is no time
}

// TranslationOf reads a language-content object; false for any other.
func TranslationOf(o *stix.Object) (t Translation, ok bool) {
	if o.Type != "language-content" {
		return t, false
	}
	t.Of, t.made = stix.ID(o.Text("object_ref")), o.Modified
	t.Machine, t.Checked = Drawn(o), labelled(o, TranslationChecked)
	if v := o.Property("object_modified"); v != nil {
		at, err := stix.ParseTime(v.Text())
		t.Version, t.unspoken = at, err != nil
	}
	return t, true
}

// Said are the name and description of an object in one language.
type Said struct{ Name, Description string }

// SaidIn reads them out of a language-content object, by language (STIX 2.1
// §7.1): what is no text says nothing.
func SaidIn(o *stix.Object) map[string]Said {
	all := map[string]Said{}
	for lang, texts := range o.Property("contents").Members() {
		var s Said
		for name, text := range texts.Members() {
			switch name {
			case "name":
				s.Name = text.Text()
			case "description":
				s.Description = text.Text()
			}
		}
		all[lang] = s
	}
	return all
}

// Drawn reports whether an object says that its words are a program's.
func Drawn(o *stix.Object) bool { return labelled(o, MachineTranslated) }

func labelled(o *stix.Object, label string) bool {
	for _, l := range o.Property("labels").Elements() {
		if l.Text() == label {
			return true
		}
	}
	return false
}

// Stale reports whether it is of another version of the original than this one.
// One that names no version is of no later one than itself.
func (t Translation) Stale(original *stix.Object) bool { return t.StaleAt(original.Modified) }

// StaleAt is Stale of a version by its modified.
func (t Translation) StaleAt(modified stix.Time) bool {
	if t.unspoken {
		return true
	}
	if t.Version.IsZero() {
		return t.made.Compare(modified) < 0
	}
	return t.Version.Compare(modified) != 0
}

// Unchecked reports whether no person has answered for a program's words.
func (t Translation) Unchecked() bool { return t.Machine && !t.Checked }

// TranslationLabels are the labels of a translation that came about so.
func TranslationLabels(machine, checked bool) (labels []string) {
	if machine {
		labels = append(labels, MachineTranslated)
	}
	if checked {
		labels = append(labels, TranslationChecked)
	}
	return labels
}
