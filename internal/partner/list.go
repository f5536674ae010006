package partner

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// Row is a partner as lists show it.
type Row struct {
	noroshi.Partner
	Fingerprint string `json:"fingerprint"` // what their officer reads aloud
	Ours        string `json:"ours"`        // what ours reads to them
	KeysFresh   bool   `json:"keys_fresh"`  // its node confirmed its keys lately
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

// Partner finds one by call sign or node id, or NotFound.
func (o *Office) Partner(ctx context.Context, name string) (Row, error) {
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

func (o *Office) row(ctx context.Context, p noroshi.Partner) (Row, error) {
	ks, err := o.keyset(ctx, o.store.Reads, p.Node)
	if err != nil {
		return Row{}, err
	}
	p.GateIn, p.GateOut = nil, nil
	return Row{Partner: p, Fingerprint: ks.Fingerprint(), Ours: o.Fingerprint(), KeysFresh: ks.Fresh(o.o.Now()), KeyVersion: ks.Version}, nil
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
	State        string           `json:"state"`               // "proposed", "countersigned" (both signed, not begun), "in-force", "suspended", "superseded", "over"
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
	for _, file := range docs {
		r, err := o.agreementRow(ctx, file)
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
	return o.agreementRow(ctx, file)
}

func (o *Office) agreementRow(ctx context.Context, file []byte) (r AgreementRow, err error) {
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		return r, err
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

// emergency returns the emergency declared under an agreement while it lasts.
func (o *Office) emergency(ctx context.Context, h noroshi.Hash) (*noroshi.Emergency, error) {
	body, err := o.store.Doc(ctx, noroshi.DocEmergency, h.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	var e noroshi.Emergency
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || !e.At(o.o.Now()) {
		return nil, err
	}
	return &e, nil
}
