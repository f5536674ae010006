package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/noroshi-cti/noroshi"
)

// Reads is the read side, on the Store (latest committed state) and in a Tx
// (what the act itself wrote included). One call sees one state.
type Reads struct {
	s  *Store
	tx *Tx
}

// on runs fn on the act's own connection or on a snapshot.
func (r Reads) on(ctx context.Context, fn func(*conn) error) error {
	if r.tx != nil {
		return fn(r.tx.c)
	}
	return r.s.explain(r.s.pool.read(ctx, fn))
}

// words remembers interned texts; both directions are bounded and only hold
// what is committed.
type words struct {
	mu      sync.RWMutex
	numbers map[string]int64
	texts   map[int64]string
	sources map[int64]noroshi.Source
}

// maxWords bounds the memory of interned texts; beyond it they are read again.
const maxWords = 50_000

func (w *words) learn(fresh map[string]int64) {
	if len(fresh) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.numbers == nil || len(w.numbers)+len(fresh) > maxWords {
		w.numbers = map[string]int64{}
	}
	for text, n := range fresh {
		w.numbers[text] = n
	}
}

func (w *words) number(text string) int64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.numbers[text]
}

// word interns a text: sources, runs and types stand in object rows as small
// numbers.
func (t *Tx) word(text string) (int64, error) {
	if n := t.words[text]; n != 0 {
		return n, nil
	}
	if n := t.s.words.number(text); n != 0 {
		return n, nil
	}
	var n int64
	found, err := t.c.one(to(&n), "SELECT n FROM word WHERE text = $1", text)
	if err != nil {
		return 0, err
	}
	if !found {
		n = t.next(wordTable)
		if err := t.add(wordTable, n, text); err != nil {
			return 0, err
		}
	}
	t.words[text] = n
	return n, nil
}

// number finds the number of an interned text; 0 when there is none.
func (r Reads) number(c *conn, text string) (n int64, err error) {
	_, err = c.one(to(&n), "SELECT n FROM word WHERE text = $1", text)
	return n, err
}

// committed reports whether an interned text is; an act that fails takes its
// own back, and another text gets the number.
func (r Reads) committed(n int64) bool {
	return r.tx == nil || n <= r.s.state.last[wordTable.ord]
}

// text returns an interned text.
func (r Reads) text(c *conn, n int64) (string, error) {
	w := &r.s.words
	if r.committed(n) {
		w.mu.RLock()
		s, ok := w.texts[n]
		w.mu.RUnlock()
		if ok {
			return s, nil
		}
	}
	var s string
	found, err := c.one(to(&s), "SELECT text FROM word WHERE n = $1", n)
	if err != nil {
		return "", err
	}
	if !found {
		return "", noroshi.Errorf(noroshi.Broken, "store.word", "interned text %d is missing: run audit verify", n)
	}
	if r.committed(n) {
		w.mu.Lock()
		if w.texts == nil || len(w.texts) > maxWords {
			w.texts = map[int64]string{}
		}
		w.texts[n] = s
		w.mu.Unlock()
	}
	return s, nil
}

// source returns an interned source.
func (r Reads) source(c *conn, n int64) (noroshi.Source, error) {
	w := &r.s.words
	if r.committed(n) {
		w.mu.RLock()
		src, ok := w.sources[n]
		w.mu.RUnlock()
		if ok {
			return src, nil
		}
	}
	text, err := r.text(c, n)
	if err != nil {
		return noroshi.Source{}, err
	}
	var src noroshi.Source
	if err := json.Unmarshal([]byte(text), &src); err != nil {
		return src, fmt.Errorf("read source %d: %w", n, err)
	}
	if r.committed(n) {
		w.mu.Lock()
		if w.sources == nil || len(w.sources) > maxWords {
			w.sources = map[int64]noroshi.Source{}
		}
		w.sources[n] = src
		w.mu.Unlock()
	}
	return src, nil
}
