package console

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// An introduction is four steps, which two persons at each node go: our card to
// them, their card to us, the two fingerprints read aloud, and the link that opens
// by itself once both sides have said that they heard the right one.

// introductionData is where an introduction stands.
type introductionData struct {
	With      noroshi.CallSign // "" = not said yet
	Path      string
	Endpoints []string // of this node, to be put on its card
	NoAddress *noroshi.Error
	Handed    *web.Handed
	CardText  string // our card as letters and digits
	Partner   *partner.Row
	Ours      []string // groups of our fingerprint
	Theirs    []string // of the partner's, once it was heard
	Root      bool     // the partner has a new root that is to be heard
	Mine      bool     // the reader has confirmed
	Link      *linkWord
	Step      int // 1 to 4; 5 = done
}

func introduceForm(v *visit) error {
	d := introductionData{Step: 1}
	if err := v.endpoints(&d); err != nil {
		return err
	}
	return v.show("partners-introduce", d)
}

// endpoints adds where partners reach this node, or why a card cannot say it.
func (v *visit) endpoints(d *introductionData) (err error) {
	d.Endpoints, err = ask[[]string](v, "partner.endpoints", struct{}{})
	if noroshi.CodeOf(err) == "partner.no-endpoint" {
		d.NoAddress = noroshi.Tell(err).Error(noroshi.Invalid)
		return nil
	}
	return err
}

func introduction(v *visit) error {
	d, err := v.introduction()
	if err != nil {
		return err
	}
	return v.show("partners-introduce", d)
}

func (v *visit) introduction() (d introductionData, err error) {
	name := v.r.PathValue("partner")
	row, err := ask[partner.Row](v, "partner.show", web.PartnerRef{Partner: noroshi.CallSign(name)})
	switch {
	case err == nil:
		d.Partner, d.With, d.Path = &row, row.Organisation.CallSign, partnerPath(row)
	case noroshi.KindOf(err) != noroshi.NotFound:
		return d, err
	default:
		if d.With, err = noroshi.ParseCallSign(name); err != nil {
			return d, noroshi.Errorf(noroshi.NotFound, "partner.none", "no partner %s", name)
		}
		d.Path = "/partners/" + name
	}
	if err := v.endpoints(&d); err != nil {
		return d, err
	}
	handed, err := ask[web.Handed](v, "partner.handed", web.HandedRef{For: d.With})
	switch {
	case err == nil:
		d.Handed, d.CardText, d.Ours = &handed, lettered(handed.Card), strings.Fields(handed.Fingerprint)
	case noroshi.KindOf(err) != noroshi.NotFound:
		return d, err
	}
	if d.Partner == nil {
		d.Step = 1
		if d.Handed != nil {
			d.Step = 2
		}
		return d, nil
	}
	return d, v.introducing(&d)
}

// introducing adds where an introduction stands once the partner's card is here.
func (v *visit) introducing(d *introductionData) error {
	p := d.Partner
	if p.Trust == noroshi.Suspended {
		return noroshi.Errorf(noroshi.NotFound, "partner.none", "no partner %s", p.Node)
	}
	d.Ours, d.Theirs, d.Mine = strings.Fields(p.Ours), strings.Fields(p.Fingerprint), slices.Contains(p.ConfirmedBy, v.person.ID)
	if p.Trust == noroshi.CardHeld {
		d.Step = 3
		return nil
	}
	keys, err := ask[partner.KeyList](v, "key.list", struct{}{})
	if err != nil {
		return err
	}
	d.Root = slices.ContainsFunc(keys.Keys, func(k partner.KeyRow) bool {
		return k.Node == p.Node && k.Use == noroshi.KeyRoot && k.State == "waits"
	})
	d.Step, d.Mine = 4, d.Mine && !d.Root
	l, err := ask[courier.LinkStatus](v, "link.show", web.PartnerRef{Partner: noroshi.CallSign(p.Node.String())})
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	d.Link = &linkWord{v.linkShape(l), l, wayName(v.lang, l.Channel)}
	if l.Confirmed {
		d.Step = 5
	}
	return nil
}

// lettered writes a card as lines of letters and digits that go by any text.
func lettered(card []byte) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(card)), 64) {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

func makeCard(v *visit) error {
	sign := noroshi.CallSign(strings.TrimSpace(v.r.PostFormValue("for")))
	if _, err := noroshi.ParseCallSign(string(sign)); err != nil {
		return v.again(err, introduceForm)
	}
	endpoints, err := ask[[]string](v, "partner.endpoints", struct{}{})
	if err != nil {
		return v.again(err, introduceForm)
	}
	by, err := v.sign(noroshi.ActIntroduce, "card/"+string(sign), partner.CardBound(endpoints))
	if err != nil {
		return v.again(err, introduceForm)
	}
	if _, err := ask[[]byte](v, "partner.card", web.CardRef{For: sign, By: by}); err != nil {
		return v.again(err, introduceForm)
	}
	return v.goTo("/partners/"+string(sign)+"/introduce", "card-made")
}

// cardFile hands our card out as a file.
func cardFile(v *visit) error {
	sign := v.r.PathValue("partner")
	if _, err := noroshi.ParseCallSign(sign); err != nil {
		return nowhere(v)
	}
	handed, err := ask[web.Handed](v, "partner.handed", web.HandedRef{For: noroshi.CallSign(sign)})
	if err != nil {
		return err
	}
	return v.handOut(v.ownName("for-"+sign+".card"), "application/octet-stream", handed.Card)
}

// receiveCard takes a partner's card in: a file, or its text.
func receiveCard(v *visit) error {
	form := func(v *visit) error {
		if sign := v.r.FormValue("with"); sign != "" {
			v.r.SetPathValue("partner", sign)
			return introduction(v)
		}
		return v.show("partners-introduce", introductionData{Step: 2})
	}
	card, err := v.card()
	if err != nil {
		return v.again(err, form)
	}
	by, err := v.sign(noroshi.ActIntroduce, "receive", noroshi.Sum(card))
	if err != nil {
		return v.again(err, form)
	}
	p, err := ask[partner.Row](v, "partner.receive", web.ReceiveRef{Card: card, By: by})
	if err != nil {
		return v.again(err, form)
	}
	return v.goTo(partnerPath(p)+"/introduce", "card-received")
}

// card reads the card that was sent with the form.
func (v *visit) card() ([]byte, error) {
	body, err := v.sent("card")
	if err != nil || len(body) > 0 {
		return body, err
	}
	text := strings.Join(strings.Fields(v.r.PostFormValue("text")), "")
	card, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(card) == 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "console.no-card", "no card was chosen or pasted, or the text is not the whole of one")
	}
	return card, nil
}

// heard says that the reader heard the partner read its fingerprint.
func heard(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	fingerprint := v.r.PostFormValue("fingerprint")
	by, err := v.sign(noroshi.ActIntroduce, p.Node.String(), partner.FingerprintBound(fingerprint))
	if err != nil {
		return v.again(err, introduction)
	}
	done, err := ask[web.Confirmed](v, "partner.confirm", web.ConfirmRef{Node: p.Node, Fingerprint: fingerprint, By: by})
	if err != nil {
		return v.again(err, introduction)
	}
	said := "introduced"
	if done.Waiting > 0 {
		said = "heard"
	}
	return v.goTo(partnerPath(p)+"/introduce", said)
}

// named is the partner that the path names.
func (v *visit) named() (partner.Row, error) {
	return ask[partner.Row](v, "partner.show", web.PartnerRef{Partner: noroshi.CallSign(v.r.PathValue("partner"))})
}
