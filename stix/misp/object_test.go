package misp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

// object is a MISP object around attributes.
func object(n int, name string, more fields, attributes ...fields) fields {
	list := []any{}
	for _, a := range attributes {
		list = append(list, a)
	}
	o := fields{"id": "9", "uuid": uuid(n), "name": name, "meta-category": "file", "template_uuid": "688c46fb-5edb-40a3-8273-1af7923e2215",
		"template_version": "22", "timestamp": "1700000100", "distribution": "5", "comment": "", "deleted": false, "Attribute": list}
	for k, v := range more {
		o[k] = v
	}
	return o
}

func relation(name string) fields { return fields{"object_relation": name} }

// TestObjects: the detection values of a MISP object are one indicator, each
// good alone; the rest of it are objects of their own.
func TestObjects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		object  fields
		pattern string   // of the indicator, "" = none
		others  []string // the types of the others
		grouped bool
	}{
		"file": {object(16, "file", nil, attribute(17, "md5", md5, true, relation("md5")), attribute(18, "sha256", sha256, true, relation("sha256"))),
			"[file:hashes.MD5 = '" + md5 + "' OR file:hashes.'SHA-256' = '" + sha256 + "']", nil, false},
		"file with name and size": {object(16, "file", nil, attribute(17, "filename", "a.exe", true, relation("filename")),
			attribute(18, "sha1", sha1, true, relation("sha1")), attribute(19, "size-in-bytes", "817", false, relation("size-in-bytes"))),
			"[file:hashes.'SHA-1' = '" + sha1 + "']", []string{"indicator", "note"}, true},
		"domain-ip": {object(16, "domain-ip", nil, attribute(17, "domain", "a.example", true, relation("domain")), attribute(18, "ip-dst", "192.0.2.1", true, relation("ip"))),
			"[domain-name:value = 'a.example' OR (network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1')]", nil, false},
		"url": {object(16, "url", nil, attribute(17, "url", "https://a.example/", true, relation("url")), attribute(18, "text", "https", false, relation("scheme"))),
			"[url:value = 'https://a.example/']", []string{"note"}, true},
		"host name": {object(16, "domain-ip", nil, attribute(17, "hostname", "a.example", true, relation("hostname"))),
			"[domain-name:value = 'a.example']", nil, false},
		"the same value twice": {object(16, "domain-ip", nil, attribute(17, "domain", "a.example", true, relation("domain")), attribute(18, "domain", "a.example", true, relation("domain"))),
			"[domain-name:value = 'a.example' OR domain-name:value = 'a.example']", nil, false},
		"observed": {object(16, "file", nil, attribute(17, "md5", md5, false, relation("md5")), attribute(18, "filename", "a", false, relation("filename"))),
			"", []string{"observed-data", "observed-data"}, true},
		"one deleted": {object(16, "file", nil, attribute(17, "md5", md5, true, relation("md5")), attribute(18, "sha1", sha1, true, fields{"object_relation": "sha1", "deleted": true})),
			"[file:hashes.MD5 = '" + md5 + "']", []string{"indicator"}, true},
		"all deleted": {object(16, "file", fields{"deleted": true}, attribute(17, "md5", md5, true, fields{"object_relation": "md5", "deleted": true})),
			"[file:hashes.MD5 = '" + md5 + "']", nil, false},
		"of nothing":  {object(16, "file", nil), "", nil, false},
		"no relation": {object(16, "file", nil, attribute(17, "md5", md5, true, nil)), "[file:hashes.MD5 = '" + md5 + "']", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := event(t, fields{"Object": []any{c.object}})
			r := read(t, b).STIX(misp.Options{})
			sound(t, r.Objects)
			ind, group := find(r.Objects, "indicator--"+stix.ID(uuid(16))), find(r.Objects, "grouping--"+stix.ID(uuid(16)))
			if (ind != nil) != (c.pattern != "") || ind != nil && ind.Text("pattern") != c.pattern {
				t.Errorf("got indicator %v, want pattern %s", ind, c.pattern)
			}
			if (group != nil) != c.grouped {
				t.Errorf("grouping: %v, want %t", group, c.grouped)
			}
			var others []string
			for _, o := range r.Objects {
				if o != ind && slices.Contains([]string{"indicator", "observed-data", "note"}, o.Type) {
					others = append(others, o.Type)
				}
			}
			if !slices.Equal(others, c.others) {
				t.Errorf("others are %v, want %v", others, c.others)
			}
			same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
			bareObject(t, b, r.Objects)
		})
	}
}

// bareObject checks that without a rest each value is back in its object, with
// its type and relation.
func bareObject(t *testing.T, b []byte, objects []*stix.Object) {
	t.Helper()
	values := func(e *misp.Event) (list []string) {
		for _, o := range e.Objects {
			for _, a := range o.Attributes {
				line := strings.Join([]string{o.UUID, o.Name, o.MetaCategory, a.Relation, a.Type, a.Value}, " ")
				if a.ToIDs {
					line += " ids"
				}
				if a.Deleted || o.Deleted {
					line += " deleted"
				}
				if a.Relation == "" {
					line = "" // it has none: a usual one is given
				}
				list = append(list, line)
			}
		}
		slices.Sort(list)
		return list
	}
	was, now := read(t, b), read(t, write(t, objects, nil, misp.Options{}))
	got, want := values(now), values(was)
	if len(got) > 0 && want[0] == "" {
		return
	}
	if !slices.Equal(got, want) {
		t.Errorf("without a rest got\n%q\nwant\n%q", got, want)
	}
}

// TestReferences: references between parts of the event are relationships, those
// to anything else stay in the rest.
func TestReferences(t *testing.T) {
	t.Parallel()
	ref := func(n, target int, kind string) fields {
		return fields{"id": "3", "uuid": uuid(n), "timestamp": "1700000200", "object_id": "9", "referenced_uuid": uuid(target), "relationship_type": kind, "comment": "c", "deleted": false}
	}
	b := event(t, fields{"Object": []any{
		object(16, "file", fields{"ObjectReference": []any{ref(40, 32, "connects-to"), ref(41, 1, "Drops It"), ref(42, 99, "related-to")}},
			attribute(17, "md5", md5, true, relation("md5"))),
		object(32, "domain-ip", nil, attribute(33, "domain", "a.example", false, relation("domain"))),
	}}, attribute(1, "sha1", sha1, true, nil))
	r := read(t, b).STIX(misp.Options{})
	sound(t, r.Objects)
	for n, want := range map[int][3]string{
		40: {"indicator--" + uuid(16), "connects-to", "grouping--" + uuid(32)}, 41: {"indicator--" + uuid(16), "drops-it", "indicator--" + uuid(1)},
	} {
		rel := find(r.Objects, "relationship--"+stix.ID(uuid(n)))
		if rel == nil || [3]string{rel.Text("source_ref"), rel.Text("relationship_type"), rel.Text("target_ref")} != want {
			t.Errorf("relationship %d is %v", n, rel)
		}
	}
	if find(r.Objects, "relationship--"+stix.ID(uuid(42))) != nil || !slices.ContainsFunc(r.Notes, func(n misp.Note) bool { return n.Code == "no-reference" }) {
		t.Error("a reference to nothing is a relationship, or nobody is told")
	}
	same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
	now := read(t, write(t, r.Objects, nil, misp.Options{}))
	if len(now.Objects) != 2 || len(now.Objects[0].References) != 2 || now.Objects[0].References[0].Target != uuid(32) {
		t.Errorf("without a rest: %+v", now.Objects)
	}
}

// TestGalaxies: clusters are objects of the event, tied to what they stand on;
// the catalogue's own ids are not taken.
func TestGalaxies(t *testing.T) {
	t.Parallel()
	cluster := fields{"uuid": "2e34237d-8574-43f6-aace-ae2915de8597", "type": "mitre-attack-pattern", "value": "Spearphishing Attachment - T1193",
		"description": "d", "meta": fields{"external_id": []any{"T1193"}, "synonyms": []any{"Spear"}}}
	b := event(t, fields{"Galaxy": []any{fields{"type": "mitre-attack-pattern", "name": "Attack Pattern", "GalaxyCluster": []any{cluster}}},
		"Tag": tags(`misp-galaxy:threat-actor="APT 29"`, `misp-galaxy:mitre-attack-pattern="Spearphishing Attachment - T1193"`, `misp-galaxy:sector="Defense"`)},
		attribute(1, "domain", "a.example", true, fields{"Tag": tags(`misp-galaxy:malpedia="MiniDuke"`)}),
		attribute(2, "domain", "b.example", false, fields{"Tag": tags(`misp-galaxy:mitre-tool="PsExec - S0029"`)}),
		attribute(3, "text", "x", false, fields{"Tag": tags(`misp-galaxy:mitre-malware="X - S0001"`)}))
	r := read(t, b).STIX(misp.Options{})
	sound(t, r.Objects)
	byName := map[string]*stix.Object{}
	relations := map[string]int{}
	for _, o := range r.Objects {
		byName[o.Text("name")] = o
		if o.Type == "relationship" {
			relations[stix.ID(o.Text("source_ref")).Type()+" "+o.Text("relationship_type")+" "+stix.ID(o.Text("target_ref")).Type()]++
		}
	}
	for name, typ := range map[string]string{"Spearphishing Attachment": "attack-pattern", "APT 29": "intrusion-set", "MiniDuke": "malware", "PsExec": "tool", "X": "malware"} {
		if o := byName[name]; o == nil || o.Type != typ {
			t.Errorf("%s is %v, want %s", name, o, typ)
		}
	}
	o := byName["Spearphishing Attachment"]
	if strings.Contains(string(o.ID), "2e34237d") || !strings.Contains(string(o.Bytes()), `"source_name":"mitre-attack","external_id":"T1193"`) {
		t.Errorf("%s", o.Bytes())
	}
	want := map[string]int{"intrusion-set uses attack-pattern": 1, "indicator indicates malware": 1, "observed-data related-to tool": 1}
	if len(relations) != len(want) {
		t.Errorf("relations %v, want %v", relations, want)
	}
	for k, n := range want {
		if relations[k] != n {
			t.Errorf("relations %v, want %v", relations, want)
		}
	}
	same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
	now := read(t, write(t, r.Objects, nil, misp.Options{}))
	if len(now.Tags) != 3 || len(now.Attributes) != 3 || !slices.Equal(now.Attributes[0].Tags, []misp.Tag{{Name: `misp-galaxy:malpedia="MiniDuke"`}}) {
		t.Errorf("without a rest: %+v %+v", now.Tags, now.Attributes)
	}
	without := slices.DeleteFunc(slices.Clone(r.Objects), func(x *stix.Object) bool { return x == o || x.Text("name") == "MiniDuke" })
	got := string(write(t, without, r.Rest, misp.Options{}))
	if strings.Contains(got, "T1193") || strings.Contains(got, "MiniDuke") || !strings.Contains(got, "APT 29") || !strings.Contains(got, "sector") || !strings.Contains(got, "PsExec") {
		t.Errorf("with two clusters withdrawn: %s", got)
	}
	other := read(t, []byte(strings.Replace(string(b), eventUUID, uuid(200), 1))).STIX(misp.Options{})
	if find(other.Objects, o.ID) != nil {
		t.Error("two events have one object for a cluster")
	}
}

// TestMarkings: what counts for an object is told beside it, the event's own
// tags for all of it; a restriction is never lost.
func TestMarkings(t *testing.T) {
	t.Parallel()
	b := event(t, fields{"Tag": append(tags("tlp:green", "PAP:AMBER"), fields{"name": "TLP:RED", "local": true}, fields{"name": "workflow:todo", "local": 1})},
		attribute(1, "domain", "a.example", true, fields{"Tag": tags("tlp:amber+strict", "dnc:malware")}),
		attribute(2, "domain", "b.example", false, fields{"distribution": "4"}),
		attribute(3, "domain", "b.example", false, fields{"distribution": "0", "Tag": tags("TLP: white")}),
		attribute(4, "text", "c", false, nil))
	r := read(t, b).STIX(misp.Options{})
	same(t, write(t, r.Objects, r.Rest, misp.Options{}), b)
	base := []string{"tlp:green", "PAP:AMBER", "TLP:RED", "workflow:todo"}
	for id, want := range map[stix.ID][2][]string{
		"indicator--" + stix.ID(uuid(1)):     {append(base[:4:4], "tlp:amber+strict", "dnc:malware"), {"tlp:red", "tlp:amber+strict", "tlp:green"}},
		"observed-data--" + stix.ID(uuid(2)): {append(base[:4:4], misp.SharingGroup), {"tlp:red", "tlp:green"}},
		"observed-data--" + stix.ID(uuid(3)): {append(base[:4:4], "TLP: white", misp.OwnOrganisation), {"tlp:red", "tlp:green", "tlp:clear"}},
		"note--" + stix.ID(uuid(4)):          {base, {"tlp:red", "tlp:green"}},
		"report--" + eventUUID:               {base, {"tlp:red", "tlp:green"}},
	} {
		if !slices.Equal(r.Tags[id], want[0]) || !slices.Equal(r.Markings[id], want[1]) {
			t.Errorf("%s: tags %q markings %q, want %q", id, r.Tags[id], r.Markings[id], want)
		}
	}
	for _, o := range r.Objects {
		if o.Type == "domain-name" && o.Text("value") == "b.example" && (!slices.Contains(r.Tags[o.ID], misp.SharingGroup) || !slices.Contains(r.Tags[o.ID], misp.OwnOrganisation)) {
			t.Errorf("what is observed has tags %q", r.Tags[o.ID])
		}
		if len(r.Tags[o.ID]) < len(base) {
			t.Errorf("%s has tags %q", o.ID, r.Tags[o.ID])
		}
		if strings.Contains(string(o.Bytes()), "workflow") || strings.Contains(string(o.Bytes()), "TLP:RED") {
			t.Errorf("a local tag is in %s", o.Bytes())
		}
	}
	if got := string(find(r.Objects, "indicator--"+stix.ID(uuid(1))).Property("labels")); !strings.Contains(got, `"tlp:amber+strict","dnc:malware"`) {
		t.Errorf("labels %s", got)
	}
	if about, err := misp.ReadRest(r.Rest); err != nil || about.UUID != eventUUID || about.At.String() != "2023-11-14T22:21:40.000Z" || !slices.Equal(about.Tags, base) {
		t.Errorf("the rest is about %+v, %v", about, err)
	}
	closed := read(t, event(t, fields{"distribution": "0"})).STIX(misp.Options{})
	if got := closed.Tags["report--"+eventUUID]; !slices.Equal(got, []string{misp.EventDistribution + "your-organisation-only"}) {
		t.Errorf("a closed event has tags %q", got)
	}
	for tag, want := range map[string]string{"tlp:white": "tlp:clear", "TLP:AMBER+STRICT": "tlp:amber+strict", "tlp:ex:chr": "", "tlp:unclear": "",
		`tlp:"red"`: "tlp:red", "amber": "", "tlp": "", "tlp:ambers": "", "pap:red": "", "tlp = green": "tlp:green"} {
		if got := misp.TLP(tag); got != want {
			t.Errorf("TLP(%q) = %q, want %q", tag, got, want)
		}
	}
}
