package watch

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// write writes hours in acts of at most maxWrite: their sightings, the warnings
// their hits raise, their tallies.
func (w *Watch) write(ctx context.Context, hours []*hour, out *Observed) error {
	for part := range slices.Chunk(hours, maxWrite) {
		if err := w.writePart(ctx, part, out); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watch) writePart(ctx context.Context, hours []*hour, out *Observed) error {
	return numbering(func() error { return w.writeOnce(ctx, hours, out) })
}

func (w *Watch) writeOnce(ctx context.Context, hours []*hour, out *Observed) error {
	hours = slices.DeleteFunc(slices.Clone(hours), func(h *hour) bool { return h.tally.Count == h.written && len(h.first) == 0 })
	if len(hours) == 0 {
		return nil
	}
	now := w.o.Now().UTC()
	var sightings []stix.ID
	salt, err := w.readSalt(ctx)
	if err != nil {
		return err
	}
	where, objects, err := w.where(ctx, salt, now)
	if err != nil {
		return err
	}
	for _, h := range hours {
		h.stamp(now)
		if len(h.tally.Lists) > 0 || h.tally.Count == h.written {
			continue
		}
		o, err := sighting(h.id, w.o.Self.Identity, h.place, h.tally.Count, h.tally.Created, h.tally.Modified, where, h.marks)
		if err != nil {
			return err
		}
		objects = append(objects, o)
		if h.written == 0 {
			sightings = append(sightings, h.id)
		}
	}
	raised, numbers, warnings, err := w.warningsOf(ctx, salt, hours, now)
	if err != nil {
		return err
	}
	p, err := w.gate.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", append(objects, warnings...))
	if err != nil {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActObserve, Subject: string(hours[0].id), Count: len(hours), Precedence: noroshi.Immediate}
	done, err := w.store.Do(ctx, act, func(tx *store.Tx) error {
		a, err := w.gate.Admit(tx, p)
		if err != nil {
			return err
		}
		if a.Quarantined+a.Conflicts+a.Foreign > 0 {
			return noroshi.Errorf(noroshi.Broken, "watch.refused", "the entry gate refused what this node made itself: %v", a.Faults)
		}
		for _, h := range hours {
			if err := h.keep(tx); err != nil {
				return err
			}
		}
		for i, id := range raised {
			if err := takeNumber(ctx, tx, numbers[i], id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, h := range hours {
		h.written = h.tally.Count
		clear(h.first)
	}
	out.Sightings = append(out.Sightings, sightings...)
	out.Warnings = append(out.Warnings, raised...)
	out.Seq = done.Seq
	return nil
}

// stamp sets the times of the version about to be written: modified always
// moves on, by a millisecond at least, whatever the clock does.
func (h *hour) stamp(now time.Time) {
	now = now.Truncate(time.Millisecond)
	switch {
	case h.tally.Created.IsZero():
		h.tally.Created, h.tally.Modified = now, now
	case now.After(h.tally.Modified):
		h.tally.Modified = now
	default:
		h.tally.Modified = h.tally.Modified.Add(time.Millisecond)
	}
}

// warningsOf makes the warnings that the rules ask for and that are not there
// yet: one per indicator, UTC day and strength.
func (w *Watch) warningsOf(ctx context.Context, salt [16]byte, hours []*hour, now time.Time) (ids []stix.ID, numbers []string, objects []*stix.Object, err error) {
	seen := map[stix.ID]bool{}
	for _, h := range hours {
		for _, strength := range []detect.Strength{detect.Strong, detect.Weak} {
			value, hit := h.first[strength]
			rule, ok := RuleFor(strength, value.Kind)
			if !hit || !ok {
				continue
			}
			day := h.Hour.Format(time.DateOnly)
			id := stix.DeriveID("report", salt, "warning\x00"+string(h.Indicator)+"\x00"+day+"\x00"+string(strength))
			held, err := w.store.Held(ctx, []stix.ID{id})
			if err != nil {
				return nil, nil, nil, err
			}
			if held[id] || seen[id] {
				continue
			}
			seen[id] = true
			number, err := w.number(ctx, salt, id, now, numbers...)
			if err != nil {
				return nil, nil, nil, err
			}
			made, err := w.raise(salt, id, number, rule, h, value, now)
			if err != nil {
				return nil, nil, nil, err
			}
			ids, numbers, objects = append(ids, id), append(numbers, number), append(objects, made...)
		}
	}
	return ids, numbers, objects, nil
}

// raise makes the objects of one warning by rule.
func (w *Watch) raise(salt [16]byte, id stix.ID, number string, r Rule, h *hour, value noroshi.Value, now time.Time) ([]*stix.Object, error) {
	t := told{Value: value, Strength: r.Strength, Hour: h.Hour, Action: r.Action}
	texts := map[locale.Lang]said{}
	for _, l := range locale.Langs {
		texts[l] = said{Title: t.title(l), Text: t.text(l)}
	}
	warning := noroshi.Warning{ID: id, Number: number, Severity: r.Severity, Precedence: r.Precedence, Action: r.Action,
		Due: now.Add(r.Due), Refs: []stix.ID{h.Indicator, h.id}}
	report, words, err := warningObjects(warning, texts, translationID(salt, id), w.o.Self.Identity, now, h.marks)
	return []*stix.Object{report, words}, err
}

// translationID derives the id of a warning's Japanese text.
func translationID(salt [16]byte, warning stix.ID) stix.ID {
	return stix.DeriveID("language-content", salt, "translation\x00"+string(warning))
}

// docSalt, under key "sighting", is 16 random bytes that never leave the node.
const docSalt = "salt"

// readSalt returns the node's salt, making it the first time.
func (w *Watch) readSalt(ctx context.Context) ([16]byte, error) {
	w.saltOnce.Lock()
	defer w.saltOnce.Unlock()
	if w.salt != ([16]byte{}) {
		return w.salt, nil
	}
	body, err := w.store.Doc(ctx, docSalt, "sighting")
	if noroshi.KindOf(err) == noroshi.NotFound {
		body = make([]byte, 16)
		rand.Read(body)
		_, err = w.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: docSalt, Precedence: noroshi.Immediate}, func(tx *store.Tx) error {
			if old, err := tx.Doc(ctx, docSalt, "sighting"); err == nil {
				body = old
				return nil
			}
			return tx.PutDoc(docSalt, "sighting", body)
		})
	}
	if err != nil {
		return w.salt, err
	}
	if len(body) != 16 {
		return w.salt, noroshi.Errorf(noroshi.Broken, "watch.salt", "the node's salt has %d bytes, must be 16", len(body))
	}
	w.salt = [16]byte(body)
	return w.salt, nil
}

// sightingMark joins the marks for sightings of every agreement in force;
// TLP:AMBER when there is none.
func (w *Watch) sightingMark(ctx context.Context) (noroshi.TLP, error) {
	partners, err := w.store.Partners(ctx)
	if err != nil {
		return noroshi.NoTLP, err
	}
	mark := noroshi.NoTLP
	for _, p := range partners {
		a, err := w.agreementOf(ctx, p)
		if err != nil {
			return noroshi.NoTLP, err
		}
		if a == nil || !a.InForce(w.o.Now()) {
			continue
		}
		t, err := noroshi.ParseTLP(a.SightingMark)
		if err != nil {
			return noroshi.NoTLP, err
		}
		mark = max(mark, t)
	}
	if mark == noroshi.NoTLP {
		mark = noroshi.Amber
	}
	return mark, nil
}

// agreementOf reads the agreement in force with a partner, nil when there is
// none, or it cannot be read.
func (w *Watch) agreementOf(ctx context.Context, p noroshi.Partner) (*noroshi.Agreement, error) {
	if p.Trust != noroshi.InForce || p.Agreement.IsZero() {
		return nil, nil
	}
	file, err := w.store.Doc(ctx, noroshi.DocAgreement, p.Agreement.String())
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return nil, err
	}
	if a, err := noroshi.ParseAgreement(file); err == nil && a.Hash == p.Agreement {
		return a, nil
	}
	return nil, nil
}

func readTally(body []byte) (t tally, err error) {
	err = json.Unmarshal(body, &t)
	if t.Last == nil {
		t.Last = map[string]time.Time{}
	}
	return t, err
}

func writeTally(t tally) ([]byte, error) { return json.Marshal(t, json.Deterministic(true)) }

func sortHours(list []*hour) {
	slices.SortFunc(list, func(a, b *hour) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Indicator, b.Indicator), cmp.Compare(a.Sensor, b.Sensor))
	})
}

func sortExplained(list []Explained) {
	slices.SortFunc(list, func(a, b Explained) int {
		return cmp.Or(b.Hour.Compare(a.Hour), cmp.Compare(a.Value.String(), b.Value.String()), cmp.Compare(a.Indicator, b.Indicator), cmp.Compare(a.Sensor, b.Sensor))
	})
}
