package taxii_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
)

// TestPagingUnderWrites: while several clients add objects, one that follows next
// and one that follows added_after each get every record once, in order.
func TestPagingUnderWrites(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const writers, posts, batch = 4, 30, 7
	var wg sync.WaitGroup
	written := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			for p := range posts {
				var objects []string
				for i := range batch {
					objects = append(objects, indicator(10_000*w+100*p+i, "2024-01-01T00:00:00.000Z"))
				}
				s.post(objects...)
			}
		})
	}
	go func() { wg.Wait(); close(written) }()
	var readers sync.WaitGroup
	got := [2][]string{}
	readers.Go(func() { got[0] = followNext(t, s, written) })
	readers.Go(func() { got[1] = followDates(t, s, written) })
	readers.Wait()
	for i, ids := range got {
		seen := map[string]bool{}
		for _, id := range ids {
			if seen[id] {
				t.Errorf("reader %d got %s twice", i, id)
			}
			seen[id] = true
		}
		if len(seen) != writers*posts*batch {
			t.Errorf("reader %d got %d of %d", i, len(seen), writers*posts*batch)
		}
	}
	if fmt.Sprint(got[0]) != fmt.Sprint(got[1]) {
		t.Error("the two saw another order")
	}
}

// followNext reads objects by next; at the end it comes back with the cursor it
// had, and steps over what it knows of that page.
func followNext(t *testing.T, s *service, written <-chan struct{}) (ids []string) {
	cursor, known := "", 0
	for {
		over := ended(written)
		e := s.get(objectsPath + "?limit=13" + cursor).page(t)
		page := e.ids(t)
		ids = append(ids, page[known:]...)
		if known = len(page); e.More {
			cursor, known = "&next="+e.Next, 0
		} else if over {
			return ids
		}
	}
}

// followDates reads the manifest by added_after.
func followDates(t *testing.T, s *service, written <-chan struct{}) (ids []string) {
	after := ""
	for {
		over := ended(written)
		r := s.get(manifestPath + "?limit=11" + after)
		var m struct {
			More    bool
			Objects []struct {
				ID    string
				Added string `json:"date_added"`
			}
		}
		if err := json.Unmarshal(r.want(t, 200).body, &m); err != nil {
			t.Error(err)
			return ids
		}
		for _, o := range m.Objects {
			ids = append(ids, o.ID)
			after = "&added_after=" + o.Added
		}
		if over && !m.More {
			return ids
		}
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestSameObjectAtOnce: the same object posted by many at once is taken by all and
// is there once.
func TestSameObjectAtOnce(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if st := s.post(indicator(1, "2024-01-01T00:00:00.000Z"), address(1)); st.SuccessCount != 2 {
				t.Errorf("status %+v", st)
			}
		})
	}
	wg.Wait()
	if e := s.get(objectsPath + "?match[version]=all").page(t); len(e.Objects) != 2 {
		t.Errorf("%d objects, want 2", len(e.Objects))
	}
}
