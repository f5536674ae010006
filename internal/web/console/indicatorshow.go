package console

import (
	"encoding/json"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// dossierData is everything about one object.
type dossierData struct {
	web.Dossier
	Row         foundRow
	Banner      string
	Title       string
	Type        string
	Why         string // not matched, in words
	Claims      []foundRow
	From        []originRow
	At          []copyRow
	Asked       []recallRow
	Exact       string // the bytes, spread out for a reader
	Levels      []noroshi.TLP
	MayWithdraw bool
	MayMark     bool
	Says        bool // something that can be translated
}

// originRow is one version and where it came from.
type originRow struct {
	web.Origin
	How, State string // in words
}

// copyRow is one place where it is, or was on its way to.
type copyRow struct {
	web.Copy
	Word, Shape string
}

// recallRow is a recall of it.
type recallRow struct {
	web.RecallRow
	Word, Asks string
}

func indicatorShow(v *visit) error {
	id, err := stix.ParseID(v.r.PathValue("id"))
	if err != nil {
		return nowhere(v)
	}
	w, err := ask[web.Dossier](v, "indicator.dossier", web.ObjectRef{ID: id})
	if err != nil {
		return err
	}
	return v.show("indicators-show", v.dossier(w))
}

func (v *visit) dossier(w web.Dossier) dossierData {
	d := dossierData{Dossier: w, Row: v.foundRow(w.ObjectRow), Banner: w.Banner.In(v.lang), Type: v.typeName(w.Type), Exact: spread(w.JSON)}
	d.Says = (w.Name != "" || w.Description != "") && w.ObjectRow.Type != "language-content" && w.ObjectRow.Type != "marking-definition"
	d.Title = d.Row.Value
	if d.Title == "" {
		d.Title = string(w.ID)
	}
	if w.Unarmed != "" {
		d.Why = v.t("console.unarmed." + w.Unarmed)
	}
	for _, r := range w.Claims {
		d.Claims = append(d.Claims, v.foundRow(r))
	}
	for _, o := range w.Origins {
		d.From = append(d.From, originRow{o, v.t("console.origin." + string(o.Kind)), v.t("recall.version." + o.State)})
	}
	for _, c := range w.Copies {
		d.At = append(d.At, copyRow{c, v.t("recall.delivery." + c.State), deliveryShapes[c.State]})
	}
	for _, r := range w.Recalls {
		d.Asked = append(d.Asked, recallRow{r, v.recallState(r), v.t("recall.scope." + r.Scope.String())})
	}
	v.offers(&d)
	return d
}

// offers says what the reader may do with it.
func (v *visit) offers(d *dossierData) {
	d.MayWithdraw = v.person.May(noroshi.ActWithdraw) && !d.Withdrawn && !d.Partners
	if !v.person.May(noroshi.ActAssignMarking) || d.ObjectRow.Type == "marking-definition" {
		return
	}
	l, err := noroshi.KeptLabel(d.Label)
	for _, t := range noroshi.TLPs() {
		if err == nil && t > l.TLP {
			d.Levels = append(d.Levels, t)
		}
	}
	d.MayMark = len(d.Levels) > 0
}

// deliveryShapes are the shapes of how far a message has got.
var deliveryShapes = map[string]string{"released": "stby", "held": "cau", "sent": "stby", "stored": "ok", "applied": "ok", "read": "ok", "withheld": "off", "expired": "crit"}

func (v *visit) recallState(r web.RecallRow) string {
	word := v.t("recall.state." + r.State)
	switch {
	case r.Refusal != message.NotRefused:
		word += " · " + v.t("recall.refusal."+r.Refusal.String())
	case r.Late:
		word += " · " + v.t("state.late")
	}
	return word
}

// typeNames are STIX types in words.
func (v *visit) typeNames(types []string) (names []string) {
	for _, typ := range types {
		names = append(names, v.typeName(typ))
	}
	return names
}

// typeName is a STIX type in words; one that has none by its own name.
func (v *visit) typeName(t string) string { return locale.Or(v.lang, "console.type."+t, t) }

// spread writes JSON for a reader; the bytes that are signed are not these.
func spread(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(json.RawMessage(text)) != nil {
		return text
	}
	return b.String()
}

// indicatorWithdraw takes an object of ours out of use here, and asks it back
// from whoever has it.
func indicatorWithdraw(v *visit) error {
	id := v.r.PathValue("id")
	err := v.signedOver(id, func(d web.Dossier) error {
		by, err := v.sign(noroshi.ActWithdraw, id, d.Hash)
		if err == nil {
			_, err = ask[web.Withdrawn](v, "indicator.withdraw", web.SignedRef{Subject: id, By: by})
		}
		return err
	})
	if err != nil {
		return v.again(err, indicatorShow)
	}
	return v.goTo("/indicators/"+id, "object-withdrawn")
}

// indicatorMark assigns a marking, which can only restrict.
func indicatorMark(v *visit) error {
	id := v.r.PathValue("id")
	err := v.signedOver(id, func(d web.Dossier) error {
		level, err := intake.Assignable(v.r.PostFormValue("marking"))
		if err != nil {
			return err
		}
		by, err := v.sign(noroshi.ActAssignMarking, id, intake.MarkBound(d.Hash, level))
		if err == nil {
			_, err = ask[web.Marked](v, "marking.assign", web.MarkRef{Object: stix.ID(id), Marking: level.String(), By: by})
		}
		return err
	})
	if err != nil {
		return v.again(err, indicatorShow)
	}
	return v.goTo("/indicators/"+id, "marked")
}

// signedOver runs what a person signs over the version that they saw: when it is
// another by now they look at it first.
func (v *visit) signedOver(id string, do func(web.Dossier) error) error {
	parsed, err := stix.ParseID(id)
	if err != nil {
		return noroshi.Errorf(noroshi.NotFound, "console.none", "no object %q", id)
	}
	d, err := ask[web.Dossier](v, "indicator.dossier", web.ObjectRef{ID: parsed})
	if err != nil {
		return err
	}
	if v.r.PostFormValue("hash") != d.Hash.String() {
		return noroshi.Errorf(noroshi.Conflict, "console.changed", "%s has changed meanwhile: look at it again", id)
	}
	return do(d)
}
