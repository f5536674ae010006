package audit

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// exportHead begins an export: what one node has on record of a link, for a
// joint inquiry (docs/audit.md). Lines of a word and a value in base64 follow.
const exportHead = "noroshi audit export 1"

// Entry is one message of a stream as an export names it.
type Entry struct {
	_       struct{} `cbor:",toarray"`
	Epoch   [16]byte
	Seq     uint64
	ID      [32]byte
	Kind    uint8
	Prec    int64
	Created int64 // seconds since 1970 UTC, by its sender
	State   uint8 // of the stream of the node: store.OutState; of the partner's: store.InState
	Second  bool  // of the partner's stream: another id under a sequence that was taken
}

// Export writes what this node has on record of a link: its leaves of the
// link's ledger under a signed head, both streams by the ids of their messages,
// the partner's cosignatures and the heads of the partner's that were
// countersigned here, and both nodes' keys. No content, subject or person is in
// it.
func Export(ctx context.Context, r store.Reads, n Names, now time.Time, out io.Writer) error {
	partner := n.Partner
	w := &exporter{b: bufio.NewWriterSize(out, 256<<10)}
	fmt.Fprintln(w.b, exportHead)
	w.line("realm", []byte(n.Realm.String()))
	w.line("at", []byte(now.UTC().Format(time.RFC3339)))
	w.line("node", n.Node[:])
	w.line("with", partner[:])
	for _, k := range []struct {
		word string
		id   noroshi.NodeID
	}{{"keyset", n.Node}, {"partner", partner}} {
		docs, err := r.DocVersions(ctx, noroshi.DocKeyset, k.id.String())
		if err != nil {
			return err
		}
		w.lines(k.word, docs)
	}
	note, size, err := r.LinkNote(ctx, partner)
	if err != nil {
		return err
	}
	w.line("head", note)
	if err := w.leaves(ctx, r, partner, size); err != nil {
		return err
	}
	if err := w.out(ctx, r, partner); err != nil {
		return err
	}
	if err := w.in(ctx, r, partner); err != nil {
		return err
	}
	for _, k := range []struct {
		word string
		kind message.Kind
	}{{"cosign", message.CosignKind}, {"seen", message.CheckpointKind}} {
		if err := w.evidence(ctx, r, partner, k.word, uint8(k.kind)); err != nil {
			return err
		}
	}
	w.line("end", nil)
	return w.b.Flush()
}

type exporter struct{ b *bufio.Writer }

func (w *exporter) line(word string, v []byte) {
	fmt.Fprintf(w.b, "%s %s\n", word, base64.StdEncoding.EncodeToString(v))
}

// lines writes values that differ from the one before.
func (w *exporter) lines(word string, list [][]byte) {
	for i, v := range list {
		if i == 0 || string(v) != string(list[i-1]) {
			w.line(word, v)
		}
	}
}

func (w *exporter) leaves(ctx context.Context, r store.Reads, partner noroshi.NodeID, size uint64) error {
	for from := uint64(0); from < size; {
		list, err := r.LinkLeaves(ctx, partner, from, store.MaxPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return noroshi.Errorf(noroshi.Broken, "audit.leaves", "the ledger of the link has %d entries, and none from %d on: run audit verify", size, from)
		}
		for _, l := range list {
			if from < size {
				w.line("leaf", l.Leaf)
				from++
			}
		}
	}
	return nil
}

func (w *exporter) entry(word string, e Entry) error {
	b, err := cbor.Marshal(e)
	if err == nil {
		w.line(word, b)
	}
	return err
}

func (w *exporter) out(ctx context.Context, r store.Reads, partner noroshi.NodeID) error {
	epochs, err := r.Epochs(ctx, partner, true)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		for from := uint64(1); from > 0; {
			list, err := r.Out(ctx, partner, e, from, store.MaxPage)
			if err != nil {
				return err
			}
			from = 0
			for _, m := range list {
				if err := w.entry("out", Entry{Epoch: e, Seq: m.Seq, ID: m.ID, Kind: m.Kind, Prec: int64(m.Prec), Created: m.Created.Unix(), State: uint8(m.State)}); err != nil {
					return err
				}
				from = m.Seq + 1
			}
		}
	}
	return nil
}

func (w *exporter) in(ctx context.Context, r store.Reads, partner noroshi.NodeID) error {
	epochs, err := r.Epochs(ctx, partner, false)
	if err != nil {
		return err
	}
	for _, e := range epochs {
		for from := uint64(1); from > 0; {
			list, err := r.In(ctx, partner, e, from, store.MaxPage)
			if err != nil {
				return err
			}
			from = 0
			for _, m := range list {
				if err := w.entry("in", Entry{Epoch: e, Seq: m.Seq, ID: m.ID, Kind: m.Kind, Prec: int64(m.Prec), Created: m.Created.Unix(), State: uint8(m.State), Second: m.Second}); err != nil {
					return err
				}
				from = m.Seq + 1
			}
		}
	}
	return nil
}

func (w *exporter) evidence(ctx context.Context, r store.Reads, partner noroshi.NodeID, word string, kind uint8) error {
	for before := int64(0); ; {
		rows, err := r.EvidenceOf(ctx, partner, kind, before, store.MaxPage)
		if err != nil {
			return err
		}
		for _, row := range rows {
			before = row.N
			w.line(word, row.Signed)
		}
		if len(rows) < store.MaxPage {
			return nil
		}
	}
}
