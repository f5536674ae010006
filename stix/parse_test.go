package stix_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi/stix"
)

const (
	domainID    = "domain-name--2f4e1b7c-5f0a-4d3c-9c66-0d8b5a1c7e11"
	indicatorID = "indicator--6f1c8c52-7e7c-4b0a-8a43-2b5d0e9b7a10"
	identityID  = "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"
	amberID     = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"
)

// domain is an object with the members inside.
func domain(inside string) string {
	if inside != "" {
		inside = "," + inside
	}
	return `{"type":"domain-name","id":"` + domainID + `","value":"a.example"` + inside + `}`
}

func mustParse(t testing.TB, text string) *stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%.200s): %v", text, err)
	}
	return o
}

func TestParseHeader(t *testing.T) {
	text := ` {"type":"indicator","spec_version":"2.1","id":"` + indicatorID + `",
	"created_by_ref":"` + identityID + `","created":"2026-01-02T03:04:05.678901234Z","modified":"2026-01-03T00:00:00.000Z",
	"revoked":true,"lang":"ja","object_marking_refs":["` + amberID + `"],"name":"\u72fc\u7159 \"x\"","x_big":123456789012345678901234567890,
	"granular_markings":[{"marking_ref":"` + amberID + `","selectors":["name"]}]} ` + "\n"
	o := mustParse(t, text)
	got := fmt.Sprint(o.Type, " ", o.ID, " ", o.SpecVersion, " ", o.Created, " ", o.Modified, " ", o.CreatedBy, " ", o.Revoked, " ", o.Lang, " ", o.Markings, " ", o.Granular)
	want := "indicator " + indicatorID + " 2.1 2026-01-02T03:04:05.678901234Z 2026-01-03T00:00:00.000Z " + identityID + " true ja [" + amberID + "] true"
	if got != want {
		t.Errorf("header\n%s, want\n%s", got, want)
	}
	if string(o.Bytes()) != text {
		t.Error("bytes not kept")
	}
	if got := o.Text("name"); got != `狼煙 "x"` {
		t.Errorf("Text(name) = %s", got)
	}
	if got := string(o.Property("x_big")); got != "123456789012345678901234567890" {
		t.Errorf("Property(x_big) = %s", got)
	}
	if o.Property("absent") != nil || o.Text("revoked") != "" {
		t.Error("absent property or text of a boolean is not empty")
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", stix.MaxDepth) + strings.Repeat("]", stix.MaxDepth)
	tests := []struct {
		name, text, code, path string
		offset                 int64
	}{
		{"empty", "", "syntax", "", 0},
		{"array", "[]", "type", "", 0},
		{"number", "5", "type", "", 0},
		{"null", "null", "type", "", 0},
		{"mark", "\xef\xbb\xbf" + domain(""), "bom", "", 0},
		{"trailing", domain("") + "x", "trailing", "", 99},
		{"second object", domain("") + domain(""), "trailing", "", 99},
		{"unfinished", `{"type":"domain-name"`, "syntax", "/type", 21},
		{"type number", `{"type":5,"id":"` + domainID + `"}`, "type", "/type", 8},
		{"type null", `{"type":null,"id":"` + domainID + `"}`, "type", "/type", 8},
		{"type name", `{"type":"Domain Name","id":"` + domainID + `"}`, "name", "/type", 8},
		{"no type", `{"id":"` + domainID + `"}`, "missing", "", 58},
		{"no id", `{"type":"domain-name"}`, "missing", "", 22},
		{"id form", `{"type":"domain-name","id":"domain-name--1"}`, "id", "/id", 27},
		{"id of another type", `{"type":"url","id":"` + domainID + `"}`, "id", "/id", 19},
		{"id of a longer type", `{"type":"domain","id":"` + domainID + `"}`, "id", "/id", 22},
		{"spec_version number", domain(`"spec_version":2.1`), "type", "/spec_version", 114},
		{"created", domain(`"created":"2026-02-30T00:00:00Z"`), "time", "/created", 109},
		{"modified", domain(`"modified":""`), "time", "/modified", 110},
		{"revoked", domain(`"revoked":"true"`), "type", "/revoked", 109},
		{"marking no list", domain(`"object_marking_refs":"` + amberID + `"`), "type", "/object_marking_refs", 121},
		{"marking no id", domain(`"object_marking_refs":["TLP:RED"]`), "id", "/object_marking_refs", 121},
		{"creator", domain(`"created_by_ref":"ACME"`), "id", "/created_by_ref", 116},
		{"duplicate", domain(`"value":"b"`), "duplicate-key", "/value", 99},
		{"duplicate by escape", domain(`"v\u0061lue":"b"`), "duplicate-key", "/value", 99},
		{"duplicate deep", domain(`"x_a":[0,{"b":1,"c":{},"b":2}]`), "duplicate-key", "/x_a/1/b", 122},
		{"case", domain(`"Value":"b"`), "case-key", "/Value", 99},
		{"case deep", domain(`"x_a":{"k":1,"K":2}`), "case-key", "/x_a/K", 112},
		{"case Kelvin", domain(`"x_a":{"k":1,"` + "\u212a" + `":2}`), "case-key", "/x_a/\u212a", 112},
		{"case Greek", domain(`"x_a":{"Σ":1,"ς":2}`), "case-key", "/x_a/ς", 113},
		{"depth", domain(`"x_a":` + deep), "depth", "/x_a" + strings.Repeat("/0", stix.MaxDepth-1), 105 + stix.MaxDepth - 1},
		{"utf8", domain("\"x_a\":\"é\xff\""), "utf8", "/x_a", 108},
		{"utf8 surrogate", domain("\"x_a\":\"\xed\xa0\x80\""), "utf8", "/x_a", 106},
		{"utf8 in a name", domain("\"x\xc3\":1"), "utf8", "", 101},
		{"lone high surrogate", domain(`"x_a":"\ud800"`), "escape", "/x_a", 106},
		{"lone low surrogate", domain(`"x_a":"\udc00"`), "escape", "/x_a", 106},
		{"high pair", domain(`"x_a":"\ud800\ud800"`), "escape", "/x_a", 106},
		{"escape", domain(`"x_a":"\x41"`), "escape", "/x_a", 106},
		{"control", domain("\"x_a\":\"a\nb\""), "control", "/x_a", 107},
		{"NaN", domain(`"x_a":NaN`), "syntax", "/x_a", 105},
		{"infinity", domain(`"x_a":-Infinity`), "syntax", "/x_a", 106},
		{"leading zero", domain(`"x_a":01`), "syntax", "/x_a", 106},
		{"plus", domain(`"x_a":+1`), "syntax", "/x_a", 105},
		{"point", domain(`"x_a":1.`), "syntax", "/x_a", 107},
		{"exponent", domain(`"x_a":1e`), "syntax", "/x_a", 107},
		{"comma", domain(`"x_a":[1,]`), "syntax", "/x_a/1", 108},
		{"comment", domain(`"x_a":/**/1`), "syntax", "/x_a", 105},
		{"single quotes", domain(`"x_a":'a'`), "syntax", "/x_a", 105},
		{"True", domain(`"x_a":True`), "syntax", "/x_a", 105},
		{"space of Unicode", domain("\"x_a\":\u00a01"), "syntax", "/x_a", 105},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := stix.Parse([]byte(test.text))
			var syntax *stix.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v, want a SyntaxError", err)
			}
			if syntax.Code != test.code || syntax.Path != test.path || syntax.Offset != test.offset {
				t.Errorf("%s at %q, offset %d; want %s at %q, offset %d",
					syntax.Code, syntax.Path, syntax.Offset, test.code, test.path, test.offset)
			}
			if strings.Contains(err.Error(), "a.example") {
				t.Errorf("the error quotes the object: %v", err)
			}
		})
	}
}

func TestParseSize(t *testing.T) {
	head, tail := domain(`"x_a":"`), `"}`
	head = strings.TrimSuffix(head, "}")
	fill := strings.Repeat("a", stix.MaxObjectBytes-len(head)-len(tail))
	mustParse(t, head+fill+tail)
	_, err := stix.Parse([]byte(head + fill + "a" + tail))
	var syntax *stix.SyntaxError
	if !errors.As(err, &syntax) || syntax.Code != "size" {
		t.Errorf("one byte too large: %v", err)
	}
}

// A great many names, and escapes without end, must not take quadratic time.
func TestParseHostileIsLinear(t *testing.T) {
	var b strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&b, `"x_%d":1,`, i)
	}
	b.WriteString(`"x_s":"` + strings.Repeat(`\\`, 1_000_000) + `"`)
	o := mustParse(t, domain(b.String()))
	if got := len(o.Text("x_s")); got != 1_000_000 {
		t.Errorf("text of %d bytes, want 1000000", got)
	}
}

func TestRefs(t *testing.T) {
	report := mustParse(t, `{"type":"report","id":"report--84e4d88f-44ea-4bcd-bbf3-b2c1c320bcb3","created_by_ref":"`+identityID+`",
	"object_marking_refs":["`+amberID+`"],"granular_markings":[{"selectors":["name"],"marking_ref":"`+amberID+`"}],
	"object_refs":["`+indicatorID+`","`+domainID+`"],"x_ref":"`+domainID+`","sample_refs":["`+domainID+`"],
	"x_deep":{"a":[{"marking_ref":"`+amberID+`"}]},
	"extensions":{"extension-definition--d83fce45-ef58-4c6c-a3f4-1fbc32e98c6e":{"lead_ref":"`+identityID+`"}},"y_ref":"0","z_ref":5}`)
	want := []stix.Ref{
		{Path: "created_by_ref", Target: identityID},
		{Path: "object_refs.[0]", Target: indicatorID, Required: true},
		{Path: "object_refs.[1]", Target: domainID, Required: true},
		{Path: "x_ref", Target: domainID, Custom: true},
		{Path: "sample_refs.[0]", Target: domainID, Custom: true},
		{Path: "x_deep.a.[0].marking_ref", Target: amberID, Custom: true},
		{Path: "extensions.extension-definition--d83fce45-ef58-4c6c-a3f4-1fbc32e98c6e.lead_ref", Target: identityID, Custom: true},
	}
	got := report.Refs()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("refs\n%v, want\n%v", got, want)
	}
	mail := mustParse(t, `{"type":"email-message","id":"email-message--72b7698f-10c2-565a-a2a6-b4996a2f2265","body_multipart":[{"body":"x"},{"body_raw_ref":"`+domainID+`"}]}`)
	if got := fmt.Sprint(mail.Refs()); got != "[{body_multipart.[1].body_raw_ref "+domainID+" false false}]" {
		t.Errorf("refs of a message: %s", got)
	}
}

// FuzzParse holds Parse against jsontext: what jsontext refuses, Parse refuses,
// and what Parse refuses by grammar alone, jsontext refuses.
func FuzzParse(f *testing.F) {
	f.Add([]byte(domain("")))
	f.Add([]byte(domain(`"x_a":[1,-0.5e+7,true,null,{"k":"\ud83d\ude00\/"}]`)))
	f.Add([]byte(domain(`"x_a":{"k":1,"k":2}`)))
	f.Add([]byte(domain("\"x\":\"狼煙\xff\"")))
	for _, o := range sample(f, 40) {
		f.Add(o.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		o, err := stix.Parse(raw)
		if !bytes.Equal(raw, kept) {
			t.Fatal("Parse changed its input")
		}
		refused := jsontextRefuses(raw)
		if err == nil {
			if refused != nil {
				t.Fatalf("Parse takes what jsontext refuses: %v", refused)
			}
			walk(t, o)
			return
		}
		syntax := err.(*stix.SyntaxError)
		switch syntax.Code {
		case "syntax", "trailing", "duplicate-key", "utf8", "escape", "control":
			if refused == nil {
				t.Fatalf("jsontext takes what Parse refuses: %v", err)
			}
		}
		if syntax.Offset < 0 || syntax.Offset > int64(len(raw)) || syntax.Line < 1 {
			t.Fatalf("no place in the input: %+v", syntax)
		}
	})
}

// walk visits every property, so that a reader of good JSON which runs out of
// it is found.
func walk(t *testing.T, o *stix.Object) {
	t.Helper()
	names := 0
	for name, v := range o.Root().Members() {
		names++
		if !bytes.Equal(o.Property(name), v) {
			t.Fatalf("Property(%q) = %s, want %s", name, o.Property(name), v)
		}
		if err := jsontextRefuses(v); err != nil {
			t.Fatalf("value of %q: %v", name, err)
		}
	}
	if names < 2 || o.Text("type") != o.Type || o.Text("id") != string(o.ID) {
		t.Fatalf("header %s %s of %s", o.Type, o.ID, o.Bytes())
	}
}

func jsontextRefuses(raw []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := d.ReadValue(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return fmt.Errorf("trailing: %v", err)
	}
	return nil
}

func BenchmarkParse(b *testing.B) {
	objects := sample(b, 1)
	size := 0
	for _, o := range objects {
		size += len(o.Bytes())
	}
	b.SetBytes(int64(size / len(objects)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := stix.Parse(objects[i%len(objects)].Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
