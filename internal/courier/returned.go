package courier

import (
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// docReturned is the kind of the documents that say that a partner has an object
// by a message of ours that was lost and that it gave back: no batch says so any
// more. Key: NodeID + "/" + object id; body: the id of the message.
const docReturned = "courier-returned"

func returnedKey(node noroshi.NodeID, id stix.ID) string { return node.String() + "/" + string(id) }

// returnedBy returns the message by which a partner is known, by its own word
// alone, to have an object; zero for none.
func returnedBy(ctx context.Context, r store.Reads, node noroshi.NodeID, id stix.ID) (msg noroshi.Hash, err error) {
	body, err := r.Doc(ctx, docReturned, returnedKey(node, id))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return msg, nil
	}
	copy(msg[:], body)
	return msg, err
}

// returnedBy is returnedBy of an object of a recall. Where versions alone are meant, the
// partner must have given back one of those: what else it has of the object stands.
func (r *Recall) returnedBy(ctx context.Context, given *givenByIt, x taken) (msg noroshi.Hash, err error) {
	msg, err = returnedBy(ctx, given.r, given.node, x.entry.Object)
	if err != nil || msg.IsZero() || len(r.Ended) == 0 {
		return msg, err
	}
	return given.by(ctx, x)
}

// means reports whether a recall is about a version of one of its objects, as far as it
// names versions: of what is ours, those that were given back.
func (r *Recall) means(v store.Record) bool {
	return len(r.Ended) == 0 || slices.Contains(r.Ended, v.Hash) && (!ours(v.Source.Owner()) || v.Run == runReturned)
}

// among reports whether an object as a partner has it is one of some versions of it. A
// view says of what it is by its time alone.
func (x viewed) among(list []store.Record) bool {
	return slices.ContainsFunc(list, func(v store.Record) bool {
		return x.object.Hash() == v.Hash || x.view > 0 && x.object.Modified.Compare(v.Object.Modified) == 0
	})
}

// givenByIt is what a partner gave back of what was lost here, or all did where none is
// named, read when it is asked for first.
type givenByIt struct {
	r     store.Reads
	node  noroshi.NodeID
	read  bool
	shown map[stix.ID][]givenObject
}

type givenObject struct {
	viewed
	in     noroshi.Hash // a message of ours
	signed []byte
}

// by returns the message by which the partner has one of the versions of an object,
// zero for none.
func (g *givenByIt) by(ctx context.Context, x taken) (msg noroshi.Hash, err error) {
	if err := g.readAll(ctx); err != nil {
		return msg, err
	}
	for _, o := range g.shown[x.entry.Object] {
		if o.among(x.versions) {
			return o.in, nil
		}
	}
	return msg, nil
}

func (g *givenByIt) readAll(ctx context.Context) error {
	if g.read {
		return nil
	}
	var docs map[string][]byte
	var err error
	if g.node == (noroshi.NodeID{}) {
		docs, err = g.r.Docs(ctx, docTakenBack)
	} else {
		docs, err = g.r.DocsUnder(ctx, docTakenBack, g.node.String())
	}
	if err != nil {
		return err
	}
	g.shown = map[stix.ID][]givenObject{}
	for key := range docs {
		_, text, _ := strings.Cut(key, "/")
		if err := g.add(ctx, text); err != nil {
			return err
		}
	}
	g.read = true
	return nil
}

// add adds what is in one message that came back, named by its id.
func (g *givenByIt) add(ctx context.Context, text string) error {
	var id noroshi.Hash
	if err := id.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	at, err := g.r.FindMessage(ctx, id)
	if err != nil || message.Kind(at.Kind) != message.Data { // a TOMBSTONE, or one that may be a thief's and is closed
		return err
	}
	objects, err := message.DecodeObjects(at.Content)
	if err != nil {
		return nil // it was malformed when it went
	}
	for _, o := range objects {
		if x, err := stix.Parse(o.Bytes); err == nil {
			g.shown[x.ID] = append(g.shown[x.ID], givenObject{viewed{x, o.View}, id, at.Signed})
		}
	}
	return nil
}
