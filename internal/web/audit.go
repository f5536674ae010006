package web

import (
	"context"
	"errors"
	"io"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
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
	Persons []string         `json:"persons,omitempty"`
	Subject string           `json:"subject,omitempty"`
	Partner noroshi.CallSign `json:"partner,omitempty"`
	Label   string           `json:"label,omitempty"`
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
	rows := []ActRow{}
	for _, e := range acts {
		r := ActRow{Index: e.Index, Time: rfc(e.Time), Action: e.Act.Action, Subject: e.Act.Subject, Label: e.Act.Label,
			Count: e.Act.Count, Rows: e.Rows, Root: e.Root}
		if e.Act.Partner != (noroshi.NodeID{}) {
			r.Partner = c.callSign(ctx, e.Act.Partner)
		}
		for _, p := range e.Act.Persons {
			r.Persons = append(r.Persons, p.Person)
		}
		rows = append(rows, r)
	}
	return rows, err
}

// AuditProgress is told while verifying.
type AuditProgress struct {
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`
}

// Audited is what verifying found.
type Audited struct {
	Acts   uint64        `json:"acts"`
	Rows   uint64        `json:"rows"`
	Links  int           `json:"links"`
	Head   noroshi.Hash  `json:"head"`
	Faults []store.Fault `json:"faults"`
}

func auditVerify(ctx context.Context, c *Call) (any, error) {
	v, err := c.Store.Verify(ctx, func(done, total uint64) { c.Progress(AuditProgress{done, total}) })
	return Audited{v.Acts, v.Rows, v.Links, v.Head, append([]store.Fault{}, v.Faults...)}, err
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
	Seq    int64  `json:"seq"`
	Time   string `json:"time"`
	From   string `json:"from"`
	Run    string `json:"run,omitempty"`
	Code   string `json:"code"`
	Place  string `json:"place"`
	Detail string `json:"detail"`
	Size   int64  `json:"size"`
}

func quarantineList(ctx context.Context, c *Call) (any, error) {
	in := ListRef{Limit: 100}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	qs, err := c.Store.QuarantineList(ctx, in.After, min(max(in.Limit, 1), 1000))
	rows := []QuarantineRow{}
	for _, q := range qs {
		rows = append(rows, QuarantineRow{q.Seq, rfc(q.Time), c.from(ctx, q.Source), q.Run, q.Code, q.Place, q.Detail, q.Size})
	}
	return rows, err
}
