package stix_test

import (
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

func TestMake(t *testing.T) {
	at := stix.TimeOf(time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC))
	o, err := stix.Make(
		stix.Member{"type", "indicator"}, stix.Member{"spec_version", "2.1"},
		stix.Member{"id", stix.ID(indicatorID)}, stix.Member{"created", at}, stix.Member{"modified", at},
		stix.Member{"revoked", false}, stix.Member{"confidence", 0}, stix.Member{"x_long", int64(-1 << 63)},
		stix.Member{"name", "狼煙 \"a\\b\" \n\t\r\x01 </script>"},
		stix.Member{"labels", []string{"a", ""}},
		stix.Member{"object_marking_refs", []stix.ID{amberID}},
		stix.Member{"extensions", []stix.Member{{"a-ext", []stix.Member{{"n", 1}, {"gone", ""}}}}},
		stix.Member{"x_list", []any{1, "b", true, []stix.Member{{"c", at}}, stix.RawValue("1e99")}},
		stix.Member{"x_raw", stix.RawValue("1.50")},
		stix.Member{"a", nil}, stix.Member{"b", ""}, stix.Member{"c", stix.ID("")}, stix.Member{"d", stix.Time{}},
		stix.Member{"e", []stix.ID{}}, stix.Member{"f", []string(nil)}, stix.Member{"g", []stix.Member{}},
		stix.Member{"h", []any{}}, stix.Member{"i", stix.RawValue{}},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"indicator","spec_version":"2.1","id":"` + indicatorID + `","created":"2026-11-22T01:00:00.000Z","modified":"2026-11-22T01:00:00.000Z",` +
		`"revoked":false,"confidence":0,"x_long":-9223372036854775808,"name":"狼煙 \"a\\b\" \n\t\r\u0001 </script>","labels":["a",""],` +
		`"object_marking_refs":["` + amberID + `"],"extensions":{"a-ext":{"n":1}},"x_list":[1,"b",true,{"c":"2026-11-22T01:00:00.000Z"},1e99],"x_raw":1.50}`
	if got := string(o.Bytes()); got != want {
		t.Errorf("made\n%s, want\n%s", got, want)
	}
	if got := o.Text("name"); got != "狼煙 \"a\\b\" \n\t\r\x01 </script>" {
		t.Errorf("name %q", got)
	}
}

func TestMakeRefuses(t *testing.T) {
	base := []stix.Member{{"type", "domain-name"}, {"id", stix.ID(domainID)}}
	tests := []struct {
		name string
		more stix.Member
		want string
	}{
		{"twice", stix.Member{"type", "domain-name"}, "twice"},
		{"bad text", stix.Member{"value", "\xff"}, "UTF-8"},
		{"bad raw", stix.Member{"x_a", stix.RawValue(`1,"id":2`)}, "twice"},
		{"float", stix.Member{"x_a", 1.5}, "member x_a: a value of type float64"},
		{"inner float", stix.Member{"x_a", []any{1.5}}, "float64"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := stix.Make(append(base[:2:2], test.more)...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
