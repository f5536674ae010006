package store

import "fmt"

// Along says which page of versions is asked for, in the order of their
// sequences: a keyset, so that every page costs what the first does.
type Along struct {
	After int64 // the last sequence of the page before; 0 = this is the first page
	Back  bool  // the newest first
	Limit int   // 1..MaxPage
}

// start is the sequence the page begins beyond.
func (a Along) start() int64 {
	if a.Back && a.After == 0 {
		return 1 << 62
	}
	return a.After
}

// beyond is the condition of a page on a column of sequences, given the place of
// the argument start.
func (a Along) beyond(column string, hole int) string {
	if a.Back {
		return fmt.Sprintf("%s < $%d", column, hole)
	}
	return fmt.Sprintf("%s > $%d", column, hole)
}

// order is the order of a page.
func (a Along) order(column string) string {
	if a.Back {
		return " ORDER BY " + column + " DESC"
	}
	return " ORDER BY " + column
}

// past reports whether a sequence lies on this page or a later one.
func (a Along) past(seq int64) bool {
	if a.Back {
		return seq < a.start()
	}
	return seq > a.After
}
