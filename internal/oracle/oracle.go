// Package oracle has the OASIS JSON schemas of STIX 2.1, by which tests judge
// what this module says of objects.
package oracle

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Oracle judges objects by the schema of their type.
type Oracle struct {
	byType             map[string]*jsonschema.Schema
	object, observable *jsonschema.Schema
}

// meta are the types with a schema beside those of objects, observables and
// relationships.
var meta = []string{"language-content", "extension-definition", "marking-definition"}

// New reads the schemas in testdata/schemas of the module's root, which is root
// as the test sees it.
func New(root string) (*Oracle, error) {
	c := jsonschema.NewCompiler()
	ids := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "testdata/schemas/schemas"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		id := doc.(map[string]any)["$id"].(string)
		ids[strings.TrimSuffix(filepath.Base(path), ".json")] = id
		return c.AddResource(id, doc)
	})
	if err != nil {
		return nil, err
	}
	o := &Oracle{byType: map[string]*jsonschema.Schema{}}
	for name, id := range ids {
		typed := strings.Contains(id, "/sdos/") || strings.Contains(id, "/sros/") || strings.Contains(id, "/observables/") || slices.Contains(meta, name)
		if !typed && name != objectSchema && name != observableSchema {
			continue
		}
		s, err := c.Compile(id)
		if err != nil {
			return nil, err
		}
		switch name {
		case objectSchema:
			o.object = s
		case observableSchema:
			o.observable = s
		default:
			o.byType[name] = s
		}
	}
	if o.object == nil || o.observable == nil {
		return nil, fmt.Errorf("no schemas of STIX below %s", root)
	}
	return o, nil
}

// The schemas of types that have none of their own.
const (
	objectSchema     = "core"
	observableSchema = "cyber-observable-core"
)

// Types lists the types that have a schema of their own, sorted.
func (o *Oracle) Types() []string { return slices.Sorted(maps.Keys(o.byType)) }

// Judge says what the schema of an object's type finds wrong. A type without one
// is judged as an object where it has created or modified, and else as a
// cyber-observable.
func (o *Oracle) Judge(tree map[string]any) error {
	typ, _ := tree["type"].(string)
	s := o.byType[typ]
	if s == nil {
		s = o.observable
		if tree["created"] != nil || tree["modified"] != nil {
			s = o.object
		}
	}
	return s.Validate(tree)
}

// Bytes judges an object as it is written.
func (o *Oracle) Bytes(raw []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	tree, ok := doc.(map[string]any)
	if !ok {
		return fmt.Errorf("no object: %T", doc)
	}
	return o.Judge(tree)
}
