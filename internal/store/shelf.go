package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Laid is one version to be laid on a shelf.
type Laid struct {
	Seq     int64
	Message int64 // in a partner's collection, the message that carries it: Carrying.N
	Row     int   // and which of its objects it is, from 0

	Object *stix.Object // the version itself, where it is at hand: it need not be read
	New    bool         // this act brought the first version of its id: it lies nowhere yet
}

func (l Laid) at() int64 { return l.Message<<rowBits | int64(l.Row) }

// What a row of shelf says.
const (
	shelfPut = 1
	shelfOff = 2
)

// Which end of an object's versions on a shelf one is.
const (
	endLast  = 1
	endFirst = 2
)

// rowBits is how much of shelved.at names the object of a message.
const rowBits = 10

// Lay puts versions on a collection's shelf, in this order, each with a
// date_added a microsecond after the one before it, and later than any the
// collection ever gave, however the clock went. What lies there already stays as
// it is. Where other bytes lie there under the same id and version they come off
// in a partner's collection, where what went last counts; elsewhere they stay,
// and clash says for the places of such items which version that is.
func (t *Tx) Lay(collection string, items []Laid) (laid int, clash map[int]int64, err error) {
	c, err := t.word(collection)
	if err != nil {
		return 0, nil, err
	}
	first, err := t.nextAdded(collection)
	if err != nil {
		return 0, nil, err
	}
	packed := make([]byte, 0, 3*len(items))
	var off []int64
	last := int64(0)
	for i := range items {
		it := &items[i]
		what, under, err := t.lay(c, first+int64(laid), it)
		if err != nil {
			return 0, nil, fmt.Errorf("lay version %d on %s: %w", it.Seq, collection, err)
		}
		switch what {
		case layClash:
			if clash == nil {
				clash = map[int]int64{}
			}
			clash[i] = under[0]
			continue
		case layThere:
			continue
		}
		laid++
		off = append(off, under...)
		packed = binary.AppendUvarint(binary.AppendVarint(packed, it.Seq-last), uint64(it.at()))
		last = it.Seq
	}
	if laid == 0 {
		return 0, clash, nil
	}
	if err := t.add(shelfTable, t.next(shelfTable), collection, int64(shelfPut), first, packed); err != nil {
		return 0, nil, err
	}
	return laid, clash, t.takeOff(collection, c, off)
}

// What became of an item that is to be laid on a shelf.
const (
	layDone = iota
	layThere
	layClash
)

// nextAdded is the next date_added of a collection.
func (t *Tx) nextAdded(collection string) (int64, error) {
	var added int64
	var packed []byte
	found, err := t.c.one(to(&added, &packed), "SELECT added, members FROM shelf WHERE collection = $1 AND what = 1 ORDER BY n DESC LIMIT 1", collection)
	if err != nil || !found {
		return micros(t.now), err
	}
	items, err := unpackLaid(packed)
	return max(micros(t.now), added+int64(len(items))), err
}

func unpackLaid(b []byte) ([]Laid, error) {
	u := unpacker{b: b}
	var list []Laid
	last := int64(0)
	for len(u.b) > 0 {
		last += u.varint()
		at := int64(u.uvarint())
		list = append(list, Laid{Seq: last, Message: at >> rowBits, Row: int(at & (1<<rowBits - 1))})
	}
	return list, u.err
}

// standing is a version on a shelf, as its place among the others of its id is
// found.
type standing struct {
	added, seq, at int64
	id, ver        string // ver as instantOf gives it
	hash           noroshi.Hash
	ends           int
}

// before reports whether a version comes before another of its id: by its time,
// and where it has none by when it was laid there.
func (a standing) before(b standing) bool {
	x, _ := stix.ParseTime(a.ver)
	y, _ := stix.ParseTime(b.ver)
	if k := x.Compare(y); k != 0 {
		return k < 0
	}
	return a.added < b.added
}

// lay writes one row of shelved, where it may, and returns the dates of those it
// stands in place of, or the version it clashes with.
func (t *Tx) lay(c, added int64, it *Laid) (what int, under []int64, err error) {
	n, typ, err := t.standingOf(it)
	if err != nil {
		return 0, nil, err
	}
	n.added = added
	h := t.s.key64(n.id)
	var all []standing
	if !it.New {
		if all, err = t.versionsOn(c, h, n.id); err != nil {
			return 0, nil, err
		}
	}
	for _, o := range all {
		switch {
		case o.seq == n.seq && o.at == n.at, n.at == 0 && o.ver == n.ver && o.hash == n.hash:
			return layThere, nil, nil
		case n.at == 0 && o.same(n):
			return layClash, []int64{o.seq}, nil
		case o.seq == n.seq, o.same(n):
			under = append(under, o.added)
		}
	}
	if err := t.c.append(shelvedInsert, c, added, n.seq, n.at, h, typ, n.ver, int64(n.ends)); err != nil || len(all) == 0 {
		return layDone, nil, err
	}
	return layDone, under, t.setEnds(c, append(all, n))
}

// shelvedInsert may go ahead of statements of the same act that change rows or
// take them off: no row is ever put in the place of one that was.
var shelvedInsert = insertInto("shelved", "c", "added", "seq", "at", "h", "type", "ver", "ends")

// standingOf is a version as it will lie on a shelf, alone, and its type's word.
func (t *Tx) standingOf(it *Laid) (n standing, typ int64, err error) {
	n = standing{seq: it.Seq, at: it.at(), ends: endLast | endFirst}
	if o := it.Object; o != nil {
		n.id, n.ver = string(o.ID), instantOf(o.Modified.String())
		if !it.New { // nothing to compare it with
			n.hash = o.Hash()
		}
		if n.ver == "" {
			n.ver = instantOf(o.Created.String())
		}
		typ, err = t.word(o.Type)
		return n, typ, err
	}
	var modified string
	var hash, body []byte
	found, err := t.c.one(to(&n.id, &typ, &modified, &hash, &body), "SELECT sid, type, modified, hash, CASE WHEN modified = '' THEN body END FROM object WHERE seq = $1", it.Seq)
	if err == nil && !found {
		err = noroshi.Errorf(noroshi.NotFound, "store.no-version", "there is no version %d", it.Seq)
	}
	if err != nil {
		return n, 0, err
	}
	copy(n.hash[:], hash)
	ver, err := versionText(modified, body)
	n.ver = instantOf(ver)
	return n, typ, err
}

// same reports whether two say they are one version of their object.
func (a standing) same(b standing) bool { return a.ver != "" && a.ver == b.ver }

// versionText is the version of an object (TAXII 2.1 §3.4.1) as it spells it:
// its modified, else its created, else nothing. body is read for the second.
func versionText(modified string, body []byte) (string, error) {
	if modified != "" {
		return modified, nil
	}
	o, err := stix.Parse(body)
	if err != nil {
		return "", err
	}
	return o.Created.String(), nil
}

// instantOf is the one spelling of a time: without zeros that say nothing.
func instantOf(text string) string {
	if !strings.Contains(text, ".") {
		return text
	}
	return strings.TrimRight(strings.TrimRight(strings.TrimSuffix(text, "Z"), "0"), ".") + "Z"
}

// versionsOn returns all versions of an id on a shelf.
func (t *Tx) versionsOn(c, h int64, sid string) (list []standing, err error) {
	err = t.c.each(context.Background(), func(rows *sql.Rows) error {
		var s standing
		var hash []byte
		if err := rows.Scan(&s.added, &s.seq, &s.at, &s.id, &hash, &s.ver, &s.ends); err != nil {
			return err
		}
		copy(s.hash[:], hash)
		if s.id == sid {
			list = append(list, s)
		}
		return nil
	}, `SELECT s.added, s.seq, s.at, o.sid, o.hash, s.ver, s.ends FROM shelved s `+t.c.d.by("shelved_id")+`
		JOIN object o ON o.seq = s.seq WHERE s.c = $1 AND s.h = $2 ORDER BY s.added`, c, h)
	return list, err
}

// endsOf says which of an id's versions on a shelf are its first and last.
func endsOf(all []standing) []int {
	first, last := 0, 0
	for i := range all {
		if all[i].before(all[first]) {
			first = i
		}
		if all[last].before(all[i]) {
			last = i
		}
	}
	ends := make([]int, len(all))
	if len(all) > 0 {
		ends[first] |= endFirst
		ends[last] |= endLast
	}
	return ends
}

func (t *Tx) setEnds(c int64, all []standing) error {
	for i, ends := range endsOf(all) {
		if ends == all[i].ends {
			continue
		}
		if err := t.c.run("UPDATE shelved SET ends = $3 WHERE c = $1 AND added = $2", c, all[i].added, ends); err != nil {
			return err
		}
	}
	return nil
}

// TakeOff takes what was laid on a collection's shelf at these dates off it.
// What is not there is passed over.
func (t *Tx) TakeOff(collection string, dates []time.Time) error {
	c, err := t.word(collection)
	if err != nil {
		return err
	}
	added := make([]int64, len(dates))
	for i, d := range dates {
		added[i] = micros(d)
	}
	return t.takeOff(collection, c, added)
}

func (t *Tx) takeOff(collection string, c int64, dates []int64) error {
	var gone []byte
	for _, added := range dates {
		var h, seq, at int64
		var sid string
		found, err := t.c.one(to(&h, &seq, &at, &sid), "SELECT s.h, s.seq, s.at, o.sid FROM shelved s JOIN object o ON o.seq = s.seq WHERE s.c = $1 AND s.added = $2", c, added)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := t.c.run("DELETE FROM shelved WHERE c = $1 AND added = $2", c, added); err != nil {
			return err
		}
		rest, err := t.versionsOn(c, h, sid)
		if err != nil {
			return err
		}
		if err := t.setEnds(c, rest); err != nil {
			return err
		}
		gone = appendInts(gone, added, seq, at)
	}
	if len(gone) == 0 {
		return nil
	}
	return t.add(shelfTable, t.next(shelfTable), collection, int64(shelfOff), int64(0), gone)
}

func appendInts(b []byte, list ...int64) []byte {
	for _, v := range list {
		b = binary.AppendVarint(b, v)
	}
	return b
}

// eachLaid calls fn for every place on a shelf that a row of shelf fills or, as
// its sign tells, empties.
func eachLaid(what, added int64, members []byte, fn func(sign int, added, seq, at int64)) error {
	if what == shelfPut {
		items, err := unpackLaid(members)
		for i, it := range items {
			fn(1, added+int64(i), it.Seq, it.at())
		}
		return err
	}
	u := unpacker{b: members}
	for len(u.b) > 0 {
		date, seq, at := u.varint(), u.varint(), u.varint()
		if u.err == nil {
			fn(-1, date, seq, at)
		}
	}
	return u.err
}
