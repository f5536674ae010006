package feed_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// processes are two processes of one node, with one data folder, that read one
// site; begun says when a request came, and free lets it be answered.
func processes(t *testing.T) (one, two *feed.Reader, s *site, begun chan struct{}, free chan struct{}) {
	t.Helper()
	dsn := storetest.DSN(t)
	s = newSite(t)
	s.rules.Temp = filepath.Join(t.TempDir(), "feeds")
	begun, free = make(chan struct{}, 8), make(chan struct{})
	s.hook = func(http.ResponseWriter, *http.Request) bool {
		begun <- struct{}{}
		<-free
		return false
	}
	open := func() *feed.Reader {
		st, err := store.Open(t.Context(), dsn, store.Options{Realm: noroshi.Real, Node: noroshi.NodeID{1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return feed.New(st, intake.New(st, intake.Options{Realm: noroshi.Real, Node: noroshi.NodeID{1}, Self: noroshi.Organisation{CallSign: "USA-01", Identity: selfID}}), feed.Options{Rules: s.rules})
	}
	return open(), open(), s, begun, free
}

// TestFeedOfTwoProcesses: what one process of a node reads by hand, the one that
// leads does not read at the same time, nor takes away what lies in its folder;
// and the other way round.
func TestFeedOfTwoProcesses(t *testing.T) {
	t.Parallel()
	hand, leader, s, begun, free := processes(t)
	s.put("/list.txt", "d1.example.org\n")
	f := s.feed(feed.HTTPS, "/list.txt")
	f.Every, f.Marking = feed.MaxEvery, "tlp:green"
	if _, err := hand.Add(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := hand.Run(t.Context(), "cert", nil); ended <- err }()
	<-begun
	// The leader starts, and finds the feed in its hands.
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- leader.Serve(ctx) }()
	if _, err := leader.Run(t.Context(), "cert", nil); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("while another process reads it: %v", err)
	}
	free <- struct{}{}
	if err := <-ended; err != nil {
		t.Errorf("the one by hand, beside one that starts: %v", err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	// Now the other way round.
	go func() { _, err := leader.Run(t.Context(), "cert", nil); ended <- err }()
	<-begun
	if _, err := hand.Run(t.Context(), "cert", nil); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("while the leader reads it: %v", err)
	}
	close(free)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if st, err := hand.Run(t.Context(), "cert", nil); err != nil || st.Failures > 0 {
		t.Errorf("alone: %+v %v", st, err)
	}
	if got := s.requests(); len(got) != 3 {
		t.Errorf("asked %v, want three times", got)
	}
}

// TestDeadRuns: what a killed run left is gone when its feed is read again, or
// when it is old; what another feed's run may be reading is left alone.
func TestDeadRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rules.Temp = t.TempDir()
	r := newReader(t, s.rules)
	// What the folder of a feed's run is called is seen while it is read.
	for _, name := range []string{"a", "b", "c"} {
		s.put("/"+name, name+".example.org\n")
		f := s.feed(feed.HTTPS, "/"+name)
		f.Name, f.Paused = name, true
		r.add(f)
		s.hook = func(http.ResponseWriter, *http.Request) bool {
			list, err := filepath.Glob(filepath.Join(s.rules.Temp, "*"))
			if err != nil || len(list) == 0 {
				t.Errorf("where is it read? %v %v", list, err)
			}
			for _, dir := range list {
				if err := os.MkdirAll(filepath.Join(s.rules.Temp, "..", name, filepath.Base(dir)+"x"), 0o700); err != nil {
					t.Error(err)
				}
			}
			return false
		}
		r.must(name)
	}
	s.hook = nil
	left := func(name string, age time.Duration) string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(s.rules.Temp, "..", name, "*"))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		dir := filepath.Join(s.rules.Temp, filepath.Base(list[0]))
		at := time.Now().Add(-age)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chtimes(dir, at, at)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	left("a", 0)
	left("b", 24*time.Hour)
	young := left("c", time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.feeds.Serve(ctx) }()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.must("a")
	if list, err := filepath.Glob(filepath.Join(s.rules.Temp, "*")); err != nil || len(list) != 1 || list[0] != young {
		t.Errorf("left are %v, want %s: %v", list, young, err)
	}
}
