package courier

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// wanted answers a WANT of the partner that Step has no part in: for its own
// lost messages, and for our recalls in force. One at a time, and at a pace: it
// costs reading, and what waits to be said costs memory. A partner that still
// lacks something asks again.
func (l *link) wanted(w message.Want) {
	l.mu.Lock()
	now := l.c.o.Now()
	later := l.giving || l.partsWait() >= maxParts || now.Sub(l.gaveBack) < givePause
	if !later {
		l.gaveBack, l.giving = now, true
	}
	l.mu.Unlock()
	if later {
		return
	}
	l.spawn(func(ctx context.Context) {
		defer func() {
			l.mu.Lock()
			l.giving = false
			l.mu.Unlock()
		}()
		var err error
		if w.Reason == wantTail {
			err = l.giveBack(ctx, w.Runs)
		} else {
			err = l.listRecalls(ctx)
		}
		l.note(quiet(ctx, err))
	})
}

// givePause is how long a partner waits at least between two answers.
const givePause = 100 * time.Millisecond

// maxReturns bounds the RETURNs that answer one WANT; the partner asks again for
// what is left.
const maxReturns = 8

// returning collects messages into RETURNs. Each goes by a channel that may carry
// the join of the labels in it, and sealing holds it to that.
type returning struct {
	l     *link
	list  []*message.Message
	label noroshi.Label // join of those in the list
	bytes int
	said  int
}

// add takes a message, but one that no channel in working order may carry: it is
// asked for again when a better one is back.
func (r *returning) add(m *message.Message) {
	var own noroshi.Label // control has none
	if m.Header.Kind == message.Data {
		var err error
		if own, err = noroshi.ParseLabel(m.Header.Label); err != nil || !r.l.speaks(own) {
			return
		}
	}
	size := len(m.Content) + int(m.Header.Len)/16 + 1024
	if len(r.list) > 0 && (r.bytes+size > message.MaxBatchLen || len(r.list) == 64 || !r.l.speaks(r.label.Join(own))) {
		r.flush()
	}
	r.list, r.label, r.bytes = append(r.list, m), r.label.Join(own), r.bytes+size
}

func (r *returning) flush() {
	if len(r.list) > 0 {
		r.l.step(message.Attest{Kind: message.ReturnKind, Body: message.EncodeReturn(r.list), Label: labelText(r.label)})
		*r = returning{l: r.l, said: r.said + 1}
	}
}

// labelText is a label as Step has it: none where there are no objects.
func labelText(l noroshi.Label) string {
	if text := l.String(); text != (noroshi.Label{}).String() {
		return text
	}
	return ""
}

// speaks reports whether a statement with objects of a label, none for the zero
// one, finds a channel now.
func (l *link) speaks(label noroshi.Label) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.side.Speaks(labelText(label))
}

// giveBack returns to the partner messages of its own that are here.
func (l *link) giveBack(ctx context.Context, runs []message.EpochRange) error {
	out := returning{l: l}
	for _, run := range runs {
		for from := run.Range.A; from <= run.Range.B && out.said < maxReturns; {
			rows, err := l.c.s.In(ctx, l.node(), run.Epoch, from, 64)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if from = row.Seq + 1; row.Seq > run.Range.B || out.said == maxReturns {
					break
				}
				if row.Second || row.State < store.Stored {
					continue
				}
				m, err := l.whole(ctx, row)
				if err != nil {
					return err
				}
				out.add(m)
			}
			if len(rows) < 64 {
				break
			}
		}
	}
	out.flush()
	return nil
}

// whole makes a received message whole again; its content is nil where it is
// not at hand.
func (l *link) whole(ctx context.Context, row store.InMessage) (*message.Message, error) {
	m, err := message.DecodeSigned(l.c.o.Realm, row.Signed)
	if err != nil {
		return nil, err
	}
	content := row.Content
	if len(content) == 0 && m.Header.Len > 0 {
		if content, err = l.contentOf(ctx, row); err != nil {
			return nil, err
		}
	}
	if w, err := m.WithContent(content); err == nil {
		return w, nil
	}
	return m, nil
}

// contentOf puts the content of an applied DATA together of the objects it
// brought; nil where that cannot be.
func (l *link) contentOf(ctx context.Context, row store.InMessage) ([]byte, error) {
	var list []broughtObject
	found, err := readJSON(ctx, l.c.s.Reads, docBrought, tombKey(l.node(), row.Epoch, row.Seq), &list)
	if err != nil {
		return nil, err
	}
	if found {
		return l.contentListed(ctx, list)
	}
	recs, err := l.c.s.Brought(ctx, noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: row.ID}, row.Epoch, row.Seq)
	if err != nil || len(recs) == 0 {
		return nil, err
	}
	objects := make([]message.Object, len(recs))
	for i, r := range recs {
		objects[i] = message.Object{View: r.View, Bytes: r.Object.Bytes()}
	}
	return message.EncodeObjects(objects), nil
}

// docBrought is the kind of the documents that list what a DATA brought where
// not all of it was new: its objects are not those of its act alone. Key as of
// docTomb; body: broughtObject, in order, an empty one for what was quarantined.
const docBrought = "courier-brought"

type broughtObject struct {
	ID   stix.ID      `json:"id"`
	View uint32       `json:"view,omitempty"`
	Hash noroshi.Hash `json:"hash"`
}

// putBrought lists what a DATA brought.
func putBrought(tx *store.Tx, key string, views []uint32, a intake.Admitted) error {
	list := make([]broughtObject, len(a.Each))
	for i, x := range a.Each {
		if x.Object != nil && i < len(views) {
			list[i] = broughtObject{ID: x.Object.ID, View: views[i], Hash: x.Object.Hash()}
		}
	}
	return putJSON(tx, docBrought, key, list)
}

func (l *link) contentListed(ctx context.Context, list []broughtObject) ([]byte, error) {
	objects := make([]message.Object, len(list))
	for i, o := range list {
		if o.ID == "" {
			return nil, nil // quarantined, and not kept whole
		}
		versions, err := l.c.s.Versions(ctx, o.ID)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return nil, err
		}
		at := slices.IndexFunc(versions, func(v store.Record) bool { return v.Hash == o.Hash })
		if at < 0 {
			return nil, nil
		}
		objects[i] = message.Object{View: o.View, Bytes: versions[at].Object.Bytes()}
	}
	return message.EncodeObjects(objects), nil
}

// listRecalls tells the partner every recall of ours that it was told of, or is
// to be told of.
func (l *link) listRecalls(ctx context.Context) error {
	parts, err := l.recallsInForce(ctx)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if i > 0 && i%maxReturns == 0 {
			l.waitSpoken(ctx)
		}
		l.step(part)
	}
	return nil
}

// recallsInForce makes the parts of that list.
func (l *link) recallsInForce(ctx context.Context) (parts []message.Attest, err error) {
	docs, err := l.c.s.Docs(ctx, docRecallTo)
	if err != nil {
		return nil, err
	}
	list := []message.RecallEntry{}
	for key, body := range docs {
		var to RecallTo
		if err := json.Unmarshal(body, &to); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
		}
		if to.Partner == l.node() {
			list = append(list, to.Entries...)
		}
	}
	slices.SortFunc(list, func(a, b message.RecallEntry) int {
		return slices.Compare(message.EncodeRecall([]message.RecallEntry{a}), message.EncodeRecall([]message.RecallEntry{b}))
	})
	for _, part := range message.SplitRecalls(list) {
		parts = append(parts, message.Attest{Kind: message.RecallsKind, Body: message.EncodeRecalls(part)})
	}
	return parts, nil
}

// waitSpoken waits until the parts of answers that were queued have been said.
func (l *link) waitSpoken(ctx context.Context) {
	for ctx.Err() == nil {
		l.mu.Lock()
		n := l.partsWait()
		l.mu.Unlock()
		if n == 0 {
			return
		}
		timer := time.NewTimer(10 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
