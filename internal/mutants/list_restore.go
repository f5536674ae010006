package main

// restores are bugs in what a node that was put back takes, believes and gives.
func restores() []mutant {
	return []mutant{
		{
			name: "given-back-ended-by-anybody", promise: "a RECALL ends of what was given back only what its sender made",
			file: "internal/courier/givenback.go",
			old:  `(v.Object.CreatedBy == maker || v.Object.ID == maker) && concerns`, new: `maker != "" && concerns`,
			in: "internal/courier", test: "TestRecallOfWhatWasGivenBack",
		},
		{
			name: "file-ended-with-what-was-given-back", promise: "what a file brought stands when what was given back is ended",
			file: "internal/courier/givenback.go",
			old:  `tx.EndVersion(id, v.Source.Owner(), v.Seq)`, new: `tx.End(id, v.Source.Owner(), v.Seq)`,
			in: "internal/courier", test: "TestRecallOfWhatWasGivenBack",
		},
		{
			name: "closed-under-a-letter", promise: "no sequence is closed as lost while a letter may bring its message",
			file: "internal/courier/recover_ask.go",
			old:  `if waits && r.A > head.Head+1 {`, new: `if waits && r.A > r.B {`,
			in: "internal/courier", test: "TestLettersInTheWrongOrder",
		},
		{
			name: "deaf-to-a-thiefs-suspension", promise: "who no longer speaks under an agreement in force is asked why",
			file: "internal/courier/document.go",
			old:  `case has && (suspended || st != l.told),`, new: `case has,`,
			in: "internal/courier", test: "TestConsentOnlyToWhoMayLackIt",
		},
		{
			name: "consent-without-rest", promise: "who has our consent is sent it once in an hour at most",
			file: "internal/courier/document.go",
			old:  `now.Add(consentRest * pace)`, new: `now.Add(pace)`,
			in: "internal/courier", test: "TestConsentRests",
		},
		{
			name: "one-pace-for-two-documents", promise: "a consent does not wait for a KEYSET under the card's secret, nor that for it",
			file: "internal/courier/keys.go",
			old:  `sent, every = &d.sentFile, cardKeys`, new: `sent, every = &d.sentKeys, cardKeys`,
			in: "internal/courier", test: "TestConsentWaitsForNoKeyset",
		},
		{
			name: "recorded-state-is-a-loss", promise: "what was recorded and is said again makes nobody give new secrets",
			file: "internal/courier/gate.go",
			old:  `!anew && (!newer(l.side.Live(), l.told, st) || l.told != nil && l.told.Counter == st.Counter)`, new: `!anew && l.told == nil`,
			in: "internal/courier", test: "TestRecordedIsNoLoss",
		},
		{
			name: "revoked-consent-goes-on", promise: "what the partner must refuse goes no more once it is signed anew",
			file: "internal/courier/document.go",
			old:  `return words || !p.agreement.IsZero() && p.agreement == other.agreement`, new: `return words`,
			in: "internal/courier", test: "TestOneAgreementDocumentGoes",
		},
		{
			name: "thiefs-keyset-believed", promise: "who holds a KEYSET that a thief of the root made, in whatever version, gets ours",
			file: "internal/courier/document.go",
			old:  `there == newest ||`, new: `there.Version >= p.keys.Version ||`,
			in: "internal/courier", test: "TestKeysetReachesWhoHoldsAThiefs",
		},
		{
			name: "returned-by-any-channel", promise: "what is given back goes by no channel that may not carry all of it",
			file: "internal/courier/seal.go",
			old:  `	if err := l.admits(kind, p); err != nil {`, new: `	if err := l.admits(kind, p); err != nil && p.Message != nil {`,
			in: "internal/courier", test: "TestReturnIsSealedForItsChannels",
		},
		{
			name: "more-returned-than-asked", promise: "a partner that gives back more than it was asked for closes nothing that may still come to it",
			file: "internal/courier/takeback.go",
			old:  `l.nobodyHas(st, m, head.Head+1)`, new: `l.nobodyHas(st, m, m.Header.Seq)`,
			in: "internal/courier", test: "TestMoreIsReturnedThanAsked",
		},
		{
			name: "lost-key-counts-for-nothing", promise: "a node that was put back to before a key lifts nothing that it stopped under it",
			file: "internal/message/suspension.go",
			old:  `place < 0 && !NamesRevoked(doc, ks)`, new: `false`,
			in: "internal/partner", test: "TestRestoredToBeforeAKey",
		},
		{
			name: "stop-lost-with-its-key", promise: "a node that forgot its stop, and has revoked the key of it, lets nothing go on without an order",
			file: "internal/partner/givenback.go",
			old:  `by == message.SignerRevoked && stops && (later || !said)`, new: `by == message.SignerRevoked && stops && later && !said`,
			in: "internal/partner", test: "TestForgottenStopUnderARevokedKey",
		},
		{
			name: "strange-word-in-silence", promise: "officers are told of a word in this node's name that counts at a partner and that it never said",
			file: "internal/partner/givenback.go",
			old:  `		return doubt`, new: `		return leave`,
			in: "internal/partner", test: "TestStrangeWordIsTold",
		},
	}
}
