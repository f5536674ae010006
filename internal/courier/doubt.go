package courier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// docDoubted is the kind of the documents that say what the revocation of a
// partner's key came to here; key: NodeID + "/" + key id; body: Doubted.
const docDoubted = "key-effects"

// maxDoubted bounds how many messages and objects a report names.
const maxDoubted = 5000

// Doubted is what a partner's revoked key signed behind the last good point, and
// what it had done here until then.
type Doubted struct {
	Partner  noroshi.NodeID   `json:"partner"`
	Key      string           `json:"key"`
	Version  uint64           `json:"version"`            // of the KEYSET that revoked it
	Root     noroshi.Hash     `json:"root,omitzero"`      // SHA-256 of the root that signed it
	Revoked  time.Time        `json:"revoked,omitzero"`   // when the partner did so
	Time     time.Time        `json:"time,omitzero"`      // when it was done here
	Messages []DoubtedMessage `json:"messages,omitempty"` // at most 5000
	Objects  []DoubtedObject  `json:"objects,omitempty"`  // at most 5000
	Count    int              `json:"count"`              // messages in all
}

// DoubtedMessage is one message nobody at the partner answers for.
type DoubtedMessage struct {
	Epoch string       `json:"epoch"`
	Seq   uint64       `json:"seq"`
	ID    noroshi.Hash `json:"id"`
	Kind  message.Kind `json:"kind"`
	Done  bool         `json:"done"` // it had been applied
	Time  time.Time    `json:"time"` // when it came
}

// DoubtedObject is one object such a message brought.
type DoubtedObject struct {
	ID        stix.ID          `json:"id"`
	Message   noroshi.Hash     `json:"message"`
	Matched   int              `json:"matched"`             // sightings of it
	Alerted   []stix.ID        `json:"alerted,omitempty"`   // warnings and reports that name it
	Forwarded []noroshi.NodeID `json:"forwarded,omitempty"` // partners that have it from here
}

// good says whether a message is to be believed.
type good func(message.Epoch, uint64) bool

func goodOf(r *message.Revocation) good {
	return func(e message.Epoch, seq uint64) bool {
		g, ok := r.Good(e)
		return ok && seq <= g.Seq
	}
}

// eachIn calls fn for every message that came in an epoch.
func (l *link) eachIn(ctx context.Context, e message.Epoch, fn func(store.InMessage, *message.Message) error) error {
	for from := uint64(1); ; {
		rows, err := l.c.s.In(ctx, l.node(), e, from, store.MaxPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			from = row.Seq + 1
			if len(row.Signed) == 0 {
				continue // closed by a tombstone
			}
			m, err := message.DecodeSigned(l.c.o.Realm, row.Signed)
			if err == nil {
				err = fn(row, m)
			}
			if err != nil {
				return err
			}
		}
	}
}

// distrust keeps a message whose key was revoked before it, in quarantine: its
// sequence stays free for the one the partner answers for.
func (l *link) distrust(ctx context.Context, m *message.Message) {
	id := m.ID()
	run := "link:" + string(l.view.Load().partner.Organisation.CallSign)
	if !l.first("revoked." + id.String()) {
		return
	}
	act := noroshi.Act{Action: noroshi.ActQuarantine, Subject: id.String(), Partner: l.node(), Message: id}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		return tx.Quarantine(store.Quarantined{Source: noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: id},
			Run: run, Code: "message.key-revoked", Place: place(m, 0),
			Raw: m.Content[:min(len(m.Content), 64<<10)], Size: int64(len(m.Content))})
	})
	l.note(err)
	l.alarm(ctx, "key-revoked", m.Header.Seq)
}

// doubtKeys takes out of use what revoked keys of the partner signed behind the
// last good point, and goes over what came once for all of them. It does so once for
// each key under one root, where what is revoked stays so: another root may have named
// the key as good meanwhile.
func (l *link) doubtKeys(ctx context.Context) error {
	ks := l.view.Load().keys
	fresh := map[[4]byte]*disowned{}
	for i := range ks.Revoked {
		r := &ks.Revoked[i]
		var was Doubted
		found, err := readJSON(ctx, l.c.s.Reads, docDoubted, l.effectsKey(r.ID), &was)
		switch {
		case err != nil:
			return err
		case !found || was.Root != noroshi.Sum(ks.Root):
			fresh[r.ID] = &disowned{believed: goodOf(r), was: was}
		}
	}
	if err := l.foresee(ctx, fresh); err != nil {
		return err
	}
	if s := l.c.safe.of(l.node()); len(s.believed(ks).Held) < len(s.Held) {
		if err := l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets { return s.believed(ks) }); err != nil {
			return err
		}
	}
	for i := range ks.Revoked {
		x := fresh[ks.Revoked[i].ID]
		if x == nil {
			continue
		}
		x.report.Version, x.report.Root, x.report.Revoked = ks.Version, noroshi.Sum(ks.Root), ks.Created
		if err := l.disown(ctx, l.effectsKey(ks.Revoked[i].ID), ks, *x); err != nil {
			return err
		}
		if x.report.Count > 0 && !x.known() {
			l.alarm(ctx, "key-revoked", uint64(x.report.Count))
		}
	}
	return nil
}

// effectsKey is the key of the document about one of the partner's keys.
func (l *link) effectsKey(id [4]byte) string { return l.node().String() + "/" + kid(id) }

// disowned is what one key signed that is not to be believed.
type disowned struct {
	believed good
	was      Doubted // the report under another root; the zero value for none
	report   Doubted
	objects  []taken
}

// known reports whether the report under another root tells of the same messages, as
// far as they were applied then, and nothing of what they brought is in use: what
// another key bore out under that root, or what came since, is taken out of use now.
func (x *disowned) known() bool {
	same := func(a, b DoubtedMessage) bool { return a.ID == b.ID && a.Done == b.Done }
	inUse := func(v store.Record) bool { return !v.Withdrawn }
	return x.was.Count == x.report.Count && slices.EqualFunc(x.was.Messages, x.report.Messages, same) &&
		!slices.ContainsFunc(x.objects, func(t taken) bool { return slices.ContainsFunc(t.versions, inUse) })
}

// theirs are the epochs of the partner's log, the newest last.
func (l *link) theirs() []epochID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.memo.Theirs)
}

// foresee finds what keys signed that is not to be believed, and what it has done
// here. It writes nothing.
func (l *link) foresee(ctx context.Context, keys map[[4]byte]*disowned) error {
	if len(keys) == 0 {
		return nil
	}
	now := l.view.Load().keys
	bad, before, err := l.disbelieved(ctx, keys, now)
	if err != nil {
		return err
	}
	if len(bad) == 0 {
		return nil
	}
	if err := l.brought(ctx, bad, before); err != nil {
		return err
	}
	said := func(m *message.Message) bool {
		if x := keys[m.KeyID]; x != nil {
			return x.believed(m.Context.Epoch, m.Header.Seq)
		}
		return behind(m, now) == nil
	}
	var all []taken
	for _, x := range keys {
		all = append(all, x.objects...)
	}
	again, err := l.saidAgain(ctx, l.c.s.Reads, all, said)
	if err != nil {
		return err
	}
	for _, x := range keys {
		x.objects = saidByNone(x.objects, again)
		for _, t := range x.objects[:min(len(x.objects), maxDoubted)] {
			o, err := l.effectOf(ctx, t)
			if err != nil {
				return err
			}
			x.report.Objects = append(x.report.Objects, o)
		}
	}
	return nil
}

// disbelieved enters in the reports of keys what they signed that is not to be believed,
// and returns it by message, and which messages were disowned before.
func (l *link) disbelieved(ctx context.Context, keys map[[4]byte]*disowned, now *message.Keyset) (map[noroshi.Hash]*disowned, map[noroshi.Hash]bool, error) {
	bad, before := map[noroshi.Hash]*disowned{}, map[noroshi.Hash]bool{}
	for id, x := range keys {
		x.report = Doubted{Partner: l.node(), Key: kid(id)}
	}
	for _, e := range l.theirs() {
		err := l.eachIn(ctx, message.Epoch(e), func(row store.InMessage, m *message.Message) error {
			x := keys[m.KeyID]
			switch {
			case x == nil && behind(m, now) != nil:
				before[row.ID] = true
				return nil
			case x == nil || x.believed(m.Context.Epoch, row.Seq):
				return nil
			}
			bad[row.ID] = x
			if x.report.Count++; x.report.Count <= maxDoubted {
				text, _ := e.MarshalText()
				x.report.Messages = append(x.report.Messages, DoubtedMessage{Epoch: string(text), Seq: row.Seq, ID: row.ID, Kind: message.Kind(row.Kind),
					Done: row.State == store.Applied && !row.Second, Time: row.Time})
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return bad, before, nil
}

// brought adds to each what the messages of the partner brought that are its, and what
// they bore out until now of messages that were disowned before.
func (l *link) brought(ctx context.Context, messages map[noroshi.Hash]*disowned, before map[noroshi.Hash]bool) error {
	type of struct {
		by *disowned
		id stix.ID
	}
	at := map[of]int{}
	borne := map[broughtObject]*disowned{}
	if len(before) > 0 {
		var err error
		if borne, err = l.borneOut(ctx, messages); err != nil {
			return err
		}
	}
	run := "link:" + string(l.view.Load().partner.Organisation.CallSign)
	for after := int64(0); ; {
		recs, err := l.c.s.List(ctx, store.Filter{Run: run, After: after, Limit: store.MaxPage, All: true})
		if err != nil || len(recs) == 0 {
			return err
		}
		for _, r := range recs {
			after = r.Seq
			x := messages[r.Source.Message]
			if before[r.Source.Message] {
				x = borne[broughtObject{ID: r.Object.ID, View: r.View, Hash: r.Hash}]
			}
			if x == nil || r.Source.Partner != l.node() {
				continue
			}
			i, ok := at[of{x, r.Object.ID}]
			if !ok {
				i, at[of{x, r.Object.ID}] = len(x.objects), len(x.objects)
				x.objects = append(x.objects, taken{})
			}
			t := &x.objects[i]
			t.versions = append(t.versions, r)
			t.entry = message.RecallEntry{Object: r.Object.ID, Modified: modifiedText(newestOf(t.versions)),
				Reason: message.RecallMistaken, Scope: message.RecallReMark}
		}
	}
}

// borneOut returns of what messages of the partner list by which it is borne out.
func (l *link) borneOut(ctx context.Context, messages map[noroshi.Hash]*disowned) (map[broughtObject]*disowned, error) {
	borne := map[broughtObject]*disowned{}
	all := func(o broughtObject) bool { return o.ID != "" }
	err := l.eachListing(ctx, l.c.s.Reads, all, func(m *message.Message, objects []broughtObject) {
		for _, o := range objects {
			if x := messages[m.ID()]; x != nil {
				borne[o] = x
			}
		}
	})
	return borne, err
}

// effectOf says what was done here with an object.
func (l *link) effectOf(ctx context.Context, t taken) (DoubtedObject, error) {
	o := DoubtedObject{ID: t.entry.Object, Message: t.versions[0].Source.Message}
	seen, err := l.c.s.ReferrersOf(ctx, o.ID, "sighting", maxDoubted)
	if err != nil {
		return o, err
	}
	o.Matched = len(seen)
	if o.Alerted, err = l.c.s.ReferrersOf(ctx, o.ID, "report", 100); err != nil {
		return o, err
	}
	var seqs []int64
	for _, v := range t.versions {
		seqs = append(seqs, v.Seq)
	}
	for _, other := range l.c.all() {
		if other == l {
			continue
		}
		went, err := l.c.s.Streamed(ctx, other.node(), seqs)
		if err != nil {
			return o, err
		}
		if len(went) > 0 {
			o.Forwarded = append(o.Forwarded, other.node())
		}
	}
	return o, nil
}

// disown takes the versions out of use in one act, tells whoever has them from
// here, takes back what was made of them, and keeps the report. What the partner
// itself said of the objects, before or later, stands: what is believed may have
// brought the same bytes, also since they were looked for.
func (l *link) disown(ctx context.Context, key string, ks *message.Keyset, x disowned) error {
	d := x.report
	act := noroshi.Act{Action: noroshi.ActKeys, Subject: "revoked " + d.Key, Partner: l.node(), Count: d.Count, Precedence: noroshi.Immediate}
	var done []reach
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		done = nil
		var was Doubted
		found, err := readJSON(ctx, tx.Reads, docDoubted, key, &was)
		switch {
		case err != nil:
			return err
		case found && was.Root == d.Root:
			return errNothing
		case found && x.known():
			was.Root = d.Root
			return putJSON(tx, docDoubted, key, was)
		}
		d.Time = tx.Time().UTC()
		again, err := l.saidAgain(ctx, tx.Reads, x.objects, func(m *message.Message) bool { return behind(m, ks) == nil })
		if err != nil {
			return err
		}
		list := saidByNone(x.objects, again)
		d.Objects = slices.DeleteFunc(slices.Clone(x.report.Objects), func(o DoubtedObject) bool {
			return !slices.ContainsFunc(list, func(t taken) bool { return t.entry.Object == o.ID })
		})
		for part := range slices.Chunk(list, maxMade) {
			more, err := l.disownPart(ctx, tx, ks, part)
			if err != nil {
				return err
			}
			done = append(done, more...)
		}
		return putJSON(tx, docDoubted, key, d)
	})
	if err == errNothing {
		return nil
	}
	if err == nil {
		l.c.settle(done)
	}
	return err
}

func (l *link) disownPart(ctx context.Context, tx *store.Tx, ks *message.Keyset, part []taken) ([]reach, error) {
	name := fmt.Sprintf("%s %s", ks.Hash(), part[0].entry.Object)
	r := Recall{ID: newRecallID("key", l.c.o.Node.String(), name), Made: tx.Time().UTC(), From: l.node()}
	in := RecallIn{Message: ks.Hash(), From: l.node(), Time: r.Made}
	for _, t := range part {
		r.ends(t)
	}
	_, done, err := l.c.recall(ctx, tx, r, part)
	if err != nil {
		return nil, err
	}
	derived, err := l.c.recallDerived(ctx, tx, in, part, true)
	return append(done, derived...), err
}

// KeyEffects returns what the revocations of a partner's keys came to here, the
// latest first.
func (c *Courier) KeyEffects(ctx context.Context, partner noroshi.NodeID) ([]Doubted, error) {
	docs, err := c.s.Docs(ctx, docDoubted)
	if err != nil {
		return nil, err
	}
	list := []Doubted{}
	for key := range docs {
		var d Doubted
		if found, err := readJSON(ctx, c.s.Reads, docDoubted, key, &d); err != nil || !found {
			return nil, err
		}
		if d.Partner == partner {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b Doubted) int { return b.Time.Compare(a.Time) })
	return list, nil
}

// Foresee says what the revocation of a partner's key would come to here if
// nothing it signed after a time were believed. It writes nothing.
func (c *Courier) Foresee(ctx context.Context, partner noroshi.NodeID, key [4]byte, since time.Time) (Doubted, error) {
	l, err := c.link(partner)
	if err != nil {
		return Doubted{}, err
	}
	return l.foreseeSince(ctx, key, since)
}

func (l *link) foreseeSince(ctx context.Context, key [4]byte, since time.Time) (Doubted, error) {
	last := map[message.Epoch]uint64{}
	for _, e := range l.theirs() {
		err := l.eachIn(ctx, message.Epoch(e), func(row store.InMessage, _ *message.Message) error {
			if row.Created.Before(since) {
				last[message.Epoch(e)] = row.Seq
			}
			return nil
		})
		if err != nil {
			return Doubted{}, err
		}
	}
	x := &disowned{believed: func(e message.Epoch, seq uint64) bool { return seq <= last[e] }}
	err := l.foresee(ctx, map[[4]byte]*disowned{key: x})
	return x.report, err
}
