package stix_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
)

func TestCanonical(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"order and space", ` { "b" : [ 1 , 2 ] , "a" : "x" } `, `{"a":"x","b":[1,2]}`},
		{"numbers of RFC 8785 §3.2.2", `[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001]`, `[333333333.3333333,1e+30,4.5,0.002,1e-27]`},
		{"strings of RFC 8785 §3.2.2", `"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"`, `"€$\u000f\nA'B\"\\\\\"/"`},
		{"order by UTF-16, RFC 8785 §3.2.3", `{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`,
			"{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"\U0001f600\":5,\"\ufb33\":3}"},
		{"minus zero", `-0`, `0`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := []byte(test.in)
			got, err := stix.Canonical(in)
			if err != nil || string(got) != test.want {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
			if string(in) != test.in {
				t.Error("the input was changed")
			}
		})
	}
	for _, wrong := range []string{``, `{`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, "\"\xff\"", `1 2`, `1e400`} {
		if got, err := stix.Canonical([]byte(wrong)); err == nil {
			t.Errorf("%q has the canonical form %s", wrong, got)
		}
	}
}

// Ids that the rule of STIX 2.1 §2.9 gives by the word of its committee: the
// example of that section, and those of its list of examples whose printed id
// did not follow the rule (oasis-tcs/cti-stix2 #318).
func TestSCOIDKnown(t *testing.T) {
	tests := []struct{ id, members string }{
		{"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4", `"value":"198.51.100.3"`},
		{"ipv6-addr--6469e3a9-b053-5e34-a025-9396ae051d26", `"value":"2001:db8::1"`},
		{"domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7", `"value":"example.com"`},
		{"autonomous-system--3aa27478-50b5-5ab8-9da9-cdc12b657fff", `"number":15139,"name":"n","rir":"ARIN"`},
		{"directory--0a58d0c1-59e6-5afd-8252-dcd3f13e5622", `"path":"C:\\Windows\\System32"`},
	}
	for _, test := range tests {
		typ := stix.ID(test.id).Type()
		o := mustParse(t, `{"type":"`+typ+`","id":"`+string(stix.NewID(typ))+`",`+test.members+`}`)
		if got, err := stix.SCOID(o); err != nil || string(got) != test.id {
			t.Errorf("%s, %v; want %s", got, err, test.id)
		}
	}
}

func TestSCOIDDependsOnItsPropertiesAlone(t *testing.T) {
	id := func(members string) stix.ID {
		t.Helper()
		got, err := stix.SCOID(mustParse(t, `{"type":"file","id":"file--30038539-3eb6-44bc-a59e-d0d3fe84695a",`+members+`}`))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const md5, sha256 = `"MD5":"cead3f77f6cda6ec00f57d76c9a6879f"`, `"SHA-256":"fe90a7e910cb3a4739bed9180e807e93fa70c90f25a8915476f5e4bfbac681db"`
	same := [][2]string{
		{`"name":"a","hashes":{` + md5 + `}`, `"size":5,"hashes":{` + sha256 + `,` + md5 + ` },"name":"\u0061","x_a":1`},
		{`"hashes":{` + sha256 + `}`, `"hashes":{"AAA":"1",` + sha256 + `}`},
		{`"hashes":{"AAA":"1"}`, `"hashes":{"BBB":"2","AAA":"1"}`},
		{`"extensions":{"a-ext":{"b":1,"c":2}}`, `"extensions":{"a-ext":{"c":2.0,"b":1}}`},
	}
	for _, pair := range same {
		if a, b := id(pair[0]), id(pair[1]); a != b {
			t.Errorf("%s and %s of %v", a, b, pair)
		}
	}
	if id(`"name":"a"`) == id(`"name":"A"`) || id(`"hashes":{`+md5+`}`) == id(`"hashes":{`+sha256+`}`) {
		t.Error("different files have one id")
	}
}

func TestSCOIDRefuses(t *testing.T) {
	for _, text := range []string{
		`{"type":"process","id":"process--30038539-3eb6-44bc-a59e-d0d3fe84695a","pid":1}`,
		`{"type":"indicator","id":"indicator--30038539-3eb6-44bc-a59e-d0d3fe84695a","name":"n"}`,
		`{"type":"file","id":"file--30038539-3eb6-44bc-a59e-d0d3fe84695a","size":1}`,
		`{"type":"autonomous-system","id":"autonomous-system--30038539-3eb6-44bc-a59e-d0d3fe84695a","number":1e999}`,
	} {
		if id, err := stix.SCOID(mustParse(t, text)); err == nil {
			t.Errorf("%s has the id %s", text, id)
		}
	}
	for _, o := range ownObjects(t) {
		id, err := stix.SCOID(o)
		if err == nil && (id.Type() != o.Type || !strings.HasPrefix(string(id), o.Type+"--")) {
			t.Errorf("%s has the id %s", o.ID, id)
		}
		if bytes.Contains(o.Bytes(), []byte(`"created"`)) && err == nil {
			t.Errorf("%s is no cyber-observable and has the id %s", o.ID, id)
		}
	}
}
