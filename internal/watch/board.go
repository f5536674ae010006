package watch

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Ack is one acknowledgement here. The name of the person stays here; the
// partner learns the role.
type Ack struct {
	Person string       `json:"person"`
	Role   noroshi.Role `json:"role"`
	Time   time.Time    `json:"time"`
	Hash   noroshi.Hash `json:"hash"` // of the bytes that were shown
}

// Row is a warning as lists show it.
type Row struct {
	noroshi.Warning
	TitleJA   string         `json:"title_ja,omitempty"`
	TextJA    string         `json:"text_ja,omitempty"`
	Words     int64          `json:"words_seq,omitempty"` // of the translation that says them
	Seq       int64          `json:"seq"`
	Hash      noroshi.Hash   `json:"hash"`             // of the exact bytes: what an acknowledgement is bound to
	From      noroshi.NodeID `json:"from,omitzero"`    // partner that sent it; zero = made here, or imported
	Message   noroshi.Hash   `json:"message,omitzero"` // in which
	CallSign  string         `json:"call_sign"`        // of that partner, ours, or the name of the source
	Published time.Time      `json:"published"`
	Received  time.Time      `json:"received,omitzero"` // when its first version came in
	AckDue    time.Time      `json:"ack_due,omitzero"`  // by the agreement's clock
	Acks      []Ack          `json:"acks,omitempty"`
	Events    int            `json:"events"` // counted by sightings of its indicators on its day
	Withdrawn bool           `json:"withdrawn,omitempty"`
	Replaced  stix.ID        `json:"replaced_by,omitempty"`

	owner    string    // source whose word it is
	modified stix.Time // of the version shown
}

// Open reports whether somebody still has to acknowledge it.
func (r Row) Open() bool { return len(r.Acks) == 0 && !r.Withdrawn && r.Replaced == "" }

// Late reports whether the acknowledgement the agreement asks for is overdue.
func (r Row) Late(now time.Time) bool {
	return r.Open() && !r.AckDue.IsZero() && now.After(r.AckDue)
}

// In returns title and text in a language, English where there is none.
func (r Row) In(l locale.Lang) (title, text string) {
	if l == locale.JA && r.TitleJA != "" {
		return r.TitleJA, r.TextJA
	}
	return r.Title, r.Text
}

// docAck holds the acknowledgements of a warning; key: its id; body: []Ack.
const docAck = "acknowledgement"

// board is every warning here, ours and partners', in memory and equal to the
// store up to seq.
type board struct {
	mu     sync.Mutex // guards everything below
	loaded bool
	seq    int64
	rows   map[stix.ID]*Row
	about  map[stix.ID][]stix.ID // indicator to warnings that refer to it
	stale  map[stix.ID]bool      // warnings whose Events must be counted anew
	newer  map[stix.ID][]stix.ID // warning to those that say they replace it
	words  map[voice]wording     // also those that came before their report
}

// voice names a report and the source that speaks of it: only the source of a
// warning and this node give it another language.
type voice struct {
	report stix.ID
	owner  string
}

// wording is a Japanese text of one version of a report.
type wording struct {
	said
	id   stix.ID
	seq  int64 // of what says it
	says noroshi.Translation
}

// catchUp brings the board up to the store; the lock is held.
func (w *Watch) catchUp(ctx context.Context) error {
	b := &w.board
	if !b.loaded {
		if err := w.loadBoard(ctx); err != nil {
			return err
		}
	}
	for {
		changes, err := w.store.Feed(ctx, b.seq, 1000)
		if err != nil || len(changes) == 0 {
			return err
		}
		for _, c := range changes {
			if err := w.notice(ctx, c); err != nil {
				return err
			}
		}
		b.seq = changes[len(changes)-1].Seq
	}
}

// loadBoard reads every warning and translation once.
func (w *Watch) loadBoard(ctx context.Context) error {
	b := &w.board
	head, err := w.store.Head(ctx)
	if err != nil {
		return err
	}
	b.rows, b.about, b.stale = map[stix.ID]*Row{}, map[stix.ID][]stix.ID{}, map[stix.ID]bool{}
	b.newer, b.words = map[stix.ID][]stix.ID{}, map[voice]wording{}
	var found []int64
	for _, typ := range []string{"language-content", "report"} {
		err := w.store.Each(ctx, typ, 0, func(r store.Record) error {
			found = append(found, r.Seq)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for len(found) > 0 {
		n := min(len(found), 500)
		records, err := w.store.Records(ctx, found[:n])
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := w.post(ctx, r); err != nil {
				return err
			}
		}
		found = found[n:]
	}
	b.seq, b.loaded = head, true
	return nil
}

// notice takes one change onto the board.
func (w *Watch) notice(ctx context.Context, c store.Change) error {
	b := &w.board
	id := stix.ID(c.ID)
	typ, _, _ := strings.Cut(c.ID, "--")
	switch c.Kind {
	case store.AckGiven:
		return w.readAcks(ctx, id)
	case store.ObjectWithdrawn:
		if typ == "language-content" {
			r, err := w.store.Current(ctx, id)
			if err != nil {
				return noNews(err)
			}
			return w.post(ctx, r)
		}
		if row := b.rows[id]; row != nil {
			r, err := w.store.Current(ctx, id) // another's copy may have been withdrawn
			switch {
			case noroshi.KindOf(err) == noroshi.NotFound: // none counts: two bodies
				row.Withdrawn = true
			case err != nil:
				return err
			default:
				row.Withdrawn = r.Withdrawn || r.Object.Revoked
			}
		}
	case store.ObjectChanged:
		if typ != "report" && typ != "language-content" && typ != "sighting" {
			return nil
		}
		records, err := w.store.Records(ctx, []int64{c.Seq})
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := w.post(ctx, r); err != nil {
				return err
			}
		}
	case store.MarkingAssigned:
		return w.relabel(ctx, c.ID)
	}
	return nil
}

// post puts one record where it belongs: a warning becomes a row, its Japanese
// words go with it, a sighting makes its warnings count anew.
func (w *Watch) post(ctx context.Context, r store.Record) error {
	b := &w.board
	if !r.Current || r.Conflict {
		return nil
	}
	switch r.Object.Type {
	case "sighting":
		s, err := r.Object.Sighting()
		if err != nil {
			return nil // admitted all the same; it counts nothing
		}
		for _, id := range b.about[s.SightingOf] {
			b.stale[id] = true
		}
	case "language-content":
		if of, text, ok := readWording(r.Object); ok {
			text.seq = r.Seq
			v := voice{of, r.Source.Owner()}
			switch gone := r.Withdrawn || r.Object.Revoked; {
			case !gone:
				b.words[v] = text
			case b.words[v].id == r.Object.ID:
				delete(b.words, v)
			}
			b.speak(of)
		}
	case "report":
		warning, ok := noroshi.WarningOf(r.Object)
		if !ok {
			return nil
		}
		return w.postWarning(ctx, r, warning)
	}
	return nil
}

// noNews drops the error of what has no version that counts.
func noNews(err error) error {
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	return err
}

func (w *Watch) postWarning(ctx context.Context, r store.Record, warning noroshi.Warning) error {
	b := &w.board
	row := &Row{Warning: warning, Seq: r.Seq, Hash: r.Hash, Withdrawn: r.Withdrawn || r.Object.Revoked,
		Published: r.Object.Modified.Time(), owner: r.Source.Owner(), modified: r.Object.Modified}
	if t, err := stix.ParseTime(r.Object.Text("published")); err == nil {
		row.Published = t.Time()
	}
	row.Label = labelOf(r)
	if err := w.origin(ctx, r, row); err != nil {
		return err
	}
	if old := b.rows[row.ID]; old != nil {
		row.Received, row.Acks, row.Replaced = old.Received, old.Acks, old.Replaced
	} else {
		for _, ref := range row.Refs {
			b.about[ref] = append(b.about[ref], row.ID)
		}
		if row.Replaces != "" {
			b.newer[row.Replaces] = append(b.newer[row.Replaces], row.ID)
		}
	}
	b.rows[row.ID] = row
	b.stale[row.ID] = true
	b.speak(row.ID)
	b.replace(row.ID)
	b.replace(row.Replaces)
	return w.readAcks(ctx, row.ID)
}

// replace marks a warning that another one of the same source says it replaces.
func (b *board) replace(id stix.ID) {
	row := b.rows[id]
	if row == nil {
		return
	}
	for _, by := range b.newer[id] {
		if other := b.rows[by]; other != nil && other.owner == row.owner && !other.Withdrawn {
			row.Replaced = by
		}
	}
}

// speak gives a row its Japanese words when they are of the version shown and a
// person answers for them: a translation of an older version, or a program's that
// nobody checked, is not shown as if it said what stands there. What its source
// does not say in Japanese, this node's own translation does.
func (b *board) speak(id stix.ID) {
	row := b.rows[id]
	if row == nil {
		return
	}
	row.TitleJA, row.TextJA, row.Words = "", "", 0
	for _, owner := range []string{row.owner, noroshi.Source{Kind: noroshi.FromSelf}.Owner()} {
		words := b.words[voice{id, owner}]
		if words.Title != "" && !words.says.StaleAt(row.modified) && !words.says.Unchecked() {
			row.TitleJA, row.TextJA, row.Words = words.Title, words.Text, words.seq
			return
		}
	}
}

// origin says where a warning came from, when, and until when it is to be
// acknowledged.
func (w *Watch) origin(ctx context.Context, r store.Record, row *Row) error {
	entries, err := w.store.Acts(ctx, r.Act, 1)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		row.Received = entries[0].Time
	}
	switch r.Source.Kind {
	case noroshi.FromSelf:
		row.CallSign = string(w.o.Self.CallSign)
		return nil
	case noroshi.FromPartner:
	default:
		row.CallSign = r.Source.Name
		return nil
	}
	row.From, row.Message = r.Source.Partner, r.Source.Message
	p, err := store.DocOf[noroshi.Partner](ctx, w.store.Reads, noroshi.DocPartner, r.Source.Partner.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		row.CallSign = r.Source.Partner.String()
		return nil
	}
	if err != nil {
		return err
	}
	row.CallSign = string(p.Organisation.CallSign)
	a, err := w.agreementOf(ctx, p)
	if err != nil || a == nil {
		return err
	}
	if clock := a.ClockFor(row.Precedence); clock.Ack > 0 {
		row.AckDue = row.Received.Add(clock.Ack)
	}
	return nil
}

// relabel shows the label of a warning whose marking was assigned just now.
func (w *Watch) relabel(ctx context.Context, decimal string) error {
	seq, err := strconv.ParseInt(decimal, 10, 64)
	if err != nil {
		return nil
	}
	records, err := w.store.Records(ctx, []int64{seq})
	if err != nil {
		return err
	}
	for _, r := range records {
		if row := w.board.rows[r.Object.ID]; row != nil && row.Seq == seq {
			row.Label = labelOf(r)
		}
	}
	return nil
}

// labelOf is the label as far as this room can tell: TLP. Whatever else stands
// on the object is for the exit gate to understand.
func labelOf(r store.Record) string {
	var l noroshi.Label
	for _, id := range append(append([]stix.ID{}, r.Object.Markings...), r.Assigned...) {
		l = l.Join(noroshi.Label{TLP: noroshi.TLPOf(id)})
	}
	return l.String()
}

func (w *Watch) readAcks(ctx context.Context, id stix.ID) error {
	row := w.board.rows[id]
	if row == nil {
		return nil
	}
	acks, err := acksOf(ctx, w.store.Reads, id)
	row.Acks = acks
	return err
}

func acksOf(ctx context.Context, r store.Reads, id stix.ID) ([]Ack, error) {
	return store.DocOrZero[[]Ack](ctx, r, docAck, string(id))
}

// readWording reads the Japanese text of a report from a language-content
// (STIX 2.1 §7.1).
func readWording(o *stix.Object) (of stix.ID, words wording, ok bool) {
	of = stix.ID(o.Text("object_ref"))
	if of.Type() != "report" {
		return "", words, false
	}
	ja := noroshi.SaidIn(o)[string(locale.JA)]
	if ja.Name == "" {
		return "", words, false
	}
	words.said = said{Title: ja.Name, Text: ja.Description}
	words.id = o.ID
	words.says, _ = noroshi.TranslationOf(o)
	return of, words, true
}
