package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// family is every version of one id, in the order they came.
type family struct {
	id      string
	h       int64 // its place in head
	found   bool  // it has a head
	claims  []claim
	marks   []int // as they stand in mark
	gone    withdrawals
	current int64
}

// probes bounds the search for an id's place in head: ids whose keyed hashes
// are equal stand one after the other.
const probes = 64

// family reads all versions of an id. Without a head, h is where one belongs.
func (r Reads) familyOn(c *conn, id string, h int64) (family, error) {
	f := family{id: id, h: h}
	var err error
	if f.gone, err = withdrawalsOf(c, id); err != nil {
		return f, err
	}
	for range probes {
		var first int64
		found, err := c.one(to(&first, &f.current), "SELECT first, current FROM head WHERE h = $1", f.h)
		if err != nil || !found {
			f.current = 0
			return f, err
		}
		var sid string
		if _, err := c.one(to(&sid), "SELECT sid FROM object WHERE seq = $1", first); err != nil {
			return f, err
		}
		if sid == id {
			f.found = true
			return f, r.claims(c, &f, first)
		}
		f.h++
	}
	return f, errNoHead(id)
}

// headOf returns the current version of an id, 0 when there is none, and whether there
// is any version, without reading them.
func headOf(c *conn, id string, h int64) (current int64, found bool, err error) {
	for range probes {
		var sid string
		found, err = c.one(to(&current, &sid), "SELECT h.current, o.sid FROM head h JOIN object o ON o.seq = h.first WHERE h.h = $1", h)
		if err != nil || !found {
			return 0, false, err
		}
		if sid == id {
			return current, true, nil
		}
		h++
	}
	return 0, false, errNoHead(id)
}

func errNoHead(id string) error {
	return noroshi.Errorf(noroshi.Broken, "store.head", "id %s has no place in head: run audit verify", id)
}

func (t *Tx) family(id string, h int64) (family, error) { return t.familyOn(t.c, id, h) }

const claimColumns = `SELECT o.seq, o.source, o.view, o.bits, o.modified, o.hash, coalesce(m.bits, 0)
	FROM object o LEFT JOIN mark m ON m.seq = o.seq WHERE o.seq = $1`

// claims fills a family's claims: its first version and the later ones.
func (r Reads) claims(c *conn, f *family, first int64) error {
	seqs := []int64{first}
	err := c.each(context.Background(), func(rows *sql.Rows) error {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return err
		}
		seqs = append(seqs, seq)
		return nil
	}, "SELECT seq FROM version WHERE h = $1 ORDER BY seq", f.h)
	if err != nil {
		return err
	}
	return r.claimsOf(c, f, seqs)
}

func (r Reads) claimsOf(c *conn, f *family, seqs []int64) error {
	for _, seq := range seqs {
		var k claim
		var source int64
		var bits, mark int
		var modified string
		var hash []byte
		if _, err := c.one(to(&k.seq, &source, &k.view, &bits, &modified, &hash, &mark), claimColumns, seq); err != nil {
			return err
		}
		if err := k.fill(bits, modified, hash); err != nil {
			return fmt.Errorf("version %d of %s: %w", seq, f.id, err)
		}
		src, err := r.source(c, source)
		if err != nil {
			return err
		}
		k.owner, k.given = src.Owner(), src.Returned != noroshi.NodeID{}
		f.claims = append(f.claims, k)
		f.marks = append(f.marks, mark)
	}
	return nil
}

func (k *claim) fill(bits int, modified string, hash []byte) (err error) {
	k.creator, k.revoked = bits&bitCreator != 0, bits&bitRevoked != 0
	copy(k.hash[:], hash)
	if modified != "" {
		k.modified, err = stix.ParseTime(modified)
	}
	return err
}

// resettle decides a family again and writes what changed.
func (t *Tx) resettle(f family) (marks []int, current int64, err error) {
	if len(f.claims) == 0 {
		return nil, 0, nil
	}
	_, current, marks = settle(f.claims, f.gone)
	if current != f.current {
		if err := t.c.run("UPDATE head SET current = $2 WHERE h = $1", f.h, current); err != nil {
			return nil, 0, err
		}
	}
	for i, k := range f.claims {
		old := 0
		if i < len(f.marks) {
			old = f.marks[i]
		}
		if m := marks[i] | old&assigned; m != old {
			if err := t.setMark(k.seq, m); err != nil {
				return nil, 0, err
			}
		}
	}
	return marks, current, nil
}

func (t *Tx) setMark(seq int64, bits int) error {
	if bits == 0 {
		return t.c.run("DELETE FROM mark WHERE seq = $1", seq)
	}
	return t.c.run("INSERT INTO mark (seq, bits) VALUES ($1, $2) ON CONFLICT (seq) DO UPDATE SET bits = excluded.bits", seq, bits)
}

// AssignMarking assigns a marking to a version; it narrows, or gives a label
// where there was none. Assigning it again adds nothing.
func (t *Tx) AssignMarking(seq int64, marking stix.ID) error {
	var sid string
	var packed []byte
	var mark int
	found, err := t.c.one(to(&sid, &packed, &mark), "SELECT o.sid, o.meta, coalesce(m.bits, 0) FROM object o LEFT JOIN mark m ON m.seq = o.seq WHERE o.seq = $1", seq)
	if err != nil {
		return err
	}
	if !found {
		return noroshi.Errorf(noroshi.NotFound, "store.no-version", "assign marking: no version %d", seq)
	}
	have, err := t.assigned(t.c, seq, packed, mark)
	if err != nil {
		return err
	}
	for _, m := range have {
		if m == marking {
			return nil
		}
	}
	if err := t.add(assignedTable, t.next(assignedTable), seq, string(marking)); err != nil {
		return err
	}
	if err := t.setMark(seq, mark|assigned); err != nil {
		return err
	}
	return t.Notice(MarkingAssigned, fmt.Sprint(seq))
}

// assigned returns the markings assigned to a version, at admission and later.
func (r Reads) assigned(c *conn, seq int64, packed []byte, mark int) ([]stix.ID, error) {
	m, err := unpackMeta(packed)
	if err != nil || mark&assigned == 0 {
		return m.assigned, err
	}
	err = c.each(context.Background(), func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		m.assigned = append(m.assigned, stix.ID(id))
		return nil
	}, "SELECT marking FROM assigned WHERE seq = $1 ORDER BY n", seq)
	return m.assigned, err
}
