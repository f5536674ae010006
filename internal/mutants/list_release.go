package main

// decisions are bugs in who may let what go, and in what goes.
func decisions() []mutant {
	return []mutant{
		{
			name: "missing-join", promise: "a label is as strict as all its markings together",
			file: "label.go",
			old:  `l.TLP = max(l.TLP, m.TLP)`, new: `l.TLP = m.TLP`,
			in: "", test: "TestJoinIsALattice",
		},
		{
			name: "case-blind-compare", promise: "a marking in another spelling than that of its standard is not understood",
			file: "definition.go",
			old:  `bodyLevels[m.TLP] != level`,
			new:  `bodyLevels[strings.ToLower(m.TLP)] != level`,
			in:   "", test: "TestNearMissMarkings",
		},
		{
			name: "unknown-marking-as-none", promise: "a marking that is not understood holds the object",
			file: "label.go",
			old:  `l.Unknown = set(slices.Concat(l.Unknown, m.Unknown, more))`, new: `l.Unknown = set(more)`,
			in: "", test: "TestLabelOf",
		},
		{
			name: "stale-translation", promise: "a translation of another version than the current one never goes",
			file: "internal/release/portion.go",
			old:  `if says.Stale(c.Items[j].Object) {`, new: `if says.Version.IsZero() && says.Stale(c.Items[j].Object) {`,
			in: "internal/release", test: "TestTranslations",
		},
		{
			name: "translation-above-the-ceiling", promise: "a text the translation service may not have is not sent to it",
			file: "internal/door/translate/translate.go",
			old:  ` || !s.o.UpTo.Admits(l) {`, new: ` {`,
			in: "internal/door/translate", test: "TestNothingIsSentThatMayNot",
		},
		{
			name: "placeholder-in-a-list", promise: "what is cut out of a list leaves no trace in it",
			file: "stix/cut.go",
			old: `		case child != nil && child.gone:
			return out, false
		case top`, new: `		case child != nil && child.gone && name == nil:
			return append(out, "\"withheld\""...), true
		case child != nil && child.gone:
			return out, false
		case top`,
			in: "stix", test: "TestCut",
		},
		{
			name: "approval-not-bound-to-bytes", promise: "an approval is of the very bytes that leave",
			file: "internal/release/root.go",
			old:  `uint64(g.Count)), root[:],`, new: `uint64(g.Count)),`,
			in: "internal/release", test: "TestApprovalIsVoidWhenMembersChange",
		},
		{
			name: "sent-on-an-old-clearance", promise: "nothing leaves on a clearance of which something changed while it was sealed",
			file: "internal/courier/seal.go",
			old:  `if !stands {`, new: `if !stands && r.send.Seq == 0 {`,
			in: "internal/courier", test: "TestNothingLeavesThatWasClearedTooEarly",
		},
		{
			name: "two-persons-by-one", promise: "two persons are two persons with two keys",
			file: "internal/release/approve.go",
			old:  `if f.person.ID == p.ID || bytes.Equal(f.person.Key, p.Key) {`, new: `if f.person.ID == p.ID && !bytes.Equal(f.person.Key, p.Key) {`,
			in: "internal/release", test: "TestTwoPersons",
		},
		{
			name: "view-number-reused", promise: "other bytes of one version are another view, with the next number",
			file: "internal/store/referred.go",
			old:  `r.N = uint32(latest[r.Seq]) + 1`,
			new:  `r.N = max(1, uint32(latest[r.Seq]))`,
			in:   "internal/release", test: "TestEachViewHasItsNumber",
		},
		{
			name: "cursor-before-commit", promise: "no follower of the feed is ahead of what it did",
			file: "internal/release/step.go",
			old: `		if err := d.follow(ctx, links, parted, changes); err != nil {
			return false, err
		}
		return true, d.advance(ctx, links, last, scouted)`,
			new: `		if err := d.advance(ctx, links, last, scouted); err != nil {
			return false, err
		}
		return true, d.follow(ctx, links, parted, changes)`,
			in: "internal/release", test: "TestStepBrokenOff",
		},
	}
}
