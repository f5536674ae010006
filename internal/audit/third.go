package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docWitnessed is the kind of the documents that hold the head of a ledger
// witnessed last; key: its origin; body: witnessed as JSON.
const docWitnessed = "witnessed"

type witnessed struct {
	Size        uint64       `json:"size"`
	Root        noroshi.Hash `json:"root"`
	Fingerprint string       `json:"fingerprint"` // of the first root of its node's keys
}

var checkpointForm = form{head: "noroshi checkpoint 1", name: "checkpoint", words: []word{
	{"realm", 1, true}, {"checkpoint", 1, true}, {"from", 1, true}, {"proof", maxPath * 2, false}, {"keyset", maxKeysets, true}}}

var witnessForm = form{head: "noroshi witness 1", name: "witness", words: []word{
	{"realm", 1, true}, {"checkpoint", 1, true}, {"cosignature", 1, true}, {"keyset", maxKeysets, true}}}

// Offer makes a file for a third witness, such as another node or a machine
// that has no network: the head of the ledger of a link, or of the node's whole
// one (zero), with the proof from the size that the witness signed last.
//
// The head of the whole ledger is for witnesses of the own organisation: its
// size tells how much the node does.
func Offer(ctx context.Context, r store.Reads, realm noroshi.Realm, node, partner noroshi.NodeID, from uint64) ([]byte, error) {
	l := lines{}
	l.add("realm", []byte(realm.String()))
	l.add("from", binary.BigEndian.AppendUint64(nil, from))
	if partner == (noroshi.NodeID{}) {
		head, proof, err := r.LedgerHead(ctx, from)
		if err != nil {
			return nil, err
		}
		l.add("checkpoint", head.Note)
		l.hash("proof", proof)
	} else {
		note, size, err := r.LinkNote(ctx, partner)
		if err != nil {
			return nil, err
		}
		proof, err := r.LinkConsistency(ctx, partner, from, size)
		if err != nil {
			return nil, err
		}
		l.add("checkpoint", note)
		l.hash("proof", proof)
	}
	if err := addKeysets(ctx, r, node, "keyset", l); err != nil {
		return nil, err
	}
	return checkpointForm.encode(l), nil
}

// addKeysets adds a node's keys on record, each version once.
func addKeysets(ctx context.Context, r store.Reads, node noroshi.NodeID, word string, l lines) error {
	docs, err := r.DocVersions(ctx, noroshi.DocKeyset, node.String())
	if err != nil {
		return err
	}
	for i, d := range docs {
		if i == 0 || string(d) != string(docs[i-1]) {
			l.add(word, d)
		}
	}
	if n := len(l[word]); n == 0 || n > maxKeysets {
		return noroshi.Errorf(noroshi.Invalid, "audit.keysets", "%d versions of the keys of node %s are on record: 1 to %d can be shown", n, node.String(), maxKeysets)
	}
	return nil
}

// Witness countersigns the head in a file that Offer made, as the node whose
// store this is, inside an act of its own: it remembers what it signed of each
// ledger, and signs none that got smaller, does not begin with what it signed,
// or is of other keys. The first head of a ledger it takes as it comes.
func Witness(ctx context.Context, tx *store.Tx, me noroshi.NodeID, mine noroshi.Realm, public []byte, sign func([]byte) []byte, file []byte) ([]byte, error) {
	l, head, party, err := readOffer(file)
	if err != nil {
		return nil, err
	}
	last, err := store.DocOrZero[witnessed](ctx, tx.Reads, docWitnessed, head.Origin)
	if err != nil {
		return nil, err
	}
	if err := grown(l, head, party, last); err != nil {
		return nil, err
	}
	tx.Act().Subject = fmt.Sprintf("checkpoint %d of %s", head.Size, head.Origin)
	if err := tx.PutJSON(docWitnessed, head.Origin, witnessed{Size: head.Size, Root: noroshi.Hash(head.Root), Fingerprint: party.Fingerprints[0]}); err != nil {
		return nil, err
	}
	out := lines{}
	out.add("realm", []byte(mine.String()))
	out.add("checkpoint", head.Text())
	out.add("cosignature", head.Cosign(ledger.Origin(mine.String(), me.String(), ""), public, tx.Time(), sign))
	if err := addKeysets(ctx, tx.Reads, me, "keyset", out); err != nil {
		return nil, err
	}
	return witnessForm.encode(out), nil
}

// readOffer reads a file that Offer made: the head is signed by its node.
func readOffer(file []byte) (l lines, head ledger.Checkpoint, p Party, err error) {
	if l, err = checkpointForm.read(file); err != nil {
		return l, head, p, err
	}
	realm, err := noroshi.ParseRealm(string(l.one("realm")))
	if err != nil {
		return l, head, p, err
	}
	sets, p, err := chain(realm, l["keyset"])
	if err != nil {
		return l, head, p, err
	}
	own := ledger.Origin(realm.String(), p.Node.String(), "")
	head, _, err = ledger.OpenAny(l.one("checkpoint"), control(sets...))
	if err == nil && head.Origin != own && !strings.HasPrefix(head.Origin, own+"/link/") {
		err = fmt.Errorf("the head is of %q", head.Origin)
	}
	if err != nil {
		err = noroshi.Errorf(noroshi.Broken, "audit.checkpoint", "the checkpoint is not signed by node %s: %w", p.Node.String(), err)
	}
	return l, head, p, err
}

func grown(l lines, head ledger.Checkpoint, p Party, last witnessed) error {
	if last.Fingerprint == "" {
		return nil
	}
	from := l.one("from")
	if len(from) != 8 || binary.BigEndian.Uint64(from) != last.Size {
		return noroshi.Errorf(noroshi.Refused, "audit.witness-from", "%s was witnessed up to %d entries: make the file with --from %d", head.Origin, last.Size, last.Size)
	}
	var proof []ledger.Hash
	list, err := l.hashes("proof")
	for _, h := range list {
		proof = append(proof, ledger.Hash(h))
	}
	if err == nil && p.Fingerprints[0] != last.Fingerprint {
		err = fmt.Errorf("its keys begin with another root")
	}
	if err == nil {
		err = head.Extends(ledger.Checkpoint{Origin: head.Origin, Size: last.Size, Root: ledger.Hash(last.Root)}, proof)
	}
	if err != nil {
		return noroshi.Errorf(noroshi.Broken, "audit.witness-rewritten", "%s is not the ledger that was witnessed: %w", head.Origin, err)
	}
	return nil
}

// Witnessed is what a third witness signed.
type Witnessed struct {
	By     Party          `json:"by"`
	Ledger string         `json:"ledger"`
	Of     noroshi.NodeID `json:"of,omitzero"` // partner of the link; zero = the whole ledger
	Size   uint64         `json:"size"`
	At     time.Time      `json:"at"`
	Fits   bool           `json:"fits"` // it is this ledger
}

// CheckWitness reads a file that Witness made and compares it with the ledger
// here. One that is not signed by who it names, or of another node, is an error;
// one of what the ledger is not is told by Fits.
func CheckWitness(ctx context.Context, r store.Reads, realm noroshi.Realm, node noroshi.NodeID, file []byte) (w Witnessed, err error) {
	l, err := witnessForm.read(file)
	if err != nil {
		return w, err
	}
	theirs, err := noroshi.ParseRealm(string(l.one("realm")))
	if err != nil {
		return w, err
	}
	sets, by, err := chain(theirs, l["keyset"])
	if err != nil {
		return w, err
	}
	head, err := ledger.Peek(l.one("checkpoint"))
	if err != nil {
		return w, noroshi.Errorf(noroshi.Invalid, "audit.form", "line %d of the %s file: %w", 0, witnessForm.name, err)
	}
	w = Witnessed{By: by, Ledger: head.Origin, Size: head.Size}
	if w.At, err = openLine(head, l.one("cosignature"), ledger.Origin(theirs.String(), by.Node.String(), ""), control(sets...)); err != nil {
		return w, err
	}
	own := ledger.Origin(realm.String(), node.String(), "")
	var root noroshi.Hash
	var there bool
	switch link, ok := strings.CutPrefix(head.Origin, own+"/link/"); {
	case head.Origin == own:
		root, there, err = r.LedgerRoot(ctx, head.Size)
	case ok && w.Of.UnmarshalText([]byte(link)) == nil:
		root, there, err = r.LinkRoot(ctx, w.Of, head.Size)
	default:
		err = noroshi.Errorf(noroshi.Invalid, "audit.other-ledger", "the witness signed the ledger %s, not one of %s", head.Origin, own)
	}
	w.Fits = there && root == noroshi.Hash(head.Root)
	return w, err
}
