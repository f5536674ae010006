package stix_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

func ExampleParse() {
	o, err := stix.Parse([]byte(`{
  "type": "indicator", "spec_version": "2.1",
  "id": "indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2",
  "created": "2026-11-22T01:02:03.123456789Z", "modified": "2026-11-22T01:02:03.123456789Z",
  "name": "狼煙", "pattern": "[domain-name:value = 'a.example']", "pattern_type": "stix",
  "valid_from": "2026-11-22T00:00:00Z",
  "x_count": 123456789012345678901234567890
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(o.ID, o.Modified)
	fmt.Println(o.Text("name"), string(o.Property("x_count")))
	// Output:
	// indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2 2026-11-22T01:02:03.123456789Z
	// 狼煙 123456789012345678901234567890
}

func ExampleParse_refused() {
	_, err := stix.Parse([]byte(`{"type":"url", "id":"url--c1477287-23ac-5971-a010-5c287877fa60",
"value":"https://a.example/", "value":"https://b.example/"}`))
	var syntax *stix.SyntaxError
	if errors.As(err, &syntax) {
		fmt.Println(syntax.Code, syntax.Path, syntax.Line)
	}
	fmt.Println(err)
	// Output:
	// duplicate-key /value 2
	// the object has this member twice (line 2, offset 95, at /value)
}

func ExampleReader() {
	r := stix.NewReader(strings.NewReader(`{"type":"bundle","id":"bundle--5d0f5b0a-0d55-4b5e-9f0e-1f6f7d1a7c20","objects":[
  {"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"},
  {"type":5},
  {"type":"domain-name","id":"domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7","value":"example.com"}
]}`))
	for {
		item, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil { // the input is broken beyond the element
			fmt.Println(err)
			return
		}
		if item.Err != nil { // this element alone is broken
			fmt.Println("line", item.Line, item.Err)
			continue
		}
		fmt.Println("line", item.Line, item.Object.Text("value"))
	}
	// Output:
	// line 2 198.51.100.3
	// line 3 the property has a value of the wrong type (line 3, offset 193, at /type)
	// line 4 example.com
}

func ExampleValidate() {
	o, err := stix.Parse([]byte(`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.300","labels":[]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range stix.Validate(o) {
		fmt.Println(p.Code, p.Path, p.Msg)
	}
	// Output:
	// value /value is no IPv4 address or network
	// empty /labels a list must have an element; leave the property out
}

func ExampleMake() {
	at := stix.TimeOf(time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC))
	o, err := stix.Make(
		stix.Member{Name: "type", Value: "note"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: stix.ID("note--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061")},
		stix.Member{Name: "created", Value: at},
		stix.Member{Name: "modified", Value: at},
		stix.Member{Name: "abstract", Value: ""}, // empty: left out
		stix.Member{Name: "content", Value: "煙が見えた"},
		stix.Member{Name: "object_refs", Value: []stix.ID{"indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2"}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n%d problems\n", o.Bytes(), len(stix.Validate(o)))
	// Output:
	// {"type":"note","spec_version":"2.1","id":"note--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061","created":"2026-11-22T01:00:00.000Z","modified":"2026-11-22T01:00:00.000Z","content":"煙が見えた","object_refs":["indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2"]}
	// 0 problems
}

func ExampleCut() {
	o, err := stix.Parse([]byte(`{
  "type": "report", "id": "report--84e4d88f-44ea-4bcd-bbf3-b2c1c320bcb3",
  "name": "r", "description": "secret",
  "labels": ["one", "two", "three"],
  "granular_markings": [
    {"marking_ref": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "selectors": ["description"]},
    {"marking_ref": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "selectors": ["labels.[0]", "labels.[2]"]}
  ]
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	cut, err := stix.Cut(o, []string{"description", "labels.[0]"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", cut.Bytes())
	// Output:
	// {
	//   "type": "report", "id": "report--84e4d88f-44ea-4bcd-bbf3-b2c1c320bcb3",
	//   "name": "r",
	//   "labels": ["two", "three"],
	//   "granular_markings": [
	//     {"marking_ref": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "selectors": ["labels.[1]"]}
	//   ]
	// }
}

func ExampleSCOID() {
	o, err := stix.Parse([]byte(`{"type":"domain-name","id":"domain-name--2f4e1b7c-5f0a-4d3c-9c66-0d8b5a1c7e11","value":"example.com"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stix.SCOID(o))
	// Output: domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7 <nil>
}

func ExampleObject_Refs() {
	o, err := stix.Parse([]byte(`{"type":"relationship","id":"relationship--57b56a43-b8b0-4cba-9deb-34e3e1faed9e",
"created_by_ref":"identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5","relationship_type":"indicates",
"source_ref":"indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2","target_ref":"malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range o.Refs() {
		fmt.Println(r.Path, r.Target.Type(), r.Required)
	}
	// Output:
	// created_by_ref identity false
	// source_ref indicator true
	// target_ref malware true
}
