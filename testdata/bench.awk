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
	row("1,000,000 after an outage, over the import's rate", "BudgetNodes/Outage x-after-outage-of-import", ">=", 0.5, "import of the same list")
	row("the same, objects/s from the partner's start to armed", "BudgetNodes/Outage objects/s-after-outage", ">=", 7500, "bare append")
	row("its JSON over bytes on the wire", "BudgetNodes/Outage x-json-over-wire-outage", ">=", 9, "JSON of the same objects")
	row("suite S1H: catch-up of 100,000, over the import's rate", "BudgetNodes/S1H x-catch-up-of-import", ">=", 0.5, "import of the same list")
	row("suite S1H: JSON over bytes on the wire", "BudgetNodes/S1H x-json-over-wire", ">=", 9, "JSON of the same objects")
	row("JSON over bytes of a message, list-made, by the thousand", "BudgetBytes/list/1000 x-json-over-S1-list-1000", ">=", 25, "B-zstd-list-1000")
	row("bytes of one real indicator on a narrow line", "BudgetBytes/real/1 B-S2-real-1", "<=", 220, "B-taxii-real-1")
	row("bytes each, of ten", "BudgetBytes/real/10 B-S2-real-10", "<=", 75, "B-gzip-real-10")
	row("bytes each, of a hundred", "BudgetBytes/real/100 B-S2-real-100", "<=", 60, "B-zstd-real-100")
	row("TAXII GET in pages of 1,000, of 1 M, objects/s", "BudgetTAXII/sqlite objects/s-get", ">=", 50000, "copied")
	row("the same over copying the bytes to a loopback socket", "BudgetTAXII/sqlite of-copied", ">=", 0.33, "copied")
	row("the last 10,000 of 1 M, objects/s", "BudgetTAXII/sqlite objects/s-get-last", ">=", 50000, "few")
	row("memory held at 1 M beyond that at 10,000, MB", "BudgetTAXII/sqlite MB-more-at-full", "<=", 20, "-")
	row("TAXII POST one by one, durable, objects/s", "BudgetTAXII/sqlite objects/s-post-1", ">=", 500, "sync")
	row("TAXII POST by the thousand into an empty store, objects/s", "BudgetTAXII/sqlite objects/s-post-1000-few", ">=", 15000, "bare append")
	row("the same at 1 M, objects/s", "BudgetTAXII/sqlite objects/s-post-1000-full", ">=", 15000, "bare append")
	row("PostgreSQL: TAXII GET in pages of 1,000, of 1 M, objects/s", "BudgetTAXII/postgres objects/s-get", ">=", 50000, "copied-pg")
	row("PostgreSQL: the same over copying the bytes to a loopback socket", "BudgetTAXII/postgres of-copied", ">=", 0.33, "copied-pg")
	row("PostgreSQL: the last 10,000 of 1 M, objects/s", "BudgetTAXII/postgres objects/s-get-last", ">=", 50000, "few-pg")
	row("PostgreSQL: memory held at 1 M beyond that at 10,000, MB", "BudgetTAXII/postgres MB-more-at-full", "<=", 20, "-")
	row("PostgreSQL: TAXII POST one by one, durable, objects/s", "BudgetTAXII/postgres objects/s-post-1", ">=", 500, "sync")
	row("PostgreSQL: TAXII POST by the thousand into an empty store, objects/s", "BudgetTAXII/postgres objects/s-post-1000-few", ">=", 15000, "-")
	row("PostgreSQL: the same at 1 M, objects/s", "BudgetTAXII/postgres objects/s-post-1000-full", ">=", 15000, "-")
	row("FLASH at 75 bit/s, errors, past 100 KiB of ROUTINE, 95 of 100, s", "BudgetFlash s-p95", "<=", 60, "-")
	row("the same, the worst of 100, s", "BudgetFlash s-worst", "<=", 120, "-")
	row("the picture, 1.6 M indicators, p95 ms", "BudgetNodes/Console ms-p95-picture", "<=", 50, "file")
	row("warnings", "BudgetNodes/Console ms-p95-warnings", "<=", 50, "file")
	row("a search: words in both languages, values, networks, *", "BudgetNodes/Console ms-p95-search", "<=", 50, "file")
	row("an indicator", "BudgetNodes/Console ms-p95-indicator", "<=", 50, "file")
	row("what hangs on it", "BudgetNodes/Console ms-p95-graph", "<=", 50, "file")
	row("release, 41 holds waiting", "BudgetNodes/Console ms-p95-release", "<=", 50, "file")
	row("a hold of 100,000, any part of it", "BudgetNodes/Console ms-p95-hold", "<=", 50, "file")
	row("partners", "BudgetNodes/Console ms-p95-partners", "<=", 50, "file")
	row("audit", "BudgetNodes/Console ms-p95-audit", "<=", 50, "file")
	row("settings", "BudgetNodes/Console ms-p95-settings", "<=", 50, "file")
	row("the slowest of these just after a start", "BudgetNodes/Console ms-p95-cold", "<=", 50, "file")
	row("200 open consoles, told of a warning and up to date", "BudgetNodes/Console consoles-told", ">=", 200, "-")
	row("a search while they all fetch, p95 ms", "BudgetNodes/Console ms-p95-opened", "<=", 50, "file")
	row("a second signature to the partner's open console, worst of 10, ms", "BudgetNodes/Console ms-released-shown", "<=", 2000, "sync99")
	row("first load of the console, packed, bytes", "BudgetNodes/Console B-first-load", "<=", 60000, "-")
	row("what a warning makes an open page fetch, packed, bytes", "BudgetNodes/Console B-update", "<=", 4000, "-")
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
	if (name == "copied" || name == "copied-pg") {
		return "copying: " got["BudgetTAXII/" (name == "copied" ? "sqlite" : "postgres") " objects/s-copied"] "/s"
	}
	if (name == "few" || name == "few-pg") {
		return "with 10,000 in it: " got["BudgetTAXII/" (name == "few" ? "sqlite" : "postgres") " objects/s-get-few"] "/s"
	}
	if (name == "file") {
		return "a file of the same server: p95 " got["BudgetNodes/Console ms-p95-file"] " ms"
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
