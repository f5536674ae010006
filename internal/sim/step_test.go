package sim_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// object is one that a node made.
type object struct {
	maker int
	may   bool // others may have it
	sure  bool // and get it without anybody's further word
}

// deed is something a step may do, and how often of a hundred.
type deed struct {
	often int
	do    func(*world, *life)
}

// deeds are done by a node that is up.
var deeds = []deed{
	{24, (*world).importSome},
	{8, (*world).warn},
	{8, (*world).recall},
	{7, (*world).backUp},
	{11, (*world).putBack},
	{8, (*world).light},
	{4, (*world).stop},
	{4, (*world).turnKeys},
	{3, (*world).revoke},
	{3, (*world).suspend},
	{10, (*world).weather},
	{6, (*world).cut},
	{4, (*world).idle},
}

// planted are the deeds that some bugs show in.
var planted = map[bug][]deed{
	forgetful: {{50, (*world).importSome}, {50, (*world).light}},
	unread:    {{70, (*world).importSome}, {30, (*world).forgetRecall}},
	leaky:     {{100, (*world).importSome}},
	talkative: {{100, (*world).importSome}},
	amnesiac:  {{50, (*world).importSome}, {20, (*world).backUp}, {30, (*world).putBack}},
	blind:     {{60, (*world).importSome}, {40, (*world).weather}},
	crowded:   {{30, (*world).importSome}, {40, (*world).warn}, {10, (*world).weather}, {20, (*world).cut}},
}

// step does the next thing the seed says.
func (w *world) step() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	at := w.rng.IntN(100)
	l := n.live.Load()
	if l == nil {
		if at < 50 {
			n.start(nil)
			w.note("%s starts", n.sign)
		}
		return
	}
	w.person(l)
	all := deeds
	if some := planted[w.bug]; some != nil {
		all = some
	}
	for _, d := range all {
		if at -= d.often; at < 0 {
			d.do(w, l)
			return
		}
	}
}

// importSome brings in a few objects, some of which may not go on.
func (w *world) importSome(l *life) {
	mark := []noroshi.TLP{noroshi.Clear, noroshi.Green, noroshi.Green, noroshi.Green, noroshi.Clear, noroshi.Amber, noroshi.Red}[w.rng.IntN(7)]
	var list []string
	for range 1 + w.rng.IntN(4) {
		w.made++
		id := stix.ID(fmt.Sprintf("indicator--00000000"+made+"%012d", w.made))
		if w.bug == strayed { // it is one of theirs
			w.beside.put(id, &object{maker: l.n.i, may: mark <= noroshi.Green})
		} else {
			w.put(id, &object{maker: l.n.i, may: mark <= noroshi.Green, sure: mark <= noroshi.Green})
		}
		named := ""
		if w.bug == talkative && w.made > 1 {
			named = fmt.Sprintf(` after %012d, 00000000`+made+"%012d", w.made-1, w.made-1)
		}
		at, mark := stix.TimeOf(l.n.now()), mark
		if w.bug == leaky && mark == noroshi.Red {
			mark = noroshi.Green
		}
		list = append(list, fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":%q,"modified":%q,"valid_from":%q,"name":%q,"pattern":"[domain-name:value = 'host-%d.example.net']","pattern_type":"stix","object_marking_refs":[%s]}`,
			id, l.n.ident, at, at, at, "name"+named, w.made, w.mould.marks(mark)))
	}
	w.note("%s imports %d %s", l.n.sign, len(list), mark)
	bundle := `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[` + strings.Join(list, ",") + `]}`
	_, err := l.gate.Import(l.ctx, strings.NewReader(bundle), intake.ImportOptions{Name: fmt.Sprint(w.made)})
	w.did(l, "import", err)
}

func (w *world) put(id stix.ID, o *object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[id] = o
	if !o.may {
		w.seen.secret[w.made] = o.maker
	}
}

// did is how a deed ended: it may fail where the node was killed in it.
func (w *world) did(l *life, what string, err error) {
	if err != nil && !l.dead.Load() && noroshi.KindOf(err) != noroshi.Queued {
		w.failf("%s: %s: %v", l.n.sign, what, err)
		return
	}
	if err == nil {
		w.tally(what, 1)
	}
}

// warn makes a warning of a precedence; FLASH goes under the standing rule, so
// often as that says. What is more than it lets go in an hour waits for a person;
// the hours are not told apart, for what a suspension held goes in one.
func (w *world) warn(l *life) { w.alert(l, noroshi.Priority+noroshi.Precedence(w.rng.IntN(3))) }

func (w *world) alert(l *life, prec noroshi.Precedence) {
	w.made++
	id := stix.ID(fmt.Sprintf("report--00000000-0000-4000-8000-%012d", w.made))
	if prec == noroshi.Flash {
		l.n.warned++
	}
	w.put(id, &object{maker: l.n.i, may: true, sure: prec < noroshi.Flash || l.n.warned <= flashes})
	at := stix.TimeOf(l.n.now())
	raw := fmt.Appendf(nil, `{"type":"report","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":%q,"modified":%q,"object_marking_refs":[%s],"name":"w","published":%q,"object_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","precedence":%q}}}`,
		id, l.n.ident, at, at, w.mould.marks(noroshi.Clear), at, l.n.ident, noroshi.WarningExtension, prec)
	w.note("%s warns with %s", l.n.sign, prec)
	ready, err := l.gate.Prepare(noroshi.Source{Kind: noroshi.FromSelf}, "", []intake.Raw{{Bytes: raw}})
	if err == nil {
		_, err = l.store.Do(l.ctx, noroshi.Act{Action: noroshi.ActWarn, Subject: string(id), Precedence: prec}, func(tx *store.Tx) error {
			_, err := l.gate.Admit(tx, ready)
			return err
		})
	}
	w.did(l, "warn", err)
}

// recall takes back something the node made.
func (w *world) recall(l *life) {
	var own []stix.ID
	for id, o := range w.objects {
		if o.maker == l.n.i && o.may && !slices.Contains(w.recalled, id) {
			own = append(own, id)
		}
	}
	slices.Sort(own)
	if len(own) == 0 {
		return
	}
	id := own[w.rng.IntN(len(own))]
	if r, err := l.store.Current(l.ctx, id); err != nil || r.Withdrawn {
		return // lost with what was put back
	}
	w.note("%s recalls %s", l.n.sign, id)
	order := courier.RecallOrder{Object: id, Reason: message.RecallSpill, Scope: message.RecallStopUse}
	plan, err := l.courier.RecallPlan(l.ctx, order)
	if err == nil {
		_, err = l.courier.Recall(l.ctx, order, w.by(l, "sato", noroshi.ActRecall, string(id), plan.Bound))
	}
	if err == nil && !l.dead.Load() { // nothing of it goes from here on but what was on its way
		synctest.Wait()
		w.mu.Lock()
		l.n.known.gone[id] = true
		w.mu.Unlock()
	}
	w.recalled = append(w.recalled, id)
	w.did(l, "recall", err)
}

// forgetRecall has a node recall what no partner can hear of, and puts it back to
// before that: what is left of the recall is the list beside the database.
func (w *world) forgetRecall(l *life) {
	w.mu.Lock()
	for _, y := range w.ways {
		for to := range w.nodes {
			y.cut[[2]int{l.n.i, to}] = true
		}
	}
	w.mu.Unlock()
	w.backUp(l)
	w.recall(l)
	w.putBack(l)
}

// by is a person's signature at a node.
func (w *world) by(l *life, person string, a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Signed {
	return w.mould.sign(person, l.n.id(), a, subject, bound)
}

// backUp takes an image of the node's disk.
func (w *world) backUp(l *life) {
	x := l.disk.image()
	x.known = l.n.known.clone()
	w.backups[l.n.i] = append(w.backups[l.n.i], x)
	w.note("%s is backed up", l.n.sign)
	w.tally("backup", 1)
}

// putBack puts a node back to an earlier backup: by a restore, as a copy of the
// database that tells the node nothing, or as an image of all there was.
func (w *world) putBack(l *life) {
	list := w.backups[l.n.i]
	if len(list) == 0 {
		w.backUp(l)
		return
	}
	x := list[w.rng.IntN(len(list))]
	w.replace(l, x, func() int { return max(0, w.rng.IntN(4)-1) }) // half of all are restores
}

// replace puts a backup in the place of what a node has: as a restore (0), as a copy
// or as an image.
func (w *world) replace(l *life, x image, drawn func() int) {
	n := l.n
	synctest.Wait()
	if w.check(); l.dead.Load() {
		return
	}
	l.kill()
	n.sweep()
	now := n.disk.image()
	n.disk.remove()
	gone, went := n.known.gone, n.known.went
	if n.known = x.known.clone(); w.bug == amnesiac {
		n.known.went = went
	}
	how, leap := drawn(), courier.Leap{}
	if saved := x.keys; how == 0 && w.rng.IntN(2) == 0 && sameRoot(saved, now.keys) {
		x.turned, leap = nil, w.leap(n, saved, now.keys)
	} else {
		x.keys, x.turned = now.keys, now.turned
	}
	if how != 2 {
		x.recalls, x.vault = now.recalls, now.vault
		n.known.gone = gone
	}
	n.disk = newDisk(w.mould.realm, x)
	w.note("%s is put back, as %s", n.sign, []string{"a restore", "a copy", "an image"}[how])
	w.tally([]string{"restored", "copied", "imaged"}[how], 1)
	n.back = true
	n.unseen, n.found = how != 0, false
	w.lose(n)
	var restored func(*life) error
	if how == 0 {
		restored = func(l *life) error { return l.restored(leap) }
	}
	n.start(restored)
}

// restored makes the act of a restore.
func (l *life) restored(leap courier.Leap) error {
	_, err := l.store.Do(l.ctx, noroshi.Act{Action: noroshi.ActRestore, Subject: "restore"}, func(tx *store.Tx) error {
		ks := l.disk.keys.Keyset()
		return errors.Join(courier.BeginAnew(l.ctx, tx, leap), tx.PutDoc(noroshi.DocKeyset, ks.Node.String(), ks.Bytes()))
	})
	return err
}

// sameRoot reports whether partners that hold a KEYSET believe one that follows a
// former one: not where the root was changed since, or a key revoked. Then the node
// is introduced anew, or goes on with the keys it has.
func sameRoot(former, now *message.Keyring) bool {
	a, b := former.Keyset(), now.Keyset()
	return bytes.Equal(a.Root, b.Root) && len(a.Revoked) == len(b.Revoked)
}

// leap puts keys back with the database: the version of the KEYSET leaps, and what
// was signed since with a newer key is not the node's own any more to it.
func (w *world) leap(n *node, saved, now *message.Keyring) courier.Leap {
	leap := courier.Leap{From: saved.Keyset().Version}
	if err := saved.Leap(n.now()); err != nil {
		w.failf("%s: keys put back: %v", n.sign, err)
	}
	leap.To = saved.Keyset().Version
	n.former = append(n.former, now)
	n.forgot = n.forgot || leap.From < now.Keyset().Version
	w.note("%s has the keys of its backup, version %d becomes %d", n.sign, leap.From, leap.To)
	w.tally("old keys", 1)
	return leap
}

// light has the node killed some steps of its work later.
func (w *world) light(l *life) {
	l.n.fuse.Store(1 + w.rng.Int64N(80))
}

func (w *world) stop(l *life) {
	l.n.end()
	w.note("%s stops", l.n.sign)
}

// order has two officers order something at a node.
func (w *world) order(l *life, want noroshi.Order, what string) {
	drawn, err := l.office.Draw(l.ctx, want)
	if err != nil {
		return // not as things stand
	}
	for _, p := range []string{"smith", "jones"} {
		if drawn, err = l.office.Give(l.ctx, drawn.Order, w.by(l, p, drawn.Order.Action, drawn.Order.Subject(), drawn.Order.Bound())); err != nil || drawn.Waiting == 0 {
			break
		}
	}
	w.note("%s: %s: %v", l.n.sign, what, err)
	if noroshi.KindOf(err) == noroshi.Refused { // the same was ordered in the same second
		return
	}
	w.did(l, what, err)
}

func (w *world) turnKeys(l *life) {
	use := []noroshi.KeyWord{noroshi.KeyRelease, noroshi.KeyControl, noroshi.KeyKEM, noroshi.KeyLink, noroshi.KeyRoot}[w.rng.IntN(5)]
	w.order(l, noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: use}}, "rotate "+string(use))
}

// revoke has officers revoke a key that is in use: nothing that it signs from here
// on is believed.
func (w *world) revoke(l *life) {
	n := w.rng.IntN(3)
	use, word := []message.KeyUse{message.UseRelease, message.UseControl, message.UseKEM}[n], []noroshi.KeyWord{noroshi.KeyRelease, noroshi.KeyControl, noroshi.KeyKEM}[n]
	ks, newest := l.disk.keys.Keyset(), message.Key{}
	for _, k := range ks.Keys {
		if k.Use == use && ks.RevokedKey(k.ID) == nil {
			newest = k
		}
	}
	w.order(l, noroshi.Order{Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: hex.EncodeToString(newest.ID[:])}}, "revoke "+string(word))
}

// suspend suspends the agreement with a partner, or resumes it.
func (w *world) suspend(l *life) {
	list, err := l.office.Agreed(l.ctx)
	if err != nil || len(list) == 0 {
		return
	}
	a := noroshi.ActSuspendAgreement
	if w.rng.IntN(2) == 0 {
		a = noroshi.ActResumeAgreement
	}
	w.order(l, noroshi.Order{Action: a, Agreement: list[w.rng.IntN(len(list))].Hash}, string(a))
}

// weather changes how rough a way is.
func (w *world) weather(*life) {
	y := w.ways[w.rng.IntN(len(w.ways))]
	w.mu.Lock()
	y.loss, y.twice, y.late, y.spoil = w.rng.IntN(51), w.rng.IntN(30), w.rng.IntN(20), w.rng.IntN(10)
	if w.rng.IntN(3) == 0 {
		y.loss, y.late, y.spoil = 0, 0, 0
	}
	w.mu.Unlock()
	w.note("%s loses %d %%", y.traits.Kind, y.loss)
}

// cut cuts a way in one direction or both, or mends it.
func (w *world) cut(l *life) {
	y := w.ways[w.rng.IntN(len(w.ways))]
	if len(y.cut) > 0 || w.rng.IntN(3) == 0 {
		w.mu.Lock()
		clear(y.cut)
		w.mu.Unlock()
		w.note("%s is mended", y.traits.Kind)
		return
	}
	other := (l.n.i + 1 + w.rng.IntN(len(w.nodes)-1)) % len(w.nodes)
	w.mu.Lock()
	y.cut[[2]int{l.n.i, other}] = true
	if w.rng.IntN(2) == 0 {
		y.cut[[2]int{other, l.n.i}] = true
	}
	w.mu.Unlock()
	w.note("%s is cut: %v", y.traits.Kind, y.cut)
	w.tally("cut", 1)
}

// idle lets hours or days go by.
func (w *world) idle(*life) {
	if w.ahead > 60*24*time.Hour {
		return
	}
	d := time.Duration(w.rng.Int64N(int64(time.Hour) << w.rng.IntN(10)))
	w.jump(min(d, 30*24*time.Hour))
	w.note("%v go by", d)
}

// person has an officer look at links that wait for a person's word, and most often
// the officer knows what to say.
func (w *world) person(l *life) {
	waits, err := courier.RecoveringLinks(l.ctx, l.store.Reads)
	if err != nil || len(waits) == 0 {
		w.did(l, "look", err)
		return
	}
	links, err := l.courier.Links(l.ctx)
	if err != nil {
		w.did(l, "look", err)
		return
	}
	for _, x := range links {
		if x.Recovering != "person" || w.rng.IntN(3) == 0 {
			continue
		}
		err := l.courier.GoOn(l.ctx, x.Partner, true, w.by(l, "smith", noroshi.ActGoOn, x.Partner.String(), courier.GoOnBound(x.Partner, true)))
		w.note("%s takes back what it lost: %v", l.n.sign, err)
		if noroshi.KindOf(err) != noroshi.NotFound { // it waits for nothing any more
			w.did(l, "go on", err)
		}
	}
}
