package main

import "slices"

// list is every bug. Where the source has moved on, its text here moves too: a
// test holds that each is found exactly once.
func list() []mutant { return slices.Concat(wire(), streams(), decisions(), records(), restores()) }

// wire are bugs in what is read and sealed.
func wire() []mutant {
	return []mutant{
		{
			name: "realm-unchecked", promise: "nothing signed in one realm is believed in another",
			file: "internal/message/signed.go",
			old:  `string(realm.Bytes()) != string(wire)`, new: `false`,
			in: "internal/message", test: "TestWrongRealm",
		},
		{
			name: "suite-unchecked", promise: "no suite is taken that no agreement lists",
			file: "internal/message/gate.go",
			old:  `!slices.Contains(in.Suites, s)`, new: `slices.Contains(in.Suites, 0)`,
			in: "internal/message", test: "TestNarrowRefused",
		},
		{
			name: "null-array-accepted", promise: "null stands for no list: what does not encode back as it came is refused",
			file: "internal/message/cbor.go",
			old:  `cbor.NilContainerAsEmpty`, new: `cbor.NilContainerAsNull`,
			in: "internal/message", test: "TestStrictReading",
		},
		{
			name: "small-order-key-accepted", promise: "no key is admitted under which anything verifies",
			file: "internal/message/publickey.go",
			old:  `if smallOrder(x, y) {`, new: `if x.Sign() < 0 {`,
			in: "internal/message", test: "TestWeakSigningKeys",
		},
		{
			name: "nonce-from-the-sequence", promise: "no nonce comes from a counter that a restore or a second process repeats",
			file: "internal/message/line.go",
			old:  `return gcm.Seal([]byte{byte(S2)}, nil, plain, beside), nil`,
			new: `_ = gcm
	var short wireCompact
	var full wirePlain
	var m wireHeader
	var st wireStatementHeader
	if decode("envelope", plain, &short) != nil && decode("envelope", plain, &full) == nil {
		short.Header = full.Header
	}
	if decode("header", short.Header, &m) != nil && decode("header", short.Header, &st) == nil {
		m.Seq = st.Counter
	}
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4), m.Seq)
	key, err := linkKey(k.Line[:], "NX/1 line", l.Realm, l.From, l.To)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	counted, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return append(append([]byte{byte(S2)}, nonce...), counted.Seal(nil, nonce, plain, beside)...), nil`,
			in: "internal/message", test: "TestNarrowNonces",
		},
		{
			name: "gate-behind-the-seal", promise: "an envelope no link matches is dropped before anything is decapsulated",
			file: "internal/message/envelope.go",
			old:  `g.suite != S2 && !g.Match(in.Secret, in.Realm, in.From, in.To)`, new: `false`,
			in: "internal/message", test: "TestBitFlips",
		},
		{
			name: "revoked-key-accepted", promise: "what a revoked key signed after its last good point is not believed",
			file: "internal/message/keyset.go",
			old:  `func (r *Revocation) covers(e Epoch, seq uint64) bool {`,
			new: `func (r *Revocation) covers(e Epoch, seq uint64) bool {
	if r != nil {
		return false
	}`,
			in: "internal/message", test: "TestRevokedKey",
		},
		{
			name: "keyset-never-read-again", promise: "a revoked TLS key is out at once",
			file: "internal/node/serve.go",
			old:  `ok && bytes.Equal(last.doc, doc)`, new: `ok && (bytes.Equal(last.doc, doc) || len(doc) > 0)`,
			in: "internal/node", test: "TestPinsFollowTheKeyset",
		},
		{
			name: "keyset-judged-before-the-act", promise: "of KEYSETs that come at the same time the latest stays",
			file: "internal/partner/document.go",
			old:  `switch code, why = o.judge(ctx, tx.Reads, from, ks); {`, new: `switch {`,
			in: "internal/partner", test: "TestKeysetsAtOnce",
		},
		{
			name: "signed-back-with-old-keys", promise: "a process with keys that another has changed signs nothing back with them",
			file: "internal/partner/anew.go",
			old:  `o.behind(ctx, r); err != nil || behind {`, new: `o.behind(ctx, r); err != nil || !behind && err != nil {`,
			in: "internal/partner", test: "TestOldKeysSignNothingAnew",
		},
	}
}

// streams are bugs in what becomes durable, in which order, and what is said of
// it.
func streams() []mutant {
	return []mutant{
		{
			name: "messages-before-the-life-counts", promise: "what a new life says first takes no place of the STATE that makes it count",
			file: "internal/message/step.go",
			old:  `s.confirmed && s.counts() ||`, new: `s.confirmed ||`,
			in: "internal/message", test: "TestNothingGoesBeforeTheNewLifeCounts",
		},
		{
			name: "new-life-not-asked-after", promise: "a new life asks anew: what was answered before is not answered at once",
			file: "internal/message/step.go",
			old: `	for _, p := range s.paths { // what it has answered says nothing of this epoch
		p.redraw = true
	}
`, new: ``,
			in: "internal/message", test: "TestNothingGoesBeforeTheNewLifeCounts",
		},
		{
			name: "receipt-before-commit", promise: "what is receipted is durable",
			file: "internal/message/step_in.go",
			old: `	if !l.have.has(m.Seq) {
`, new: `	if !l.have.has(m.Seq) {
		early := m
		early.Standing = Stored
		l.bind(early)
`,
			in: "internal/message", test: "TestSimulatedSchedules",
		},
		{
			name: "window-dedupe", promise: "a message has its effect once, however late its copy comes",
			file: "internal/store/in.go",
			old:  `"SELECT id FROM in_message WHERE partner = $1 AND epoch = $2 AND seq = $3"`,
			new:  `"SELECT id FROM in_message WHERE partner = $1 AND epoch = $2 AND seq = $3 AND n > (SELECT max(n) FROM in_message) - 2"`,
			in:   "internal/store", test: "TestReceive",
		},
		{
			name: "sequence-reuse-after-restore", promise: "no sequence is used again by a node that was put back",
			file: "internal/message/step_back.go",
			old:  `if !back ||`,
			new:  `if back || !back ||`,
			in:   "internal/message", test: "TestSimulatedSchedules",
		},
		{
			name: "dropped-empty-hello", promise: "a partner put back to empty is heard: it holds nothing",
			file: "internal/message/step_state.go",
			old:  `if !s.promote(l, e, hit, now) {`,
			new:  `if s.live != (Epoch{}) && !slices.ContainsFunc(e.State.In, func(in InSet) bool { return in.Cum > 0 || len(in.Ranges) > 0 }) || !s.promote(l, e, hit, now) {`,
			in:   "internal/message", test: "TestSimulatedSchedules",
		},
		{
			name: "newest-life-first-seen", promise: "which life of a partner counts is shown by a fresh answer, not by who is seen first",
			file: "internal/message/step_state.go",
			old: `	if !names && !echoes {
		return false
	}
	for _, p := range e.State.Out.Parents {`,
			new: `	_, _ = names, echoes
	for _, p := range e.State.Out.Parents[:0] {`,
			in: "internal/message", test: "TestSimulatedSchedules",
		},
		{
			name: "expiry-ignored", promise: "what has expired is not sent",
			file: "internal/message/step_out.go",
			old:  `case !ok || o.gone:`,
			new:  `case !ok || o.gone || o.TTL > 0:`,
			in:   "internal/message", test: "TestExpiredIsNotSent",
		},
		{
			name: "flash-not-preempting", promise: "once a FLASH waits nothing lower begins",
			file: "internal/message/step_out.go",
			old:  `for !s.waits(noroshi.Flash, i) {`, new: `for {`,
			in: "internal/message", test: "TestFlashPassesEverything",
		},
		{
			name: "admissibility-unchecked", promise: "a channel carries only labels the agreement admits on it",
			file: "carrier.go",
			old:  `return l.TLP <= tlp &&`,
			new:  `return l.TLP <= Red &&`,
			in:   "", test: "TestWhatAChannelMayCarry",
		},
		{
			name: "batch-sent-again-after-a-recall", promise: "a message with an object that may go no more is withheld whole",
			file: "internal/release/clear.go",
			old: `		if w != nil {
			return Cleared{}, w`, new: `		if w != nil && false {
			return Cleared{}, w`,
			in: "internal/release", test: "TestAgain",
		},
		{
			name: "recall-lost-by-late-arrival", promise: "a recall that overtakes its message suppresses the object when it comes",
			file: "internal/store/withdraw.go",
			old:  `	if f.gone.covers(owner, upto) {`, new: `	if f.gone.covers(owner, upto) || !f.found {`,
			in: "internal/courier", test: "TestRecallOvertakes",
		},
	}
}
