package main

// records are bugs in what is kept, and in what is told of it.
func records() []mutant {
	return []mutant{
		{
			name: "global-instead-of-link-checkpoint", promise: "a checkpoint tells of the ledger of its link, never of the node's whole one",
			file: "internal/audit/notary.go",
			old:  `own, err := tx.Head(partner)`, new: `own, err := tx.Head(noroshi.NodeID{})`,
			in: "internal/audit", test: "TestIssuedIsOfTheLink",
		},
		{
			name: "no-fsync", promise: "what is told to be done is on the disk",
			file: "internal/store/sqlite.go",
			old:  `"synchronous(FULL)"`,
			new:  `"synchronous(OFF)"`,
			in:   "internal/store", test: "TestActsAreOnTheDisk",
		},
		{
			name: "quarantine-dropped", promise: "what cannot be taken in is kept for a person, not dropped",
			file: "internal/intake/admit.go",
			old:  `if err := tx.Quarantine(q); err != nil {`,
			new:  `if err := error(nil); err != nil {`,
			in:   "internal/intake", test: "TestEveryRefusalIsReported",
		},
		{
			name: "count-in-an-error", promise: "no answer counts what is not to be seen",
			file: "internal/door/post.go",
			old: `			if !hidden {
				p.doc`,
			new: `			if hidden {
				p.doc.Failures = append(p.doc.Failures, o.Detail(fmt.Sprintf("1 of %d is here already", len(part))))
			}
			if !hidden {
				p.doc`,
			in: "internal/door", test: "TestBoundToolLearnsNothing",
		},
		{
			name: "recalls-not-asked-before-arming", promise: "a node that was put back arms nothing before it has the recalls of its partners",
			file: "internal/courier/recover.go",
			old: `		if m.Recover == nil {
			continue`,
			new: `		if m.Recover == nil || m.Recover.Why == message.Restored {
			continue`,
			in: "internal/node/nodetest", test: "TestRestoreFromBackup",
		},
		{
			name: "let-in-while-suspended", promise: "while the agreement is suspended no person lets in DATA that is held",
			file: "internal/courier/held.go",
			old:  `if err := l.flows(ctx, tx, m, v); err != nil {`, new: `if err := ctx.Err(); err != nil {`,
			in: "internal/courier", test: "TestHeldWhileSuspended",
		},
		{
			name: "thiefs-word-of-a-loss", promise: "what a thief put behind a key revoked since is no loss of ours",
			file: "internal/message/step_back.go",
			old:  `return min(seq, d.Good)`, new: `return max(seq, d.Good)`,
			in: "internal/message", test: "TestLossOrThief",
		},
		{
			name: "ended-version-counts", promise: "a version that a thief made gives way to the good one before it",
			file: "internal/store/settle.go",
			old:  `over(best) && !over(i) || over(best) == over(i) && claims[best].before(c)`, new: `claims[best].before(c)`,
			in: "internal/store", test: "TestEndVersion",
		},
		{
			name: "ended-though-said-again", promise: "what a thief said first, or its owner says again, stands as the owner's",
			file: "internal/courier/doubt.go",
			old:  `return behind(m, ks) == nil }`, new: `return behind(m, ks) == nil && ks == nil }`,
			in: "internal/courier", test: "TestSaidAgainMeanwhile",
		},
		{
			name: "known-though-in-use", promise: "what nobody believed says is in use under no root",
			file: "internal/courier/doubt.go",
			old:  `return slices.ContainsFunc(t.versions, inUse) })`, new: `return inUse == nil })`,
			in: "internal/courier", test: "TestBothDisowned/under_the_next",
		},
		{
			name: "borne-out-by-who-is-disowned", promise: "what a disowned key bore out goes out of use with it",
			file: "internal/courier/doubt.go",
			old:  `before[row.ID] = true`, new: `before[row.ID] = false`,
			in: "internal/courier", test: "TestBothDisowned/under_one_root",
		},
		{
			name: "ended-version-in-the-way", promise: "a recall takes back what was made of a version that counts again",
			file: "internal/courier/recall_in.go",
			old:  `return !w.Withdrawn && cmp.Or(`, new: `return cmp.Or(`,
			in: "internal/courier", test: "TestMadeOfWhatStands",
		},
		{
			name: "held-under-a-revoked-key", promise: "what comes above the last good point binds nothing, though it is to be held",
			file: "internal/courier/rekeyed.go",
			old:  `if v.keys == nil {`, new: `if v.keys == nil || v.standing == message.Held {`,
			in: "internal/courier", test: "TestRevokedMeanwhile",
		},
		{
			name: "reached-before-it-was-held", promise: "what is held for a last good point that is reached by then is applied",
			file: "internal/courier/keep.go",
			old:  `if v.why != keyChain || kept.Second || kept.Again {`, new: `if v.why == keyChain || kept.Second || kept.Again {`,
			in: "internal/courier", test: "TestReachedWhileItWaits",
		},
		{
			name: "held-not-looked-at-after-a-start", promise: "what a stop came between is applied after the next start",
			file: "internal/courier/link.go",
			old: `errors.Join(l.doubtKeys(ctx), l.disavow(ctx))))
		l.resume(ctx)`, new: `errors.Join(l.doubtKeys(ctx), l.disavow(ctx))))`,
			in: "internal/courier", test: "TestReachedWhileItWaits",
		},
	}
}
