package stix_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

func mustTime(t testing.TB, s string) stix.Time {
	t.Helper()
	v, err := stix.ParseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTimeForms(t *testing.T) {
	tests := []struct {
		text string
		good bool
	}{
		{"2026-11-22T01:02:03Z", true},
		{"2026-11-22T01:02:03.4Z", true},
		{"2026-11-22T01:02:03.123456789012345678901234567890Z", true},
		{"0000-01-01T00:00:00Z", true},
		{"9999-12-31T23:59:59.999Z", true},
		{"2024-02-29T00:00:00Z", true},
		{"2000-02-29T00:00:00Z", true},
		{"2016-12-31T23:59:60Z", true},
		{"2012-06-30T23:59:60.5Z", true},
		{"2026-11-22T23:59:60Z", false}, // no leap second in the middle of a month
		{"2016-12-31T22:59:60Z", false},
		{"2016-12-31T23:59:61Z", false},
		{"1900-02-29T00:00:00Z", false},
		{"2026-02-29T00:00:00Z", false},
		{"2026-04-31T00:00:00Z", false},
		{"2026-00-01T00:00:00Z", false},
		{"2026-01-00T00:00:00Z", false},
		{"2026-13-01T00:00:00Z", false},
		{"2026-11-22T24:00:00Z", false},
		{"2026-11-22T01:60:00Z", false},
		{"2026-11-22T01:02:03", false},
		{"2026-11-22T01:02:03.Z", false},
		{"2026-11-22T01:02:03,4Z", false},
		{"2026-11-22T01:02:03.4xZ", false},
		{"2026-11-22T01:02:03+00:00", false},
		{"2026-11-22T01:02:03.000+09:00", false},
		{"2026-11-22t01:02:03z", false},
		{"2026-11-22 01:02:03Z", false},
		{"2026-11-22T1:02:03Z", false},
		{"２０２６-11-22T01:02:03Z", false},
		{"", false},
		{"Z", false},
	}
	for _, test := range tests {
		v, err := stix.ParseTime(test.text)
		if (err == nil) != test.good {
			t.Errorf("ParseTime(%q): %v, want good %v", test.text, err, test.good)
		}
		if test.good && v.String() != test.text {
			t.Errorf("ParseTime(%q) spells %q", test.text, v)
		}
	}
}

// Times in order of their instant; those on one line are equal.
var order = [][]string{
	{""},
	{"1969-12-31T23:59:59.9999999Z"},
	{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.0Z", "1970-01-01T00:00:00.000000000000Z"},
	{"2016-12-31T23:59:59.999999999Z"},
	{"2016-12-31T23:59:60Z", "2016-12-31T23:59:60.00Z"},
	{"2016-12-31T23:59:60.5Z"},
	{"2017-01-01T00:00:00Z"},
	{"2026-11-22T01:02:03.1234567890123456789Z"},
	{"2026-11-22T01:02:03.12345678901234567891Z"},
	{"2026-11-22T01:02:03.2Z", "2026-11-22T01:02:03.200Z"},
	{"2026-11-22T01:02:03.20000000000000001Z"},
}

func TestTimeOrder(t *testing.T) {
	for i, line := range order {
		for j, other := range order {
			for _, a := range line {
				for _, b := range other {
					checkOrder(t, a, b, i, j)
				}
			}
		}
	}
}

func checkOrder(t *testing.T, a, b string, i, j int) {
	t.Helper()
	var x, y stix.Time
	if a != "" {
		x = mustTime(t, a)
	}
	if b != "" {
		y = mustTime(t, b)
	}
	want := 0
	if i < j {
		want = -1
	} else if i > j {
		want = 1
	}
	if got := x.Compare(y); got != want {
		t.Errorf("%q against %q: %d, want %d", a, b, got, want)
	}
	if a != "" && b != "" && want < 0 && x.Micros() > y.Micros() {
		t.Errorf("micros of %q and %q stand against their order", a, b)
	}
}

func TestTimeInstant(t *testing.T) {
	tests := []struct {
		text   string
		micros int64
		nanos  string
	}{
		{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
		{"1969-12-31T23:59:59.9999999Z", -1, "1969-12-31T23:59:59.9999999Z"},
		{"2026-11-22T01:02:03.1234567899Z", 1795309323123456, "2026-11-22T01:02:03.123456789Z"},
		{"2016-12-31T23:59:60.25Z", 1483228799999999, "2016-12-31T23:59:59.999999999Z"},
	}
	for _, test := range tests {
		v := mustTime(t, test.text)
		if got := v.Micros(); got != test.micros {
			t.Errorf("%s: %d µs, want %d", test.text, got, test.micros)
		}
		if got := v.Time().Format(time.RFC3339Nano); got != test.nanos {
			t.Errorf("%s: %s, want %s", test.text, got, test.nanos)
		}
	}
	if got := stix.TimeOf(time.Date(2026, 11, 22, 10, 0, 0, 1_999_999, time.FixedZone("JST", 9*3600))).String(); got != "2026-11-22T01:00:00.001Z" {
		t.Errorf("TimeOf: %s", got)
	}
	var zero stix.Time
	if !zero.IsZero() || zero.Micros() != 0 || !zero.Time().IsZero() {
		t.Error("the zero Time is an instant")
	}
}

// FuzzTime holds ParseTime against the standard library, which knows no leap
// second and no more than nine digits.
func FuzzTime(f *testing.F) {
	for _, line := range order {
		f.Add(line[0], line[len(line)-1])
	}
	f.Add("2026-11-22T01:02:03.123Z", "2026-11-22T01:02:03+00:00")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := stix.ParseTime(a)
		std, stdErr := time.Parse(time.RFC3339Nano, a)
		if err != nil {
			// The library also takes an hour of one digit and a decimal comma.
			lax := len(a) < 20 || len(a) > 30 || a[13] != ':' || strings.Contains(a, ",")
			if stdErr == nil && strings.HasSuffix(a, "Z") && !lax {
				t.Fatalf("ParseTime refuses %q: %v", a, err)
			}
			return
		}
		if stdErr == nil && !x.Time().Equal(std) {
			t.Fatalf("%q is %v, want %v", a, x.Time(), std)
		}
		y, err := stix.ParseTime(b)
		if err != nil {
			return
		}
		if x.Compare(y) != -y.Compare(x) {
			t.Fatalf("%q and %q have no order", a, b)
		}
		if c := x.Time().Compare(y.Time()); c != 0 && x.Compare(y) != c {
			t.Fatalf("%q against %q: %d, want %d", a, b, x.Compare(y), c)
		}
	})
}

func TestIDs(t *testing.T) {
	tests := []struct {
		text string
		typ  string // empty: refused
	}{
		{indicatorID, "indicator"},
		{"x-mitre-data-source--C78CB6E5-0C4B-4611-8297-D1B8B55E40B5", "x-mitre-data-source"},
		{"x--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", "x"},
		{strings.Repeat("a", 250) + "--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", strings.Repeat("a", 250)},
		{strings.Repeat("a", 251) + "--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"a-c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"a--b--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"a---c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"A--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"1a--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"../a--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5", ""},
		{"url--c78cb6e5-0c4b-4611-8297-d1b8b55e40b", ""},
		{"url--c78cb6e5-0c4b-4611-8297-d1b8b55e40bg", ""},
		{"url--c78cb6e5+0c4b-4611-8297-d1b8b55e40b5", ""},
		{"url--{78cb6e5-0c4b-4611-8297-d1b8b55e40b5}", ""},
		{"", ""},
	}
	for _, test := range tests {
		id, err := stix.ParseID(test.text)
		if (err == nil) != (test.typ != "") || id.Type() != test.typ {
			t.Errorf("ParseID(%q) = type %q, %v; want type %q", test.text, id.Type(), err, test.typ)
		}
	}
	if got := stix.ID("nonsense").Type(); got != "" {
		t.Errorf("type of nonsense is %q", got)
	}
}

func TestNewAndDerivedIDs(t *testing.T) {
	var seen []stix.ID
	for range 100 {
		id := stix.NewID("indicator")
		if _, err := stix.ParseID(string(id)); err != nil || id[len("indicator--")+14] != '4' || slices.Contains(seen, id) {
			t.Fatalf("NewID = %s, %v", id, err)
		}
		seen = append(seen, id)
	}
	// RFC 9562, appendix A.4: UUIDv5 of www.example.com in the DNS namespace.
	dns := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	if got := stix.DeriveID("url", dns, "www.example.com"); got != "url--2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("DeriveID = %s", got)
	}
}
