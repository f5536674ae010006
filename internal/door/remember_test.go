package door_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// limited runs fn while nothing is rendered: who would have to wait for a
// rendering gives up.
func (o *office) limited(fn func()) {
	free := o.door.TakeRenders()
	defer free()
	whole := o.ctx
	defer func() { o.ctx = whole }()
	ctx, cancel := context.WithTimeout(whole, 2*time.Second)
	defer cancel()
	o.ctx = ctx
	fn()
}

// TestSensorRemembers: who has the last edition is told so without a rendering,
// as long as nothing it rests on has moved and no term in it is over.
func TestSensorRemembers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	o.shelf("others")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools", "others"}, Read: []string{"tools"}})
	ends := indicator(2, noroshi.Green, fmt.Sprintf(`,"valid_until":%q`, stix.TimeOf(began.Add(time.Hour)).String()))
	tool.post("tools", indicator(1, noroshi.Green, ""), ends, indicator(3, noroshi.Green, ""))
	o.put(feed, indicator(7, noroshi.Green, ""))
	const path = "/export/tools/domains"
	tag := ""
	for _, step := range []struct {
		what  string
		do    func()
		moved bool // it is another edition
		names string
	}{
		{"at first", func() {}, true, "d1.example d2.example d3.example"},
		{"later", func() { o.pass(59 * time.Minute) }, false, ""},
		{"a term is over", func() { o.pass(2 * time.Minute) }, true, "d1.example d3.example"},
		{"the clock is set back", func() { o.pass(-time.Hour) }, false, ""},
		{"and goes on", func() { o.pass(2 * time.Hour) }, false, ""},
		{"something is withdrawn", func() { o.withdraw(id("indicator", 3)) }, true, "d1.example"},
		{"what is held already is laid there", func() { tool.post("tools", indicator(7, noroshi.Green, "")) }, true, "d1.example d7.example"},
		{"something is taken off", func() { tool.ask("DELETE", inColl+"tools/objects/"+string(id("indicator", 7))+"/", "") }, true, "d1.example"},
		{"one more comes", func() { tool.post("tools", indicator(4, noroshi.Green, "")) }, true, "d1.example d4.example"},
		{"it is marked otherwise", func() { o.remark(id("indicator", 1), noroshi.Amber) }, true, "d1.example d4.example"},
		{"what came ends", func() {
			r := o.current(id("indicator", 1))
			o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.End(r.Object.ID, r.Source.Owner(), r.Seq) })
		}, true, "d4.example"},
	} {
		step.do()
		if !step.moved {
			o.limited(func() {
				if w := tool.ask("GET", path, "", "If-None-Match: "+tag); w.Code != http.StatusNotModified || w.Header().Get("ETag") != tag || w.Body.Len() > 0 {
					t.Errorf("%s: %d", step.what, w.Code)
				}
				if w := tool.ask("HEAD", path, "", "If-Match: \"x\""); w.Code != http.StatusPreconditionFailed {
					t.Errorf("%s, who wants another: %d", step.what, w.Code)
				}
			})
			continue
		}
		if w := tool.ask("GET", path, "", "If-None-Match: "+tag); w.Code != http.StatusOK {
			t.Errorf("%s: %d", step.what, w.Code)
		} else if tag = w.Header().Get("ETag"); o.lines(tool, "tools/domains") != step.names {
			t.Errorf("%s: %s, want %s", step.what, w.Body, step.names)
		}
		o.limited(func() {
			if w := tool.ask("GET", path, "", "If-None-Match: "+tag); w.Code != http.StatusNotModified {
				t.Errorf("%s, asked again: %d", step.what, w.Code)
			}
		})
	}
}

// TestPartnersSensorIsDecidedAnew: what a partner's sensor is told is decided
// each time: an agreement that is over changes no feed.
func TestPartnersSensorIsDecidedAnew(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.put(made, indicator(1, noroshi.Green, ""))
	o.settle(jpn)
	soc := o.letPartner("soc", jpn)
	const path = "/export/partner.0200000000000000/domains"
	first := soc.ask("GET", path, "")
	if w := soc.ask("GET", path, "", "If-None-Match: "+first.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("again: %d", w.Code)
	}
	o.pass(40 * 24 * time.Hour)
	if w := soc.ask("GET", path, "", "If-None-Match: "+first.Header().Get("ETag")); w.Code == http.StatusNotModified {
		t.Error("after the agreement's end it has not changed")
	}
}

// TestRefreshRemembers: a scheduled file is not made anew while nothing it rests
// on has moved.
func TestRefreshRemembers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.put(made, indicator(1, noroshi.Green, fmt.Sprintf(`,"valid_until":%q`, stix.TimeOf(began.Add(time.Hour)).String())))
	s := door.Scheduled{Export: door.Export{Format: "domains"}, File: filepath.Join(t.TempDir(), "d.txt")}
	refresh := func(what string, want bool) {
		t.Helper()
		if changed, err := o.door.Refresh(o.ctx, s); err != nil || changed != want {
			t.Errorf("%s: changed %v, %v", what, changed, err)
		}
	}
	refresh("first", true)
	o.pass(59 * time.Minute)
	o.limited(func() { refresh("nothing moved", false) })
	o.pass(2 * time.Minute)
	refresh("a term is over", true)
	o.put(made, indicator(2, noroshi.Green, ""))
	refresh("one more", true)
	o.limited(func() { refresh("again", false) })
	o.restart()
	refresh("after a restart", false)
}

// TestFileMode: files are for their owner and group, or as it is said.
func TestFileMode(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.put(made, indicator(1, noroshi.Green, ""))
	s := door.Scheduled{Export: door.Export{Format: "suricata"}, File: filepath.Join(t.TempDir(), "n.rules")}
	for _, step := range []struct {
		mode, want fs.FileMode
		changed    bool
	}{{0, 0o640, true}, {0o640, 0o640, false}, {0o600, 0o600, true}, {0, 0o640, true}} {
		s.Mode = step.mode
		changed, err := o.door.Refresh(o.ctx, s)
		if err != nil || changed != step.changed {
			t.Errorf("%o: changed %v, %v", step.mode, changed, err)
		}
		files, err := filepath.Glob(filepath.Join(filepath.Dir(s.File), "*"))
		if err != nil || len(files) < 2 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if fi, err := os.Stat(f); err != nil || fi.Mode().Perm() != step.want {
				t.Errorf("%o: %s has %v, %v", step.mode, f, fi.Mode(), err)
			}
		}
	}
}

// TestLeftFiles: what a killed program left beside a file is gone with the next,
// and nothing else.
func TestLeftFiles(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.put(made, indicator(1, noroshi.Green, ""))
	dir := t.TempDir()
	s := door.Scheduled{Export: door.Export{Format: "domains"}, File: filepath.Join(dir, "d.txt")}
	old := time.Now().Add(-2 * time.Hour)
	left := func(place string, at time.Time) string {
		t.Helper()
		f, err := door.Beside(place)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), os.Chtimes(f.Name(), at, at)); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	young, others, theirs := left(s.File, time.Now()), left(filepath.Join(dir, "other.txt"), old), filepath.Join(dir, ".noroshi-x")
	left(s.File, old)
	ours := left(s.File, old) // the first is gone with it
	folder := ours + "folder"
	if err := errors.Join(os.WriteFile(theirs, nil, 0o600), os.Chtimes(theirs, old, old), os.Link(ours, ours+".new"), os.Mkdir(folder, 0o700), os.Chtimes(folder, old, old)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.door.Refresh(o.ctx, s); err != nil {
		t.Fatal(err)
	}
	var names []string
	list, err := os.ReadDir(dir)
	for _, e := range list {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	want := []string{young, others, theirs, folder, s.File}
	slices.Sort(want)
	if slices.Sort(names); err != nil || !slices.Equal(names, want) {
		t.Errorf("there are %v, want %v: %v", names, want, err)
	}
}

// TestSensorLeavesNoFile: what is rendered for a sensor has no name while it is
// sent, so that a kill leaves nothing.
func TestSensorLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Read: []string{"tools"}})
	tool.post("tools", indicator(1, noroshi.Green, ""))
	r := httptest.NewRequestWithContext(o.ctx, "GET", "/export/tools/csv", nil)
	tool.change(r)
	w := &looking{ResponseRecorder: httptest.NewRecorder(), dir: dir}
	o.inner.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.err != nil || len(w.saw) > 0 {
		t.Errorf("%d, while it was sent there were %v, %v", w.Code, w.saw, w.err)
	}
}

// looking looks into a folder while it is written to.
type looking struct {
	*httptest.ResponseRecorder
	dir string
	saw []string
	err error
}

func (l *looking) Write(b []byte) (int, error) {
	l.saw, l.err = filepath.Glob(filepath.Join(l.dir, ".noroshi*"))
	return l.ResponseRecorder.Write(b)
}
