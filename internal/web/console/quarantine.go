package console

import (
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// quarantineRows is how many things one page of the quarantine shows.
const quarantineRows = 50

// quarantineData is what waits for a person.
type quarantineData struct {
	Rows []quarantineRow
	Held []heldRow
	Next int64
	Past bool // this is not the first page
}

// quarantineRow is one thing kept.
type quarantineRow struct {
	web.QuarantineRow
	Why    string
	At     time.Time
	LetIn  time.Time
	MayEnd bool // it can be let in as it is
	Kind   string
}

// heldRow is a partner's message that is kept and had no effect.
type heldRow struct {
	web.HeldRow
	KindName, Why string
}

func quarantine(v *visit) error {
	after, _ := strconv.ParseInt(v.r.FormValue("after"), 10, 64)
	rows, err := ask[[]web.QuarantineRow](v, "quarantine.list", web.ListRef{After: max(after, 0), Limit: quarantineRows})
	if err != nil {
		return err
	}
	d := quarantineData{Past: after > 0}
	for _, r := range rows {
		d.Rows = append(d.Rows, quarantineRow{QuarantineRow: r, Why: v.quarantined(r.Code, r.Why), At: instantOf(r.Time), LetIn: instantOf(r.Released),
			MayEnd: r.Code == intake.CodeProtected && r.Released == "", Kind: locale.Or(v.lang, "quarantine."+r.Code, r.Code)})
	}
	if len(rows) == quarantineRows {
		d.Next = rows[len(rows)-1].Seq
	}
	held, err := ask[[]web.HeldRow](v, "quarantine.held", struct{}{})
	if err != nil {
		return err
	}
	for _, h := range held {
		why := "heldfor.nothing"
		if h.Why != "" {
			why = "heldfor." + h.Why
		}
		d.Held = append(d.Held, heldRow{HeldRow: h, KindName: kindName(v.lang, h.Kind), Why: v.t(why)})
	}
	return v.show("indicators-quarantine", d)
}

// messageKinds are the codes of the kinds of messages.
var messageKinds = map[message.Kind]string{message.Data: "data", message.Recall: "recall", message.RecallDone: "recall-done", message.Tombstone: "tombstone",
	message.Outcome: "outcome", message.Read: "read", message.EpochStart: "epoch", message.Link: "link"}

// kindName names a kind of message; one not known here by its number.
func kindName(l locale.Lang, k message.Kind) string {
	return locale.Or(l, "message."+messageKinds[k], strconv.Itoa(int(k)))
}

// quarantineLetIn lets in what a guard held back.
func quarantineLetIn(v *visit) error {
	id, err := v.fromQuarantine()
	if err != nil {
		return v.again(err, quarantine)
	}
	return v.goTo("/indicators/"+id, "let-in")
}

func (v *visit) fromQuarantine() (string, error) {
	seq, err := strconv.ParseInt(v.r.PathValue("seq"), 10, 64)
	if err != nil {
		return "", noroshi.Errorf(noroshi.NotFound, "console.none", "no such entry")
	}
	rows, err := ask[[]web.QuarantineRow](v, "quarantine.list", web.ListRef{After: seq - 1, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(rows) == 0 || rows[0].Seq != seq {
		return "", noroshi.Errorf(noroshi.NotFound, "console.none", "no such entry")
	}
	by, err := v.sign(noroshi.ActImport, intake.QuarantineSubject(seq), rows[0].Bound)
	if err != nil {
		return "", err
	}
	in, err := ask[web.LetIn](v, "quarantine.release", web.QuarantineRef{Seq: seq, By: by})
	return string(in.Object), err
}

// heldDecide applies a partner's held message, or closes it without effect.
func heldDecide(v *visit) error {
	if err := v.decideHeld(); err != nil {
		return v.again(err, quarantine)
	}
	return v.goTo("/indicators/quarantine", "decided")
}

func (v *visit) decideHeld() error {
	held, err := ask[[]web.HeldRow](v, "quarantine.held", struct{}{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(held, func(h web.HeldRow) bool { return h.Message.String() == v.r.PathValue("message") })
	if i < 0 {
		return noroshi.Errorf(noroshi.NotFound, "console.none", "no such message")
	}
	d := courier.HeldDecision{Message: held[i].Message, Apply: v.r.PostFormValue("decision") == "apply"}
	if d.By, err = v.sign(noroshi.ActDecideHeld, d.Message.String(), courier.HeldBound(d.Message, d.Apply)); err != nil {
		return err
	}
	_, err = ask[any](v, "quarantine.decide", d)
	return err
}
