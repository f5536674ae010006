# Reads the output of `go test -bench Budget` and prints the budgets of the
# design as a table: what was measured, the budget, whether it is met, and what
# it is compared with in the same run. See `make bench`.

function row(what, key, way, budget, baseline) {
	n++
	label[n] = what; from[n] = key; dir[n] = way; limit[n] = budget; base[n] = baseline
}

BEGIN {
	row("matching real lines, 1.6 M entries, over decode only", "BudgetMatch x-decode-real", "<=", 1.4, "decode only, same decoder")
	row("matching lines in which nothing repeats, over decode only", "BudgetMatch x-decode-unseen", "<=", 1.75, "decode only, same decoder")
	row("1.6 M entries over 1 thousand, real lines", "BudgetMatch x-1k-to-all-real", "<=", 1.15, "the same with 1,000 entries")
	row("1.6 M entries over 1 thousand, nothing repeats", "BudgetMatch x-1k-to-all-unseen", "<=", 1.35, "the same with 1,000 entries")
	row("decode and match, times as fast as encoding/json", "BudgetMatch x-faster-than-encoding/json", ">=", 6, "encoding/json, decode only")
	row("allocations of an event without a hit", "BudgetMatch allocs/event", "<=", 0, "-")
	row("bytes of index for an entry", "BudgetMatch B/entry", "<=", 48, "-")
	row("matching, times as fast as grep -F -f", "BudgetGrep x-faster-than-grep", ">=", 20, "steady rate of grep, same names and lines")
	row("1.6 M armed at start from the store, s", "BudgetNodes/Arm s-armed-at-start", "<=", 4, "-")
	row("its peak memory, MB", "BudgetNodes/Arm MB-armed-peak", "<=", 350, "-")
	row("its settled memory over an empty node's, MB", "BudgetNodes/Arm MB-armed-settled-over-empty", "<=", 100, "empty node")
	row("publish to armed, new nodes, p50 ms", "BudgetNodes/PublishSmall ms-p50-small-idle", "<=", 10, "sync")
	row("publish to armed, new nodes, p99 ms", "BudgetNodes/PublishSmall ms-p99-small-idle", "<=", 50, "sync99")
	row("the same while the partner imports 100,000, p50 ms", "BudgetNodes/PublishSmallBusy ms-p50-small-busy", "<=", 40, "sync")
	row("the same while the partner imports 100,000, p99 ms", "BudgetNodes/PublishSmallBusy ms-p99-small-busy", "<=", 150, "sync99")
	row("publish to armed, 1.6 M on both sides, p50 ms", "BudgetNodes/Publish ms-p50-full-idle", "<=", 10, "sync")
	row("publish to armed, 1.6 M on both sides, p99 ms", "BudgetNodes/Publish ms-p99-full-idle", "<=", 50, "sync99")
	row("the same while the partner imports 100,000, p50 ms", "BudgetNodes/PublishBusy ms-p50-full-busy", "<=", 40, "sync")
	row("the same while the partner imports 100,000, p99 ms", "BudgetNodes/PublishBusy ms-p99-full-busy", "<=", 150, "sync99")
	row("hit to warning, p99 ms", "BudgetWarning ms-p99", "<=", 250, "sync99")
	row("durable admission into an empty store, objects/s", "BudgetAdmit/1000 objects/s", ">=", 20000, "bare append")
	row("the same over a bare append of the same rows", "BudgetAdmit/1000 of-bare", ">=", 0.25, "bare append")
	row("import by a serving node, empty, objects/s", "BudgetNodes/CatchUp objects/s-import-empty", ">=", 20000, "bare append")
	row("real hits, all entries having come in messages: strong", "BudgetNodes/Arm hits-strong", ">=", 120, "the facts of testdata/SOURCES.md")
	row("and weak", "BudgetNodes/Arm hits-weak", ">=", 38, "the facts of testdata/SOURCES.md")
	row("import by a serving node at 1.6 M, objects/s", "BudgetNodes/Fill objects/s-import-full", ">=", 15000, "bare append")
	row("bulk release, 100,000 to 2 partners, CPU-s", "BudgetRelease cpu-s", "<=", 6, "-")
	row("deciding 100,000 objects for 3 partners, CPU-s", "BudgetDecide cpu-s", "<=", 20, "-")
	row("decisions a second", "BudgetDecide decisions/s", ">=", 15000, "-")
	row("asking why and what the partner sees of one object, ms", "BudgetPreview ms", "<=", 50, "-")
	row("its ledger entries", "BudgetRelease ledger-entries", "<=", 500, "-")
	row("a list of 100,000, import to partner's receipt, ledger entries", "BudgetNodes/CatchUp entries-import-and-send", "<", 500, "-")
	row("catch-up of 100,000, over the import's rate", "BudgetNodes/CatchUp x-catch-up-of-import", ">=", 0.5, "import of the same list")
	row("JSON over bytes on the wire", "BudgetNodes/CatchUp x-json-over-wire", ">=", 9, "JSON of the same objects")
	row("a second sync with nothing new, bytes", "BudgetNodes/CatchUp B-second-sync", "<=", 2048, "-")
	row("idle node, resident MB", "BudgetNodes/Start MB-idle", "<=", 60, "-")
	row("start, ms", "BudgetNodes/Start ms-start", "<=", 300, "-")
	row("audit verify, s for 1 M acts (200,000 measured)", "BudgetVerify s/million-acts", "<=", 30, "-")
}

/^Benchmark/ {
	name = $1
	sub(/^Benchmark/, "", name)
	sub(/-[0-9]+$/, "", name)
	for (i = 3; i < NF; i += 2) {
		got[name " " $(i + 1)] = $i
	}
}

/^(---|    [a-z_]+\.go|FAIL|panic|#)/ { print; }
/^(--- FAIL|FAIL|panic)/ { failed = 1 }

function baseline(name) {
	if (name == "sync") {
		return "one page written and synced: p50 " got["BudgetNodes/Start ms-p50-page-sync"] " ms"
	}
	if (name == "sync99") {
		return "one page written and synced: p99 " got["BudgetNodes/Start ms-p99-page-sync"] " ms"
	}
	if (name == "bare append") {
		return "bare append: " got["BudgetAdmit/1000 bare/s"] "/s"
	}
	return name
}

END {
	printf "%-62s %10s  %-10s %-7s %s\n", "what", "measured", "budget", "", "compared with, in the same run"
	for (i = 1; i <= n; i++) {
		if (!(from[i] in got)) {
			printf "%-62s %10s  %-10s %-7s\n", label[i], "-", dir[i] " " limit[i], "ABSENT"
			failed = 1
			continue
		}
		v = got[from[i]] + 0
		ok = dir[i] == ">=" ? v >= limit[i] : dir[i] == "<" ? v < limit[i] : v <= limit[i]
		printf "%-62s %10s  %-10s %-7s %s\n", label[i], got[from[i]], dir[i] " " limit[i], ok ? "met" : "MISSED", baseline(base[i])
		missed += !ok
	}
	printf "%d rows, %d missed\n", n, missed
	exit failed
}
