package partner

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// Row is a partner as lists show it.
type Row struct {
	noroshi.Partner
	Fingerprint string `json:"fingerprint,omitempty"` // what their officer read aloud; "" before it was heard, or it could be pasted instead
	Ours        string `json:"ours"`                  // what ours reads to them
	KeysFresh   bool   `json:"keys_fresh"`            // its node confirmed its keys lately
	KeyVersion  uint64 `json:"key_version"`
}

// Partners lists every partner by call sign. Gate secrets are left out.
func (o *Office) Partners(ctx context.Context) ([]Row, error) {
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return nil, err
	}
	rows := []Row{}
	for _, p := range all {
		r, err := o.row(ctx, p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// Partner finds one by call sign or node id, or NotFound; no name is Invalid.
func (o *Office) Partner(ctx context.Context, name string) (Row, error) {
	if name == "" {
		_, err := noroshi.ParseCallSign(name)
		return Row{}, err
	}
	var node noroshi.NodeID
	p, err := o.byCallSign(ctx, noroshi.CallSign(name))
	if noroshi.KindOf(err) == noroshi.NotFound && node.UnmarshalText([]byte(name)) == nil {
		p, err = partner(ctx, o.store.Reads, node)
	}
	if err != nil {
		return Row{}, err
	}
	return o.row(ctx, p)
}

// CallSign returns a partner's call sign; NotFound when there is no such partner.
// Lists name partners on every row: their keys are not looked at.
func (o *Office) CallSign(ctx context.Context, node noroshi.NodeID) (noroshi.CallSign, error) {
	p, err := partner(ctx, o.store.Reads, node)
	return p.Organisation.CallSign, err
}

func (o *Office) row(ctx context.Context, p noroshi.Partner) (Row, error) {
	ks, err := o.keyset(ctx, o.store.Reads, p.Node)
	if err != nil {
		return Row{}, err
	}
	p.GateIn, p.GateOut = nil, nil
	r := Row{Partner: p, Ours: o.Fingerprint(), KeysFresh: ks.Fresh(o.o.Now()), KeyVersion: ks.Version}
	if p.Trust == noroshi.Introduced || p.Trust == noroshi.InForce {
		r.Fingerprint = ks.Fingerprint()
	}
	return r, nil
}

// AgreementRow is an agreement as lists show it.
type AgreementRow struct {
	Hash         noroshi.Hash     `json:"hash"`
	Partner      noroshi.NodeID   `json:"partner"`
	CallSign     noroshi.CallSign `json:"call_sign"`
	Version      int              `json:"version"`
	TitleEN      string           `json:"title_en"`
	TitleJA      string           `json:"title_ja"`
	From         time.Time        `json:"from"`
	Until        time.Time        `json:"until"`
	SightingMark string           `json:"sighting_mark"`
	Clauses      []noroshi.Clause `json:"clauses"`
	File         []byte           `json:"-"`                   // the exact text that is signed
	State        string           `json:"state"`               // "proposed", "countersigned" (both signed, not begun), "in-force", "suspended", "superseded", "over", "unreadable"
	SignedBy     []string         `json:"signed_by,omitempty"` // release officers here
	Signing

	Emergency *noroshi.Emergency `json:"emergency,omitempty"` // declared here, while it lasts
}

// Agreements lists every agreement we hold: by partner, newest version first.
func (o *Office) Agreements(ctx context.Context) ([]AgreementRow, error) {
	docs, err := o.store.Docs(ctx, noroshi.DocAgreement)
	if err != nil {
		return nil, err
	}
	rows := []AgreementRow{}
	for key, file := range docs {
		var h noroshi.Hash
		if err := h.UnmarshalText([]byte(key)); err != nil {
			return nil, err
		}
		r, err := o.agreementRow(ctx, h, file)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b AgreementRow) int {
		return cmp.Or(compare(string(a.CallSign), string(b.CallSign)), cmp.Compare(b.Version, a.Version), compare(a.Hash.String(), b.Hash.String()))
	})
	return rows, nil
}

// Agreement returns one by its hash, or NotFound.
func (o *Office) Agreement(ctx context.Context, h noroshi.Hash) (AgreementRow, error) {
	file, err := o.store.Doc(ctx, noroshi.DocAgreement, h.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return AgreementRow{}, noroshi.Errorf(noroshi.NotFound, "agreement.none", "no agreement %s", h)
	}
	if err != nil {
		return AgreementRow{}, err
	}
	return o.agreementRow(ctx, h, file)
}

func (o *Office) agreementRow(ctx context.Context, h noroshi.Hash, file []byte) (r AgreementRow, err error) {
	a, err := noroshi.ParseAgreement(file)
	if err != nil || a.Hash != h {
		return o.unreadable(ctx, h, file)
	}
	other, _ := a.Other(o.o.Keys.NodeID())
	r = AgreementRow{Hash: a.Hash, Partner: other.Node, CallSign: other.CallSign, Version: a.Version, TitleEN: a.TitleEN, TitleJA: a.TitleJA,
		From: a.From, Until: a.Until, SightingMark: a.SightingMark, Clauses: a.Clauses, File: file, State: "proposed"}
	var officers []noroshi.Signed
	if r.Signing, officers, err = o.signing(ctx, o.store.Reads, a, other.Node); err != nil {
		return r, err
	}
	if r.Emergency, err = o.emergency(ctx, a.Hash); err != nil {
		return r, err
	}
	for _, s := range officers {
		r.SignedBy = append(r.SignedBy, s.Person)
	}
	switch {
	case !o.o.Now().Before(a.Until):
		r.State = "over"
	case r.Suspended:
		r.State = "suspended"
	case r.InForce && o.o.Now().Before(a.From):
		r.State = "countersigned"
	case r.InForce:
		r.State = "in-force"
	case r.Ours && r.Theirs && r.Waits:
		r.State = "countersigned"
	case r.Ours && r.Theirs:
		r.State = "superseded"
	}
	return r, nil
}

// unreadable is the row of a kept agreement that cannot be read, or has other
// bytes than were signed: it is not in force, whoever signed it.
func (o *Office) unreadable(ctx context.Context, h noroshi.Hash, file []byte) (AgreementRow, error) {
	r := AgreementRow{Hash: h, Version: versionOf(file), File: file, State: "unreadable"}
	all, err := partners(ctx, o.store.Reads)
	for _, p := range all {
		if p.Agreement == h || slices.Contains(p.Proposed, h) {
			r.Partner, r.CallSign = p.Node, p.Organisation.CallSign
		}
	}
	return r, err
}

// versionOf reads an agreement's version out of a file whatever else is wrong
// with it; 0 when it has none.
func versionOf(file []byte) int {
	var a struct {
		Version int `toml:"version"`
	}
	if toml.Unmarshal(file, &a) != nil {
		return 0
	}
	return a.Version
}

// Agreed lists for each partner the agreement that both signed last, also where
// it is over or cannot be read.
func (o *Office) Agreed(ctx context.Context) (list []AgreementRow, err error) {
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Agreement.IsZero() {
			continue
		}
		r, err := o.Agreement(ctx, p.Agreement)
		if noroshi.KindOf(err) == noroshi.NotFound {
			r, err = o.unreadable(ctx, p.Agreement, nil)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// emergency returns the emergency declared under an agreement while it lasts.
func (o *Office) emergency(ctx context.Context, h noroshi.Hash) (*noroshi.Emergency, error) {
	e, err := store.DocOf[noroshi.Emergency](ctx, o.store.Reads, noroshi.DocEmergency, h.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	if err != nil || !e.At(o.o.Now()) {
		return nil, err
	}
	return &e, nil
}
