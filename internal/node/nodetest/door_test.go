package nodetest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/taxii"
)

// visitor is a TAXII client of a node.
type visitor struct {
	t     *testing.T
	base  string
	token string
}

// letIn adds a client to a node and comes to its door.
func letIn(t *testing.T, p *nodetest.Party, c web.ClientAdd) visitor {
	t.Helper()
	var token web.ClientToken
	p.Must("client.add", c, &token)
	return visitor{t, p.Node.Endpoints()[0] + "/taxii2/", token.Token}
}

// ask sends a request below /taxii2/ and returns the status, the body and its
// date headers.
func (v visitor) ask(method, path, body string) (int, string, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+v.token)
	if body != "" {
		req.Header.Set("Content-Type", taxii.MediaType)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header.Get(taxii.HeaderFirst) + " " + resp.Header.Get(taxii.HeaderLast)
}

// get asks for something that must be there, and reads it.
func (v visitor) get(path string, into any) {
	v.t.Helper()
	status, body, _ := v.ask("GET", path, "")
	if status != http.StatusOK {
		v.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		v.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// objects are the ids and markings of what lies in a collection.
func (v visitor) objects(collection string) (ids []string) {
	v.t.Helper()
	var page struct {
		Objects []struct {
			ID       string   `json:"id"`
			Markings []string `json:"object_marking_refs"`
		} `json:"objects"`
	}
	v.get("api1/collections/"+collection+"/objects/", &page)
	for _, o := range page.Objects {
		ids = append(ids, o.ID+" "+strings.Join(o.Markings, " "))
	}
	return ids
}

func indicatorOf(n int, marking string) string {
	marks := ""
	if marking != "" {
		marks = fmt.Sprintf(`,"object_marking_refs":[%q]`, marking)
	}
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"狼煙 %d","pattern":"[domain-name:value = 'd%d.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s}`, n, n, n, marks)
}

// TestPartnersTAXII: a partner's client reads what messages to that partner
// carry, marked as it may be used, and nothing else shows: no shelf, no count, no
// other error than for what does not exist. What is recalled is gone, and while
// the agreement is suspended nothing is read.
func TestPartnersTAXII(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Must("collection.add", web.CollectionAdd{Name: "inner"}, nil)
	green, red := string(noroshi.Green.MarkingID()), string(noroshi.Red.MarkingID())
	usa.Import("bundle.json", "", strings.NewReader(`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`+
		strings.Join([]string{indicatorOf(1, green), indicatorOf(2, red), indicatorOf(3, "")}, ",")+`]}`))
	usa.Import("list.txt", "tlp:green", strings.NewReader("listed.example\n"))
	nodetest.Whole(t, usa, jpn)
	usa.Settle()

	v := letIn(t, usa, web.ClientAdd{Name: "jpn-soc", Partner: "JPN-01"})
	usa.Until("the partner's collection", func() (bool, error) {
		more, err := usa.Node.Door.Step(t.Context())
		return !more, err
	})
	var list struct {
		Collections []taxii.Collection `json:"collections"`
	}
	v.get("api1/collections/", &list)
	if len(list.Collections) != 1 || !list.Collections[0].CanRead || list.Collections[0].CanWrite {
		t.Fatalf("collections: %+v", list)
	}
	own := list.Collections[0].ID
	marked := func(ids []string) (n int) {
		for _, id := range ids {
			if strings.HasPrefix(id, "indicator--") && strings.HasSuffix(id, green) {
				n++
			}
		}
		return n
	}
	var ids []string
	usa.Until("both that were released", func() (bool, error) { // the node's own step may be under way
		ids = v.objects(own)
		return marked(ids) == 2, nil
	})
	var all []visitor
	all = append(all, v, letIn(t, usa, web.ClientAdd{Name: "jpn-soc2", Partner: "JPN-01"}))
	inner, err := usa.Node.Door.Collection(t.Context(), "inner")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		for _, path := range []string{"objects/", "manifest/", "objects/indicator--00000000-0000-4000-8000-000000000002/", ""} {
			_, there, _ := v.ask("GET", "api1/collections/"+inner.ID+"/"+path, "")
			_, missing, _ := v.ask("GET", "api1/collections/00000000-0000-4000-8000-000000000000/"+path, "")
			if errorID.ReplaceAllString(there, "") != errorID.ReplaceAllString(missing, "") || !strings.Contains(there, `"404"`) {
				t.Errorf("%q of a shelf answers %s, of no collection %s", path, there, missing)
			}
		}
		if status, body, _ := v.ask("POST", "api1/collections/"+own+"/objects/", `{"objects":[]}`); status != http.StatusForbidden {
			t.Errorf("a partner posts: %d %s", status, body)
		}
	}

	// One of our own tools is not let in where partners are, once there is an inner
	// door, and cannot be given a partner's collection.
	if err := usa.Do(t.Context(), "client.add", web.ClientAdd{Name: "tool", Read: []string{own}}, nil); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("a tool was given a partner's collection: %v", err)
	}

	// Taken back, it is gone.
	if _, err := recall(t, usa, "duty", "indicator--00000000-0000-4000-8000-000000000001"); err != nil {
		t.Fatal(err)
	}
	if ids := v.objects(own); marked(ids) != 1 {
		t.Errorf("after the recall: %v", ids)
	}
	usa.Must("client.revoke", web.ClientRef{Name: "jpn-soc"}, nil)
	if status, _, _ := v.ask("GET", "", ""); status != http.StatusUnauthorized {
		t.Errorf("a revoked client: %d", status)
	}
	usa.Intact()
}

var errorID = regexp.MustCompile(`"error_id":"[^"]*"`)

// TestOwnTools: what a tool posts lies on its shelf at once, marked or not, is
// armed, and is there after a restart; a tool bound to a highest label sees what
// is no higher; a shelf that selects gets what is held; reads are on record.
func TestOwnTools(t *testing.T) {
	t.Parallel()
	usa := nodetest.New(t, "USA-01", noroshi.Real)
	usa.Import("list.txt", "tlp:green", strings.NewReader("listed.example\n"))
	usa.Must("collection.add", web.CollectionAdd{Name: "tools"}, nil)
	usa.Must("collection.add", web.CollectionAdd{Name: "held", Select: []string{"type=indicator", "marking=TLP:GREEN"}}, nil)
	tool := letIn(t, usa, web.ClientAdd{Name: "tool", Read: []string{"tools", "held"}, Write: []string{"tools"}})
	low := letIn(t, usa, web.ClientAdd{Name: "low", Read: []string{"tools"}, Max: []string{"TLP:GREEN"}})

	green, red := string(noroshi.Green.MarkingID()), string(noroshi.Red.MarkingID())
	status, body, _ := tool.ask("POST", "api1/collections/tools/objects/", `{"objects":[`+strings.Join([]string{
		indicatorOf(1, green), indicatorOf(2, red), indicatorOf(3, ""), indicatorOf(4, red), strings.Replace(indicatorOf(4, red), "狼煙", "偽", 1)}, ",")+`]}`)
	var st taxii.Status
	if err := json.Unmarshal([]byte(body), &st); err != nil || status != http.StatusAccepted {
		t.Fatalf("POST: %d %s", status, body)
	}
	if st.SuccessCount != 4 || st.FailureCount != 1 || st.PendingCount != 0 {
		t.Errorf("status: %+v", st)
	}
	var again taxii.Status
	tool.get("api1/status/"+st.ID+"/", &again)
	if fmt.Sprint(again) != fmt.Sprint(st) {
		t.Errorf("status later %+v, at once %+v", again, st)
	}
	if code, _, _ := low.ask("GET", "api1/status/"+st.ID+"/", ""); code != http.StatusNotFound {
		t.Errorf("another's status: %d", code)
	}
	if ids := tool.objects("tools"); len(ids) != 4 {
		t.Errorf("the tool's shelf: %v", ids)
	}
	if ids := low.objects("tools"); len(ids) != 1 || !strings.HasSuffix(ids[0], green) {
		t.Errorf("seen up to TLP:GREEN: %v", ids)
	}
	armed(usa, "indicator--00000000-0000-4000-8000-000000000003", true)
	usa.Until("what is held", func() (bool, error) { return len(tool.objects("held")) == 2, nil })
	for _, id := range tool.objects("held") { // one marked itself, to one it was assigned
		if !strings.HasSuffix(id, green) {
			t.Errorf("a tool is shown %s, without its marking", id)
		}
	}
	if code, _, _ := low.ask("GET", "api1/collections/held/objects/", ""); code != http.StatusNotFound {
		t.Errorf("a shelf it was not given: %d", code)
	}

	_, before, dates := tool.ask("GET", "api1/collections/tools/objects/", "")
	usa.Stop()
	usa.Start()
	tool.base = usa.Node.Endpoints()[0] + "/taxii2/"
	usa.Until("the door", func() (bool, error) { // the process that leads opens it, and this one may have to become that
		c, err := net.Dial("tcp", strings.TrimPrefix(usa.Node.Endpoints()[0], "https://"))
		if err == nil {
			err = c.Close()
		}
		return err == nil, nil
	})
	if _, after, then := tool.ask("GET", "api1/collections/tools/objects/", ""); after != before || then != dates {
		t.Errorf("after a restart %s %s, before %s %s", then, after, dates, before)
	}
	read := 0 // reads that lie apart in time are acts of their own
	for _, e := range record(t, usa.Node.Store) {
		if e.Act.Action == noroshi.ActServe {
			read += e.Act.Count
		}
	}
	if read < 4 {
		t.Errorf("acts say that tools read %d objects, want four at least", read)
	}
	usa.Intact()
}

// TestNothingToldThroughTAXII is L1 at the door: two nodes whose open part is
// the same, one of them full of what the partner may not see, answer the
// partner's client the same, byte for byte but for the moments.
func TestNothingToldThroughTAXII(t *testing.T) {
	t.Parallel()
	green, red := string(noroshi.Green.MarkingID()), string(noroshi.Red.MarkingID())
	tell := func(secrets bool) string {
		usa, jpn := nodetest.Alliance(t, noroshi.Real)
		usa.Settle() // what every node says of itself has been decided, and goes first
		nodetest.Whole(t, usa, jpn)
		usa.Must("collection.add", web.CollectionAdd{Name: "inner", Select: []string{"type=indicator"}}, nil)
		for i := range 3 {
			objects := []string{indicatorOf(10*i, green), indicatorOf(10*i+1, green)}
			if secrets {
				objects = append(objects, indicatorOf(10*i+2, red), indicatorOf(10*i+3, ""),
					fmt.Sprintf(`{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"related-to","source_ref":"indicator--00000000-0000-4000-8000-%012d","target_ref":"indicator--00000000-0000-4000-8000-%012d","object_marking_refs":[%q]}`, i, 10*i, 10*i+2, green))
			}
			usa.Import(fmt.Sprintf("b%d.json", i), "", strings.NewReader(`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`+strings.Join(objects, ",")+`]}`))
			nodetest.Whole(t, usa, jpn)
			usa.Settle()
		}
		v := letIn(t, usa, web.ClientAdd{Name: "soc", Partner: "JPN-01"})
		for more := true; more; {
			var err error
			if more, err = usa.Node.Door.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var list struct {
			Collections []taxii.Collection `json:"collections"`
		}
		v.get("api1/collections/", &list)
		if len(list.Collections) != 1 {
			t.Fatalf("collections: %+v", list)
		}
		own := list.Collections[0].ID
		usa.Until("the last is laid", func() (bool, error) { // the node's own turn may still be laying
			_, body, _ := v.ask("GET", "api1/collections/"+own+"/objects/?limit=1000", "")
			return strings.Contains(body, "000000000020") && strings.Contains(body, "000000000021"), nil
		})
		var said bytes.Buffer
		for _, path := range []string{"", "api1/", "api1/collections/", "objects/", "objects/?limit=2", "objects/?match[type]=relationship", "objects/?match[version]=all", "manifest/", "manifest/?limit=3",
			"objects/indicator--00000000-0000-4000-8000-000000000002/", "objects/indicator--00000000-0000-4000-8000-000000000002/versions/", "objects/indicator--00000000-0000-4000-8000-000000000000/versions/",
			"objects/relationship--00000000-0000-4000-8000-000000000000/", "objects/?added_after=2026-01-01T00:00:00Z", "objects/?match[version]=2026-01-01T00:00:00Z"} {
			if strings.HasPrefix(path, "objects") || strings.HasPrefix(path, "manifest") {
				path = "api1/collections/" + own + "/" + path
			}
			status, body, _ := v.ask("GET", path, "")
			body = strings.ReplaceAll(body, own, "OWN")
			for _, c := range []*regexp.Regexp{errorID, regexp.MustCompile(`"date_added":"[^"]*"`), regexp.MustCompile(`"next":"[^"]*"`), nodeName, ownIdentity} {
				body = c.ReplaceAllString(body, "-")
			}
			fmt.Fprintf(&said, "%d %s\n", status, body)
		}
		return said.String()
	}
	with, without := tell(true), tell(false)
	if with != without {
		t.Errorf("with secrets:\n%s\nwithout:\n%s", with, without)
	}
	for _, secret := range []string{"000000000002", "000000000003", "000000000012", "relationship--"} {
		if strings.Contains(without, "00000000-0000-4000-8000-"+secret) {
			t.Errorf("%s is told", secret)
		}
	}
	if !strings.Contains(without, "000000000021") {
		t.Errorf("nothing is told: %s", without)
	}
}

// ownIdentity is the node's identity, which each makes anew.
var ownIdentity = regexp.MustCompile(`identity--[-0-9a-f]{36}|"2026-1[-:.TZ0-9]*"|"202[7-9]-[-:.TZ0-9]*"`)

// TestExports: what sensors fetch changes when what is held does and only then; a
// withdrawn indicator is gone from the next file; a partner gets what was
// released to it, and a client no more than its highest label.
func TestExports(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("green.txt", "tlp:green", strings.NewReader("green.example\nother.example\n"))
	usa.Import("red.txt", "tlp:red", strings.NewReader("red.example\n"))
	usa.Import("unmarked.txt", "", strings.NewReader("unmarked.example\n"))
	usa.Must("collection.add", web.CollectionAdd{Name: "held", Select: []string{"type=indicator"}}, nil)
	nodetest.Whole(t, usa, jpn)
	usa.Settle()
	low := letIn(t, usa, web.ClientAdd{Name: "low", Read: []string{"held"}, Max: []string{"TLP:GREEN"}})
	high := letIn(t, usa, web.ClientAdd{Name: "high", Read: []string{"held"}})
	soc := letIn(t, usa, web.ClientAdd{Name: "soc", Partner: "JPN-01"})
	for _, v := range []*visitor{&low, &high, &soc} {
		v.base = strings.Replace(v.base, "/taxii2/", "/export/", 1)
	}
	if status, body, _ := low.ask("GET", "held/pdf", ""); status != http.StatusNotFound || !strings.Contains(body, "There are: suricata") || !strings.Contains(body, "使える形式：suricata") {
		t.Errorf("a format there is not: %d %s", status, body)
	}
	names := func(v visitor, collection string) string {
		status, body, _ := v.ask("GET", collection+"/domains", "")
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", collection, status, body)
		}
		var names []string
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, "#") {
				names = append(names, strings.TrimSpace(line))
			}
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	usa.Until("the shelf", func() (bool, error) { return strings.Count(names(high, "held"), " ") == 3, nil })
	if got := names(low, "held"); got != "green.example other.example" {
		t.Errorf("up to TLP:GREEN: %s", got)
	}
	list, err := usa.Node.Door.Collections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own := list[slices.IndexFunc(list, func(c door.Collection) bool { return c.Partner != noroshi.NodeID{} })].ID
	if got := names(soc, own); got != "green.example other.example" {
		t.Errorf("to the partner: %s", got)
	}
	if status, _, _ := soc.ask("GET", "held/domains", ""); status != http.StatusNotFound {
		t.Errorf("a partner's client fetched a shelf: %d", status)
	}
	if status, _, _ := high.ask("GET", own+"/domains", ""); status != http.StatusNotFound {
		t.Errorf("a tool fetched a partner's collection: %d", status)
	}
	for _, path := range []string{"held/pdf", "held/rpz", "held", "held/suricata/../../x", "nothing/domains"} {
		if status, _, _ := high.ask("GET", path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}

	_, bundle, _ := high.ask("GET", "held/stix", "")
	for _, level := range []noroshi.TLP{noroshi.Green, noroshi.Green, noroshi.Red} {
		if !strings.Contains(bundle, string(level.MarkingID())) {
			t.Errorf("a bundle for a tool without %s: %s", level, bundle)
		}
		bundle = strings.Replace(bundle, string(level.MarkingID()), "", 1)
	}
	tag := func() string { return high.tag("held/suricata") }
	first := tag()
	if again := tag(); again != first || first == "" {
		t.Errorf("the tag was %s, is %s though nothing changed", first, again)
	}
	rec, err := usa.Node.Store.ByValue(t.Context(), noroshi.Value{Kind: noroshi.DomainName, Text: "other.example"}, store.Along{Limit: 10})
	if err != nil || len(rec) != 1 {
		t.Fatal(rec, err)
	}
	if _, err := recall(t, usa, "duty", rec[0].Object.ID); err != nil {
		t.Fatal(err)
	}
	if got := names(high, "held"); got != "green.example red.example unmarked.example" || tag() == first {
		t.Errorf("after the withdrawal: %s", got)
	}
	if got := names(soc, own); got != "green.example" {
		t.Errorf("to the partner after the withdrawal: %s", got)
	}
	var out door.Exported
	usa.Must("export", web.ExportRef{To: "JPN-01", Export: door.Export{Format: "snort"}}, &out)
	if out.Carried != 1 || out.Marking != "TLP:GREEN" {
		t.Errorf("exported to the partner: %+v", out)
	}
	var traced web.Traced
	usa.Must("recall.find", web.ObjectRef{ID: rec[0].Object.ID}, &traced)
	if !slices.ContainsFunc(traced.Exports, func(x web.ExportHad) bool { return x.Partner == "JPN-01" && x.Format == "domains" }) ||
		!slices.ContainsFunc(traced.Reads, func(r web.ReadHad) bool { return r.Client == "soc" && r.Format == "domains" }) ||
		!slices.ContainsFunc(traced.Reads, func(r web.ReadHad) bool { return r.Client == "high" && r.Collection == "held" }) {
		t.Errorf("where it is: %+v %+v", traced.Exports, traced.Reads)
	}
	usa.Intact()
}

// tag is the ETag of something; asking for it again with that tag must answer
// that it has not changed.
func (v visitor) tag(path string) string {
	v.t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	tag := ""
	for _, want := range []int{http.StatusOK, http.StatusNotModified} {
		req, err := http.NewRequestWithContext(v.t.Context(), "GET", v.base+path, nil)
		if err != nil {
			v.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+v.token)
		if tag != "" {
			req.Header.Set("If-None-Match", tag)
		}
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			v.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			v.t.Errorf("%s with tag %q: %s", path, tag, resp.Status)
		}
		tag = resp.Header.Get("ETag")
	}
	return tag
}

// nodeName is what a partner's collection is named after: the partner's node.
var nodeName = regexp.MustCompile(`partner\.[0-9a-f]{16}`)
