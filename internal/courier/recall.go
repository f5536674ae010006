package courier

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Kinds of the documents about recalls. What was answered stands beside what
// was asked, so that a recall without an answer is always to be seen.
const (
	docRecall   = "recall"      // a recall this node sends; key: its id; body: Recall
	docRecallTo = "recall-to"   // what it came to at one partner; key: id + "/" + NodeID; body: RecallTo
	docRecalled = "recall-in"   // a RECALL that came; key: id of the message; body: RecallIn
	docRecalls  = "recall-sent" // key: id of our RECALL message; body: key of its docRecallTo
)

// RecallChanged is a change: id = id of a recall of ours, or of the RECALL
// message that came.
const RecallChanged store.ChangeKind = "recall"

// Recall is one recall this node makes or passes on.
type Recall struct {
	ID      string                `json:"id"`
	Entries []message.RecallEntry `json:"entries"`
	Made    time.Time             `json:"made"`
	By      []string              `json:"by,omitempty"`    // persons here; none when a rule did it
	From    noroshi.NodeID        `json:"from,omitzero"`   // passed on for this partner
	Only    noroshi.NodeID        `json:"only,omitzero"`   // the one partner that may hold it no more; this node: withdrawn here alone
	Came    noroshi.Hash          `json:"came,omitzero"`   // in this RECALL
	Owners  []string              `json:"owners,omitzero"` // whose copies were withdrawn here
	Ended   []noroshi.Hash        `json:"ended,omitempty"` // where a key was revoked: the versions that alone went out of use here
}

// RecallTo is a recall at one partner: told, answered, or silent.
type RecallTo struct {
	Partner  noroshi.NodeID        `json:"partner"`
	Entries  []message.RecallEntry `json:"entries,omitempty"`  // what it is told of: it has it, or may have
	Withheld int                   `json:"withheld,omitempty"` // messages that will not reach it any more
	Message  noroshi.Hash          `json:"message,omitzero"`   // the RECALL in its stream; zero = not there yet
	Epoch    epochID               `json:"epoch,omitzero"`
	Seq      uint64                `json:"seq,omitempty"`
	Sent     time.Time             `json:"sent,omitzero"` // when it got there
	Answer   *RecallAnswer         `json:"answer,omitempty"`
}

// RecallAnswer is the newest RECALL_DONE of a partner.
type RecallAnswer struct {
	Results []message.RecallResult `json:"results"`
	Until   time.Time              `json:"until,omitzero"` // backups hold copies until then
	Time    time.Time              `json:"time"`
	Created time.Time              `json:"created"` // by the partner's clock, with Seq orders its answers
	Seq     uint64                 `json:"seq"`
}

// Refused returns why the partner does not do all that was asked, NotRefused
// when it does or has not answered.
func (r RecallTo) Refused() message.Refusal {
	if r.Answer != nil {
		for _, x := range r.Answer.Results {
			if x.Refusal != message.NotRefused {
				return x.Refusal
			}
		}
	}
	return message.NotRefused
}

// Open reports whether an answer is still owed.
func (r RecallTo) Open() bool {
	return len(r.Entries) > 0 && (r.Answer == nil || r.Refused() == message.RefusedReview)
}

// RecallIn is a RECALL that came, and what it came to here.
type RecallIn struct {
	Message noroshi.Hash           `json:"message"`
	From    noroshi.NodeID         `json:"from"`
	Entries []message.RecallEntry  `json:"entries"`
	Results []message.RecallResult `json:"results"`
	Onward  string                 `json:"onward,omitempty"` // our recall that passes it on
	Time    time.Time              `json:"time"`
	By      string                 `json:"by,omitempty"` // who refused
}

// taken is one object taken back, and the versions here that it is about.
type taken struct {
	entry     message.RecallEntry
	versions  []store.Record
	forgotten bool // this node was put back to before: it does not know of all that went
}

// ends adds versions of an object that are taken out of use each by itself.
func (r *Recall) ends(x taken) {
	r.Entries = append(r.Entries, x.entry)
	for _, v := range x.versions {
		r.Ended = append(r.Ended, v.Hash)
	}
}

// withdraw takes out of use here what a recall is about: of some owners as far as its
// entry goes, or the versions that alone are meant.
func (r *Recall) withdraw(tx *store.Tx, x taken, owners []string) error {
	if len(r.Ended) > 0 {
		for _, v := range x.versions {
			if err := tx.EndVersion(v.Object.ID, v.Source.Owner(), v.Seq); err != nil {
				return err
			}
		}
		return nil
	}
	for _, owner := range owners {
		if err := withdraw(tx, x.entry, owner); err != nil {
			return err
		}
	}
	return nil
}

// reach is what a recall does to one partner's stream: done in memory once the
// act has committed.
type reach struct {
	node    noroshi.NodeID
	closed  map[message.Epoch][]uint64
	pending []pendingMessage
}

// takeBack withholds everything to a partner that carries one of the objects
// and has no receipt, and tells it of those it has or may have (in the act).
// Tombstones, what is left of the messages, and the RECALL wait as documents
// until the stream may grow: the act does not depend on any link being up.
func takeBack(ctx context.Context, tx *store.Tx, rec Recall, node noroshi.NodeID, objects []taken) (RecallTo, reach, error) {
	r, given := RecallTo{Partner: node}, givenByIt{r: tx.Reads, node: node}
	out := reach{node: node, closed: map[message.Epoch][]uint64{}}
	closing := map[noroshi.Hash]store.OutMessage{}
	prec := noroshi.Priority
	for _, o := range objects {
		carriers, err := tx.Carriers(ctx, node, o.versions)
		if err != nil {
			return r, out, err
		}
		e, has := o.entry, false
		for _, c := range carriers {
			m := c.Message
			if m.State < store.StoredThere {
				closing[m.ID] = m
			}
			if m.Attempts > 0 || m.State >= store.StoredThere && m.State <= store.ReadThere || o.forgotten && m.State < store.Withheld {
				has, e.Message = true, m.ID
				prec = max(prec, m.Prec)
			}
		}
		if !has {
			if e.Message, err = rec.returnedBy(ctx, &given, o); err != nil {
				return r, out, err
			}
			has = !e.Message.IsZero()
		}
		if has {
			r.Entries = append(r.Entries, e)
		}
	}
	if err := out.withhold(tx, closing); err != nil {
		return r, out, err
	}
	r.Withheld = len(closing)
	if len(r.Entries) > 0 {
		out.pending = append(out.pending, pendingMessage{Key: fmt.Sprintf("%s/recall/%s", node, rec.ID), Kind: message.Recall, Prec: prec,
			Content: message.EncodeRecall(r.Entries), Recall: recallKey(rec.ID, node)})
	}
	for _, p := range out.pending {
		if err := keepPending(tx, p); err != nil {
			return r, out, err
		}
	}
	if len(r.Entries)+r.Withheld == 0 {
		return r, out, nil
	}
	return r, out, putJSON(tx, docRecallTo, recallKey(rec.ID, node), r)
}

func recallKey(id string, node noroshi.NodeID) string { return id + "/" + node.String() }

// withhold closes messages (T4): they leave no more, a tombstone says so, and
// what else they carried goes again.
func (r *reach) withhold(tx *store.Tx, closing map[noroshi.Hash]store.OutMessage) error {
	var tombs []message.TombstoneBody
	for _, m := range closing {
		r.closed[m.Epoch] = append(r.closed[m.Epoch], m.Seq)
		tombs = append(tombs, message.TombstoneBody{Epoch: m.Epoch, Seq: m.Seq, ID: m.ID, Reason: tombWithheld})
		r.pending = append(r.pending, restOf(r.node, m))
	}
	slices.SortFunc(tombs, func(a, b message.TombstoneBody) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for part := range slices.Chunk(tombs, 1024) {
		r.pending = append(r.pending, pendingMessage{Key: fmt.Sprintf("%s/tombstone/%s", r.node, part[0].ID), Kind: message.Tombstone,
			Prec: noroshi.Priority, Content: message.EncodeTombstones(part)})
	}
	for e, seqs := range r.closed {
		slices.Sort(seqs)
		if err := tx.SetOutState(r.node, e, seqs, store.Withheld, "recall"); err != nil {
			return err
		}
	}
	return nil
}

// settle does in memory what an act has made durable.
func (c *Courier) settle(done []reach) {
	for _, r := range done {
		c.mu.Lock()
		l := c.links[r.node]
		c.mu.Unlock()
		if l == nil {
			continue // its link reads it when it is made
		}
		for e, seqs := range r.closed {
			c.counts.Withheld.Add(int64(len(seqs)))
			l.step(message.Withheld{Epoch: e, Seqs: seqs})
		}
		for _, p := range r.pending {
			l.addPending(p)
		}
	}
}

// everyPartner takes objects back from every partner the recall is for.
func everyPartner(ctx context.Context, tx *store.Tx, rec Recall, objects []taken) (to []RecallTo, done []reach, err error) {
	partners, err := tx.Partners(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range partners {
		if p.Node == rec.From || rec.Only != (noroshi.NodeID{}) && rec.Only != p.Node {
			continue
		}
		r, d, err := takeBack(ctx, tx, rec, p.Node, objects)
		if err != nil {
			return nil, nil, err
		}
		if len(r.Entries)+r.Withheld > 0 {
			to, done = append(to, r), append(done, d)
		}
	}
	slices.SortFunc(to, func(a, b RecallTo) int { return slices.Compare(a.Partner[:], b.Partner[:]) })
	return to, done, nil
}

// newRecallID names a recall.
func newRecallID(parts ...string) string {
	h := noroshi.Sum([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:8])
}

func putJSON(tx *store.Tx, kind, key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.PutDoc(kind, key, body)
}

// readJSON reads a document; false when there is none.
func readJSON(ctx context.Context, r store.Reads, kind, key string, v any) (bool, error) {
	body, err := r.Doc(ctx, kind, key)
	if noroshi.KindOf(err) == noroshi.NotFound || err == nil && len(body) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return false, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
	}
	return true, nil
}

// newestOf returns the modified of the newest version, as spelled.
func newestOf(list []store.Record) (newest stix.Time) {
	for _, r := range list {
		if newest.IsZero() || !r.Object.Modified.IsZero() && newest.Compare(r.Object.Modified) < 0 {
			newest = r.Object.Modified
		}
	}
	return newest
}

// maxModified bounds a time on the wire (docs/wire.md); one that is longer is
// left out: then every version is meant.
const maxModified = 128

func modifiedText(t stix.Time) string {
	if len(t.String()) > maxModified {
		return ""
	}
	return t.String()
}

// markRecall notes which message of the stream tells a partner of a recall.
func (l *link) markRecall(ctx context.Context, tx *store.Tx, key string, o store.OutMessage) error {
	var to RecallTo
	found, err := readJSON(ctx, tx.Reads, docRecallTo, key, &to)
	if err != nil || !found {
		return err
	}
	to.Message, to.Epoch, to.Seq, to.Sent = o.ID, epochID(o.Epoch), o.Seq, tx.Time().UTC()
	if err := tx.PutDoc(docRecalls, o.ID.String(), []byte(key)); err != nil {
		return err
	}
	return putJSON(tx, docRecallTo, key, to)
}
