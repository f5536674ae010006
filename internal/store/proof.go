package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Form of a proof: lines "word value", then "checkpoint" and the signed note.
//
//	noroshi proof 1
//	leaf BASE64         the act's leaf, deterministic CBOR
//	path BASE64         a hash of its inclusion proof, lowest first; one line each
//	key BASE64          Ed25519 key of the checkpoint
//	row BASE64          an object or message the act wrote: its row
//	hash BASE64         another row: only its hash
//	checkpoint
//	...                 to the end
const proofHead = "noroshi proof 1\n"

// shown are the tables whose rows a proof shows; of others it has the hash.
var shown = map[*table]bool{objectTable: true, outTable: true, inTable: true}

// Prove is a self-contained file: one act's leaf, its inclusion proof, the
// signed checkpoint and the key, and for a message or object its row, so that
// its hash is proven with it. Text form, checked offline by CheckProof.
func (s *Store) Prove(ctx context.Context, index uint64) (file []byte, err error) {
	err = s.pool.read(ctx, func(c *conn) error {
		var leaf []byte
		found, err := c.one(to(&leaf), "SELECT leaf FROM act WHERE idx = $1", int64(index))
		if err != nil {
			return err
		}
		if !found {
			return noroshi.Errorf(noroshi.NotFound, "store.no-act", "the ledger has no act %d", index)
		}
		size, err := treeSize(c, 0)
		if err != nil {
			return err
		}
		path, err := tlog.ProveRecord(int64(size), int64(index), hashReader(c, 0))
		if err != nil {
			return fmt.Errorf("prove act %d: %w", index, err)
		}
		var note, key []byte
		if _, err := c.one(to(&note), "SELECT note FROM checkpoint WHERE id = $1", int64(size/checkpointRun)); err != nil {
			return err
		}
		if _, err := c.one(to(&key), "SELECT pubkey FROM signer ORDER BY n DESC LIMIT 1"); err != nil {
			return err
		}
		b := bytes.NewBufferString(proofHead)
		line := func(word string, v []byte) { fmt.Fprintf(b, "%s %s\n", word, base64.StdEncoding.EncodeToString(v)) }
		line("leaf", leaf)
		for _, h := range path {
			line("path", h[:])
		}
		line("key", key)
		if err := proveRows(c, int64(index), line); err != nil {
			return err
		}
		b.WriteString("checkpoint\n")
		b.Write(note)
		file = b.Bytes()
		return nil
	})
	return file, err
}

// proveRows writes the rows of an act in the order of its root.
func proveRows(c *conn, act int64, line func(string, []byte)) error {
	return eachRow(c, act, func(t *table, _ int64, r *ledger.Row) {
		if shown[t] {
			line("row", r.Encoding())
			return
		}
		h := r.Hash()
		line("hash", h[:])
	})
}

// eachRow goes through the rows of an act in the order of its root. Acts rise
// with keys, so that halving finds the first.
func eachRow(c *conn, act int64, fn func(t *table, key int64, r *ledger.Row)) error {
	var r ledger.Row
	for _, t := range tables {
		lo, err := firstOf(c, t, act)
		if err != nil {
			return err
		}
		s, err := openScanFrom(c, t, lo)
		if err != nil {
			return err
		}
		for s.ok && s.act == act {
			s.hash(&r)
			fn(t, s.key, &r)
			if err := s.next(); err != nil {
				s.close()
				return err
			}
		}
		s.close()
	}
	return nil
}

// firstOf returns the key of a table's first row of an act or a later one.
func firstOf(c *conn, t *table, act int64) (lo int64, err error) {
	hi := int64(0)
	if _, err := c.one(to(&hi), "SELECT coalesce(max("+t.key+"), 0) + 1 FROM "+t.name); err != nil {
		return 0, err
	}
	for end := hi; lo < hi; {
		mid := lo + (hi-lo)/2
		at := end
		var there int64
		found, err := c.one(to(&at, &there), "SELECT "+t.key+", act FROM "+t.name+" WHERE "+t.key+" >= $1 ORDER BY "+t.key+" LIMIT 1", mid)
		if err != nil {
			return 0, err
		}
		if !found || there >= act {
			hi = mid
		} else {
			lo = at + 1
		}
	}
	return lo, nil
}

// proof is a proof file as read.
type proof struct {
	leaf, key []byte
	path      tlog.RecordProof
	rows      []ledger.Hash
	shown     [][]byte
	note      []byte
}

func readProof(file []byte) (p proof, err error) {
	bad := func(what string) error {
		return noroshi.Errorf(noroshi.Invalid, "proof.form", "proof file: %s", what)
	}
	rest, ok := bytes.CutPrefix(file, []byte(proofHead))
	if !ok {
		return p, bad("it does not begin with " + strings.TrimSpace(proofHead))
	}
	for {
		var l []byte
		if l, rest, ok = bytes.Cut(rest, []byte("\n")); !ok {
			return p, bad("it ends before its checkpoint")
		}
		if string(l) == "checkpoint" {
			p.note = rest
			return p, nil
		}
		word, text, _ := strings.Cut(string(l), " ")
		v, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || (word == "path" || word == "hash") && len(v) != 32 {
			return p, bad("line " + strconv.Quote(word) + " is damaged")
		}
		switch word {
		case "leaf":
			p.leaf = v
		case "key":
			p.key = v
		case "path":
			p.path = append(p.path, tlog.Hash(v))
		case "hash":
			p.rows = append(p.rows, ledger.Hash(v))
		case "row":
			p.rows, p.shown = append(p.rows, ledger.LeafHash(v)), append(p.shown, v)
		default:
			return p, bad("unknown line " + strconv.Quote(word))
		}
	}
}

// Proof is what a proof file proves.
type Proof struct {
	Index  uint64         `json:"index"`
	Action noroshi.Action `json:"action"`
	Time   time.Time      `json:"time"`
	Rows   int            `json:"rows"`
	Ledger string         `json:"ledger"`
	Acts   uint64         `json:"acts"`            // the ledger had then
	Key    string         `json:"key"`             // SHA-256 of the key that signed it
	Shows  []string       `json:"shows,omitempty"` // objects and messages the act wrote
}

// CheckProof checks a proof file without a store and says what it proves. That
// the key is the node's is for the reader to compare: the proof names it.
func CheckProof(file []byte) (Proof, error) {
	var none Proof
	p, err := readProof(file)
	if err != nil {
		return none, err
	}
	broken := func(format string, args ...any) error {
		return noroshi.Errorf(noroshi.Broken, "proof.broken", "proof does not hold: %w", fmt.Errorf(format, args...))
	}
	if len(p.key) != 32 {
		return none, broken("the checkpoint is not signed")
	}
	cp, err := ledger.Open(p.note, p.key)
	if err != nil {
		return none, broken("%w", err)
	}
	l, err := ledger.Decode[ledger.Leaf](p.leaf)
	if err != nil {
		return none, broken("%w", err)
	}
	if l.Index >= cp.Size {
		return none, broken("act %d is not below the checkpoint's size %d", l.Index, cp.Size)
	}
	if err := tlog.CheckRecord(p.path, int64(cp.Size), cp.Root, int64(l.Index), ledger.LeafHash(p.leaf)); err != nil {
		return none, broken("act %d is not in the tree: %w", l.Index, err)
	}
	if ledger.Root(p.rows) != l.Root {
		return none, broken("the rows are not those act %d wrote", l.Index)
	}
	key := sum(p.key)
	proves := Proof{Index: l.Index, Action: noroshi.Action(l.Action), Time: fromMicros(l.Time), Rows: len(p.rows),
		Ledger: cp.Origin, Acts: cp.Size, Key: hex.EncodeToString(key[:])}
	for _, row := range p.shown {
		text, err := describeRow(row)
		if err != nil {
			return none, broken("%w", err)
		}
		proves.Shows = append(proves.Shows, text)
	}
	return proves, nil
}

// describeRow says what an object's or message's row proves.
func describeRow(row []byte) (string, error) {
	var v []any
	if err := cbor.Unmarshal(row, &v); err != nil || len(v) < 5 {
		return "", fmt.Errorf("row is damaged")
	}
	name, _ := v[0].(string)
	for _, t := range tables {
		if t.name != name {
			continue
		}
		field := func(column string) any {
			at := 2
			for i, c := range t.columns {
				if c == column && at < len(v) {
					return v[at]
				}
				if t.kinds[i] != 'x' {
					at++
				}
			}
			return nil
		}
		if t == objectTable {
			return fmt.Sprintf("object %v with SHA-256 %x", field("sid"), field("hash")), nil
		}
		return fmt.Sprintf("message %x, sequence %v of epoch %x", field("id"), field("seq"), field("epoch")), nil
	}
	return "", fmt.Errorf("row of unknown table %q", name)
}
