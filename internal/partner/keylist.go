package partner

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// KeyRow is one key of this node or of a partner, as lists show it.
type KeyRow struct {
	Node     noroshi.NodeID   `json:"node"`
	CallSign noroshi.CallSign `json:"call_sign"`
	Own      bool             `json:"own"`
	Use      noroshi.KeyWord  `json:"use"`
	Key      string           `json:"key"` // its id: 8 hexadecimal digits; of a root the first of its hash
	From     time.Time        `json:"from,omitzero"`
	Until    time.Time        `json:"until,omitzero"` // of a root: until when its KEYSET counts as confirmed
	State    string           `json:"state"`          // good, early, over, revoked; of a root: good, stale, frozen, waits
	Private  bool             `json:"private"`        // this node can sign or open with it
	Version  uint64           `json:"version"`        // of the KEYSET that this row is from
}

// HeldRow says which KEYSET of this node a partner holds.
type HeldRow struct {
	Partner  noroshi.NodeID   `json:"partner"`
	CallSign noroshi.CallSign `json:"call_sign"`
	Version  uint64           `json:"version"`  // 0 = it has said nothing yet
	State    string           `json:"state"`    // current, older, other, unknown
	Confirms time.Time        `json:"confirms"` // until when its own keys count as confirmed
}

// KeyList is what is known of keys.
type KeyList struct {
	Keys []KeyRow  `json:"keys"`
	Held []HeldRow `json:"held"`
}

// Keys lists this node's keys and its partners', and what they hold of ours:
// held is the version of our KEYSET by partner, as far as one has said it.
func (o *Office) Keys(ctx context.Context, held map[noroshi.NodeID]message.KeyVersion) (KeyList, error) {
	ours, now := o.o.Keys.Keyset(), o.o.Now()
	list := KeyList{Keys: o.rows(ours, o.o.Self.CallSign, now), Held: []HeldRow{}}
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return list, err
	}
	for _, p := range all {
		ks, err := o.keyset(ctx, o.store.Reads, p.Node)
		if err != nil {
			return list, err
		}
		rows := o.rows(ks, p.Organisation.CallSign, now)
		stop, err := frozen(ctx, o.store.Reads, p.Node)
		if err != nil {
			return list, err
		}
		waits, err := waitingKeyset(ctx, o.store.Reads, p.Node, alarmNewRoot)
		if err != nil {
			return list, err
		}
		switch {
		case stop:
			rows[0].State = "frozen"
		case len(waits) > 0:
			rows[0].State = "waits"
		}
		list.Keys = append(list.Keys, rows...)
		v := held[p.Node]
		list.Held = append(list.Held, HeldRow{Partner: p.Node, CallSign: p.Organisation.CallSign, Version: v.Version,
			State: heldState(v, ours.KeyVersion()), Confirms: ks.FreshUntil})
	}
	return list, nil
}

func heldState(there, ours message.KeyVersion) string {
	switch {
	case there.Version == 0:
		return "unknown"
	case there == ours:
		return "current"
	case there.Version < ours.Version:
		return "older"
	}
	return "other"
}

// rows are the keys of one KEYSET, the root first.
func (o *Office) rows(ks *message.Keyset, sign noroshi.CallSign, now time.Time) []KeyRow {
	own := ks.Node == o.o.Keys.NodeID()
	sum := noroshi.Sum(ks.Root)
	root := KeyRow{Node: ks.Node, CallSign: sign, Own: own, Use: noroshi.KeyRoot, Key: hex.EncodeToString(sum[:4]), From: ks.Created, Until: ks.FreshUntil,
		State: "good", Private: own, Version: ks.Version}
	if !ks.Fresh(now) {
		root.State = "stale"
	}
	rows := []KeyRow{root}
	for _, k := range ks.Keys {
		r := KeyRow{Node: ks.Node, CallSign: sign, Own: own, Use: keyWord(k.Use), Key: hex.EncodeToString(k.ID[:]), From: k.From, Until: k.Until,
			State: "good", Private: own && o.o.Keys.Holds(k.ID), Version: ks.Version}
		switch {
		case ks.RevokedKey(k.ID) != nil:
			r.State = "revoked"
		case k.Valid(now):
		case now.Before(k.From):
			r.State = "early"
		default:
			r.State = "over"
		}
		rows = append(rows, r)
	}
	return rows
}
