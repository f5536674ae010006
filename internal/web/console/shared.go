package console

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
)

// shared are fragments that all open pages ask for at once when something has
// changed: each is made once for who sees the same, in a language, and kept while
// nothing it is about has changed, for a second at most.
type shared struct {
	mu   sync.Mutex
	made map[string]*fragment
	at   string // of those in made
}

// fragment is made by who first asks for it; the others wait.
type fragment struct {
	once sync.Once
	body []byte
	with http.Header // that go with it
	err  error
}

// maxShared bounds how many fragments are kept.
const maxShared = 256

// share answers with a fragment of a screen. What it shows follows from the
// reader's roles and language and from nothing else about them, and its marking is
// that of the whole page.
func (v *visit) share(screen, part string, make func(*visit) (any, error)) error {
	f := v.shared.fragment(v.stamp(), fmt.Sprint(screen, part, v.lang, v.person.Roles))
	f.once.Do(func() {
		var data any
		w := *v
		w.ctx = context.WithoutCancel(v.ctx) // whoever made it may go, the others wait for it
		if data, f.err = make(&w); f.err == nil {
			f.body, f.err = w.rendered(screen, "part-"+part, data)
		}
		f.with = http.Header{}
		w.carry(f.with)
	})
	if f.err != nil {
		return f.err
	}
	maps.Copy(v.w.Header(), f.with)
	return v.answer(http.StatusOK, f.body)
}

// stamp is another one when something may have changed since.
func (v *visit) stamp() string {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	return fmt.Sprint(v.hub.count, " ", v.now.Unix())
}

func (s *shared) fragment(at, key string) *fragment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != at || len(s.made) >= maxShared {
		s.at, s.made = at, map[string]*fragment{}
	}
	f := s.made[key]
	if f == nil {
		f = &fragment{}
		s.made[key] = f
	}
	return f
}
