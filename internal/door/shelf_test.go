package door_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/taxii"
)

// counts are the counts of a status.
func counts(st taxii.Status) string {
	return fmt.Sprintf("%s: %d of %d, %d failed, %d pending", st.Status, st.SuccessCount, st.TotalCount, st.FailureCount, st.PendingCount)
}

// TestPost: each object posted is laid on the shelf, has failed or is pending,
// and the status says which, then and after a restart.
func TestPost(t *testing.T) {
	t.Parallel()
	far := strings.Replace(indicator(1, noroshi.Green, ""), `"modified":"2026`, `"modified":"2099`, 1)
	for name, c := range map[string]struct {
		before func(o *office, other visitor)
		post   []string
		want   string
		lies   string // on the shelf
	}{
		"marked or not":           {nil, []string{indicator(1, noroshi.Red, ""), indicator(2, noroshi.NoTLP, "")}, "complete: 2 of 2, 0 failed, 0 pending", "1 2"},
		"twice the same":          {nil, []string{indicator(1, noroshi.Red, ""), indicator(1, noroshi.Red, "")}, "complete: 2 of 2, 0 failed, 0 pending", "1"},
		"other bytes":             {nil, []string{indicator(1, noroshi.Red, ""), indicator(1, noroshi.Red, `,"name":"other"`)}, "complete: 1 of 2, 1 failed, 0 pending", "1"},
		"not yet":                 {nil, []string{far, indicator(2, noroshi.Green, "")}, "pending: 1 of 2, 0 failed, 1 pending", "2"},
		"no object":               {nil, []string{`{"type":"indicator"}`, `7`, indicator(2, noroshi.Green, "")}, "complete: 1 of 3, 2 failed, 0 pending", "2"},
		"two versions":            {nil, []string{on(2, indicator(1, noroshi.Green, "")), indicator(1, noroshi.Green, "")}, "complete: 2 of 2, 0 failed, 0 pending", "1"},
		"another posted the same": {func(_ *office, v visitor) { v.post("tools", indicator(1, noroshi.Red, "")) }, []string{indicator(1, noroshi.Red, "")}, "complete: 1 of 1, 0 failed, 0 pending", "1"},
		"another posted other bytes": {func(_ *office, v visitor) { v.post("tools", indicator(1, noroshi.Red, `,"name":"other"`)) },
			[]string{indicator(1, noroshi.Red, "")}, "complete: 0 of 1, 1 failed, 0 pending", "1"},
		"other bytes are here": {func(o *office, _ visitor) { o.put(feed, indicator(1, noroshi.Red, `,"name":"other"`)) },
			[]string{indicator(1, noroshi.Red, "")}, "complete: 1 of 1, 0 failed, 0 pending", "1"},
		"the same is here": {func(o *office, _ visitor) { o.put(feed, indicator(1, noroshi.Red, "")) },
			[]string{indicator(1, noroshi.Red, "")}, "complete: 1 of 1, 0 failed, 0 pending", "1"},
		"a feed's, withdrawn": {func(o *office, _ visitor) { o.put(feed, indicator(1, noroshi.Red, "")); o.withdraw(id("indicator", 1)) },
			[]string{indicator(1, noroshi.Red, ""), indicator(2, noroshi.Red, "")}, "complete: 1 of 2, 1 failed, 0 pending", "2"},
		"a feed's, withdrawn, as a later version": {func(o *office, _ visitor) { o.put(feed, indicator(1, noroshi.Red, "")); o.withdraw(id("indicator", 1)) },
			[]string{on(3, indicator(1, noroshi.Red, ""))}, "complete: 0 of 1, 1 failed, 0 pending", ""},
		"its own, withdrawn, as a later version": {func(o *office, v visitor) {
			o.letIn(door.NewClient{Name: "third", Write: []string{"tools"}}).post("tools", indicator(1, noroshi.Red, ""))
			o.withdraw(id("indicator", 1))
		}, []string{on(3, indicator(1, noroshi.Red, ""))}, "complete: 0 of 1, 1 failed, 0 pending", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.shelf("tools")
			tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
			if c.before != nil {
				c.before(o, o.letIn(door.NewClient{Name: "other", Write: []string{"tools"}}))
			}
			st := tool.post("tools", c.post...)
			if got := counts(st); got != c.want {
				t.Errorf("got %s, want %s: %+v", got, c.want, st)
			}
			for _, f := range slices.Concat(st.Failures, st.Pendings) {
				if f.Message == "" {
					t.Errorf("%s without a message", f.ID)
				}
			}
			if got := tool.ids("tools", ""); got != c.lies {
				t.Errorf("on the shelf lie %q, want %q", got, c.lies)
			}
			o.restart()
			var later taxii.Status
			if err := json.Unmarshal([]byte(tool.get(root+"status/"+st.ID+"/")), &later); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(st, later); diff != "" {
				t.Errorf("the status later:\n%s", diff)
			}
		})
	}
}

// TestPostAgainOutOfOrder: a status lists what was posted in the order it was
// posted in, also what was here already and came in another order.
func TestPostAgainOutOfOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
	var list []string
	for n := range 5 {
		list = append(list, indicator(n+1, noroshi.Green, ""))
	}
	tool.post("tools", list...)
	st := tool.post("tools", list[4], list[0], indicator(9, noroshi.Green, ""), list[2], list[0])
	var later taxii.Status
	if err := json.Unmarshal([]byte(tool.get(root+"status/"+st.ID+"/")), &later); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(st, later); diff != "" || st.SuccessCount != 5 {
		t.Errorf("the status later:\n%s", diff)
	}
}

// TestPostRevoked: what a client posts revoked takes the object out of use, and
// the shelf tells its readers so.
func TestPostRevoked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
	tool.post("tools", indicator(1, noroshi.Green, ""), indicator(2, noroshi.Green, ""))
	if st := tool.post("tools", on(2, indicator(1, noroshi.Green, `,"revoked":true`))); st.SuccessCount != 1 {
		t.Errorf("status: %+v", st)
	}
	if got := tool.ids("tools", anywhen); got != "1@01 2@01 1@02" {
		t.Errorf("on the shelf: %s", got)
	}
	if body := tool.get(inColl + "tools/objects/" + string(id("indicator", 1)) + "/"); !strings.Contains(body, `"revoked":true`) {
		t.Errorf("the object: %s", body)
	}
	if got := o.lines(tool, "tools/domains"); got != "d2.example" {
		t.Errorf("exported: %s", got)
	}
}

// lines are the lines of an export that are no comment.
func (o *office) lines(v visitor, path string) string {
	o.t.Helper()
	var list []string
	for line := range strings.Lines(v.get("/export/" + path)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestPostMany: several acts of one POST have one status.
func TestPostMany(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
	var list []string
	for n := range 2500 {
		list = append(list, indicator(n+1, noroshi.Green, ""))
	}
	list[1200] = `{}`
	st := tool.post("tools", list...)
	if got := counts(st); got != "complete: 2499 of 2500, 1 failed, 0 pending" {
		t.Errorf("got %s", got)
	}
	if got := strings.Fields(tool.ids("tools", "?limit=5000")); len(got) != 2499 || got[0] != "1@01" || got[2498] != "2500@01" {
		t.Errorf("%d lie there", len(got))
	}
}

// TestPostersAtOnce: what several clients post at once while one reads is read
// once each, in the order of date_added, without a hole.
func TestPostersAtOnce(t *testing.T) {
	t.Parallel()
	const posters, posts, each = 4, 8, 5
	o := newOffice(t)
	o.shelf("tools")
	reader := o.letIn(door.NewClient{Name: "reader", Read: []string{"tools"}})
	var wg sync.WaitGroup
	for p := range posters {
		tool := o.letIn(door.NewClient{Name: fmt.Sprintf("tool%d", p), Write: []string{"tools"}})
		wg.Go(func() {
			for k := range posts {
				var list []string
				for i := range each {
					list = append(list, indicator(1+p*1000+k*each+i, noroshi.Green, ""))
				}
				if w := tool.ask("POST", inColl+"tools/objects/", `{"objects":[`+strings.Join(list, ",")+`]}`); w.Code != http.StatusAccepted {
					t.Errorf("POST: %d %s", w.Code, w.Body)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[string]int{}
	after, last := "2000-01-01T00:00:00Z", false
	for len(seen) < posters*posts*each {
		w := reader.ask("GET", inColl+"tools/manifest/?limit=7&added_after="+after, "")
		var page struct {
			Objects []struct {
				ID    string `json:"id"`
				Added string `json:"date_added"`
			} `json:"objects"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s %v", w.Code, w.Body, err)
		}
		for _, x := range page.Objects {
			if x.Added <= after && after[:4] != "2000" {
				t.Errorf("%s was added at %s, read after %s", x.ID, x.Added, after)
			}
			seen[x.ID]++
			after = x.Added
		}
		if len(page.Objects) == 0 && last {
			break
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
	<-done
	for k, n := range seen {
		if n != 1 {
			t.Errorf("%s was read %d times", k, n)
		}
	}
	if len(seen) != posters*posts*each {
		t.Errorf("%d were read, want %d", len(seen), posters*posts*each)
	}
}

// TestDelete: versions come off a shelf, the node keeps them and other shelves
// do too; what a client may not see it cannot take away, or learn of.
func TestDelete(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		code int
		left string
	}{
		"all":              {string(id("indicator", 1)) + "/", 200, "2@01"},
		"all, said so":     {string(id("indicator", 1)) + "/?match[version]=all", 200, "2@01"},
		"the last":         {string(id("indicator", 1)) + "/?match[version]=last", 200, "1@01 1@02 2@01"},
		"the first":        {string(id("indicator", 1)) + "/?match[version]=first", 200, "1@02 1@03 2@01"},
		"one":              {string(id("indicator", 1)) + "/?match[version]=2026-11-02T00:00:00Z", 200, "1@01 1@03 2@01"},
		"one and the last": {string(id("indicator", 1)) + "/?match[version]=2026-11-02T00:00:00Z,last", 200, "1@01 2@01"},
		"no such version":  {string(id("indicator", 1)) + "/?match[version]=2026-11-09T00:00:00Z", 404, "1@01 1@02 1@03 2@01"},
		"no such object":   {string(id("indicator", 7)) + "/", 404, "1@01 1@02 1@03 2@01"},
		"no id":            {"x/", 404, "1@01 1@02 1@03 2@01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.shelf("tools")
			o.shelf("other")
			both := []string{"tools", "other"}
			tool := o.letIn(door.NewClient{Name: "tool", Read: both, Write: both})
			list := []string{indicator(1, noroshi.Green, ""), on(2, indicator(1, noroshi.Green, "")), on(3, indicator(1, noroshi.Green, "")), indicator(2, noroshi.Green, "")}
			tool.post("tools", list...)
			tool.post("other", list...)
			if w := tool.ask("DELETE", inColl+"tools/objects/"+c.path, ""); w.Code != c.code {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.code)
			}
			if got := sortedWords(tool.ids("tools", anywhen)); got != c.left {
				t.Errorf("left: %s, want %s", got, c.left)
			}
			if got := sortedWords(tool.ids("other", anywhen)); got != "1@01 1@02 1@03 2@01" {
				t.Errorf("on the other shelf: %s", got)
			}
			if v, err := o.store.Versions(o.ctx, id("indicator", 1)); err != nil || len(v) != 3 || v[2].Withdrawn {
				t.Errorf("the node has %d versions: %v", len(v), err)
			}
		})
	}
	t.Run("who may not", func(t *testing.T) {
		o := newOffice(t)
		o.shelf("tools")
		tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
		tool.post("tools", indicator(1, noroshi.Red, ""), indicator(2, noroshi.Green, ""))
		for name, x := range map[string]struct {
			client     door.NewClient
			there, not int
		}{
			"reads":        {door.NewClient{Name: "reads", Read: []string{"tools"}}, 403, 403},
			"writes":       {door.NewClient{Name: "writes", Write: []string{"tools"}}, 403, 403},
			"sees no RED":  {door.NewClient{Name: "low", Read: []string{"tools"}, Write: []string{"tools"}, Max: []string{"TLP:GREEN"}}, 404, 404},
			"does neither": {door.NewClient{Name: "neither", Read: []string{o.shelf("another")}}, 404, 404},
		} {
			v := o.letIn(x.client)
			there := v.ask("DELETE", inColl+"tools/objects/"+string(id("indicator", 1))+"/", "")
			not := v.ask("DELETE", inColl+"tools/objects/"+string(id("indicator", 7))+"/", "")
			if there.Code != x.there || not.Code != x.not {
				t.Errorf("%s: %d, of what is not there %d", name, there.Code, not.Code)
			}
		}
		if got := tool.ids("tools", ""); got != "1 2" {
			t.Errorf("left: %s", got)
		}
	})
}

func sortedWords(text string) string {
	list := strings.Fields(text)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestHighestLabel: a client sees what its bound admits, whatever marks a thing,
// with the pages and ends of what it sees.
func TestHighestLabel(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	unknown := id("marking-definition", 8)
	portion := fmt.Sprintf(`,"name":"n","granular_markings":[{"marking_ref":%q,"selectors":["name"]}]`, noroshi.Red.MarkingID())
	odd := strings.Replace(indicator(6, noroshi.Green, ""), `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, unknown), 1)
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
	tool.post("tools", indicator(1, noroshi.Clear, ""), indicator(2, noroshi.Green, ""), indicator(3, noroshi.Amber, ""), indicator(4, noroshi.Red, ""),
		indicator(5, noroshi.NoTLP, ""), odd, indicator(7, noroshi.Green, portion), indicator(8, noroshi.Green, ""), indicator(9, noroshi.Green, ""))
	o.remark(id("indicator", 8), noroshi.Red)
	tool.post("tools", on(2, indicator(9, noroshi.Red, "")))
	for max, want := range map[string]string{
		"":                      "1 2 3 4 5 6 7 8 9",
		"TLP:CLEAR":             "1",
		"TLP:GREEN":             "1 2",
		"TLP:AMBER":             "1 2 3",
		"TLP:RED":               "1 2 3 4 7 8 9",
		"UNMARKED":              "5",
		"TLP:GREEN,UNMARKED":    "1 2 5",
		"ACS:TS":                "",
		"TLP:GREEN,JPN:秘":       "1 2",
		"TLP:AMBER,ACS:U,JPN:秘": "1 2 3",
	} {
		n := door.NewClient{Name: "c" + strings.ToLower(strings.NewReplacer(":", "", ",", "", "秘", "").Replace(max)) + fmt.Sprint(len(max)), Read: []string{"tools"}}
		if max != "" {
			n.Max = strings.Split(max, ",")
		}
		v := o.letIn(n)
		if got := v.ids("tools", ""); got != want {
			t.Errorf("up to %q: %s, want %s", max, got, want)
		}
		for i := 1; i <= 9; i++ {
			seen := slices.Contains(strings.Fields(want), fmt.Sprint(i))
			w := v.ask("GET", inColl+"tools/objects/"+string(id("indicator", i))+"/", "")
			if i != 9 && (w.Code == http.StatusOK) != seen {
				t.Errorf("up to %q: object %d answers %d", max, i, w.Code)
			}
		}
		pages := 0
		for next := ""; ; pages++ {
			var page struct {
				More    bool              `json:"more"`
				Next    string            `json:"next"`
				Objects []json.RawMessage `json:"objects"`
			}
			query := "?limit=1"
			if next != "" {
				query += "&next=" + next
			}
			if err := json.Unmarshal([]byte(v.get(inColl+"tools/objects/"+query)), &page); err != nil {
				t.Fatal(err)
			}
			if !page.More {
				pages += len(page.Objects)
				break
			}
			next = page.Next
		}
		if pages != len(strings.Fields(want)) {
			t.Errorf("up to %q: %d pages of one, want %d", max, pages, len(strings.Fields(want)))
		}
	}
}

// TestSelection: a shelf gets of what is held what its conditions select, follows
// what is marked otherwise later, and keeps what was posted to it.
func TestSelection(t *testing.T) {
	t.Parallel()
	theirs := noroshi.Source{Kind: noroshi.FromPartner, Partner: jpn.Node, Message: noroshi.Sum([]byte("m"))}
	malware := object("malware", 3, noroshi.Green, `,"is_family":false`)
	o := newOffice(t, jpn)
	o.shelf("posts")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"posts"}})
	o.put(made, indicator(1, noroshi.Green, ""), indicator(2, noroshi.Red, ""), malware)
	o.put(feed, indicator(4, noroshi.Amber, ""), indicator(5, noroshi.NoTLP, ""))
	o.put(theirs, indicator(6, noroshi.Green, ""))
	tool.post("posts", indicator(7, noroshi.Green, ""))
	o.put(made, indicator(8, noroshi.Green, "")) // a file's version is another's
	o.put(feed, on(2, indicator(8, noroshi.Green, `,"name":"foreign"`)))
	o.put(made, indicator(9, noroshi.Green, ""), on(2, indicator(9, noroshi.Green, "")))
	o.put(made, indicator(10, noroshi.Green, ""))
	o.withdraw(id("indicator", 10))
	o.put(made, indicator(11, noroshi.Green, ""), indicator(11, noroshi.Green, `,"name":"other"`))
	want := map[string]string{
		"type=indicator": "1 2 4 5 6 7 8 9", "type=malware": "3", "type=tool": "", "type=malware type=indicator": "1 2 3 4 5 6 7 8 9",
		"source=self": "1 2 3 8 9", "source=file": "4 5", "source=file:vendor.json": "4 5", "source=file:x": "", "source=client:tool": "7",
		"source=partner": "6", "source=partner:" + jpn.Node.String(): "6", "source=partner:" + kor.Node.String(): "",
		"marking=TLP:GREEN": "1 3 6 7 8 9", "marking=TLP:RED": "1 2 3 4 6 7 8 9", "marking=UNMARKED": "5", "type=indicator source=self marking=TLP:GREEN": "1 8 9",
	}
	names := map[string]string{}
	var all []string
	for conditions := range want {
		names[conditions] = fmt.Sprintf("s%d", len(names))
		o.shelf(names[conditions], strings.Fields(conditions)...)
		all = append(all, names[conditions])
	}
	v := o.letIn(door.NewClient{Name: "reader", Read: all})
	check := func(what string) {
		t.Helper()
		o.step()
		for conditions, name := range names {
			if got := numbers(v.ids(name, "")); got != want[conditions] {
				t.Errorf("%s: %s: %s, want %s", what, conditions, got, want[conditions])
			}
		}
	}
	check("at first")
	o.remark(id("indicator", 1), noroshi.Red)
	o.remark(id("indicator", 7), noroshi.Red)
	o.remark(id("indicator", 5), noroshi.Green)
	want["marking=TLP:GREEN"], want["type=indicator source=self marking=TLP:GREEN"] = "3 5 6 8 9", "8 9"
	want["marking=TLP:RED"], want["marking=UNMARKED"] = "1 2 3 4 5 6 7 8 9", ""
	check("marked higher, and marked at all")
	o.put(made, on(4, indicator(9, noroshi.Red, "")))
	want["marking=TLP:GREEN"], want["type=indicator source=self marking=TLP:GREEN"] = "3 5 6 8", "8"
	check("a later version that is marked higher")
	o.withdraw(id("malware", 3))
	for conditions := range want {
		want[conditions] = strings.Join(slices.DeleteFunc(strings.Fields(want[conditions]), func(n string) bool { return n == "3" }), " ")
	}
	check("withdrawn")
	if got := v.ids(names["type=indicator source=self marking=TLP:GREEN"], anywhen); got != "8@01" {
		t.Errorf("versions: %s", got)
	}
}

// numbers sorts numbers.
func numbers(text string) string {
	list := strings.Fields(text)
	slices.SortFunc(list, func(a, b string) int { return (len(a)-len(b))*2 + strings.Compare(a, b) })
	return strings.Join(list, " ")
}

// TestSelectedAndPosted: what was posted to a shelf that selects stays there
// when it is selected no more.
func TestSelectedAndPosted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("green", "marking=TLP:GREEN")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"green"}, Write: []string{"green"}})
	tool.post("green", indicator(1, noroshi.Green, ""), indicator(2, noroshi.Red, ""))
	o.put(made, indicator(3, noroshi.Green, ""))
	o.step()
	o.remark(id("indicator", 1), noroshi.Red)
	o.remark(id("indicator", 3), noroshi.Red)
	o.step()
	if got := tool.ids("green", ""); got != "1 2" {
		t.Errorf("on the shelf: %s", got)
	}
}
