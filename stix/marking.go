package stix

import (
	"errors"
	"slices"
)

// Ids of the extensions a MarkingDefinition view reads.
const (
	// TLP20Extension carries the Traffic Light Protocol 2.0 (OASIS common
	// objects, TLP 2.0 extension definition), property tlp_2_0.
	TLP20Extension ID = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
	// ExerciseExtension marks what belongs to an exercise (noroshi's own),
	// property exercise_id.
	ExerciseExtension ID = "extension-definition--4d03630f-a267-5d7f-be48-4682a29d5de9"
)

// MarkingDefinition is the typed view of a marking-definition (STIX 2.1 §7.2.1).
//
// The view is made for decisions that must fail safe: whatever it does not
// show sets Unknown. What a marking means under the id it has is not judged
// here.
type MarkingDefinition struct {
	Name           string
	DefinitionType string
	Statement      string // definition.statement
	TLP            string // definition.tlp, or the TLP 2.0 extension's value
	Extensions     []ID   // ids of its extensions, sorted
	Exercise       string // exercise_id of noroshi's exercise extension
	Unknown        bool   // has members the specification and known extensions do not define, or a body of another form than its definition_type asks
}

// MarkingDefinition decodes the view; an error when the object is none or a
// property it shows has the wrong type.
func (o *Object) MarkingDefinition() (MarkingDefinition, error) {
	if err := o.want("marking-definition"); err != nil {
		return MarkingDefinition{}, err
	}
	var view MarkingDefinition
	var definition, extensions RawValue
	d := decoder{o: o}
	for name, v := range o.Root().members() {
		switch string(name) {
		case "name":
			view.Name = d.text("name", v)
		case "definition_type":
			view.DefinitionType = d.text("definition_type", v)
		case "definition":
			definition = v
		case "extensions":
			extensions = v
		case "type", "spec_version", "id", "created_by_ref", "created", "external_references",
			"object_marking_refs", "granular_markings":
		default:
			view.Unknown = true
		}
	}
	view.readDefinition(definition)
	if err := view.readExtensions(extensions); err != nil {
		return MarkingDefinition{}, err
	}
	if view.DefinitionType == "" && len(view.Extensions) == 0 {
		view.Unknown = true
	}
	return view, d.err
}

// readDefinition reads the body of a marking of STIX 2.1 §7.2.1.1 (statement)
// or §7.2.1.2 (TLP 1.0).
func (m *MarkingDefinition) readDefinition(v RawValue) {
	if v == nil && m.DefinitionType == "" {
		return
	}
	known := v.kind() == '{'
	for name, value := range v.members() {
		text, ok := value.text()
		switch {
		case ok && string(name) == "statement" && m.DefinitionType == "statement":
			m.Statement = text
		case ok && string(name) == "tlp" && m.DefinitionType == "tlp":
			m.TLP = text
		default:
			known = false
		}
	}
	if !known || m.Statement == "" && m.TLP == "" {
		m.Unknown = true
	}
}

func (m *MarkingDefinition) readExtensions(v RawValue) error {
	if v == nil {
		return nil
	}
	if v.kind() != '{' {
		return errors.New("extensions of a marking-definition is no object")
	}
	for name, body := range v.members() {
		id := ID(name)
		m.Extensions = append(m.Extensions, id)
		switch id {
		case TLP20Extension:
			if m.TLP != "" { // two statements of a level in one marking
				m.Unknown = true
			}
			m.TLP = m.readExtension(body, "tlp_2_0")
		case ExerciseExtension:
			m.Exercise = m.readExtension(body, "exercise_id")
		default:
			m.Unknown = true
		}
	}
	slices.Sort(m.Extensions)
	return nil
}

// readExtension returns the one property a known extension has.
func (m *MarkingDefinition) readExtension(body RawValue, property string) string {
	var value string
	for name, v := range body.members() {
		text, ok := v.text()
		switch {
		case ok && string(name) == property:
			value = text
		case ok && string(name) == "extension_type" && text == "property-extension":
		default:
			m.Unknown = true
		}
	}
	if value == "" {
		m.Unknown = true
	}
	return value
}
