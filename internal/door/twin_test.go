package door_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

const (
	hour = time.Hour

	ownID   = "00000000-0000-4000-8000-00000000aaaa" // the partner's collection
	shelfID = "00000000-0000-4000-8000-00000000bbbb" // a shelf, in one twin
)

// canary stands in every text the partner may not see.
const canary = "zq-hidden"

func timeOf(n int) time.Duration { return time.Duration(n) }

// leak is a fault that is planted between the door and the partner.
type leak struct {
	name    string
	backend func(o *office, b taxii.Backend) taxii.Backend
	handler func(o *office, h http.Handler) http.Handler
}

// twin is one of two nodes whose open part is the same. What a partner's client
// gets of it is written down byte for byte: status, every header and body. Left
// out is only what is drawn at random for each answer or node, and tells
// nothing: the id of an export, of which the partner hears nothing. The ids of
// the collection and the key of the cursors are given, the clock is the test's:
// an act both twins do has the same moment in both, whatever one of them did
// since the last.
type twin struct {
	o    *office
	soc  visitor // the partner's client
	tool visitor // one of our own, where there is one
	h    *rand.Rand

	shelf  bool // there are a shelf and a tool
	korea  bool // there is another partner
	n      int
	hidden []stix.ID
	status string // of the tool's last POST
	said   strings.Builder
	tags   map[string]string
	after  string // X-TAXII-Date-Added-Last of the round before
	served int    // objects
}

// newTwin builds a node; h draws what the partner may not see, nil = nothing.
func newTwin(t testing.TB, h *rand.Rand, l leak) *twin {
	t.Helper()
	o := newOffice(t, jpn)
	w := &twin{o: o, h: h, n: 100_000, status: elsewise, tags: map[string]string{}, after: "2000-01-01T00:00:00Z"}
	backend := o.door.TAXII(false)
	if l.backend != nil {
		backend = l.backend(o, backend)
	}
	o.outer = o.serve(backend, o.door.Sensors(false))
	if l.handler != nil {
		o.outer = l.handler(o, o.outer)
	}
	o.doc(door.DocCollection, ownID, door.Collection{ID: ownID, Name: "partner.0200000000000000", Title: "JPN-01", Partner: jpn.Node})
	w.soc = o.letPartner("soc", jpn)
	if h != nil && h.IntN(4) > 0 {
		w.shelf = true
		o.doc(door.DocCollection, shelfID, door.Collection{ID: shelfID, Name: "inner", Select: []string{"type=indicator"}})
		w.tool = o.letIn(door.NewClient{Name: "tool", Read: []string{shelfID}, Write: []string{shelfID}})
	}
	if h != nil && h.IntN(3) == 0 {
		w.korea = true
		o.agree(kor, began.AddDate(0, 1, 0))
		o.letPartner("ksoc", kor)
	}
	return w
}

// at moves the clock to a step's moment.
func (w *twin) at(round, step int) {
	w.o.set(began.Add(time.Duration(round)*hour + time.Duration(step)*time.Minute))
}

// aside does things the partner must not notice.
func (w *twin) aside(near []stix.ID) {
	if w.h == nil {
		return
	}
	for range w.h.IntN(3) {
		w.o.pass(time.Duration(1+w.h.IntN(5000)) * time.Microsecond)
		w.act(near)
	}
}

func (w *twin) act(near []stix.ID) {
	o, h := w.o, w.h
	switch k := h.IntN(10); {
	case k < 2 || len(w.hidden) == 0:
		id, text := w.draw(near)
		o.put([]noroshi.Source{made, feed}[h.IntN(2)], text)
		w.hidden = append(w.hidden, id)
	case k == 2: // a later version of what is there
		r := o.current(w.hidden[h.IntN(len(w.hidden))])
		if text := on(2+h.IntN(20), string(r.Object.Bytes())); r.Source.Kind == noroshi.FromSelf {
			o.put(made, text)
		}
	case k == 3:
		id := w.hidden[h.IntN(len(w.hidden))]
		if r := o.current(id); !r.Withdrawn {
			o.withdraw(id)
		}
	case k == 4:
		o.remark(w.hidden[h.IntN(len(w.hidden))], noroshi.Red)
	case k == 5: // exported by our own command, inside and to the partner
		x := door.Export{Format: door.Formats()[h.IntN(len(door.Formats()))]}
		if x.Format == "rpz" {
			x.Zone = "rpz.example"
		}
		if h.IntN(2) == 0 {
			x.Partner = jpn.Node
		}
		if _, err := o.door.Write(o.ctx, io.Discard, x); err != nil {
			o.t.Fatal(err)
		}
	case k == 6: // another's copy of something open, marked higher
		if len(near) > 0 && near[0].Type() == "indicator" {
			o.put(feed, strings.Replace(indicator(0, noroshi.Red, `,"name":"`+canary+` foreign"`), string(id("indicator", 0)), string(near[0]), 1))
		}
	case w.shelf:
		w.useShelf(near)
	}
}

func (w *twin) draw(near []stix.ID) (stix.ID, string) {
	w.n++
	return drawHidden(w.h, w.n, near)
}

// useShelf is what our own tools do at the inner door.
func (w *twin) useShelf(near []stix.ID) {
	switch w.h.IntN(4) {
	case 0, 1:
		_, text := w.draw(near)
		st := w.tool.post(shelfID, text, `{"type":"nonsense"}`)
		w.status = st.ID
	case 2:
		w.tool.get("/export/inner/" + []string{"domains", "suricata", "csv"}[w.h.IntN(3)])
		w.tool.get(inColl + "inner/objects/?limit=3")
	case 3:
		if len(near) > 0 {
			w.tool.ask("DELETE", inColl+"inner/objects/"+string(near[0])+"/", "")
		}
	}
}

// gone takes what the partner could see away: that is seen, why is not.
func (w *twin) gone(x *open) {
	if w.h == nil || w.h.IntN(2) == 0 {
		w.o.withdraw(x.id)
		return
	}
	all, err := w.o.store.Versions(w.o.ctx, x.id)
	if err != nil {
		w.o.t.Fatal(err)
	}
	for _, r := range all {
		w.o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(r.Seq, noroshi.Red.MarkingID()) })
	}
}

// imports puts the open part, and what is withheld between it, in one act.
func (w *twin) imports(all []*open, day int) {
	var list []string
	for _, x := range all {
		if w.h != nil && day == 0 && w.h.IntN(3) == 0 {
			id, text := w.draw([]stix.ID{all[0].id})
			w.hidden = append(w.hidden, id)
			list = append(list, text)
		}
		text := x.text(w.h, w.hidden)
		if day > 0 {
			text = on(day, text)
		}
		list = append(list, text)
	}
	w.o.put(made, list...)
}

func (w *twin) settle() {
	if w.korea {
		w.o.settle(kor, jpn)
		return
	}
	w.o.settle(jpn)
}

// ask asks as the partner, and writes down what comes.
func (w *twin) ask(method, path, body string, head ...string) *httptest.ResponseRecorder {
	a := w.soc.ask(method, path, body, head...)
	if a.Code >= 500 {
		w.o.t.Fatalf("%s %s: %d %s", method, path, a.Code, a.Body)
	}
	fmt.Fprintf(&w.said, "%s %s %v: %d\n", method, strings.Replace(path, "status/"+w.status, "a status", 1), head, a.Code)
	_ = a.Header().Write(&w.said)
	fmt.Fprintf(&w.said, "%s\n", a.Body)
	if method == http.MethodGet {
		w.served += strings.Count(a.Body.String(), `"spec_version"`)
	}
	return a
}

// walk reads all pages of something, as long as they come to an end.
func (w *twin) walk(path, query string) {
	next := ""
	for range 300 {
		body := w.ask("GET", path+query+next, "").Body.Bytes()
		var page struct {
			More bool   `json:"more"`
			Next string `json:"next"`
		}
		if json.Unmarshal(body, &page) != nil || !page.More {
			return
		}
		next = "&next=" + page.Next
	}
}

// look asks for all sorts of what there is to ask for; near are objects of this
// round. whole says to ask from the beginning, and for everything.
func (w *twin) look(r *rand.Rand, near []stix.ID, whole bool) {
	some := func(list []string, n int) []string {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if whole {
			n++
		}
		return list[:min(n, len(list))]
	}
	own := inColl + ownID + "/"
	for _, path := range some([]string{"/taxii2/", root, inColl, own, inColl + "partner.0200000000000000/", inColl + shelfID + "/", inColl + shelfID + "/objects/", inColl + "inner/manifest/",
		inColl + elsewise + "/objects/", root + "status/" + w.status + "/", "/export/inner/domains", "/export/" + shelfID + "/csv", "/export/" + elsewise + "/csv",
		own + "objects/?limit=0", own + "objects/?next=x", own + "objects/?match[version]=x", "/nothing"}, 7) {
		w.ask("GET", path, "")
	}
	for _, path := range some([]string{own, inColl + shelfID + "/", inColl + elsewise + "/"}, 1) {
		w.ask("POST", path+"objects/", `{"objects":[`+indicator(1, noroshi.Green, "")+`]}`)
		w.ask("DELETE", path+"objects/"+string(near[0])+"/", "")
	}
	for _, name := range some([]string{string(near[r.IntN(len(near))]), string(id("indicator", 100_001+r.IntN(20))), string(id("malware", 100_001+r.IntN(20))), "indicator--00000000-0000-4000-8000-ffffffffffff"}, 2) {
		for _, path := range some([]string{"objects/" + name + "/", "objects/" + name + "/versions/", "objects/" + name + "/" + anywhen, "manifest/?match[id]=" + name}, 2) {
			w.ask("GET", own+path, "")
		}
	}
	after := "&added_after=" + w.after
	if whole {
		after = ""
	}
	versions := []string{"", "&match[version]=first", "&match[version]=all", "&match[version]=first,last", "&match[version]=2026-11-01T00:00:00Z"}
	for _, limit := range some([]string{"1", "2", "3", "1000"}, 1) {
		for _, version := range some(versions, 1) {
			w.walk(own+"objects/", "?limit="+limit+after+version)
		}
		for _, version := range some(versions, 1) {
			w.walk(own+"manifest/", "?limit="+limit+after+version)
		}
	}
	for _, query := range some([]string{"objects/?limit=2&match[type]=indicator,report", "manifest/?limit=2&match[spec_version]=2.0", "objects/?match[id]=" + string(near[0]) + "," + string(near[len(near)-1])}, 1) {
		w.walk(own, query+after)
	}
	w.after = w.ask("GET", own+"objects/?limit=1000&match[version]=all"+after, "").Header().Get(taxii.HeaderLast)
	w.ask([]string{"GET", "HEAD"}[r.IntN(2)], own+"manifest/?limit=1000"+after, "", "Accept-Encoding: gzip")
	if r.IntN(3) > 0 || whole {
		w.fetch(r)
	} else {
		w.export(r)
	}
}

// drawFormat draws a format, and a query that goes with it.
func drawFormat(r *rand.Rand) (x door.Export, query string) {
	list := append(door.Formats(), "suricata", "snort") // whose rules have numbers
	x = door.Export{Format: list[r.IntN(len(list))], Partner: jpn.Node}
	switch {
	case x.Format == "rpz":
		x.Zone, query = "rpz.example", "?zone=rpz.example"
	case x.Format == "suricata" && r.IntN(3) > 0:
		x.Individual, query = true, "?individual"
	}
	return x, query
}

// fetch fetches an export as the partner's sensor does, which has the last one.
func (w *twin) fetch(r *rand.Rand) {
	x, query := drawFormat(r)
	path := "/export/" + ownID + "/" + x.Format + query
	w.tags[path] = w.ask("GET", path, "", "If-None-Match: "+w.tags[path]).Header().Get("ETag")
	if r.IntN(2) == 0 {
		w.ask([]string{"GET", "HEAD"}[r.IntN(2)], path, "", []string{"Range: bytes=0-99", "If-None-Match: " + w.tags[path]}[r.IntN(2)])
	}
}

// export writes one for the partner, as our own command does.
func (w *twin) export(r *rand.Rand) {
	x, _ := drawFormat(r)
	var b bytes.Buffer
	out, err := w.o.door.Write(w.o.ctx, &b, x)
	if err != nil {
		w.o.t.Fatal(err)
	}
	for _, s := range out.Sets {
		fmt.Fprintf(&b, "%s\n", s.File)
		if err := w.o.door.WriteSet(w.o.ctx, &b, x, out, s); err != nil {
			w.o.t.Fatal(err)
		}
	}
	out.ID = ""
	fmt.Fprintf(&w.said, "exported %+v\n%s\n", out, b.Bytes())
}

// seen counts what the generator drew.
type seen struct{ graphs, withheld, cut, withdrawn, remarked, served int }

func (s *seen) add(b seen) {
	s.graphs, s.withheld, s.cut = s.graphs+b.graphs, s.withheld+b.withheld, s.cut+b.cut
	s.withdrawn, s.remarked, s.served = s.withdrawn+b.withdrawn, s.remarked+b.remarked, s.served+b.served
}

// play lets both twins live through rounds, each with a graph of its own, and
// returns the first round after which the partner could tell them apart, and
// how; 0 = it never could.
func play(t testing.TB, seed uint64, rounds int, l leak) (round int, diff string, s seen) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var some *rand.Rand
	if r.IntN(2) == 0 {
		some = rand.New(rand.NewPCG(seed, 3))
	}
	both := []*twin{newTwin(t, rand.New(rand.NewPCG(seed, 2)), l), newTwin(t, some, l)}
	var old []*open
	for round := 1; round <= rounds; round++ {
		all := drawOpen(r, round*100)
		var near []stix.ID
		for _, x := range all {
			near = append(near, x.id)
			if x.cut {
				s.cut++
				break
			}
		}
		var leaves []*open
		for _, x := range slices.Concat(old, all, all) {
			if x.leaf {
				leaves = append(leaves, x)
			}
		}
		var gone, later *open
		if len(leaves) > 0 && r.IntN(3) > 0 {
			gone = leaves[r.IntN(len(leaves))]
			old = slices.DeleteFunc(old, func(x *open) bool { return x == gone })
		}
		if len(old) > 0 && r.IntN(3) == 0 {
			later = old[r.IntN(len(old))]
		}
		looks, many := r.Uint64(), both[0].n
		for _, w := range both {
			w.at(round, 1)
			w.aside(nil)
			w.at(round, 2)
			w.imports(all, 0)
			w.aside(near)
			w.at(round, 3)
			w.settle()
			if gone != nil {
				w.aside(near)
				w.at(round, 4)
				w.gone(gone)
			}
			if later != nil {
				w.aside(near)
				w.at(round, 5)
				w.imports([]*open{later}, 2+round%25)
			}
			w.aside(near)
			w.at(round, 6)
			w.settle()
			w.aside(near)
			w.at(round, 7)
			w.said.Reset()
			w.look(rand.New(rand.NewPCG(looks, 4)), near, round == rounds)
			s.served += w.served
			w.served = 0
		}
		s.graphs++
		if both[0].n > many {
			s.withheld++
		}
		if gone != nil {
			s.withdrawn++
			if r, err := both[0].o.store.Current(both[0].o.ctx, gone.id); err == nil && !r.Withdrawn {
				s.remarked++
			}
		}
		if a, b := both[0].said.String(), both[1].said.String(); a != b {
			return round, differ(a, b), s
		} else if strings.Contains(a, canary) {
			return round, "a canary: " + around(a, strings.Index(a, canary)), s
		}
		old = append(old, slices.DeleteFunc(slices.Clone(all), func(x *open) bool { return x == gone })...)
	}
	return 0, "", s
}

// differ shows where two texts part.
func differ(a, b string) string {
	// Objects and lines are short, so that what is lost shows.
	part := strings.NewReplacer(`{"type"`, "\n{\"type\"", `{"id"`, "\n{\"id\"")
	a, b = part.Replace(a), part.Replace(b)
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return around(a, i) + "\n--- but ---\n" + around(b, i)
}

func around(text string, i int) string {
	return text[max(0, i-700):min(len(text), i+600)]
}

// TestDoorNonInterference is L1 at the door: whatever of a node the partner may
// not see, and whatever is done with it, the partner's client gets the same
// bytes.
func TestDoorNonInterference(t *testing.T) {
	t.Parallel()
	pairs, rounds := tier.N(4, 120), 12
	if tier.Raced {
		pairs, rounds = 1, 4
	}
	var s seen
	var mu sync.Mutex
	var wg sync.WaitGroup
	seeds := make(chan uint64)
	for range 4 {
		wg.Go(func() {
			for seed := range seeds {
				round, diff, part := play(t, seed, rounds, leak{})
				if round > 0 {
					t.Errorf("seed %d: in round %d the partner can tell:\n%s", seed, round, diff)
				}
				mu.Lock()
				s.add(part)
				mu.Unlock()
			}
		})
	}
	for seed := range uint64(pairs) {
		seeds <- seed
	}
	close(seeds)
	wg.Wait()
	t.Logf("%+v", s)
	if !tier.Raced && (100*s.withheld < 30*s.graphs || 100*s.cut < 30*s.graphs || 100*s.withdrawn < 10*s.graphs || 100*s.remarked < 10*s.graphs || s.served < 10*s.graphs) {
		t.Errorf("the graphs are too tame: %+v", s)
	}
}
