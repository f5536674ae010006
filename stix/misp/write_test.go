package misp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

func parse(t testing.TB, s string) *stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// replace puts a later version in place of an object.
func replace(t testing.TB, objects []*stix.Object, id stix.ID, pairs ...string) []*stix.Object {
	t.Helper()
	o := find(objects, id)
	later := parse(t, strings.NewReplacer(append(pairs, `"modified":"`+o.Modified.String()+`"`, `"modified":"2024-01-01T00:00:00.000Z"`)...).Replace(string(o.Bytes())))
	out := slices.Clone(objects)
	out[slices.Index(out, o)] = later
	return out
}

// TestChangedSince: what an object says now wins over the rest, and what is not
// among the objects any more is left out.
func TestChangedSince(t *testing.T) {
	t.Parallel()
	b := event(t, fields{"Tag": tags("tlp:green"), "Sighting": []any{fields{"id": "1"}}},
		attribute(1, "domain", "a.example", true, fields{"comment": "first", "Tag": tags("x:y"), "category": "Payload delivery", "first_seen": "2023-01-01T09:00:00+09:00"}),
		attribute(2, "domain", "b.example", false, fields{"comment": "second"}))
	r := read(t, b).STIX(misp.Options{})
	one := stix.ID("indicator--" + uuid(1))
	want := func(change func(e fields)) []byte {
		v := decode(t, b)
		change(v["Event"].(fields))
		return encode(t, v)
	}
	first := func(e fields) fields { return e["Attribute"].([]any)[0].(fields) }

	t.Run("changed", func(t *testing.T) {
		now := replace(t, r.Objects, one, "a.example", "c.example", `"first"`, `"another"`, `"x:y"`, `"x:y","tlp:red"`)
		same(t, write(t, now, r.Rest, misp.Options{}), want(func(e fields) {
			a := first(e)
			a["value"], a["comment"], a["timestamp"] = "c.example", "another", "1704067200"
			a["Tag"] = append(a["Tag"].([]any), fields{"name": "tlp:red"})
		}))
	})
	t.Run("revoked", func(t *testing.T) {
		now := replace(t, r.Objects, one, `"name":`, `"revoked":true,"name":`)
		same(t, write(t, now, r.Rest, misp.Options{}), want(func(e fields) {
			a := first(e)
			a["deleted"], a["timestamp"] = true, "1704067200"
		}))
	})
	t.Run("withdrawn", func(t *testing.T) {
		now := slices.DeleteFunc(slices.Clone(r.Objects), func(o *stix.Object) bool { return o.ID == one })
		same(t, write(t, now, r.Rest, misp.Options{}), want(func(e fields) { e["Attribute"] = e["Attribute"].([]any)[1:] }))
	})
	t.Run("observation withdrawn", func(t *testing.T) {
		now := slices.DeleteFunc(slices.Clone(r.Objects), func(o *stix.Object) bool { return o.Type == "observed-data" })
		got := write(t, now, r.Rest, misp.Options{})
		if strings.Contains(string(got), "b.example") || strings.Contains(string(got), "second") {
			t.Errorf("it is there still: %s", got)
		}
	})
	t.Run("new", func(t *testing.T) {
		more := parse(t, `{"type":"indicator","spec_version":"2.1","id":"indicator--`+uuid(50)+`","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z","pattern":"[url:value = 'https://d.example/']","pattern_type":"stix","valid_from":"2024-01-01T00:00:00Z"}`)
		now := replace(t, append(slices.Clone(r.Objects), more), "report--"+eventUUID, `"object_refs":[`, `"object_refs":["`+string(more.ID)+`",`)
		got := read(t, write(t, now, r.Rest, misp.Options{}))
		if len(got.Attributes) != 3 || got.Attributes[2].Value != "https://d.example/" || got.Attributes[2].Type != "url" || got.Attributes[0].Comment != "first" {
			t.Errorf("%+v", got.Attributes)
		}
	})
	t.Run("without the report", func(t *testing.T) {
		now := slices.DeleteFunc(slices.Clone(r.Objects), func(o *stix.Object) bool { return o.Type == "report" })
		got := write(t, now, r.Rest, misp.Options{})
		e := read(t, got)
		if e.UUID != eventUUID || e.Info == "test" || len(e.Tags) > 0 || strings.Contains(string(got), "Sighting") || len(e.Attributes) != 2 || e.Attributes[0].Comment != "first" {
			t.Errorf("%s", got)
		}
	})
	t.Run("an older version beside", func(t *testing.T) {
		now := replace(t, r.Objects, one, "a.example", "c.example")
		got := read(t, write(t, append(now, find(r.Objects, one)), r.Rest, misp.Options{}))
		if got.Attributes[0].Value != "c.example" {
			t.Errorf("%+v", got.Attributes)
		}
	})
	t.Run("another event's rest", func(t *testing.T) {
		other := read(t, []byte(strings.Replace(string(b), eventUUID, uuid(200), 1))).STIX(misp.Options{})
		same(t, write(t, r.Objects, other.Rest, misp.Options{}), write(t, r.Objects, nil, misp.Options{}))
	})
}

const head = `"spec_version":"2.1","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-02T00:00:00.000Z",`

func indicator(t testing.TB, n int, pattern, more string) *stix.Object {
	t.Helper()
	quoted := string(encode(t, pattern))
	return parse(t, `{"type":"indicator","id":"indicator--`+uuid(n)+`",`+head+`"pattern":`+quoted+`,"pattern_type":"stix","valid_from":"2024-01-02T00:00:00Z"`+more+`}`)
}

// TestForeignIndicators: patterns of others become attributes of the right type,
// values of one kind a MISP object, all else a pattern.
func TestForeignIndicators(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"[domain-name:value = 'a.example']":             "domain a.example",
		"[ipv4-addr:value = '192.0.2.1']":               "ip-dst 192.0.2.1",
		"[ipv6-addr:value ISSUBSET '2001:db8::/32']":    "ip-dst 2001:db8::/32",
		"[network-traffic:src_ref.value = '192.0.2.1']": "ip-src 192.0.2.1",
		"[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]": "ip-dst|port 192.0.2.1|443",
		"[url:value = 'https://a.example/\\'x']":                                                    "url https://a.example/'x",
		"[email-message:sender_ref.value = 'a@b.example']":                                          "email-src a@b.example",
		"[file:hashes.MD5 = '" + md5 + "']":                                                         "md5 " + md5,
		"[file:hashes.'SHA-256' = '" + sha256 + "']":                                                "sha256 " + sha256,
		"[file:name = 'a.exe' AND file:hashes.'SHA-1' = '" + sha1 + "']":                            "filename|sha1 a.exe|" + sha1,
		"[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].value = '192.0.2.1']": "domain|ip a.example|192.0.2.1",
		"[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\x']":                                    `regkey HKEY_LOCAL_MACHINE\x`,
		"[file:hashes.MD5 = '" + md5 + "' OR file:hashes.'SHA-1' = '" + sha1 + "']":                 "file: md5 " + md5 + ", sha1 " + sha1,
		"[domain-name:value IN ('a.example', 'b.example')]":                                         "domain-ip: domain a.example, domain b.example",
		"[domain-name:value = 'a.example' OR ipv4-addr:value = '192.0.2.1']":                        "domain-ip: domain a.example, ip-dst 192.0.2.1",
		"[domain-name:value = 'a.example'] FOLLOWEDBY [url:value = 'x']":                            "stix2-pattern",
		"[domain-name:value != 'a.example']":                                                        "stix2-pattern",
		"[NOT domain-name:value = 'a.example']":                                                     "stix2-pattern",
		"[domain-name:value LIKE '%.example']":                                                      "stix2-pattern",
		"[domain-name:value = 'a.example' AND url:value = 'x']":                                     "stix2-pattern",
		"[domain-name:value = 'a.example' OR file:name = 'x']":                                      "stix2-pattern",
		"[x-acme:value = 'a']":                                                                      "stix2-pattern",
		"[url:value = 'a'] START t'2024-01-01T00:00:00Z' STOP t'2024-01-02T00:00:00Z'":              "stix2-pattern",
		"no pattern": "stix2-pattern",
	} {
		t.Run(pattern, func(t *testing.T) {
			e := read(t, write(t, []*stix.Object{indicator(t, 1, pattern, `,"labels":["one","tlp:amber"],"description":"説明"`)}, nil, misp.Options{}))
			var got []string
			list := e.Attributes
			if len(e.Objects) == 1 {
				list = e.Objects[0].Attributes
			}
			for _, a := range list {
				got = append(got, a.Type+" "+a.Value)
				if !a.ToIDs || a.At.String() != "2024-01-02T00:00:00.000Z" || !slices.Equal(a.Tags, []misp.Tag{{Name: "one"}, {Name: "tlp:amber"}}) {
					t.Errorf("%+v", a)
				}
			}
			text := strings.Join(got, ", ")
			if len(e.Objects) == 1 {
				text = e.Objects[0].Name + ": " + text
			}
			if want == "stix2-pattern" {
				want += " " + pattern
			}
			if text != want || len(e.Faults) > 0 {
				t.Errorf("got %s, want %s", text, want)
			}
		})
	}
}

// TestForeignObjects: a report of others is an event; what MISP has no place for
// is said.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	objects := []*stix.Object{
		parse(t, `{"type":"identity","id":"identity--`+uuid(1)+`",`+head+`"name":"防衛","identity_class":"organization"}`),
		indicator(t, 2, "[domain-name:value = 'a.example']", `,"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]`),
		indicator(t, 3, "alert tcp", ""),
		parse(t, `{"type":"malware","id":"malware--`+uuid(4)+`",`+head+`"name":"Bad","is_family":true,"external_references":[{"source_name":"mitre-attack","external_id":"S0001"}]}`),
		parse(t, `{"type":"attack-pattern","id":"attack-pattern--`+uuid(5)+`",`+head+`"name":"Phish"}`),
		parse(t, `{"type":"relationship","id":"relationship--`+uuid(6)+`",`+head+`"relationship_type":"indicates","source_ref":"indicator--`+uuid(2)+`","target_ref":"malware--`+uuid(4)+`"}`),
		parse(t, `{"type":"file","id":"file--`+uuid(7)+`","name":"a.exe","size":5,"hashes":{"MD5":"`+md5+`","SHA-256":"`+sha256+`"}}`),
		parse(t, `{"type":"ipv4-addr","id":"ipv4-addr--`+uuid(8)+`","value":"192.0.2.1"}`),
		parse(t, `{"type":"observed-data","id":"observed-data--`+uuid(9)+`",`+head+`"first_observed":"2024-01-01T00:00:00Z","last_observed":"2024-01-01T10:00:00Z","number_observed":3,"object_refs":["file--`+uuid(7)+`"]}`),
		parse(t, `{"type":"vulnerability","id":"vulnerability--`+uuid(10)+`",`+head+`"name":"CVE-2024-0001"}`),
		parse(t, `{"type":"note","id":"note--`+uuid(11)+`",`+head+`"content":"本文","abstract":"要約","object_refs":["report--`+uuid(13)+`"]}`),
		parse(t, `{"type":"location","id":"location--`+uuid(12)+`",`+head+`"country":"JP"}`),
		parse(t, `{"type":"report","id":"report--`+uuid(13)+`",`+head+`"created_by_ref":"identity--`+uuid(1)+`","name":"報告","description":"経緯","published":"2024-01-03T00:00:00Z","object_refs":["indicator--`+uuid(2)+`","indicator--`+uuid(3)+`","malware--`+uuid(4)+`","attack-pattern--`+uuid(5)+`","ipv4-addr--`+uuid(8)+`","observed-data--`+uuid(9)+`","vulnerability--`+uuid(10)+`","location--`+uuid(12)+`"]}`),
	}
	marking := func(o *stix.Object) string {
		if o.Type == "report" || o.ID == "indicator--"+stix.ID(uuid(2)) {
			return "TLP:GREEN"
		}
		if o.Type == "vulnerability" {
			return "TLP:AMBER+STRICT//REL TO USA, JPN"
		}
		return ""
	}
	b, notes, err := misp.Write(objects, nil, misp.Options{Marking: marking})
	if err != nil {
		t.Fatal(err)
	}
	e := read(t, b)
	if e.UUID != uuid(13) || e.Info != "報告" || !e.Published || e.Date != "2024-01-01" || e.PublishAt.String() != "2024-01-03T00:00:00.000Z" || e.Orgc.Name != "防衛" {
		t.Errorf("%+v", e)
	}
	if want := []misp.Tag{{Name: "tlp:green"}, {Name: `misp-galaxy:stix-2.1-attack-pattern="Phish"`}}; !slices.Equal(e.Tags, want) {
		t.Errorf("tags %v, want %v", e.Tags, want)
	}
	if len(e.Reports) != 1 || e.Reports[0].Content != "経緯" {
		t.Errorf("texts %+v", e.Reports)
	}
	var got []string
	for _, a := range e.Attributes {
		got = append(got, a.Type+" "+a.Value)
	}
	slices.Sort(got)
	want := []string{"domain a.example", "ip-dst 192.0.2.1", "stix2-pattern alert tcp", "text 本文", "vulnerability CVE-2024-0001"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	i := slices.IndexFunc(e.Attributes, func(a misp.Attribute) bool { return a.Type == "vulnerability" })
	if tags := []misp.Tag{{Name: "tlp:amber+strict"}, {Name: "TLP:AMBER+STRICT//REL TO USA, JPN"}}; !slices.Equal(e.Attributes[i].Tags, tags) {
		t.Errorf("tags of the vulnerability %v, want %v", e.Attributes[i].Tags, tags)
	}
	a := e.Attributes[0]
	if tags := []misp.Tag{{Name: `misp-galaxy:mitre-malware="Bad - S0001"`}, {Name: "tlp:amber"}}; !slices.Equal(a.Tags, tags) {
		t.Errorf("tags of the indicator %v, want %v", a.Tags, tags)
	}
	if len(e.Objects) != 1 || e.Objects[0].Name != "file" || len(e.Objects[0].Attributes) != 4 || e.Objects[0].Attributes[0].LastSeen.IsZero() {
		t.Errorf("objects %+v", e.Objects)
	}
	if len(notes) != 2 {
		t.Errorf("notes %+v, want one of the location and one of the pattern", notes)
	}
}

// TestManyEvents: each report is an event, what none lists is one more.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	report := func(n int, refs string) *stix.Object {
		return parse(t, `{"type":"report","id":"report--`+uuid(n)+`",`+head+`"name":"r","published":"2024-01-02T00:00:00Z","object_refs":["`+refs+`"]}`)
	}
	objects := []*stix.Object{indicator(t, 1, "[url:value = 'a']", ""), indicator(t, 2, "[url:value = 'b']", ""), indicator(t, 3, "[url:value = 'c']", ""),
		report(4, "indicator--"+uuid(1)), report(5, "indicator--"+uuid(2))}
	b, notes, err := misp.Write(objects, nil, misp.Options{})
	if err != nil || len(notes) != 1 || notes[0].Code != "many-events" {
		t.Fatal(notes, err)
	}
	events, err := misp.ReadAll(b, misp.Options{})
	if err != nil || len(events) != 3 {
		t.Fatal(len(events), err)
	}
	for i, want := range []string{"a", "b", "c"} {
		if a := events[i].Attributes; len(a) != 1 || a[0].Value != want {
			t.Errorf("event %d has %+v, want %s", i, a, want)
		}
	}
}
