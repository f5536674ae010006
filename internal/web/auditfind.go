package web

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// maxSifted bounds how many entries one look for some of them reads.
const maxSifted = 2000

// AuditSift selects ledger entries, the latest first: those that fit everything
// that is given.
type AuditSift struct {
	Before  *uint64          `json:"before,omitempty"` // entries below this index; nil = from the latest on
	Action  noroshi.Action   `json:"action,omitempty"`
	Person  string           `json:"person,omitempty"`
	Partner noroshi.CallSign `json:"partner,omitempty"`
	From    time.Time        `json:"from,omitzero"` // not before
	Until   time.Time        `json:"until,omitzero"`
	Limit   int              `json:"limit,omitempty"` // at most 200; 0 = 50
}

// AuditFound is a page of entries.
type AuditFound struct {
	Rows []ActRow `json:"rows"`
	Next *uint64  `json:"next,omitempty"` // go on below this index; nil = there is no more
}

// auditFind looks through the record backwards. A page may have few rows, or
// none, and yet a next one: so many entries were looked at.
func auditFind(ctx context.Context, c *Call) (any, error) {
	var in AuditSift
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	in.Limit = min(max(in.Limit, 0), 200)
	if in.Limit == 0 {
		in.Limit = 50
	}
	low, before, err := c.span(ctx, in)
	if err != nil {
		return nil, err
	}
	node, err := c.partnerNode(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	out, rowOf := AuditFound{Rows: []ActRow{}}, c.rowsOf(ctx)
	for looked := 0; before > low; {
		acts, err := c.Store.ActsBefore(ctx, before, 500)
		if err != nil || len(acts) == 0 {
			return out, err
		}
		for _, e := range acts {
			if e.Index < low {
				return out, nil
			}
			before = e.Index
			looked++
			if in.fits(e.Act, node) {
				out.Rows = append(out.Rows, rowOf(e))
			}
			if before > low && (len(out.Rows) == in.Limit || looked == maxSifted) {
				out.Next = &before
				return out, nil
			}
		}
	}
	return out, nil
}

// span are the indices that a look is between: from low to one below high.
func (c *Call) span(ctx context.Context, in AuditSift) (low, high uint64, err error) {
	if high, err = c.Store.NextAct(ctx); err != nil {
		return 0, 0, err
	}
	if !in.From.IsZero() {
		if low, err = c.Store.ActAt(ctx, in.From); err != nil {
			return 0, 0, err
		}
	}
	if !in.Until.IsZero() {
		if high, err = c.Store.ActAt(ctx, in.Until); err != nil {
			return 0, 0, err
		}
	}
	if in.Before != nil {
		high = min(high, *in.Before)
	}
	return low, high, nil
}

func (in AuditSift) fits(a noroshi.Act, node noroshi.NodeID) bool {
	return (in.Action == "" || a.Action == in.Action) && (in.Partner == "" || a.Partner == node) &&
		(in.Person == "" || a.Caller.Person == in.Person || slices.ContainsFunc(a.Persons, func(s noroshi.Signed) bool { return s.Person == in.Person }))
}

// AuditEntry is one ledger entry with everything on record about it.
type AuditEntry struct {
	ActRow
	Precedence noroshi.Precedence `json:"precedence,omitempty"`
	Agreement  noroshi.Hash       `json:"agreement,omitzero"`
	RestsOn    *ActRow            `json:"rests_on,omitempty"` // the decision before it
	Wrote      []store.Wrote      `json:"wrote,omitempty"`
	Signers    []Signer           `json:"signers,omitempty"`
	Leaf       noroshi.Hash       `json:"leaf"` // SHA-256 of the exact bytes in the ledger
}

// Signer is a person's part in an act.
type Signer struct {
	Person string         `json:"person"`
	Name   string         `json:"name,omitempty"`
	Roles  []noroshi.Role `json:"roles,omitempty"` // of their own now
	Key    noroshi.Hash   `json:"key,omitzero"`    // SHA-256 of the public key
	Digest noroshi.Hash   `json:"digest"`          // what they signed
	Good   bool           `json:"good"`            // the signature is that key's

	Passkey string `json:"passkey,omitempty"` // name of the passkey whose key it is; "" = the person's own
}

func auditEntry(ctx context.Context, c *Call) (any, error) {
	var in ProveRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	e, err := c.entry(ctx, in.Index)
	if err != nil {
		return nil, err
	}
	rowOf := c.rowsOf(ctx)
	out := AuditEntry{ActRow: rowOf(e), Precedence: e.Act.Precedence, Agreement: e.Act.Agreement, Wrote: e.Wrote, Leaf: noroshi.Sum(e.Leaf)}
	if e.Act.Previous > 0 {
		before, err := c.entry(ctx, e.Act.Previous-1)
		if err != nil {
			return nil, err
		}
		row := rowOf(before)
		out.RestsOn = &row
	}
	register, err := c.Store.Persons(ctx)
	for _, s := range e.Act.Persons {
		out.Signers = append(out.Signers, signerOf(register[s.Person], s))
	}
	return out, err
}

func (c *Call) entry(ctx context.Context, index uint64) (store.Entry, error) {
	acts, err := c.Store.Acts(ctx, index, 1)
	if err == nil && (len(acts) == 0 || acts[0].Index != index) {
		err = noroshi.Errorf(noroshi.NotFound, "store.no-act", "the ledger has no act %d", index)
	}
	if err != nil {
		return store.Entry{}, err
	}
	return acts[0], nil
}

func signerOf(p noroshi.Person, s noroshi.Signed) Signer {
	out := Signer{Person: s.Person, Name: p.Name, Roles: p.Roles, Digest: s.Digest}
	key := p.Key
	if a, ok := noroshi.UnpackAssertion(s.Signature); ok {
		k, _ := p.Passkey(a.Credential)
		key, out.Passkey = k.Key, k.Name
	}
	if len(key) > 0 {
		out.Key = noroshi.Sum(key)
	}
	out.Good = p.Signed(s.Digest, s.Signature)
	return out
}

// AuditLink says how far a link's ledger is countersigned by the partner, and
// the partner's by this node, without verifying anything.
type AuditLink struct {
	Partner noroshi.CallSign `json:"partner"`
	Entries uint64           `json:"entries"` // of the link's ledger
	Signed  uint64           `json:"signed"`  // of them countersigned by the partner
	Waits   bool             `json:"waits"`   // an act after those waits to be
	Theirs  uint64           `json:"theirs"`  // entries of the partner's ledger countersigned here
}

// AuditHead is the head of the record, and the ledgers of the links.
type AuditHead struct {
	Acts  uint64       `json:"acts"`
	Head  noroshi.Hash `json:"head"`
	Links []AuditLink  `json:"links"`
}

func auditHead(ctx context.Context, c *Call) (any, error) {
	head, _, err := c.Store.LedgerHead(ctx, 0)
	if err != nil {
		return nil, err
	}
	out := AuditHead{Acts: head.Size, Head: head.Root, Links: []AuditLink{}}
	partners, err := c.Office.Partners(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range partners {
		l := AuditLink{Partner: p.Organisation.CallSign}
		if l.Signed, err = audit.LastCosigned(ctx, c.Store.Reads, c.Realm, p.Node); err != nil {
			return nil, err
		}
		if l.Waits, l.Entries, err = c.Store.LinkActed(ctx, p.Node, l.Signed); err != nil {
			return nil, err
		}
		seen, _, err := audit.LastSeen(ctx, c.Store.Reads, c.Realm, p.Node)
		if err != nil {
			return nil, err
		}
		l.Theirs = seen.Head.Size
		out.Links = append(out.Links, l)
	}
	return out, nil
}
