package courier

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docPending is the kind of the documents that hold what is to be put into the
// stream as soon as it may grow: control messages (OUTCOME, READ, RECALL), which
// come about while the link may be unconfirmed, and the rest of DATA that had to
// be withheld. Key: NodeID + "/" + what it is about; an empty body is settled.
const docPending = "courier-pending"

// pendingMessage is the body of docPending.
type pendingMessage struct {
	Key     string             `json:"-"`
	Kind    message.Kind       `json:"kind"`
	Prec    noroshi.Precedence `json:"prec"`
	Content []byte             `json:"content,omitempty"`
	Batch   string             `json:"batch,omitempty"` // DATA: what is left of these rows goes again
	First   int                `json:"first,omitempty"`
	Count   int                `json:"count,omitempty"`
	Recall  string             `json:"recall,omitempty"` // RECALL: key of its docRecallTo
}

// judgeControl reads a control body; one that does not read is held.
func judgeControl(m *message.Message) (v verdict) {
	v.standing = message.Applied
	var err error
	switch m.Header.Kind {
	case message.Tombstone:
		v.tombs, err = message.DecodeTombstones(m.Content)
	case message.Outcome:
		_, err = message.DecodeOutcomes(m.Content)
	case message.Read:
		var r message.ReadBody
		r, err = message.DecodeRead(m.Content)
		v.read = &r
	case message.Link:
		var k message.LinkBody
		k, err = message.DecodeLink(m.Content)
		v.link = &k
	case message.EpochStart:
		var e message.EpochBody
		e, err = message.DecodeEpoch(m.Content)
		v.restored = e.Reason.FromEarlier()
	case message.Recall:
		v.recall, err = message.DecodeRecall(m.Content)
	case message.RecallDone:
		var d message.RecallDoneBody
		d, err = message.DecodeRecallDone(m.Content)
		v.done = &d
	}
	if err != nil {
		return verdict{standing: message.Held, why: "body"}
	}
	return v
}

// outcome makes the OUTCOME of a message with technical faults.
func (l *link) outcome(in message.In, faults []message.OutcomeCode) pendingMessage {
	slices.SortFunc(faults, func(a, b message.OutcomeCode) int { return int(a.Index) - int(b.Index) })
	body := message.OutcomeBody{Epoch: in.Epoch, Seq: in.Seq, Codes: faults[:min(len(faults), message.MaxBatch)]}
	return pendingMessage{Key: fmt.Sprintf("%s/outcome/%s", l.node(), in.ID), Kind: message.Outcome, Prec: noroshi.Routine,
		Content: message.EncodeOutcomes([]message.OutcomeBody{body})}
}

func keepPending(tx *store.Tx, p pendingMessage) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.PutDoc(docPending, p.Key, body)
}

func (l *link) addPending(p pendingMessage) {
	l.mu.Lock()
	l.pending[p.Key] = p
	l.mu.Unlock()
	l.wakePull()
}

// readPending brings back what waited when the process ended.
func (l *link) readPending(ctx context.Context) error {
	docs, err := l.c.s.Docs(ctx, docPending)
	if err != nil {
		return err
	}
	own := l.node().String() + "/"
	for key, body := range docs {
		if len(body) == 0 || len(key) < len(own) || key[:len(own)] != own {
			continue
		}
		p := pendingMessage{Key: key}
		if err := json.Unmarshal(body, &p); err != nil {
			return noroshi.Errorf(noroshi.Broken, "courier.pending", "a waiting control message cannot be read: run audit verify")
		}
		l.pending[key] = p
	}
	return nil
}

// putPending puts waiting control messages into the stream, several in one act.
func (l *link) putPending(ctx context.Context) error {
	if l.mayGive() == nil {
		if err := l.putRests(ctx); err != nil {
			return err
		}
	}
	drafts := l.waitingDrafts()
	if len(drafts) == 0 {
		return nil
	}
	act := noroshi.Act{Action: noroshi.ActSend, Partner: l.node(), Count: len(drafts), Precedence: drafts[0].prec}
	if err := l.put(ctx, act, drafts, nil); err != nil {
		return err
	}
	l.mu.Lock()
	for _, d := range drafts {
		delete(l.pending, d.pending)
	}
	l.mu.Unlock()
	if len(l.waitingDrafts()) > 0 {
		l.wakePull()
	}
	return nil
}

// waitingDrafts returns the next control messages: the urgent first, of one
// precedence in the order of their keys, which for answers to one RECALL is
// that of their acts. A RECALL waits while no agreement can be named.
func (l *link) waitingDrafts() (drafts []draft) {
	_, may := l.view.Load().lastAgreement(l.c.o.Now())
	l.mu.Lock()
	for key, p := range l.pending {
		if p.Kind != message.Data && (p.Kind != message.Recall || may) {
			drafts = append(drafts, draft{kind: p.Kind, prec: p.Prec, content: p.Content, pending: key, recall: p.Recall})
		}
	}
	l.mu.Unlock()
	slices.SortFunc(drafts, func(a, b draft) int {
		return cmp.Or(int(b.prec)-int(a.prec), strings.Compare(a.pending, b.pending))
	})
	return drafts[:min(len(drafts), 64)]
}

// entomb takes the lines of a tombstone: a sequence that is not here is closed
// with the id it had; one that is here stands.
func (l *link) entomb(ctx context.Context, tx *store.Tx, lines []message.TombstoneBody) ([]message.In, error) {
	var closed []message.In
	for _, t := range lines {
		rows, err := tx.In(ctx, l.node(), t.Epoch, t.Seq, 1)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 && rows[0].Seq == t.Seq {
			continue
		}
		if err := tx.SetInState(l.node(), t.Epoch, t.Seq, store.Tombstoned); err != nil {
			return nil, err
		}
		if err := tx.PutDoc(docTomb, tombKey(l.node(), t.Epoch, t.Seq), t.ID[:]); err != nil {
			return nil, err
		}
		closed = append(closed, message.In{Epoch: t.Epoch, Seq: t.Seq, ID: t.ID, Prec: noroshi.Routine, Standing: message.Entombed})
	}
	return closed, nil
}

// docTomb is the kind of the documents that bind the id of a closed sequence;
// body: the id.
const docTomb = "courier-tombstone"

func tombKey(partner noroshi.NodeID, e message.Epoch, seq uint64) string {
	return fmt.Sprintf("%s/%x/%d", partner, e[:], seq)
}

// tombID returns the id a closed sequence is bound to.
func tombID(ctx context.Context, r store.Reads, partner noroshi.NodeID, e message.Epoch, seq uint64) (id noroshi.Hash, err error) {
	body, err := r.Doc(ctx, docTomb, tombKey(partner, e, seq))
	copy(id[:], body)
	return id, err
}

// MessageRead is a change: id = id of our message that a person at the partner
// has read.
const MessageRead store.ChangeKind = "read"

// readAs comes before the reader's role in what is kept of a READ.
const readAs = "role "

// ReaderOf returns the role of the person who has read a message of ours, by
// what a step of its trail was told; "" where the step is none of reading.
func ReaderOf(s store.OutStep) noroshi.Role {
	role, ok := strings.CutPrefix(s.How, readAs)
	if s.State != store.ReadThere || !ok {
		return ""
	}
	return noroshi.Role(role)
}

// readThere notes that a person at the partner has read a message of ours.
func (l *link) readThere(ctx context.Context, tx *store.Tx, r message.ReadBody) error {
	out, err := tx.Out(ctx, l.node(), r.Epoch, r.Seq, 1)
	if err != nil {
		return err
	}
	if len(out) == 0 || out[0].Seq != r.Seq {
		return nil // of a life this node has lost: it is kept as it came
	}
	if err := tx.SetOutState(l.node(), r.Epoch, []uint64{r.Seq}, store.ReadThere, readAs+string(r.Role)); err != nil {
		return err
	}
	return tx.Notice(MessageRead, out[0].ID.String())
}

// ReadBy tells the partner that a person in a role has read its message.
func (c *Courier) ReadBy(ctx context.Context, partner noroshi.NodeID, msg noroshi.Hash, role noroshi.Role, at time.Time) error {
	l, err := c.link(partner)
	if err != nil {
		return err
	}
	in, err := l.find(ctx, msg)
	if err != nil {
		return err
	}
	p := pendingMessage{Key: fmt.Sprintf("%s/read/%s/%s", partner, msg, role), Kind: message.Read, Prec: max(in.Prec, noroshi.Priority),
		Content: message.EncodeRead(message.ReadBody{Epoch: in.Epoch, Seq: in.Seq, Role: role, Time: at})}
	act := noroshi.Act{Action: noroshi.ActReceipt, Partner: partner, Message: msg, Precedence: noroshi.Immediate}
	_, err = c.s.Do(ctx, act, func(tx *store.Tx) error {
		if have, err := tx.DocVersions(ctx, docPending, p.Key); err != nil || len(have) > 0 {
			if err == nil {
				err = errNothing
			}
			return err
		}
		return keepPending(tx, p)
	})
	if err == errNothing {
		return nil
	}
	if err == nil {
		l.addPending(p)
	}
	return err
}

// find looks for a received message by its id, newest epoch first.
func (l *link) find(ctx context.Context, id noroshi.Hash) (store.InMessage, error) {
	epochs := l.theirs()
	for i := len(epochs) - 1; i >= 0; i-- {
		for from := uint64(1); ; {
			rows, err := l.c.s.In(ctx, l.node(), epochs[i], from, 1000)
			if err != nil {
				return store.InMessage{}, err
			}
			for _, r := range rows {
				if from = r.Seq + 1; r.ID == id {
					return r, nil
				}
			}
			if len(rows) < 1000 {
				break
			}
		}
	}
	return store.InMessage{}, noroshi.Errorf(noroshi.NotFound, "courier.no-message", "no message %s came from %s", id, l.node())
}
