package web

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// AuditRef selects ledger entries: those from an index on, else the latest.
type AuditRef struct {
	From  *uint64 `json:"from,omitempty"`
	Limit int     `json:"limit,omitempty"`
}

// ActRow is one ledger entry as lists show it.
type ActRow struct {
	Index   uint64           `json:"index"`
	Time    string           `json:"time"`
	Action  noroshi.Action   `json:"action"`
	Persons []string         `json:"persons,omitempty"` // who signed it
	Caller  noroshi.Caller   `json:"caller,omitzero"`   // in whose call it was done
	Subject string           `json:"subject,omitempty"`
	Partner noroshi.CallSign `json:"partner,omitempty"`
	Label   string           `json:"label,omitempty"`
	Message noroshi.Hash     `json:"message,omitzero"` // it sent, received or answers
	Count   int              `json:"count,omitempty"`
	Rows    int              `json:"rows"`
	Root    noroshi.Hash     `json:"root"`
}

func auditLog(ctx context.Context, c *Call) (any, error) {
	in := AuditRef{Limit: 100}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	in.Limit = min(max(in.Limit, 1), 10_000)
	if in.From == nil {
		next, err := c.Store.NextAct(ctx)
		if err != nil {
			return nil, err
		}
		next -= min(next, uint64(in.Limit))
		in.From = &next
	}
	acts, err := c.Store.Acts(ctx, *in.From, in.Limit)
	rows, rowOf := []ActRow{}, c.rowsOf(ctx)
	for _, e := range acts {
		rows = append(rows, rowOf(e))
	}
	return rows, err
}

// rowsOf makes the rows of a list: each partner is looked up once.
func (c *Call) rowsOf(ctx context.Context) func(store.Entry) ActRow {
	names := map[noroshi.NodeID]noroshi.CallSign{}
	return func(e store.Entry) ActRow {
		r := ActRow{Index: e.Index, Time: rfc(e.Time), Action: e.Act.Action, Subject: e.Act.Subject, Label: e.Act.Label, Message: e.Act.Message, Caller: e.Act.Caller,
			Count: e.Act.Count, Rows: e.Rows, Root: e.Root}
		if p := e.Act.Partner; p != (noroshi.NodeID{}) {
			if names[p] == "" {
				names[p] = c.callSign(ctx, p)
			}
			r.Partner = names[p]
		}
		for _, p := range e.Act.Persons {
			r.Persons = append(r.Persons, p.Person)
		}
		return r
	}
}

// AuditProgress is told while verifying.
type AuditProgress struct {
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// VerifyRef has files of third witnesses to be compared with the record.
type VerifyRef struct {
	Witness [][]byte `json:"witness,omitempty"`
}

// Audited is what verifying found.
type Audited struct {
	Acts      uint64            `json:"acts"`
	Rows      uint64            `json:"rows"`
	Links     int               `json:"links"`
	Head      noroshi.Hash      `json:"head"`
	Cosigned  []CosignedRow     `json:"cosigned"`
	Witnesses []audit.Witnessed `json:"witnesses,omitempty"`
	Faults    []store.Fault     `json:"faults"`
}

// CosignedRow says how far the ledger of a link is countersigned.
type CosignedRow struct {
	Partner noroshi.CallSign `json:"partner"`
	Entries uint64           `json:"entries"` // of the link's ledger
	Size    uint64           `json:"size"`    // countersigned
	At      string           `json:"at,omitempty"`
	Since   string           `json:"since,omitempty"` // since when an act waits
}

func auditVerify(ctx context.Context, c *Call) (any, error) {
	var in VerifyRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	out, err := c.audited(ctx, func(done, total uint64) { c.Progress(AuditProgress{done, total}) })
	if err != nil {
		return nil, err
	}
	c.Checker.note(out)
	err = c.witnesses(ctx, in, &out)
	return out, err
}

// witnesses compares the files of third witnesses with the record.
func (c *Call) witnesses(ctx context.Context, in VerifyRef, out *Audited) error {
	for _, file := range in.Witness {
		w, err := audit.CheckWitness(ctx, c.Store.Reads, c.Realm, c.Node, file)
		if err != nil {
			return err
		}
		if !w.Fits {
			out.Faults = append(out.Faults, store.Fault{Index: w.Size, Code: "witness", Why: "other", Table: "act", Args: []string{w.By.Node.String()},
				Msg: "node " + w.By.Node.String() + " witnessed another ledger of that size"})
		}
		out.Witnesses = append(out.Witnesses, w)
	}
	return nil
}

// audited verifies the whole record.
func (c *Call) audited(ctx context.Context, progress func(done, total uint64)) (Audited, error) {
	v, err := c.Store.Verify(ctx, progress)
	out := Audited{Acts: v.Acts, Rows: v.Rows, Links: v.Links, Head: v.Head, Cosigned: []CosignedRow{}, Faults: append([]store.Fault{}, v.Faults...)}
	for _, w := range v.Cosigned {
		r := CosignedRow{Partner: c.callSign(ctx, w.Partner), Entries: w.Leaves, Size: w.Size}
		if w.Size > 0 {
			r.At = rfc(w.At)
		}
		if !w.Since.IsZero() {
			r.Since = rfc(w.Since)
		}
		out.Cosigned = append(out.Cosigned, r)
	}
	return out, err
}

// ProveRef names a ledger entry.
type ProveRef struct {
	Index uint64 `json:"index"`
}

func auditProve(ctx context.Context, c *Call) (any, error) {
	var in ProveRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	b, err := c.Store.Prove(ctx, in.Index)
	return string(b), err
}

// QuarantineRow is one thing kept for a person.
type QuarantineRow struct {
	Seq   int64        `json:"seq"`
	Time  string       `json:"time"`
	From  string       `json:"from"`
	Run   string       `json:"run,omitempty"`
	Code  string       `json:"code"`
	Place string       `json:"place"`
	Why   noroshi.Told `json:"why"`
	Size  int64        `json:"size"`

	Released string       `json:"released,omitempty"` // when a person let it in
	By       string       `json:"by,omitempty"`       // who
	Bound    noroshi.Hash `json:"bound"`              // what the signature of who lets it in is bound to
}

func quarantineList(ctx context.Context, c *Call) (any, error) {
	in := ListRef{Limit: 100}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	qs, err := c.Store.QuarantineList(ctx, in.After, min(max(in.Limit, 1), 1000))
	if err != nil {
		return nil, err
	}
	letIn, err := store.DocsOf[intake.LetIn](ctx, c.Store.Reads, intake.DocLetIn)
	rows := []QuarantineRow{}
	for _, q := range qs {
		row := QuarantineRow{Seq: q.Seq, Time: rfc(q.Time), From: c.from(ctx, q.Source), Run: q.Run, Code: q.Code, Place: q.Place, Why: q.Why, Size: q.Size,
			Bound: intake.QuarantineBound(q)}
		if l, ok := letIn[strconv.FormatInt(q.Seq, 10)]; ok {
			row.Released, row.By = rfc(l.At), l.Person
		}
		rows = append(rows, row)
	}
	return rows, err
}

// HeldRow is a partner's message that waits for a person.
type HeldRow struct {
	courier.HeldMessage
	From noroshi.CallSign `json:"from"`
}

func quarantineHeld(ctx context.Context, c *Call) (any, error) {
	held, err := c.Courier.Held(ctx)
	rows := []HeldRow{}
	for _, h := range held {
		rows = append(rows, HeldRow{h, c.callSign(ctx, h.Partner)})
	}
	return rows, err
}

func quarantineDecide(ctx context.Context, c *Call) (any, error) {
	var in courier.HeldDecision
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Courier.DecideHeld(ctx, in)
}

// QuarantineRef names what lies in quarantine, and who lets it in: signed for
// intake.QuarantineSubject over intake.QuarantineBound.
type QuarantineRef struct {
	Seq int64          `json:"seq"`
	By  noroshi.Signed `json:"by"`
}

// LetIn is what came in.
type LetIn struct {
	Object stix.ID `json:"object"`
}

func quarantineRelease(ctx context.Context, c *Call) (any, error) {
	var in QuarantineRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	q, err := c.Gate.InQuarantine(ctx, in.Seq)
	if err != nil {
		return nil, err
	}
	if err := c.signed(ctx, in.By, noroshi.ActImport, intake.QuarantineSubject(q.Seq), intake.QuarantineBound(q)); err != nil {
		return nil, err
	}
	id, err := c.Gate.LetIn(ctx, q, in.By)
	return LetIn{id}, err
}
