package web

import (
	"encoding"
	"encoding/json"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// OpenAPI describes the API as OpenAPI 3.1: a path for each operation that is
// reached over HTTPS, its schemas drawn from Shapes. It is the same for the same
// program.
func OpenAPI() ([]byte, error) {
	d := describer{schemas: map[string]any{}}
	paths := map[string]any{}
	for name, shape := range Shapes {
		if !shape.Local {
			paths["/api/v1/"+name] = object{"post": d.operation(name, shape)}
		}
	}
	return json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{"title": "Noroshi", "version": "1", "description": "The operations of a node. The body of a request is one line of JSON, the input, and after it " +
			"whatever bytes the operation reads. The answer is JSON lines: any number with progress, then one with result or error."},
		"paths":    paths,
		"security": []object{{"token": []string{}}, {"session": []string{}}},
		"components": object{
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "noroshi token add"},
				"session": object{"type": "apiKey", "in": "cookie", "name": "__Host-noroshi-XXXXXXXX", "description": "of a person signed in to the console; the digits are the node's and realm's"},
			},
			"responses": object{
				"nobody":  d.refused("no session and no token that is good"),
				"scope":   d.refused("the token's scope does not cover it"),
				"nothing": d.refused("no such operation, or none that this person may call"),
			},
			"schemas": d.schemas,
		},
	}, "", " ")
}

type object = map[string]any

// describer collects the schemas of named types.
type describer struct{ schemas map[string]any }

func (d describer) operation(name string, shape Shape) object {
	op := Ops[name]
	problem := d.schema(reflect.TypeFor[Problem]())
	line := object{"type": "object", "properties": object{"result": d.of(shape.Out), "error": problem}, "additionalProperties": false}
	if shape.Progress != nil {
		line["properties"].(object)["progress"] = d.of(shape.Progress)
	}
	answer := object{"description": "JSON lines, the last with result or error", "content": object{"application/jsonl": object{"schema": line}}}
	refused := func(name string) object { return object{"$ref": "#/components/responses/" + name} }
	o := object{
		"operationId":       name,
		"tags":              []string{strings.Split(name, ".")[0]},
		"x-noroshi-action":  op.Action,
		"x-noroshi-signed":  op.Signed,
		"x-noroshi-roles":   rolesOf(op.Action),
		"responses":         object{"200": answer, "401": refused("nobody"), "403": refused("scope"), "404": refused("nothing")},
		"requestBody":       object{"required": shape.In != nil, "content": object{"application/jsonl": object{"schema": d.of(shape.In)}}},
		"x-noroshi-follows": shape.Body,
	}
	if shape.Body == "" {
		delete(o, "x-noroshi-follows")
	}
	if shape.Own {
		o["security"] = []object{{"session": []string{}}}
	}
	if shape.Named {
		o["x-noroshi-scope"] = name
	}
	return o
}

func (d describer) refused(text string) object {
	line := object{"type": "object", "properties": object{"error": d.schema(reflect.TypeFor[Problem]())}, "required": []string{"error"}}
	return object{"description": text, "content": object{"application/jsonl": object{"schema": line}}}
}

func rolesOf(a noroshi.Action) []noroshi.Role {
	roles := []noroshi.Role{}
	for _, r := range noroshi.Roles {
		if noroshi.May(r, a) {
			roles = append(roles, r)
		}
	}
	return roles
}

// of is the schema of a sample.
func (d describer) of(sample any) any {
	if sample == nil {
		return object{"type": "null"}
	}
	return d.schema(reflect.TypeOf(sample))
}

// schema is the schema of a type as encoding/json writes it; structs of a name
// stand in components and are referred to.
func (d describer) schema(t reflect.Type) any {
	if t.Kind() == reflect.Pointer {
		return d.schema(t.Elem())
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t.Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()):
		return written(t)
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.named(t)
	case reflect.Map:
		return object{"type": []string{"object", "null"}, "additionalProperties": d.schema(t.Elem())}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice {
			return object{"type": []string{"string", "null"}, "contentEncoding": "base64"}
		}
		return object{"type": []string{"array", "null"}, "items": d.schema(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}

// written is the schema of a type that writes itself, by what its zero value
// writes.
func written(t reflect.Type) any {
	b, err := json.Marshal(reflect.New(t).Interface())
	switch {
	case err != nil || len(b) == 0:
		return object{}
	case b[0] == '"':
		return object{"type": "string"}
	case b[0] == '{':
		return object{"type": "object"}
	case b[0] == '[':
		return object{"type": "array"}
	case b[0] == 't' || b[0] == 'f':
		return object{"type": "boolean"}
	}
	return object{}
}

func (d describer) named(t reflect.Type) any {
	name := path.Base(t.PkgPath()) + "." + t.Name()
	if t.Name() == "" {
		return d.fields(t)
	}
	if _, known := d.schemas[name]; !known {
		d.schemas[name] = object{} // a type may hold itself
		d.schemas[name] = d.fields(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// fields is the schema of a struct: embedded ones are flattened, what may be left
// out is not required.
func (d describer) fields(t reflect.Type) object {
	properties, required := object{}, []string{}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && embedded(f.Type).Kind() == reflect.Struct:
			inner := d.fields(embedded(f.Type))
			maps.Copy(properties, inner["properties"].(object))
			required = append(required, inner["required"].([]string)...)
			continue
		case name == "":
			name = f.Name
		}
		properties[name] = d.schema(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": slices.Compact(required)}
}

func embedded(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
