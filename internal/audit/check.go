package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// What a proof file may show.
const (
	ShowsSent     = "sent"     // a message joined the stream to the partner
	ShowsReceived = "received" // one of the partner was kept
	ShowsReleased = "released" // a batch was released to the partner
	ShowsReceipt  = "receipt"  // the partner says how far a message has got
)

// Shown is what a proof file shows, all of it checked.
type Shown struct {
	Shows     string         `json:"shows"`
	Realm     noroshi.Realm  `json:"realm"`
	Ledger    string         `json:"ledger"` // origin of the link's ledger
	Node      Party          `json:"node"`   // who keeps it
	Partner   Party          `json:"partner"`
	Index     uint64         `json:"index"` // of the act in the link's ledger
	Time      time.Time      `json:"time"`
	Action    noroshi.Action `json:"action"`
	Label     string         `json:"label,omitempty"`
	Agreement noroshi.Hash   `json:"agreement,omitzero"`
	Count     int64          `json:"count,omitempty"`

	Message *ShownMessage `json:"message,omitempty"`
	Batch   *ShownBatch   `json:"batch,omitempty"`
	Receipt *ShownReceipt `json:"receipt,omitempty"`
	Recall  []ShownRecall `json:"recall,omitempty"`

	Entries       uint64    `json:"entries"` // of the link's ledger under the head shown
	Root          string    `json:"root"`
	Countersigned time.Time `json:"countersigned,omitzero"` // when the partner signed that head; zero = it did not
}

// Party is one of the two nodes, with what two persons compare by voice.
type Party struct {
	Node         noroshi.NodeID `json:"node"`
	Fingerprints []string       `json:"fingerprints"` // of its root, and of each root that followed
	First        uint64         `json:"first"`        // version of its keys the chain begins with; 1 proves the node's id
	Keysets      int            `json:"keysets"`
}

// ShownMessage is a message whose sender's signature was checked.
type ShownMessage struct {
	ID         noroshi.Hash       `json:"id"`
	From       noroshi.NodeID     `json:"from"`
	To         noroshi.NodeID     `json:"to"`
	Epoch      string             `json:"epoch"`
	Seq        uint64             `json:"seq"`
	Kind       uint8              `json:"kind"`
	Precedence noroshi.Precedence `json:"precedence"`
	Created    time.Time          `json:"created"`
	Label      string             `json:"label,omitempty"`
	Content    noroshi.Hash       `json:"content"` // SHA-256
}

// ShownBatch is a release: what was decided.
type ShownBatch struct {
	ID     string       `json:"id"`
	Root   noroshi.Hash `json:"root"`
	Clause string       `json:"clause,omitempty"`
	Count  int64        `json:"count"`
}

// ShownReceipt is the partner's signed word on a message.
type ShownReceipt struct {
	Applied bool      `json:"applied"` // else stored
	Time    time.Time `json:"time"`
	Counter uint64    `json:"counter"`
}

// ShownRecall is a line of a RECALL.
type ShownRecall struct {
	Object   string `json:"object"`
	Modified string `json:"modified,omitempty"`
}

// Check checks a proof file by itself and says what it shows. Whose the keys
// are is for the reader: they compare the fingerprints with those they know.
func Check(file []byte) (x Shown, err error) {
	l, err := proofForm.read(file)
	if err != nil {
		return x, err
	}
	c := &checker{l: l}
	if err := c.run(); err != nil {
		if noroshi.KindOf(err) == noroshi.Invalid {
			return x, err
		}
		return x, noroshi.Errorf(noroshi.Broken, "proof.broken", "proof does not hold: %w", err)
	}
	return c.x, nil
}

type checker struct {
	l             lines
	x             Shown
	node, partner []*message.Keyset
	leaf          ledger.LinkLeaf
	row           []any
}

func (c *checker) run() (err error) {
	if c.x.Realm, err = noroshi.ParseRealm(string(c.l.one("realm"))); err != nil {
		return err
	}
	if c.node, c.x.Node, err = chain(c.x.Realm, c.l["keyset"]); err != nil {
		return err
	}
	if c.partner, c.x.Partner, err = chain(c.x.Realm, c.l["partner"]); err != nil {
		return err
	}
	head, err := c.head()
	if err != nil {
		return err
	}
	if err := c.act(head); err != nil {
		return err
	}
	if err := c.written(); err != nil {
		return err
	}
	switch c.row[0] {
	case "out_message", "in_message":
		return errors.Join(c.only("message", "content"), c.message())
	case "batch":
		return errors.Join(c.only(), c.batch())
	case "evidence":
		return errors.Join(c.only("message", "state"), c.receipt())
	}
	return fmt.Errorf("a row of table %v shows nothing", c.row[0])
}

// only refuses what is said beside what the row is about: nobody would have
// checked it.
func (c *checker) only(words ...string) error {
	for _, w := range []string{"message", "content", "state"} {
		if len(c.l[w]) > 0 && !slices.Contains(words, w) {
			return fmt.Errorf("a row of table %v needs no %s", c.row[0], w)
		}
	}
	return nil
}

// chain checks a node's keys: each version signed by its root and following
// from the one before.
func chain(realm noroshi.Realm, docs [][]byte) (sets []*message.Keyset, p Party, err error) {
	for _, d := range docs {
		ks, err := message.ParseKeyset(realm, d)
		if err != nil {
			return nil, p, err
		}
		if n := len(sets); n > 0 {
			if _, err := ks.Succeeds(sets[n-1]); err != nil {
				return nil, p, err
			}
		}
		if f := ks.Fingerprint(); len(p.Fingerprints) == 0 || p.Fingerprints[len(p.Fingerprints)-1] != f {
			p.Fingerprints = append(p.Fingerprints, f)
		}
		sets = append(sets, ks)
	}
	p.Node, p.First, p.Keysets = sets[0].Node, sets[0].Version, len(sets)
	return sets, p, nil
}

// head checks the signed head, and the partner's cosignature where there is one.
func (c *checker) head() (ledger.Checkpoint, error) {
	n := Names{Realm: c.x.Realm, Node: c.x.Node.Node, Partner: c.x.Partner.Node}
	head, _, err := ledger.OpenAny(c.l.one("checkpoint"), control(c.node...))
	if err != nil {
		return head, err
	}
	if head.Origin != n.Own() {
		return head, fmt.Errorf("the head is of %q, not of %q", head.Origin, n.Own())
	}
	c.x.Ledger, c.x.Entries, c.x.Root = head.Origin, head.Size, noroshi.Hash(head.Root).String()
	b := c.l.one("cosign")
	if b == nil {
		return head, nil
	}
	st, err := message.DecodeStatement(c.x.Realm, b)
	if err != nil {
		return head, err
	}
	if err := c.byPartner(st); err != nil {
		return head, err
	}
	body, err := message.DecodeCosign(st.Body)
	if err != nil {
		return head, err
	}
	if st.Kind != message.CosignKind || body.Size != head.Size || body.Checkpoint != noroshi.Sum(head.Text()) {
		return head, fmt.Errorf("the cosignature is over another head")
	}
	c.x.Countersigned, err = openLine(head, body.Signature, n.They(), control(c.partner...))
	return head, err
}

// byPartner checks that a statement was signed by the partner for the node.
func (c *checker) byPartner(st *message.Statement) error {
	if st.Context.From != c.x.Partner.Node || st.Context.To != c.x.Node.Node {
		return fmt.Errorf("a statement is not of the partner to the node")
	}
	return anyKeyset(c.partner, st.Verify)
}

// anyKeyset tries the versions of a node's keys, the newest first.
func anyKeyset(sets []*message.Keyset, verify func(*message.Keyset) error) (err error) {
	for i := len(sets) - 1; i >= 0; i-- {
		if e := verify(sets[i]); e == nil {
			return nil
		} else if err == nil {
			err = e
		}
	}
	return err
}

// act checks that the act's leaf is under the head.
func (c *checker) act(head ledger.Checkpoint) (err error) {
	if c.leaf, err = ledger.Decode[ledger.LinkLeaf](c.l.one("leaf")); err != nil {
		return err
	}
	path, err := c.path("path")
	if err != nil {
		return err
	}
	if err := ledger.CheckInclusion(path, head.Size, head.Root, c.leaf.Index, ledger.LeafHash(c.l.one("leaf"))); err != nil {
		return fmt.Errorf("the act is not under the head: %w", err)
	}
	c.x.Index, c.x.Time, c.x.Action = c.leaf.Index, time.UnixMicro(c.leaf.Time).UTC(), noroshi.Action(c.leaf.Action)
	c.x.Label, c.x.Count = c.leaf.Label, c.leaf.Count
	copy(c.x.Agreement[:], c.leaf.Agreement)
	return nil
}

func (c *checker) path(word string) (path []ledger.Hash, err error) {
	list, err := c.l.hashes(word)
	for _, h := range list {
		path = append(path, ledger.Hash(h))
	}
	return path, err
}

// written checks that the act wrote the row.
func (c *checker) written() error {
	place := c.l.one("place")
	if len(place) != 16 {
		return proofForm.bad(0, "the place of the row is damaged")
	}
	path, err := c.path("row-path")
	if err != nil {
		return err
	}
	at, n := binary.BigEndian.Uint64(place), binary.BigEndian.Uint64(place[8:])
	if err := ledger.CheckInclusion(path, n, c.leaf.Root, at, ledger.LeafHash(c.l.one("row"))); err != nil {
		return fmt.Errorf("the act did not write the row: %w", err)
	}
	if err := cbor.Unmarshal(c.l.one("row"), &c.row); err != nil || len(c.row) < 3 {
		return fmt.Errorf("the row is damaged")
	}
	return nil
}

// bytes returns a binary column of the row.
func (c *checker) bytes(column string) []byte {
	name, _ := c.row[0].(string)
	v, _ := store.Column(c.row, name, column)
	b, _ := v.([]byte)
	return b
}

func (c *checker) text(column string) string {
	name, _ := c.row[0].(string)
	v, _ := store.Column(c.row, name, column)
	s, _ := v.(string)
	return s
}

func (c *checker) number(column string) int64 {
	name, _ := c.row[0].(string)
	v, _ := store.Column(c.row, name, column)
	switch n := v.(type) {
	case uint64:
		return int64(n)
	case int64:
		return n
	}
	return 0
}

// message checks the message that the row is about, its sender's signature and
// its content where that is shown.
func (c *checker) message() error {
	m, err := message.DecodeSigned(c.x.Realm, c.l.one("message"))
	if err != nil {
		return err
	}
	from, to, keys := c.x.Node.Node, c.x.Partner.Node, c.node
	if c.x.Shows = ShowsSent; c.row[0] == "in_message" {
		from, to, keys, c.x.Shows = to, from, c.partner, ShowsReceived
	}
	if err := c.signedMessage(m, from, to, keys); err != nil {
		return err
	}
	id := m.ID()
	if string(c.bytes("id")) != string(id[:]) || string(c.bytes("partner")) != string(c.x.Partner.Node[:]) {
		return fmt.Errorf("the row is of another message")
	}
	content := c.l.one("content")
	if content == nil {
		return nil
	}
	if _, err := m.WithContent(content); err != nil {
		return err
	}
	if m.Header.Kind != message.Recall {
		return fmt.Errorf("the content shown is not that of a RECALL")
	}
	entries, err := message.DecodeRecall(content)
	for _, e := range entries {
		c.x.Recall = append(c.x.Recall, ShownRecall{Object: string(e.Object), Modified: e.Modified})
	}
	return err
}

func (c *checker) signedMessage(m *message.Message, from, to noroshi.NodeID, keys []*message.Keyset) error {
	if m.Context.From != from || m.Context.To != to {
		return fmt.Errorf("the message is not from %s to %s", from, to)
	}
	if err := anyKeyset(keys, m.Verify); err != nil {
		return err
	}
	c.x.Message = &ShownMessage{ID: m.ID(), From: from, To: to, Epoch: fmt.Sprintf("%x", m.Context.Epoch[:]), Seq: m.Header.Seq, Kind: uint8(m.Header.Kind),
		Precedence: m.Header.Prec, Created: m.Header.Created, Label: m.Header.Label, Content: m.ContentHash}
	return nil
}

func (c *checker) batch() error {
	c.x.Shows = ShowsReleased
	if string(c.bytes("partner")) != string(c.x.Partner.Node[:]) {
		return fmt.Errorf("the batch is for another partner")
	}
	b := &ShownBatch{ID: c.text("id"), Clause: c.text("clause"), Count: c.number("count")}
	copy(b.Root[:], c.bytes("root"))
	c.x.Batch = b
	return nil
}

// receipt checks the partner's STATE about a message of the node.
func (c *checker) receipt() error {
	c.x.Shows = ShowsReceipt
	signed := c.l.one("state")
	if sum := noroshi.Sum(signed); string(c.bytes("signed")) != string(sum[:]) {
		return fmt.Errorf("the row is of another statement")
	}
	st, err := message.DecodeStatement(c.x.Realm, signed)
	if err != nil {
		return err
	}
	if err := c.byPartner(st); err != nil {
		return err
	}
	m, err := message.DecodeSigned(c.x.Realm, c.l.one("message"))
	if err != nil {
		return err
	}
	if err := c.signedMessage(m, c.x.Node.Node, c.x.Partner.Node, c.node); err != nil {
		return err
	}
	has := 0
	if st.Kind == message.StateKind {
		has = holds(st, m.Context.Epoch, m.Header.Seq)
	}
	if has == 0 {
		return fmt.Errorf("the partner does not say that it has the message")
	}
	c.x.Receipt = &ShownReceipt{Applied: has == 2, Time: st.Created, Counter: st.Counter}
	return nil
}
