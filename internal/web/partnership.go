package web

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// HandedRef names the partner a card was made for.
type HandedRef struct {
	For noroshi.CallSign `json:"for"`
}

// Handed is the last card this node made for a partner.
type Handed struct {
	Card        []byte    `json:"card"`
	Endpoints   []string  `json:"endpoints"` // where the partner finds this node, as it stands on the card
	Until       time.Time `json:"until"`     // so long the card is good
	Fingerprint string    `json:"fingerprint"`
}

// partnerHanded returns a card that was made, for whoever may make it: it carries
// the secret of the gate for that partner.
func partnerHanded(ctx context.Context, c *Call) (any, error) {
	var in HandedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	doc, err := c.Office.Handed(ctx, in.For)
	if err != nil {
		return nil, err
	}
	card, err := message.ParseCard(c.Realm, doc)
	if err != nil {
		return nil, err
	}
	return Handed{doc, card.Endpoints, card.Until, c.Office.Fingerprint()}, nil
}

// SharedRef asks what was released to a partner in the last days.
type SharedRef struct {
	Partner noroshi.CallSign `json:"partner"`
	Days    int              `json:"days,omitempty"` // 0 = 30
}

// SharedRow is what was released to a partner under one clause with one label.
type SharedRow struct {
	Agreement noroshi.Hash `json:"agreement"`
	Clause    string       `json:"clause"`
	ArticleEN string       `json:"article_en,omitempty"`
	ArticleJA string       `json:"article_ja,omitempty"`
	Label     string       `json:"label"`
	Batches   int          `json:"batches"`
	Objects   int          `json:"objects"`
	Last      time.Time    `json:"last"`
}

// sharedDays is for how long what was shared is added up at most.
const sharedDays = 366

func partnerShared(ctx context.Context, c *Call) (any, error) {
	in := SharedRef{}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	if in.Days < 1 {
		in.Days = 30
	}
	list, err := c.Store.SharedSince(ctx, p.Node, c.Now().AddDate(0, 0, -min(in.Days, sharedDays)))
	if err != nil {
		return nil, err
	}
	articles := map[noroshi.Hash][]noroshi.Clause{}
	rows := []SharedRow{}
	for _, s := range list {
		if _, read := articles[s.Agreement]; !read {
			a, err := c.Office.Agreement(ctx, s.Agreement)
			if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
				return nil, err
			}
			articles[s.Agreement] = a.Clauses
		}
		r := SharedRow{Agreement: s.Agreement, Clause: s.Clause, Label: s.Label, Batches: s.Batches, Objects: s.Objects, Last: s.Last}
		if i := slices.IndexFunc(articles[s.Agreement], func(k noroshi.Clause) bool { return k.ID == s.Clause }); i >= 0 {
			r.ArticleEN, r.ArticleJA = articles[s.Agreement][i].ArticleEN, articles[s.Agreement][i].ArticleJA
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// ChangesRef asks for the changes of path of a link, the latest first.
type ChangesRef struct {
	Partner noroshi.CallSign `json:"partner"`
	Before  uint64           `json:"before,omitempty"` // an index in the link's record; 0 = from its end
	Limit   int              `json:"limit,omitempty"`  // 0 = 20
}

// ChangesOfPath are some changes of path as they stand on record.
type ChangesOfPath struct {
	Changes []ChangeOfPath `json:"changes"`
	Next    uint64         `json:"next,omitempty"` // Before of what is older; 0 = nothing is
}

// ChangeOfPath is one of them.
type ChangeOfPath struct {
	Index uint64    `json:"index"` // in the link's record
	Time  time.Time `json:"time"`
	From  string    `json:"from,omitempty"` // channel; "" = none
	To    string    `json:"to,omitempty"`
	Why   string    `json:"why"`             // "failed", "silent", "agreement", "better"
	Count int       `json:"count,omitempty"` // above 1: so many within the minute, of which this is the last
}

// maxChanges bounds the changes of one answer of linkChanges, which looks through a
// page of the link's record.
const maxChanges = 200

// linkChanges reads back in the record of a link.
func linkChanges(ctx context.Context, c *Call) (any, error) {
	in := ChangesRef{}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	limit := 20
	if in.Limit > 0 {
		limit = min(in.Limit, maxChanges)
	}
	if in.Before == 0 {
		if _, in.Before, err = c.Store.LinkActed(ctx, p.Node, math.MaxUint64); err != nil { // its length alone
			return nil, err
		}
	}
	from := in.Before - min(in.Before, store.MaxPage)
	leaves, err := c.Store.LinkLeaves(ctx, p.Node, from, int(in.Before-from))
	if err != nil {
		return nil, err
	}
	out := ChangesOfPath{Changes: []ChangeOfPath{}, Next: from}
	for _, l := range slices.Backward(leaves) {
		if noroshi.Action(l.Action) != noroshi.ActChangePath || l.Index >= in.Before {
			continue
		}
		if len(out.Changes) == limit {
			out.Next = out.Changes[limit-1].Index
			break
		}
		x, _ := courier.SwitchedOf(l.Of)
		out.Changes = append(out.Changes, ChangeOfPath{Index: l.Index, Time: time.UnixMicro(l.Time).UTC(), From: x.From, To: x.To, Why: x.Why, Count: int(l.Count)})
	}
	return out, nil
}
