package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// ShowRef says what a proof file is to show: one of message, batch, recall and
// receipt.
type ShowRef struct {
	Message noroshi.Hash `json:"message,omitzero"`
	Batch   string       `json:"batch,omitempty"`
	Recall  string       `json:"recall,omitempty"`
	Receipt noroshi.Hash `json:"receipt,omitzero"`
	Partner string       `json:"partner,omitempty"` // call sign, where several links have it
}

// LedgerRef names a ledger: of the link with a partner, or the node's whole one.
type LedgerRef struct {
	Partner string `json:"partner,omitempty"`
	From    uint64 `json:"from,omitempty"` // size a witness signed last
}

// WitnessRef is a file that another node made for a witness.
type WitnessRef struct {
	File []byte `json:"file"`
}

// FileMade says that a file was told whole.
type FileMade struct {
	Bytes int `json:"bytes"`
}

// made tells a file as progress.
func made(c *Call, file []byte, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	_, err = parts{c, ""}.Write(file)
	return FileMade{len(file)}, err
}

func (c *Call) partnerNode(ctx context.Context, callSign string) (noroshi.NodeID, error) {
	if callSign == "" {
		return noroshi.NodeID{}, nil
	}
	p, err := c.Office.Partner(ctx, callSign)
	return p.Node, err
}

func auditShow(ctx context.Context, c *Call) (any, error) {
	var in ShowRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	node, err := c.partnerNode(ctx, in.Partner)
	if err != nil {
		return nil, err
	}
	file, err := audit.Prove(ctx, c.Store.Reads, c.Realm, c.Node,
		audit.Asked{Message: in.Message, Batch: in.Batch, Recall: in.Recall, Receipt: in.Receipt, Partner: node})
	return made(c, file, err)
}

func auditExport(ctx context.Context, c *Call) (any, error) {
	var in LedgerRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, in.Partner)
	if err != nil {
		return nil, err
	}
	w := &counted{parts: parts{c, ""}}
	err = audit.Export(ctx, c.Store.Reads, audit.Names{Realm: c.Realm, Node: c.Node, Partner: p.Node}, c.Now(), w)
	return FileMade{w.n}, err
}

type counted struct {
	parts
	n int
}

func (w *counted) Write(b []byte) (int, error) {
	w.n += len(b)
	return w.parts.Write(b)
}

func auditCheckpoint(ctx context.Context, c *Call) (any, error) {
	var in LedgerRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	node, err := c.partnerNode(ctx, in.Partner)
	if err != nil {
		return nil, err
	}
	file, err := audit.Offer(ctx, c.Store.Reads, c.Realm, c.Node, node, in.From)
	return made(c, file, err)
}

func auditWitness(ctx context.Context, c *Call) (any, error) {
	var in WitnessRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	var file []byte
	_, err := c.Store.Do(ctx, noroshi.Act{Action: noroshi.ActWitness}, func(tx *store.Tx) (err error) {
		public, sign := c.Control()
		file, err = audit.Witness(ctx, tx, c.Node, c.Realm, public, sign, in.File)
		return err
	})
	return made(c, file, err)
}
