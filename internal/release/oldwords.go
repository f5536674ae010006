package release

import (
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// languageContent is the type of translations (STIX 2.1 §7.1).
const languageContent = "language-content"

// OldWords is a translation of another version of an object than the one that
// waits: were it renewed, it would be for the partner too. The object cannot be
// approved as if it had none.
type OldWords struct {
	Words store.Record
	Of    store.Record // what waits
}

// OldWords returns what there is of a hold's members in the words of another
// version, by id. What would stay for another reason as well, such as its
// marking, or because nobody has answered for a program's words, is none of it.
func (d *Desk) OldWords(ctx context.Context, g store.HoldGroup) (list []OldWords, err error) {
	ids, err := d.wordsOf(ctx, g)
	if err != nil {
		return nil, err
	}
	var seqs []int64
	for _, id := range ids {
		w, err := d.oldWords(ctx, g, id)
		if err != nil {
			return nil, err
		}
		if w != nil {
			list, seqs = append(list, *w), append(seqs, w.Words.Seq)
		}
	}
	if len(seqs) == 0 {
		return nil, nil
	}
	now, err := d.Previews(ctx, seqs, g.Partner)
	if err != nil {
		return nil, err
	}
	stays := map[int64]bool{}
	for _, p := range now {
		stays[p.Record.Seq] = slices.ContainsFunc(p.Decision.Reasons, func(r noroshi.Reason) bool {
			return r.Outcome == noroshi.Deny && r.Code != otherVersion
		})
	}
	return slices.DeleteFunc(list, func(w OldWords) bool { return stays[w.Words.Seq] }), nil
}

// oldWords returns a translation in use, if it is of another version of a member
// of a hold.
func (d *Desk) oldWords(ctx context.Context, g store.HoldGroup, id stix.ID) (*OldWords, error) {
	var w OldWords
	var err error
	if w.Words, err = d.store.Current(ctx, id); err == nil {
		says, _ := noroshi.TranslationOf(w.Words.Object)
		w.Of, err = d.store.Current(ctx, says.Of)
	}
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	says, _ := noroshi.TranslationOf(w.Words.Object)
	if w.Words.Withdrawn || w.Words.Object.Revoked || !says.Stale(w.Of.Object) {
		return nil, nil
	}
	in, err := d.store.HoldMembers(ctx, g.ID, w.Of.Seq-1, 1)
	if err != nil || len(in) == 0 || in[0].Seq != w.Of.Seq {
		return nil, err
	}
	return &w, nil
}

// wordsOf returns the translations of a hold's members, of whatever version. A
// hold of 100,000 members is looked through once, and again when it changes or a
// translation comes.
func (d *Desk) wordsOf(ctx context.Context, g store.HoldGroup) ([]stix.ID, error) {
	last, err := d.store.LastOfType(ctx, languageContent)
	if err != nil || last == 0 {
		return nil, err
	}
	point, err := d.store.HoldPoint(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	key := wordsKey{outlineKey{point: point, opened: g.Opened.UnixMicro(), count: g.Count}, last}
	d.mu.Lock()
	was, known := d.words[g.ID]
	d.mu.Unlock()
	if known && was.made == key {
		return was.ids, nil
	}
	var seqs []int64
	if err := d.members(ctx, g.ID, func(m store.Decided) { seqs = append(seqs, m.Seq) }); err != nil {
		return nil, err
	}
	ids, err := d.store.ReferringTo(ctx, languageContent, seqs)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.words) >= maxOutlines {
		clear(d.words)
	}
	d.words[g.ID] = worded{key, ids}
	return ids, nil
}

// worded are the translations of a hold's members, and what they were found by.
type worded struct {
	made wordsKey
	ids  []stix.ID
}

type wordsKey struct {
	hold outlineKey
	last int64 // version of a translation that there was
}

// ApproveBound is what a person's approval of a hold is bound to, beside the hold:
// its digest and the translations of other versions that they expressly let stay
// behind.
func ApproveBound(digest noroshi.Hash, without []stix.ID) noroshi.Hash {
	if len(without) == 0 {
		return digest
	}
	named := make([]string, len(without))
	for i, id := range without {
		named[i] = string(id)
	}
	slices.Sort(named)
	return noroshi.Sum(append(digest[:], "without "+strings.Join(slices.Compact(named), " ")...))
}

// without returns the ids of translations.
func without(old []OldWords) (ids []stix.ID) {
	for _, w := range old {
		ids = append(ids, w.Words.Object.ID)
	}
	return ids
}

// saidWithout refuses an approval of a hold that does not say of each of its OldWords,
// and of nothing else, that it stays behind.
func saidWithout(hold string, old []OldWords, without []stix.ID) error {
	for _, w := range old {
		if id := w.Words.Object.ID; !slices.Contains(without, id) {
			return noroshi.Errorf(noroshi.Refused, "release.old-translation", "hold %s: %s translates another version of %s than the one that waits: renew or withdraw it, return the hold, or say expressly that it goes without", hold, string(id), string(w.Of.Object.ID))
		}
	}
	for _, id := range without {
		if !slices.ContainsFunc(old, func(w OldWords) bool { return w.Words.Object.ID == id }) {
			return noroshi.Errorf(noroshi.Conflict, "hold.without", "%s is not any more a translation of another version of what waits in hold %s: look at it again", string(id), hold)
		}
	}
	return nil
}

// approval is the digest of an approval of a hold.
func (d *Desk) approval(g store.HoldGroup, digest noroshi.Hash, old []OldWords) noroshi.Hash {
	return noroshi.ActDigest(d.o.Realm, d.o.Node, noroshi.ActApprove, g.ID, ApproveBound(digest, without(old)))
}
