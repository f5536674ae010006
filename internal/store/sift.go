package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
)

// How many blocks of the feed one Sift goes through at most, and how many of them
// it unpacks: what no index answers costs a bounded time.
const (
	siftBlocks   = 24
	siftUnpacked = 6
)

// wide is from how many entries on a network is better sifted than sorted.
const wide = 5000

// Sought is what Sift looks for among the values of indicators.
type Sought struct {
	Pattern string       // a value in which * stands for any text
	Within  netip.Prefix // or, where it is valid, addresses and networks that meet this one
	Port    uint16       // of those: with this port or none; 0 = any
}

// Wildcard reports whether a text is a value with * in it, and returns what it
// seeks, in lower case: at least two letters beside the *.
func Wildcard(text string) (s Sought, ok bool) {
	text = strings.ToLower(text)
	return Sought{Pattern: text}, strings.Contains(text, "*") && utf8.RuneCountInString(strings.ReplaceAll(text, "*", "")) > 1 && !strings.ContainsAny(text, " \t\n")
}

// Sifted is a page of Sift.
type Sifted struct {
	Records []Record
	UpTo    int64 // the sequence up to which was looked: the page after goes on from it; 0 = there is no more
}

// Sift looks through the values of indicators for what no index finds. It goes
// through a bounded part of the feed at a time, from a.After on: a page may be
// empty and not the last one.
func (r Reads) Sift(ctx context.Context, s Sought, a Along) (out Sifted, err error) {
	a.Limit = page(a.Limit)
	err = r.on(ctx, func(c *conn) error {
		newest, err := head(c)
		if err != nil {
			return err
		}
		var seqs []int64
		if seqs, out.UpTo, err = sift(ctx, c, newest, s, a); err != nil {
			return err
		}
		for _, seq := range seqs {
			rec, found, err := r.bySeq(ctx, c, seq)
			if err != nil {
				return err
			}
			if found && rec.Current {
				out.Records = append(out.Records, rec)
			}
		}
		return nil
	})
	return out, err
}

// sift returns the sequences on a page, and where the next begins.
func sift(ctx context.Context, c *conn, newest int64, s Sought, a Along) (seqs []int64, upTo int64, err error) {
	block, step := a.start()/blockSeqs, int64(1)
	if a.Back {
		block, step = min(a.start()-1, newest)/blockSeqs, -1
	}
	literal, unpacked := s.literal(), 0
	for n := 0; n < siftBlocks && unpacked < siftUnpacked; n++ {
		if block < 0 || block > newest/blockSeqs {
			return seqs, 0, nil
		}
		found, opened, err := siftBlock(ctx, c, block, literal, s)
		if err != nil {
			return nil, 0, err
		}
		if opened {
			unpacked++
		}
		if a.Back {
			slices.Reverse(found)
		}
		for _, seq := range found {
			if !a.past(seq) {
				continue
			}
			if seqs = append(seqs, seq); len(seqs) == a.Limit {
				return seqs, seq, nil
			}
		}
		block += step
	}
	if a.Back {
		return seqs, max(0, (block+1)*blockSeqs), nil
	}
	return seqs, block*blockSeqs - 1, nil
}

// siftBlock returns the versions of one block that have what is sought, in
// order. A block that has not the longest literal part anywhere is not opened.
func siftBlock(ctx context.Context, c *conn, block int64, literal []byte, s Sought) (seqs []int64, opened bool, err error) {
	take := func(a *Armed) error {
		if slices.ContainsFunc(a.Values, s.matches) {
			seqs = append(seqs, a.Seq)
		}
		return nil
	}
	packed := false
	var a Armed
	err = c.each(ctx, func(rows *sql.Rows) error {
		var b sql.RawBytes
		packed = true
		if err := rows.Scan(&b); err != nil || !bytes.Contains(lowered(b), literal) {
			return err
		}
		opened = true
		return eachPacked(b, block*blockSeqs, &a, take)
	}, "SELECT entries FROM armed WHERE block = $1", block)
	if err != nil || packed {
		return seqs, opened, err
	}
	return seqs, true, eachUnpacked(ctx, c, block*blockSeqs-1, (block+1)*blockSeqs-1, take)
}

// literal is the longest part that lowered leaves as it is wherever it stands.
func (s Sought) literal() (longest []byte) {
	varies := func(r rune) bool { return r == '*' || r > unicode.MaxASCII && unicode.SimpleFold(r) != r }
	for _, part := range strings.FieldsFunc(s.Pattern, varies) {
		if len(part) > len(longest) {
			longest = []byte(part)
		}
	}
	return longest
}

// lowered is packed entries with A to Z in lower case: values keep the case of a
// path.
func lowered(b []byte) []byte {
	low := make([]byte, len(b))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	return low
}

// matches reports whether a value is sought.
func (s Sought) matches(v noroshi.Value) bool {
	if !s.Within.IsValid() {
		return like(s.Pattern, strings.ToLower(v.Text))
	}
	p, ok := prefixOf(&v)
	return ok && p.Overlaps(s.Within) && (s.Port == 0 || v.Port == 0 || v.Port == s.Port)
}

// like reports whether a text is a pattern in which * stands for any text. It
// takes time as the one times the other, not more.
func like(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	text = text[len(head):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}

// Wide reports whether so much lies in the network a value is that ByValue would
// have to sort it, and returns what Sift is to look for instead.
func (r Reads) Wide(ctx context.Context, v noroshi.Value) (s Sought, is bool, err error) {
	p, ok := prefixOf(&v)
	if !ok || p.IsSingleIP() {
		return s, false, nil
	}
	err = r.on(ctx, func(c *conn) error {
		var n int
		lo, hi := p.Addr().AsSlice(), last(p).AsSlice()
		_, err := c.one(to(&n), fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM addr WHERE ip BETWEEN $1 AND $2 LIMIT %d) a", wide+1), lo, hi)
		is = n > wide
		return err
	})
	return Sought{Within: p, Port: v.Port}, is, err
}
