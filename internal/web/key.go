package web

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// keyList lists this node's keys and its partners', and which version of ours
// each partner holds.
func keyList(ctx context.Context, c *Call) (any, error) {
	there, err := c.Courier.KeysThere(ctx)
	if err != nil {
		return nil, err
	}
	held := map[noroshi.NodeID]message.KeyVersion{}
	for _, x := range there {
		held[x.Partner] = x.KeyVersion
	}
	return c.Office.Keys(ctx, held)
}

func keyEffects(ctx context.Context, c *Call) (any, error) {
	p, err := c.partner(ctx)
	if err != nil {
		return nil, err
	}
	return c.Courier.KeyEffects(ctx, p.Node)
}

// KeyDrill plays that a key was stolen at a time: one of a partner's, or of this
// node's own where no partner is named.
type KeyDrill struct {
	Key     string           `json:"key"`
	Since   time.Time        `json:"since"`
	Partner noroshi.CallSign `json:"partner,omitempty"`
}

// KeyDrilled is what the revocation would come to. Nothing was changed.
type KeyDrilled struct {
	Key     string           `json:"key"`
	Took    string           `json:"took"`              // to find it out
	Logs    int              `json:"logs"`              // of ours that the revocation would name
	Doubted int              `json:"doubted"`           // messages of ours that partners would hold
	Held    []DrillHeld      `json:"held,omitempty"`    // who would learn of it
	Effects *courier.Doubted `json:"effects,omitempty"` // of a partner's key: what would be withdrawn here
}

// DrillHeld is a partner that would get the revocation.
type DrillHeld struct {
	Partner noroshi.CallSign `json:"partner"`
	Version uint64           `json:"version"` // of our KEYSET that it holds now
}

// keyDrill finds out what a revocation would come to, writes down that it was
// played, and changes nothing.
func keyDrill(ctx context.Context, c *Call) (any, error) {
	var in KeyDrill
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(in.Key)
	if err != nil || len(id) != 4 {
		return nil, noroshi.Errorf(noroshi.NotFound, "key.none", "this node has no key %q", in.Key)
	}
	begun := time.Now()
	out := KeyDrilled{Key: in.Key}
	act := noroshi.Act{Action: noroshi.ActDrillKey, Subject: in.Key}
	if in.Partner != "" {
		p, err := c.Office.Partner(ctx, string(in.Partner))
		if err != nil {
			return nil, err
		}
		d, err := c.Courier.Foresee(ctx, p.Node, [4]byte(id), in.Since)
		if err != nil {
			return nil, err
		}
		act.Partner, act.Count, out.Effects = p.Node, d.Count, &d
	} else if err := c.drillOwn(ctx, in, &out); err != nil {
		return nil, err
	}
	out.Took = time.Since(begun).Round(time.Millisecond).String()
	_, err = c.Store.Do(ctx, act, func(*store.Tx) error { return nil })
	return out, err
}

func (c *Call) drillOwn(ctx context.Context, in KeyDrill, out *KeyDrilled) error {
	if err := c.Office.OwnKey(in.Key); err != nil {
		return err
	}
	all, err := c.Courier.Ends(ctx, c.Store.Reads, time.Time{})
	if err != nil {
		return err
	}
	good, err := c.Courier.Ends(ctx, c.Store.Reads, in.Since)
	if err != nil {
		return err
	}
	out.Logs = len(good)
	for _, g := range all {
		out.Doubted += int(g.Seq)
	}
	for _, g := range good {
		out.Doubted -= int(g.Seq)
	}
	there, err := c.Courier.KeysThere(ctx)
	for _, x := range there {
		out.Held = append(out.Held, DrillHeld{c.callSign(ctx, x.Partner), x.Version})
	}
	return err
}
