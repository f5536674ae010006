package taxii_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/taxii"
)

// TestMalformedParameters: 400 for what does not read and for what a request must
// not have (section 3.4).
func TestMalformedParameters(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(2)
	for _, q := range []string{
		"added_after=", "added_after=yesterday", "added_after=2024-01-01", "added_after=2024-01-01T00:00:00", "added_after=2024-02-30T00:00:00Z",
		"added_after=2024-01-01T00:00:00%2B09:00", "added_after=2024-01-01T00:00:00Z,2024-01-02T00:00:00Z",
		"added_after=2024-01-01T00:00:00Z&added_after=2024-01-01T00:00:00Z",
		"limit=", "limit=0", "limit=-1", "limit=%2B1", "limit=1.0", "limit=ten", "limit=9007199254740992", "limit=99999999999999999999", "limit=1&limit=2",
		"next=", "next=1", "next=%00", "next=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "next=a&next=b",
		"match[id]=", "match[id]=x", "match[id]=indicator--1", "match[id]=" + indicatorID(1) + ",", "match[id]=" + indicatorID(1) + "&match[id]=" + indicatorID(0),
		"match[type]=", "match[type]=indicator,,malware", "match[type]=In%20dicator", "match[type]=indicator&match[type]=malware",
		"match[spec_version]=", "match[spec_version]=2", "match[spec_version]=two.one", "match[spec_version]=2.1,",
		"match[version]=", "match[version]=latest", "match[version]=2024", "match[version]=first,", "match[version]=all,first",
		"match[version]=last,last", "match[version]=last&match[version]=first",
		"limit=%zz", "a;b",
	} {
		for _, path := range []string{objectsPath, manifestPath} {
			s.get(path+"?"+q).want(t, 400)
		}
	}
	many := strings.Repeat(","+indicatorID(1), 1000)[1:]
	s.get(objectsPath+"?match[id]="+many).want(t, 200)
	s.get(objectsPath+"?match[id]="+many+","+indicatorID(2)).want(t, 400)
}

// TestIgnoredParameters: what an endpoint does not know changes nothing.
func TestIgnoredParameters(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(3)
	for _, q := range []string{"match[confidence]=,", "match[x]=1&match[x]=2", "match=1", "match[]=", "page=2", "Limit=0", "match[Type]=malware"} {
		if e := s.get(objectsPath + "?" + q).page(t); len(e.Objects) != 3 {
			t.Errorf("%s: %d objects, want 3", q, len(e.Objects))
		}
	}
	one := objectsPath + indicatorID(1) + "/"
	if e := s.get(one + "?match[type]=malware&match[id]=x").page(t); len(e.Objects) != 1 {
		t.Error("an object takes match fields it does not have")
	}
	if e := s.get(one + "versions/?match[version]=nonsense").page(t); len(e.Versions) != 1 {
		t.Error("versions take match[version]")
	}
}

// history posts three versions of indicator 1 not in their order, one of 2, a
// marking definition, an address, and indicator 3 in STIX 2.0 and in 2.1.
func history(s *service) {
	s.t.Helper()
	old := `{"type":"indicator","id":"` + indicatorID(3) + `","created":"2024-01-01T00:00:00.000Z","modified":%q,"labels":["x"],"pattern":"[a:b = 1]","valid_from":"2024-01-01T00:00:00Z"}`
	st := s.post(
		indicator(1, "2024-01-02T00:00:00.000Z"), indicator(1, "2024-01-01T00:00:00.000Z"), indicator(1, "2024-01-03T00:00:00.000Z"),
		indicator(2, "2024-01-01T00:00:00.000Z"),
		`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9","created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","definition":{"tlp":"white"}}`,
		address(1),
		fmt.Sprintf(old, "2024-01-09T00:00:00.000Z"), indicator(3, "2024-01-01T00:00:00.000Z"),
	)
	if st.SuccessCount != 8 {
		s.t.Fatalf("status %+v", st)
	}
}

const markingID = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"

// TestMatch: the match fields, alone and together, on objects and manifest.
func TestMatch(t *testing.T) {
	t.Parallel()
	s := newService(t)
	history(s)
	short := map[string]string{indicatorID(1): "1", indicatorID(2): "2", indicatorID(3): "3", markingID: "m"}
	for _, c := range []struct{ name, query, want string }{
		{"the latest version by default", "", "1 2 m a 3"},
		{"the latest specification by default", "match[id]=" + indicatorID(3), "3"},
		{"one id", "match[id]=" + indicatorID(2), "2"},
		{"several ids", "match[id]=" + indicatorID(2) + "," + indicatorID(1), "1 2"},
		{"an id given twice in a list", "match[id]=" + indicatorID(2) + "," + indicatorID(2), "2"},
		{"an id that is not there", "match[id]=" + indicatorID(77), ""},
		{"one type", "match[type]=ipv4-addr", "a"},
		{"several types", "match[type]=ipv4-addr,marking-definition", "m a"},
		{"types not there", "match[type]=malware,x-acme-thing", ""},
		{"and", "match[type]=indicator&match[id]=" + markingID + "," + indicatorID(2), "2"},
		{"last", "match[version]=last&match[id]=" + indicatorID(1), "1"},
		{"first", "match[version]=first&match[type]=indicator", "1 2 3"},
		{"all", "match[version]=all", "1 1 1 2 m a 3"},
		{"first and last", "match[version]=last,first&match[id]=" + indicatorID(1), "1 1"},
		{"a value", "match[version]=2024-01-02T00:00:00.000Z", "1"},
		{"the instant counts", "match[version]=2024-01-02T00:00:00Z", "1"},
		{"values and keywords", "match[version]=first,2024-01-02T00:00:00.000Z,last&match[id]=" + indicatorID(1), "1 1 1"},
		{"a value not there", "match[version]=2023-01-01T00:00:00.000Z", ""},
		{"created where there is no modified", "match[version]=2017-01-20T00:00:00.000Z", "m"},
		{"specification 2.0", "match[spec_version]=2.0", "3"},
		{"specification 2.1", "match[spec_version]=2.1", "1 2 m a 3"},
		{"both specifications", "match[spec_version]=2.0,2.1&match[version]=all&match[id]=" + indicatorID(3), "3 3"},
		{"a specification not there", "match[spec_version]=9.9", ""},
		{"encoded brackets", "match%5Btype%5D=ipv4-addr", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{s.Server, t, s.memory}
			for _, path := range []string{objectsPath, manifestPath} {
				var got []string
				for _, id := range s.get(path + "?" + c.query).page(t).ids(t) {
					if strings.HasPrefix(id, "ipv4-addr--") {
						id = "a"
					} else {
						id = short[id]
					}
					got = append(got, id)
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("%s: got %q, want %q", path, got, c.want)
				}
			}
		})
	}
}

// stixTypes are all types of STIX 2.1.
var stixTypes = strings.Fields(`attack-pattern campaign course-of-action grouping identity incident indicator infrastructure
	intrusion-set location malware malware-analysis note observed-data opinion report threat-actor tool vulnerability
	relationship sighting extension-definition language-content marking-definition artifact autonomous-system directory
	domain-name email-addr email-message file ipv4-addr ipv6-addr mac-addr mutex network-traffic process software url
	user-account windows-registry-key x509-certificate`)

// TestTypesOfStix: none is an error (section 3.4.1).
func TestTypesOfStix(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, typ := range stixTypes {
		s.get(objectsPath+"?match[type]="+typ).want(t, 200)
	}
	s.get(objectsPath+"?match[type]="+strings.Join(stixTypes, ",")).want(t, 200)
}

// TestLimit: never more than asked, all when they fit, never more than the server
// likes, and more says whether there are more.
func TestLimit(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *taxii.Options) { o.PageLimit, o.PageMost = 4, 6 })
	s.fill(10)
	for _, c := range []struct {
		limit, got int
		more       bool
	}{{0, 4, true}, {1, 1, true}, {6, 6, true}, {7, 6, true}, {1 << 40, 6, true}} {
		for _, path := range []string{objectsPath, manifestPath} {
			q := ""
			if c.limit > 0 {
				q = "?limit=" + strconv.Itoa(c.limit)
			}
			e := s.get(path + q).page(t)
			if len(e.Objects) != c.got || e.More != c.more || (e.Next != "") != c.more {
				t.Errorf("limit %d: %d objects, more %v, next %q", c.limit, len(e.Objects), e.More, e.Next)
			}
		}
	}
	if e := s.get(objectsPath + "?limit=5&match[id]=" + indicatorID(1) + "," + indicatorID(9)).page(t); len(e.Objects) != 2 || e.More || e.Next != "" {
		t.Errorf("what fits: %d objects, more %v", len(e.Objects), e.More)
	}
}

// TestPageSize: a page ends early where its objects are large, and loses none.
func TestPageSize(t *testing.T) {
	t.Parallel()
	s := newService(t, func(o *taxii.Options) { o.PageSize = 600 })
	s.fill(7)
	total, pages, query := 0, 0, ""
	for more := true; more; pages++ {
		e := s.get(objectsPath + query).page(t)
		total, more, query = total+len(e.Objects), e.More, "?next="+e.Next
	}
	if total != 7 || pages < 3 {
		t.Errorf("%d objects on %d pages", total, pages)
	}
}

// TestAddedAfter: exclusive, any number of digits, echoed by the headers.
func TestAddedAfter(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(3)
	first := s.get(objectsPath).want(t, 200).Header.Get("X-TAXII-Date-Added-First")
	for _, c := range []struct {
		after string
		want  int
	}{
		{"2000-01-01T00:00:00Z", 3}, {first, 2}, {strings.TrimSuffix(first, "Z") + "999Z", 2}, {"2100-01-01T00:00:00.0Z", 0},
	} {
		if e := s.get(objectsPath + "?added_after=" + c.after).page(t); len(e.Objects) != c.want {
			t.Errorf("after %s: %d objects, want %d", c.after, len(e.Objects), c.want)
		}
	}
}

// TestDateAddedHeaders: on every page, an empty one too, in microseconds, and
// equal to what the manifest says of the first and last record.
func TestDateAddedHeaders(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(5)
	var manifest struct {
		Objects []struct {
			DateAdded string `json:"date_added"`
		}
	}
	s.get(manifestPath).want(t, 200).into(t, &manifest)
	added := func(i int) string { return manifest.Objects[i].DateAdded }
	for _, c := range []struct{ path, first, last string }{
		{objectsPath, added(0), added(4)},
		{manifestPath + "?limit=2&added_after=" + added(0), added(1), added(2)},
		{objectsPath + indicatorID(3) + "/", added(3), added(3)},
		{objectsPath + indicatorID(3) + "/versions/", added(3), added(3)},
		{objectsPath + "?added_after=" + added(4), added(4), added(4)},
		{manifestPath + "?match[type]=malware", "1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z"},
		{objectsPath + indicatorID(3) + "/?added_after=2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000000Z", "2030-01-01T00:00:00.000000Z"},
	} {
		r := s.get(c.path).want(t, 200)
		if f, l := r.Header.Get("X-TAXII-Date-Added-First"), r.Header.Get("X-TAXII-Date-Added-Last"); f != c.first || l != c.last {
			t.Errorf("%s: %s to %s, want %s to %s", c.path, f, l, c.first, c.last)
		}
	}
	if got := []string{added(0), added(1), added(2), added(3), added(4)}; !slices.IsSorted(got) || len(slices.Compact(got)) != 5 || len(got[0]) != len("2006-01-02T15:04:05.000000Z") {
		t.Errorf("date_added %v", got)
	}
}

// TestNext: a cursor is good for its filters, again and again, for any limit, and
// on a server that was started anew with the same key; for nothing else.
func TestNext(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(9)
	query := "limit=3&match[type]=indicator,malware&match[version]=last"
	r := s.get(objectsPath + "?" + query)
	next := r.page(t).Next
	want := s.get(objectsPath+"?"+query+"&added_after="+r.Header.Get("X-TAXII-Date-Added-Last")).want(t, 200).body
	same := func(s *service, path, query string) {
		t.Helper()
		if got := s.get(path+"?"+query+"&next="+next).want(t, 200).body; string(got) != string(want) {
			t.Errorf("%s: got %.200s, want %.200s", query, got, want)
		}
	}
	same(s, objectsPath, query)
	same(s, objectsPath, query) // as after a lost answer
	same(s, objectsPath, "limit=3&match[type]=malware,indicator")
	same(s, objectsPath, query+"&added_after=2000-01-01T00:00:00Z")
	same(s, objectsPath, query+"&added_after="+r.Header.Get("X-TAXII-Date-Added-Last"))
	same(s, root+"collections/open/objects/", query) // by alias
	o := taxii.Options{Key: []byte("0123456789abcdef0123456789abcdef")}
	same(serveBackend(t, s.memory, s.memory, o), objectsPath, query)
	if e := s.get(objectsPath + "?" + query + "&added_after=2100-01-01T00:00:00Z&next=" + next).page(t); len(e.Objects) != 0 {
		t.Error("added_after behind the cursor is not heeded")
	}

	good := objectsPath + "?" + query + "&next="
	flipped := []byte(next)
	flipped[3] ^= 1
	for name, r := range map[string]reply{
		"another type":        s.get(objectsPath + "?match[type]=malware&next=" + next),
		"no filter":           s.get(objectsPath + "?next=" + next),
		"one filter more":     s.get(objectsPath + "?" + query + "&match[spec_version]=2.1&next=" + next),
		"another version":     s.get(objectsPath + "?match[type]=indicator,malware&match[version]=all&next=" + next),
		"another endpoint":    s.get(manifestPath + "?" + query + "&next=" + next),
		"another client":      s.get(good+next, "Authorization", "Bearer reader-secret"),
		"a flipped bit":       s.get(good + url.QueryEscape(string(flipped))),
		"a byte more":         s.get(good + next + "AA"),
		"a byte less":         s.get(good + next[:len(next)-2]),
		"another key":         serveBackend(t, s.memory, s.memory, taxii.Options{Key: []byte("other")}).get(good + next),
		"a key of the moment": serveBackend(t, s.memory, s.memory, taxii.Options{}).get(good + next),
	} {
		t.Run(name, func(t *testing.T) { r.want(t, 400) })
	}
	s.memory.AddCollection(taxii.Collection{ID: "55555555-5555-4555-8555-555555555555", Title: "Other"})
	s.memory.Grant("tool", "55555555-5555-4555-8555-555555555555", true, true)
	s.get(strings.Replace(good, openID, "55555555-5555-4555-8555-555555555555", 1)+next).want(t, 400)
}

// TestMoreThenGone: what more promised may be deleted before it is fetched.
func TestMoreThenGone(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(2)
	e := s.get(objectsPath + "?limit=1").page(t)
	s.do("DELETE", objectsPath+indicatorID(1)+"/", "").want(t, 200)
	if got := s.get(objectsPath+"?next="+e.Next).want(t, 200).body; string(got) != "{}" {
		t.Errorf("got %s", got)
	}
}
