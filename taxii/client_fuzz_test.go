package taxii_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi/taxii"
)

// FuzzAnswer gives a walk one answer for whatever it asks. It must end, with
// every element a piece of the answer, and with all of them where the answer is
// good JSON.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"objects":[]}`, `{"more":true,"next":"n","objects":[` + domainIndicator(1) + `,{"a":NaN}]}`,
		`{"more":"true","items":[1,"x",null]}`, `{"next":5,"objects":null}`, "\xef\xbb\xbf{\"objects\":[{}]}", `{"objects":[{]}`, `{"obj\u0065cts":["\\","\"]"]}`,
		`{"type":"bundle","id":"bundle--1","objects":[{"id":"a"}]}`, `{"more":true,"objects":[{"a":[[[]]]}],"objects":[]}`, `[`, ``, `<html>`,
	} {
		f.Add([]byte(seed), "2026-03-01T12:00:00Z")
	}
	f.Fuzz(func(t *testing.T, body []byte, date string) {
		n := 0
		c, err := taxii.NewClient(taxii.ClientOptions{
			Base: "https://h.example/", Now: func() time.Time { return day },
			Wait: func(context.Context, time.Duration) error { return nil },
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				n++
				h := http.Header{"X-Taxii-Date-Added-First": {date}, "X-Taxii-Date-Added-Last": {date}}
				return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for p, err := range c.Objects(t.Context(), "", "c", taxii.Query{}, taxii.Position{}) {
			if err != nil {
				break
			}
			for _, e := range p.Elements {
				got++
				if (e.Object == nil) != (e.Err != nil) || !bytes.Contains(body, e.Raw) {
					t.Fatalf("element %q, object %v, error %v", e.Raw, e.Object != nil, e.Err)
				}
			}
			text, err := json.Marshal(p.Position)
			if err != nil {
				t.Fatal(err)
			}
			var back taxii.Position
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		if n > 100 {
			t.Fatalf("%d requests", n)
		}
		if want := distinct(body); want >= 0 && got != want {
			t.Fatalf("%d elements, want %d", got, want)
		}
	})
}

// distinct reads an answer another way: how many different elements it has, -1
// where it is no good JSON or has a member of ours twice or in another case.
func distinct(body []byte) int {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return -1
	}
	all, seen := map[string]bool{}, map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return -1
		}
		member := name.(string)
		if strings.ContainsRune(member, utf8.RuneError) { // a name that is no UTF-8
			return -1
		}
		if !slices.Contains([]string{"objects", "items", "more", "next"}, member) {
			continue
		}
		var list []json.RawMessage
		if seen[member] || strings.HasSuffix(member, "s") && json.Unmarshal(value, &list) != nil {
			return -1
		}
		seen[member] = true
		for _, e := range list {
			all[string(e)] = true
		}
	}
	if _, err := dec.Token(); err != nil {
		return -1
	}
	if _, err := dec.Token(); err != io.EOF {
		return -1
	}
	return len(all)
}

// FuzzPosition reads any text as a position; what it takes it writes the same
// way again.
func FuzzPosition(f *testing.F) {
	for _, seed := range []string{`{}`, `{"after":"2026-03-01T12:00:00.000001Z","tip":true,"seen":"AAAAAAAAAAAAAAAAAAAAAA=="}`, `{"seen":"AA=="}`, `{"after":"x"}`, `{"other":1}`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p taxii.Position
		if p.UnmarshalJSON(text) != nil {
			return
		}
		once, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q taxii.Position
		if err := q.UnmarshalJSON(once); err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, _ := json.Marshal(q); !bytes.Equal(once, twice) || p.IsZero() != q.IsZero() || !p.After().Equal(q.After()) {
			t.Fatalf("%s and then %s", once, twice)
		}
	})
}
