package store

import (
	"encoding/binary"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// docShown is the kind of the documents that say what a partner showed that it got
// of a version before a restore; key: NodeID + "/" + id + "/" + modified; body:
// number and hash of the highest view.
const docShown = "view-shown"

func shownKey(partner noroshi.NodeID, id, modified string) string {
	return partner.String() + "/" + id + "/" + modified
}

// ViewShown notes that a partner has a view of a version that this node does not
// remember it gave: other bytes get another number. The highest counts.
func (t *Tx) ViewShown(partner noroshi.NodeID, o *stix.Object, view uint32) error {
	key := shownKey(partner, string(o.ID), o.Modified.String())
	had, _, some, err := t.shown(key)
	if err != nil || some && had >= view {
		return err
	}
	sum := o.Hash()
	return t.PutDoc(docShown, key, append(binary.BigEndian.AppendUint32(nil, view), sum[:]...))
}

func (t *Tx) shown(key string) (view uint32, sum noroshi.Hash, some bool, err error) {
	var body []byte
	some, err = t.c.one(to(&body), "SELECT body FROM doc WHERE kind = $1 AND id = $2 ORDER BY n DESC LIMIT 1", docShown, key)
	if err != nil || len(body) != 4+len(sum) {
		return 0, sum, false, err
	}
	return binary.BigEndian.Uint32(body), noroshi.Hash(body[4:]), some, nil
}

// aboveShown raises the numbers of views above those that the partner showed, of
// which this node knows no batch any more. The same bytes keep their number.
func (t *Tx) aboveShown(partner noroshi.NodeID, rows []Decided) error {
	var any int64
	if found, err := t.c.one(to(&any), "SELECT 1 FROM doc WHERE kind = $1 LIMIT 1", docShown); err != nil || !found {
		return err
	}
	for i := range rows {
		r := &rows[i]
		var id, modified string
		found, err := t.c.one(to(&id, &modified), "SELECT sid, modified FROM object WHERE seq = $1", r.Seq)
		if err != nil || !found {
			return err
		}
		view, sum, some, err := t.shown(shownKey(partner, id, modified))
		switch {
		case err != nil:
			return err
		case some && sum == r.View && view >= r.N:
			r.N = view
		case some && view >= r.N:
			r.N = view + 1
		}
	}
	return nil
}
