package courier

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// keyVersions are our KEYSET and the one we hold of the partner, as STATE says
// them.
func (l *link) keyVersions() [2]message.KeyVersion {
	return [2]message.KeyVersion{l.c.o.Keys.Keyset().KeyVersion(), l.view.Load().keys.KeyVersion()}
}

// keysNamed is the KEYSET of ours that the partner's last STATE names; version 0 when
// it has said nothing yet.
func (l *link) keysNamed() message.KeyVersion {
	if k := l.known.Load(); k != nil {
		return *k
	}
	return message.KeyVersion{}
}

// heldThere is the version of our KEYSET that the partner's last STATE names; of
// one that has said nothing yet, the first, which is on the card.
func (l *link) heldThere() uint64 {
	return max(l.keysNamed().Version, 1)
}

// keysThere takes what a STATE says of the KEYSET of ours that the partner holds: when
// it is not our newest, that is sent again. One that is not below ours is an alarm too:
// somebody else signs with our root, or this node was put back. By ours the partner
// finds the fork, or hears of our next root.
func (l *link) keysThere(held message.KeyVersion) {
	now := l.c.o.Keys.Keyset()
	if held.Version == 0 || held == now.KeyVersion() {
		return
	}
	if held.Version >= now.Version {
		l.spawn(func(ctx context.Context) { l.alarm(ctx, "keyset-there", held.Version) })
	}
	l.spawn(func(ctx context.Context) { l.note(quiet(ctx, l.c.Document(ctx, l.node(), now.Bytes()))) })
}

// keysLacked sends our KEYSET on a STATE that is not the partner's newest and names
// another. What is late says what was there once; but it may as well be the partner,
// put back to before our KEYSET, in a life that does not count yet or any more. By that
// KEYSET alone can it read what it has to echo to count, or that it was put back. It
// goes once for such a STATE, and not often: whoever kept old ones may say them again.
func (l *link) keysLacked(held message.KeyVersion) {
	now := l.c.o.Keys.Keyset()
	if held == now.KeyVersion() {
		return
	}
	key := noroshi.Sum(now.Bytes()).String()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.papers[key] == nil && len(l.papers) < maxPapers && l.lacked.take(1, l.c.o.Now(), cardBurst, cardKeys) {
		l.papers[key] = &paper{doc: now.Bytes(), due: l.c.o.Now(), wait: firstPaper, once: true}
		signal(l.kick)
	}
}

// keysChanged does what a new KEYSET of the partner asks for: what a revoked key
// signed is taken out of use, what is held is looked at again, and the partner is told
// which version is held.
func (l *link) keysChanged(ctx context.Context) {
	l.note(quiet(ctx, l.doubtKeys(ctx)))
	l.resume(ctx)
	l.step(message.Probe{})
}

// Reopen begins a new log to every partner, after a key of ours was revoked: who
// stole it may have put something behind the end of the old one. What of the old
// one is not to be believed goes again.
func (c *Courier) Reopen() {
	for _, l := range c.all() {
		l.step(message.Reopen{})
		l.spawn(func(ctx context.Context) { l.note(quiet(ctx, l.disavow(ctx))) })
	}
}

// KeysHeld is the KEYSET of ours that a partner holds.
type KeysHeld struct {
	Partner            noroshi.NodeID
	message.KeyVersion // version 0 = it has said nothing yet
}

// KeysThere returns for each partner the KEYSET of ours that it holds, as its
// last STATE says.
func (c *Courier) KeysThere(ctx context.Context) ([]KeysHeld, error) {
	list, err := KeysOnRecord(ctx, c.s, c.o.Realm)
	for i := range list {
		if l, err := c.link(list[i].Partner); err == nil {
			l.mu.Lock()
			known := l.side.Status().Known[1]
			l.mu.Unlock()
			list[i].KeyVersion = known
		}
	}
	return list, err
}

// KeysOnRecord is KeysThere of a node whose courier does not run: as the last
// STATE on record says.
func KeysOnRecord(ctx context.Context, s *store.Store, realm noroshi.Realm) ([]KeysHeld, error) {
	partners, err := s.Partners(ctx)
	if err != nil {
		return nil, err
	}
	var list []KeysHeld
	for _, p := range partners {
		if p.Trust != noroshi.Introduced && p.Trust != noroshi.InForce {
			continue
		}
		x := KeysHeld{Partner: p.Node}
		if _, signed, err := s.Evidence(ctx, p.Node, uint8(message.StateKind), message.Epoch{}); err == nil {
			if st, err := message.DecodeStatement(realm, signed); err == nil {
				if told, err := message.DecodeState(st.Body); err == nil {
					x.KeyVersion = told.Keys[1]
				}
			}
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b KeysHeld) int { return slices.Compare(a.Partner[:], b.Partner[:]) })
	return list, nil
}

// Ends returns, for each log of this node, the last message to be believed when
// one of its keys is revoked: its end, or the last made before a time. Logs in
// use come first; the rest by age, as many as one revocation has room for.
func (c *Courier) Ends(ctx context.Context, r store.Reads, before time.Time) ([]message.LastGood, error) {
	docs, err := r.Docs(ctx, docLink)
	if err != nil {
		return nil, err
	}
	var present, past []message.LastGood
	for key, body := range docs {
		var node noroshi.NodeID
		var m memo
		if node.UnmarshalText([]byte(key)) != nil || json.Unmarshal(body, &m) != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.memo", "the link with %s cannot be read: run audit verify", key)
		}
		for i := len(m.Mine) - 1; i >= 0; i-- {
			g, err := endOf(ctx, r, node, message.Epoch(m.Mine[i]), before)
			switch {
			case err != nil:
				return nil, err
			case g.Seq == 0:
			case i == len(m.Mine)-1:
				present = append(present, g)
			default:
				past = append(past, g)
			}
		}
	}
	list := append(present, past...)
	return list[:min(len(list), message.MaxLastGood)], nil
}

func endOf(ctx context.Context, r store.Reads, node noroshi.NodeID, e message.Epoch, before time.Time) (message.LastGood, error) {
	g := message.LastGood{Epoch: e}
	for {
		out, err := r.Out(ctx, node, e, g.Seq+1, store.MaxPage)
		if err != nil {
			return g, err
		}
		for _, o := range out {
			if !before.IsZero() && !o.Created.Before(before) {
				return g, nil
			}
			g.Seq, g.Chain = o.Seq, o.Chain
		}
		if len(out) < store.MaxPage {
			return g, nil
		}
	}
}

// kid writes a key's id.
func kid(id [4]byte) string { return hex.EncodeToString(id[:]) }
