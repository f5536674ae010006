package taxii_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/taxii"
)

// FuzzEnvelope: what is taken is JSON, its elements are those another parser
// sees, byte for byte and all of them, and each is an object or has an error.
func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		wrap(indicator(1, "2024-01-01T00:00:00.000Z"), address(1)), "{}", `{"objects":[]}`, `{"objects":[1,{"a":[{}]}, "x"],"more":true}`,
		`{"objects":[{"a":1,"a":2}]}`, `{"objects":null}`, "[]", "\xef\xbb\xbf{}", `{"\u006fbjects":[null]}`, `{"objects":[NaN]}`, `{"objects":[{}]}{}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		posted, err := taxii.ReadEnvelope(bytes.Clone(body))
		if err != nil {
			if posted != nil {
				t.Error("objects beside an error")
			}
			return
		}
		var want map[string]json.RawMessage
		var elements []json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("taken, and not JSON: %v", err)
		}
		if err := json.Unmarshal(want["objects"], &elements); err != nil || len(elements) != len(posted) {
			t.Fatalf("%d elements, want %d (%v)", len(posted), len(elements), err)
		}
		for i, p := range posted {
			if (p.Object == nil) == (p.Err == nil) || !bytes.Equal(p.Raw, elements[i]) {
				t.Errorf("element %d: %s, %v, want %s", i, p.Raw, p.Err, elements[i])
			}
			p.Detail("x")
		}
	})
}

// FuzzAccept: whatever else a client writes, the media type in a line of its own is
// heard, and alone it is taken out by q=0.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"", "*/*;q=0", `a/b;c="`, "application/taxii+json;version=2.1;q=0", "application/*;q=0.1,,;", "application/taxii+json ; version = \"2.1\" "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !taxii.Acceptable([]string{s, mediaType}, false) || !taxii.Acceptable([]string{mediaType, s}, false) {
			t.Errorf("%q drowns the media type", s)
		}
		if taxii.Acceptable([]string{s}, false) && !taxii.Acceptable([]string{s}, true) {
			t.Errorf("%q: stix narrows", s)
		}
		taxii.IsTaxii(s)
		if c := taxii.Coding([]string{s}); c != "" && !strings.Contains(strings.ToLower(s), c) && !strings.Contains(s, "*") {
			t.Errorf("%q gives %s", s, c)
		}
	})
}

// FuzzQuery: what is taken, written again, reads the same.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"added_after=2024-01-01T00:00:00.000001Z&limit=10&next=x", "match[id]=" + indicatorID(1) + "&match[type]=a,b&match[version]=first,last,2024-01-01T00:00:00Z&match[spec_version]=2.0,2.1",
		"match[version]=all", "limit=0", "match[x]=1", "%zz", "a;b", "limit=1&limit=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, next, err := taxii.ParseObjectsQuery(raw)
		if err != nil {
			return
		}
		again, next2, err := taxii.ParseObjectsQuery(encode(q, next))
		if err != nil || next2 != next || encode(again, next2) != encode(q, next) {
			t.Errorf("%q: %+v, then %+v (%v)", raw, q, again, err)
		}
		if q.Limit < 0 || !slices.IsSorted(q.Types) || len(slices.Compact(slices.Clone(q.Types))) != len(q.Types) {
			t.Errorf("%q: %+v", raw, q)
		}
	})
}

func encode(q taxii.Query, next string) string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !q.After.IsZero() {
		set("added_after", q.After.Format("2006-01-02T15:04:05.999999999Z"))
	}
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	var ids, versions []string
	for _, id := range q.IDs {
		ids = append(ids, string(id))
	}
	for _, m := range q.Version {
		versions = append(versions, map[taxii.Match]string{taxii.Last: "last", taxii.First: "first", taxii.All: "all", taxii.Exactly: m.At.String()}[m.Kind])
	}
	set("next", next)
	set("match[id]", strings.Join(ids, ","))
	set("match[type]", strings.Join(q.Types, ","))
	set("match[version]", strings.Join(versions, ","))
	set("match[spec_version]", strings.Join(q.Specs, ","))
	return v.Encode()
}

// FuzzCursor: only the text that was made opens, for what it was made for.
func FuzzCursor(f *testing.F) {
	key := []byte("0123456789abcdef0123456789abcdef")
	at := time.UnixMicro(1_700_000_000_123_456).UTC()
	f.Add("", "tool", "open", int64(0), "indicator")
	f.Add("AAAA", "", "", int64(-1), "")
	f.Add(taxii.MakeCursor(key, "tool", "open", taxii.Query{}, at), "tool", "open", at.UnixMicro(), "a")
	f.Fuzz(func(t *testing.T, text, client, collection string, micros int64, typ string) {
		q := taxii.Query{Types: []string{typ}}
		at := time.UnixMicro(micros).UTC()
		made := taxii.MakeCursor(key, client, collection, q, at)
		if got, ok := taxii.OpenCursor(key, client, collection, q, made); !ok || !got.Equal(at) {
			t.Errorf("opens as %v, %v; want %v", got, ok, at)
		}
		for name, ok := range map[string]bool{
			"another text":    text != made && opens(key, client, collection, q, text),
			"a type more":     opens(key, client, collection, taxii.Query{Types: []string{typ, typ}}, made),
			"types as specs":  opens(key, client, collection, taxii.Query{Specs: q.Types}, made),
			"another client":  opens(key, client+"x", collection, q, made),
			"moved border":    client != "" && opens(key, client[1:], client[:1]+collection, q, made),
			"another key":     opens(key[1:], client, collection, q, made),
			"shorter":         opens(key, client, collection, q, made[:len(made)-1]),
			"another version": opens(key, client, collection, taxii.Query{Types: q.Types, Version: []taxii.VersionMatch{{Kind: taxii.All}}}, made),
		} {
			if ok {
				t.Errorf("%s opens", name)
			}
		}
	})
}

func opens(key []byte, client, collection string, q taxii.Query, text string) bool {
	_, ok := taxii.OpenCursor(key, client, collection, q, text)
	return ok
}
