package watch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of what a person writes into a warning.
const (
	maxTitle    = 200    // characters
	maxText     = 10_000 // characters
	MaxRefs     = 100    // objects it is about
	maxAudience = 32
)

// Draft is a warning a person writes, in both languages.
type Draft struct {
	ID         stix.ID            `json:"id"` // made by the author: stix.NewID("report")
	TitleEN    string             `json:"title_en"`
	TitleJA    string             `json:"title_ja"`
	TextEN     string             `json:"text_en"`
	TextJA     string             `json:"text_ja"`
	Severity   noroshi.Severity   `json:"severity"`
	Precedence noroshi.Precedence `json:"precedence"`
	Action     string             `json:"action"` // see Actions
	Due        time.Time          `json:"due,omitzero"`
	Audience   []string           `json:"audience,omitempty"` // call signs
	Replaces   stix.ID            `json:"replaces,omitempty"` // counts as one of Refs: who may not learn of it does not get this one
	Refs       []stix.ID          `json:"refs"`               // at least one object it is about
	Marking    string             `json:"marking"`            // such as tlp:amber
	Marks      []stix.ID          `json:"marks,omitempty"`    // further markings, such as an exercise's
	Machine    locale.Lang        `json:"machine,omitempty"`  // whose words a program drew from the other's
	Checked    bool               `json:"checked,omitempty"`  // and the author has held them against those
}

// Bound is what the author's signature is bound to: the whole draft.
func (d Draft) Bound() noroshi.Hash {
	b, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		panic("watch: a draft of strings and times does not marshal: " + err.Error())
	}
	return noroshi.Sum(b)
}

var actions = []string{"inform", "check", "investigate", "block", "isolate"}

// Actions lists the action codes of warnings, least demanding first; their
// texts are in locale under action.CODE and action.CODE.text.
func Actions() []string { return slices.Clone(actions) }

// Check says what is wrong with a draft, naming the field.
func (d Draft) Check() error {
	bad := func(field, want string) error {
		return noroshi.Errorf(noroshi.Invalid, "warning.field", "warning: %s: %s", field, want)
	}
	long := func(s string, n int) bool { return s == "" || utf8.RuneCountInString(s) > n }
	_, idErr := stix.ParseID(string(d.ID))
	switch {
	case idErr != nil || d.ID.Type() != "report":
		return bad("id", "report--UUID")
	case long(d.TitleEN, maxTitle) || long(d.TitleJA, maxTitle):
		return bad("title_en, title_ja", "1-200")
	case long(d.TextEN, maxText) || long(d.TextJA, maxText):
		return bad("text_en, text_ja", "1-10000")
	case !slices.Contains([]noroshi.Severity{noroshi.Low, noroshi.Medium, noroshi.High, noroshi.Critical}, d.Severity):
		return bad("severity", "low, medium, high, critical")
	case d.Precedence < noroshi.Routine || d.Precedence > noroshi.Flash:
		return bad("precedence", "routine, priority, immediate, flash")
	case !slices.Contains(actions, d.Action):
		return bad("action", "inform, check, investigate, block, isolate")
	case len(d.Refs) == 0 || len(d.Refs) > MaxRefs:
		return bad("refs", "1-100")
	case len(d.Audience) > maxAudience:
		return bad("audience", "0-32")
	case d.Replaces != "" && (d.Replaces.Type() != "report" || d.Replaces == d.ID):
		return bad("replaces", "report--UUID")
	case d.Machine != "" && !slices.Contains(locale.Langs, d.Machine):
		return bad("machine", "en, ja")
	case d.Checked && d.Machine == "":
		return bad("checked", "machine: en, ja")
	case d.Machine == locale.EN && !d.Checked: // the report itself says it
		return noroshi.Errorf(noroshi.Refused, "warning.unchecked", "the English text is a program's: whoever signs the warning must have checked it")
	}
	if _, err := noroshi.ParseTLP(d.Marking); err != nil {
		return err
	}
	for _, a := range d.Audience {
		if _, err := noroshi.ParseCallSign(a); err != nil {
			return err
		}
	}
	return nil
}

// New makes a warning from a draft. The person signs ActWarn over subject
// Draft.ID bound to Draft.Bound(). The same id again is a Conflict. What it
// refers to must be here.
func (w *Watch) New(ctx context.Context, d Draft, by noroshi.Signed) error {
	return numbering(func() error { return w.make(ctx, d, by) })
}

func (w *Watch) make(ctx context.Context, d Draft, by noroshi.Signed) error {
	if _, err := w.ordered(ctx, by, noroshi.ActWarn, string(d.ID), d.Bound()); err != nil {
		return err
	}
	if err := d.Check(); err != nil {
		return err
	}
	if err := w.known(ctx, d.Audience); err != nil {
		return err
	}
	if d.Replaces != "" && !slices.Contains(d.Refs, d.Replaces) {
		d.Refs = append(slices.Clone(d.Refs), d.Replaces)
	}
	held, err := w.store.Held(ctx, append(slices.Clone(d.Refs), d.ID))
	if err != nil {
		return err
	}
	if held[d.ID] {
		return noroshi.Errorf(noroshi.Conflict, "warning.exists", "warning %s is there already", d.ID)
	}
	for _, ref := range d.Refs {
		if !held[ref] {
			return noroshi.Errorf(noroshi.Invalid, "warning.ref", "warning refers to %s, which is not here", ref)
		}
	}
	salt, err := w.readSalt(ctx)
	if err != nil {
		return err
	}
	texts := map[locale.Lang]said{locale.EN: {Title: d.TitleEN, Text: d.TextEN}, locale.JA: {Title: d.TitleJA, Text: d.TextJA}}
	if t, ok := texts[d.Machine]; ok {
		t.labels = noroshi.TranslationLabels(true, d.Checked)
		texts[d.Machine] = t
	}
	warning := noroshi.Warning{ID: d.ID, Severity: d.Severity, Precedence: d.Precedence, Action: d.Action, Due: d.Due,
		Audience: d.Audience, Replaces: d.Replaces, Refs: d.Refs}
	now := w.o.Now()
	if warning.Number, err = w.number(ctx, salt, d.ID, now); err != nil {
		return err
	}
	tlp, err := noroshi.ParseTLP(d.Marking)
	if err != nil {
		return err
	}
	marks := append([]stix.ID{tlp.MarkingID()}, d.Marks...)
	report, words, err := warningObjects(warning, texts, translationID(salt, d.ID), w.o.Self.Identity, now, marks)
	if err != nil {
		return err
	}
	p, err := w.gate.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf, Person: by.Person}, "", []*stix.Object{report, words})
	if err != nil {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActWarn, Persons: []noroshi.Signed{by}, Subject: string(d.ID), Label: tlp.String(),
		Count: 1, Precedence: max(d.Precedence, noroshi.Immediate)}
	_, err = w.store.Do(ctx, act, func(tx *store.Tx) error {
		a, err := w.gate.Admit(tx, p)
		if err == nil && a.New != 2 {
			return noroshi.Errorf(noroshi.Conflict, "warning.exists", "warning %s is there already", d.ID)
		}
		if err == nil && d.Precedence == noroshi.Flash {
			err = w.useFlash(ctx, tx, by.Person)
		}
		if err == nil {
			err = takeNumber(ctx, tx, warning.Number, d.ID)
		}
		return err
	})
	return err
}

// known refuses an audience of which one is no partner, nor this node.
func (w *Watch) known(ctx context.Context, audience []string) error {
	partners, err := w.store.Partners(ctx)
	if err != nil {
		return err
	}
	var signs []string
	for _, p := range partners {
		signs = append(signs, string(p.Organisation.CallSign))
	}
	slices.Sort(signs)
	for _, a := range audience {
		if a != string(w.o.Self.CallSign) && !slices.Contains(signs, a) {
			return noroshi.Errorf(noroshi.Invalid, "warning.audience", "warning is for %s, which is no partner here; partners: %s", a, cmp.Or(strings.Join(signs, ", "), "–"))
		}
	}
	return nil
}

// ordered checks that a person of this node may do the action and signed
// exactly this subject and these bytes.
func (w *Watch) ordered(ctx context.Context, by noroshi.Signed, a noroshi.Action, subject string, bound noroshi.Hash) (noroshi.Person, error) {
	register, err := w.store.Persons(ctx)
	if err != nil {
		return noroshi.Person{}, err
	}
	p := register.At(by.Person, w.o.Now())
	return p, p.Check(by, a, noroshi.ActDigest(w.o.Realm, w.o.Node, a, subject, bound))
}

// Ack acknowledges a warning. The person signs ActAck over subject ID bound to
// the Hash of the row that was shown; a Conflict when another version stands
// there by now. When a partner sent it, Run tells the partner that somebody in
// the person's role has read it. Twice by one person adds nothing.
func (w *Watch) Ack(ctx context.Context, id stix.ID, by noroshi.Signed) error {
	row, err := w.row(ctx, id)
	if err != nil {
		return err
	}
	p, err := w.ordered(ctx, by, noroshi.ActAck, string(id), row.Hash)
	if err != nil {
		return err
	}
	ack := Ack{Person: p.ID, Role: ackRole(p), Time: w.o.Now().UTC(), Hash: row.Hash}
	act := noroshi.Act{Action: noroshi.ActAck, Persons: []noroshi.Signed{by}, Subject: string(id), Partner: row.From,
		Label: row.Label, Message: row.Message, Precedence: noroshi.Immediate}
	_, err = w.store.Do(ctx, act, func(tx *store.Tx) error {
		acks, err := acksOf(ctx, tx.Reads, id)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(acks, func(a Ack) bool { return a.Person == p.ID && a.Hash == row.Hash }) {
			return errKnown
		}
		body, err := json.Marshal(append(acks, ack))
		if err != nil {
			return err
		}
		if err := tx.PutDoc(docAck, string(id), body); err != nil {
			return err
		}
		return tx.Notice(store.AckGiven, string(id))
	})
	if errors.Is(err, errKnown) {
		return nil
	}
	return err
}

// errKnown ends an act that has nothing to add.
var errKnown = noroshi.Errorf(noroshi.Conflict, "warning.acknowledged", "acknowledged already")

// ackRole is the first of a person's roles that may acknowledge.
func ackRole(p noroshi.Person) noroshi.Role {
	for _, r := range p.Roles {
		if noroshi.May(r, noroshi.ActAck) {
			return r
		}
	}
	return ""
}

// readsFollower is the follower that tells partners what was read here.
const readsFollower = "watch-read"

// Tell tells partners, in the order of the feed, that their warnings were
// acknowledged here, until ctx ends; it does so beside the courier. Its place is
// durable: what a crash interrupted is told again, which does no harm. What
// cannot be told now is tried again until it can: no further change may come
// that would remind of it.
func (w *Watch) Tell(ctx context.Context) error {
	after, err := w.store.Cursor(ctx, readsFollower)
	if err != nil {
		return err
	}
	var waiting []stix.ID
	for at := after; ctx.Err() == nil; {
		changes, err := w.store.Feed(ctx, at, 1000)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if at = c.Seq; c.Kind == store.AckGiven && !slices.Contains(waiting, stix.ID(c.ID)) {
				waiting = append(waiting, stix.ID(c.ID))
			}
		}
		n := len(waiting)
		waiting = slices.DeleteFunc(waiting, func(id stix.ID) bool { return w.tell(ctx, id) == nil })
		if len(waiting) == 0 && (n > 0 || at-after >= advanceEvery) {
			after = at
			if err := w.advance(ctx, at); err != nil {
				return err
			}
		}
		if len(changes) > 0 {
			continue
		}
		if err := w.await(ctx, at, len(waiting) > 0); err != nil {
			return err
		}
	}
	return nil
}

// advance keeps how far partners have been told, also when ctx has ended since: who was
// told before an orderly stop is not told again after it.
func (w *Watch) advance(ctx context.Context, at int64) error {
	err := w.store.Advance(ctx, readsFollower, at)
	if err == nil || ctx.Err() == nil {
		return err
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	_ = w.store.Advance(last, readsFollower, at) // or it is told again, which does no harm
	return ctx.Err()
}

// tellAgain is how soon a partner that could not be told is told again. Telling
// is done once it is durable here, so it waits for no partner.
const tellAgain = time.Second

// await waits for the feed to pass a sequence; for tellAgain at most when
// something waits to be told.
func (w *Watch) await(ctx context.Context, after int64, waiting bool) error {
	limit, stop := ctx, context.CancelFunc(func() {})
	if waiting {
		limit, stop = context.WithTimeout(ctx, tellAgain)
	}
	defer stop()
	if err := w.store.Wait(limit, after); err != nil && limit.Err() == nil {
		return err
	}
	return ctx.Err()
}

// advanceEvery is how many changes that need nothing may pass before the
// follower's place is written.
const advanceEvery = 50_000

// tell tells the partner that sent a warning of its last acknowledgement here.
// What can never be told (ours, a partner that is none any more) counts as told.
func (w *Watch) tell(ctx context.Context, id stix.ID) error {
	row, err := w.row(ctx, id)
	if err != nil || row.From == (noroshi.NodeID{}) || len(row.Acks) == 0 {
		return final(err)
	}
	last := row.Acks[len(row.Acks)-1]
	return final(w.reader.ReadBy(ctx, row.From, row.Message, last.Role, last.Time))
}

// final drops errors that trying again does not mend.
func final(err error) error {
	switch noroshi.KindOf(err) {
	case noroshi.NotFound, noroshi.Refused, noroshi.Forbidden, noroshi.Invalid, noroshi.Conflict:
		return nil
	}
	return err
}
