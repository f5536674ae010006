package audit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Bounds of an export that is read.
const (
	maxLine    = 1 << 20
	maxEntries = 20_000_000 // leaves, and messages of each stream
	maxSigned  = 5_000_000  // statements
)

// exported is an export as read, checked by itself: its head is signed, its
// leaves give its root, and each statement is signed by who it is of.
type exported struct {
	names         Names
	at            time.Time // when it was made, as it says
	node, partner []*message.Keyset
	head          ledger.Checkpoint
	leaves        []leafAt
	out, in       []Entry
	cosigned      []claim // of the node's ledger, by the partner
	seen          []claim // of the partner's ledger, by the partner
	edge          ledger.Tree
}

// leafAt is what is kept of a leaf: enough to name it.
type leafAt struct {
	hash   ledger.Hash
	time   int64
	action noroshi.Action
}

// claim is what a signed statement says a ledger was.
type claim struct {
	size uint64
	text noroshi.Hash // SHA-256 of the head's text
	made time.Time    // when it was signed, by who signed it
}

var exportWords = []string{"realm", "at", "node", "with", "keyset", "partner", "head", "leaf", "out", "in", "cosign", "seen", "end"}

// readExport reads an export line by line, in memory that does not grow with
// more than what is compared.
func readExport(name string, r io.Reader) (*exported, error) {
	e := &exported{}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	bad := func(line int, format string, args ...any) error {
		return noroshi.Errorf(noroshi.Invalid, "audit.export-form", "%s: line %d: %w", name, line, fmt.Errorf(format, args...))
	}
	at, n := 0, 0
	for s.Scan() {
		if n++; n == 1 {
			if s.Text() != exportHead {
				return nil, bad(1, "it does not begin with %q", exportHead)
			}
			continue
		}
		word, text, _ := bytes.Cut(s.Bytes(), []byte(" "))
		v, err := base64.StdEncoding.Strict().DecodeString(string(text))
		if err != nil {
			return nil, bad(n, "its value is damaged")
		}
		for at < len(exportWords) && exportWords[at] != string(word) {
			at++
		}
		if at == len(exportWords) {
			return nil, bad(n, "the word %s does not belong here", strconv.Quote(string(word)))
		}
		if err := e.take(string(word), v); err != nil {
			return nil, bad(n, "%w", err)
		}
	}
	if err := s.Err(); err != nil {
		return nil, bad(n+1, "%w", err)
	}
	if at != len(exportWords)-1 {
		return nil, bad(n, "it has no end")
	}
	if err := e.check(); err != nil {
		return nil, bad(n, "%w", err)
	}
	return e, nil
}

func (e *exported) take(word string, v []byte) (err error) {
	switch word {
	case "realm":
		e.names.Realm, err = noroshi.ParseRealm(string(v))
	case "at":
		e.at, err = time.Parse(time.RFC3339, string(v))
	case "node":
		e.names.Node, err = nodeOf(v)
	case "with":
		e.names.Partner, err = nodeOf(v)
	case "keyset":
		e.node, err = e.follow(e.node, e.names.Node, v)
	case "partner":
		e.partner, err = e.follow(e.partner, e.names.Partner, v)
	case "head":
		if e.head, _, err = ledger.OpenAny(v, control(e.node...)); err == nil && e.head.Origin != e.names.Own() {
			err = fmt.Errorf("the head is of %q", e.head.Origin)
		}
	case "leaf":
		err = e.leaf(v)
	case "out":
		e.out, err = entry(e.out, v)
	case "in":
		e.in, err = entry(e.in, v)
	case "cosign":
		e.cosigned, err = e.claim(e.cosigned, v, message.CosignKind)
	case "seen":
		e.seen, err = e.claim(e.seen, v, message.CheckpointKind)
	}
	return err
}

func nodeOf(v []byte) (n noroshi.NodeID, err error) {
	if len(v) != len(n) {
		return n, fmt.Errorf("a node's id has %d bytes", len(v))
	}
	copy(n[:], v)
	return n, nil
}

// follow adds a version of a node's keys to those before it.
func (e *exported) follow(sets []*message.Keyset, node noroshi.NodeID, v []byte) ([]*message.Keyset, error) {
	if e.names.Realm.IsZero() {
		return nil, fmt.Errorf("keys before the realm")
	}
	ks, err := message.ParseKeyset(e.names.Realm, v)
	if err != nil {
		return nil, err
	}
	if ks.Node != node || len(sets) >= maxKeysets {
		return nil, fmt.Errorf("keys of node %s, or too many versions", ks.Node)
	}
	if n := len(sets); n > 0 {
		if _, err := ks.Succeeds(sets[n-1]); err != nil {
			return nil, err
		}
	}
	return append(sets, ks), nil
}

func (e *exported) leaf(v []byte) error {
	l, err := ledger.Decode[ledger.LinkLeaf](v)
	if err != nil {
		return err
	}
	if l.Index != uint64(len(e.leaves)) || len(e.leaves) >= maxEntries {
		return fmt.Errorf("leaf %d stands at place %d", l.Index, len(e.leaves))
	}
	e.leaves = append(e.leaves, leafAt{ledger.LeafHash(v), l.Time, noroshi.Action(l.Action)})
	return nil
}

func entry(list []Entry, v []byte) ([]Entry, error) {
	var x Entry
	if err := cbor.Unmarshal(v, &x); err != nil || x.Seq == 0 {
		return nil, fmt.Errorf("the entry of a message is damaged")
	}
	if len(list) >= maxEntries {
		return nil, fmt.Errorf("too many messages")
	}
	return append(list, x), nil
}

// claim takes a statement of the partner's about a ledger.
func (e *exported) claim(list []claim, v []byte, kind message.Kind) ([]claim, error) {
	if len(list) >= maxSigned {
		return nil, fmt.Errorf("too many statements")
	}
	st, err := message.DecodeStatement(e.names.Realm, v)
	if err != nil {
		return nil, err
	}
	if st.Kind != kind || st.Context.From != e.names.Partner || st.Context.To != e.names.Node {
		return nil, fmt.Errorf("a statement of another kind or link")
	}
	if err := anyKeyset(e.partner, st.Verify); err != nil {
		return nil, err
	}
	if kind == message.CosignKind {
		body, err := message.DecodeCosign(st.Body)
		return append(list, claim{body.Size, body.Checkpoint, st.Created}), err
	}
	body, err := message.DecodeCheckpoint(st.Body)
	if err != nil {
		return nil, err
	}
	head, _, err := ledger.OpenAny(body.Note, control(e.partner...))
	if err == nil && head.Origin != e.names.Theirs() {
		err = fmt.Errorf("a head of %q", head.Origin)
	}
	return append(list, claim{head.Size, noroshi.Sum(head.Text()), st.Created}), err
}

// check holds the leaves against the head.
func (e *exported) check() error {
	if len(e.node) == 0 || len(e.partner) == 0 {
		return fmt.Errorf("the keys of a node are missing")
	}
	for _, l := range e.leaves {
		e.edge, _ = e.edge.Append(l.hash)
	}
	if e.edge.Size() != e.head.Size || e.edge.Root() != e.head.Root {
		return fmt.Errorf("its %d leaves do not give the head of %d it is under", e.edge.Size(), e.head.Size)
	}
	return nil
}

// rootsAt returns the roots of the ledger at the sizes of some claims.
func (e *exported) rootsAt(claims ...[]claim) map[uint64]ledger.Hash {
	roots := map[uint64]ledger.Hash{}
	for _, list := range claims {
		for _, c := range list {
			roots[c.size] = ledger.Hash{}
		}
	}
	var edge ledger.Tree
	for i := 0; ; i++ {
		if _, ok := roots[edge.Size()]; ok {
			roots[edge.Size()] = edge.Root()
		}
		if i == len(e.leaves) {
			break
		}
		edge, _ = edge.Append(e.leaves[i].hash)
	}
	for size := range roots {
		if size > edge.Size() {
			delete(roots, size)
		}
	}
	return roots
}
