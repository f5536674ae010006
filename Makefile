# make demo and make test are all a visitor needs; both work in a fresh clone.
GO     ?= go
export CGO_ENABLED ?= 0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Without the folder's name in them packages are compiled once for all clones of a machine.
export GOFLAGS := $(strip $(GOFLAGS) -trimpath)

# The rooms in which goroutines meet: run under the race detector too, the
# smaller ones whole, of the store and the door what meets; these, the courier
# and the partners whole, which takes minutes so, in the battery.
RACE := ./internal/store/pg ./internal/courier/https ./internal/courier/line ./internal/courier/mail ./internal/door/feed ./internal/door/fetch ./internal/door/siem ./internal/watch ./internal/node
MEET := Urgent|Bulk|Lane|Lead|Feed|Process|Snapshot|Lock|Sign|AtOnce|Turns|Pace|Refresh|Runs|Died
# Long tests of theirs in which little meets, left to the units.
ALONE := TestFlashPassesARoutine|TestNothingIsLost|TestFindsFramesAgain|TestNoiseIsNoFrame|TestParityRestores|TestEverySize|TestPartsWaitWhereTheyLie|TestNoiseKeepsNobodyInStep|TestBounds$$|TestSizesOfOthers|TestSizesAreLearned
# SQLite's C, as Go, is not watched: it takes half of the time. Only this package, that has
# none of Go's own generics in it, can be left out: a copy of those that is not watched is
# linked for all, and reports what is no race.
RACED := -race -gcflags=modernc.org/sqlite/lib=-race=false
# All packages are vetted before any test runs. The limit is for what hangs, on a
# slow machine too. Without tables for debuggers the many test binaries link in two thirds
# of the time.
FIRST := $(GO) test -vet=off -ldflags='-s -w' -timeout 30m
TEST := nice -n 5 $(FIRST)
# Some packages mostly wait: more of them run at a time than there are cores.
WAIT := -p $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
# Units are all but stories and seeds. check leaves out games, a third of them: thousands of
# drawn graphs, schedules, harmed rows, bombs and killed processes.
GAMES := NonInterference$$|TestPlanted|TestBytesMonotone$$|TestMonotone|TestClausesNeverWiden$$|TestTamperingIsFound$$|TestSimulatedSchedules$$|TestBombs$$|TestKilledProcess

# A fifth of their time is the collector's; memory is measured by make bench.
units whole simulated stories stories-postgres race: export GOGC = 300

.PHONY: demo screenshots build deps have-deps check vetted units whole test simulated stories stories-postgres race crashes battery mutants bench simulate cross

build: ## bin/noroshi, one static binary
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/noroshi ./cmd/noroshi

demo: build ## two nodes on loopback share, detect and warn, on real data
	./bin/noroshi demo

screenshots: have-deps build ## the pictures of README and guide, made anew from the demo
	$(GO) run ./internal/pictures ./bin/noroshi docs/pictures

# Which tools the tests lack; resolvers' own checkers and exim4 may be in /usr/sbin, which is not in everybody's PATH.
LACK = PATH="$$PATH:/usr/sbin"; for t in gcc named-checkzone unbound-checkconf exim4 chromium-headless-shell; do command -v $$t >/dev/null || echo $$t; done; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo initdb; \
	fc-list :lang=ja 2>/dev/null | grep -q . || echo fonts-noto-cjk

deps: ## what the tests need beside Go
	@[ -z "$$($(LACK))" ] || (apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev bind9-utils unbound postgresql exim4-daemon-light chromium-headless-shell fonts-noto-cjk fonts-inter)

have-deps:
	@if [ -z "$$($(LACK))" ]; then exit 0; \
	elif [ "$$(id -u)" = 0 ] || [ -n "$$CI" ]; then $(MAKE) --no-print-directory deps; \
	else echo "make test needs gcc (race detector), named-checkzone and unbound-checkconf (zones), initdb (PostgreSQL), exim4 (mail) and chromium-headless-shell (screens): run make deps as root, or install gcc, bind9-utils, unbound, postgresql, exim4-daemon-light, chromium-headless-shell, fonts-noto-cjk and fonts-inter" >&2; exit 2; fi

check: vetted ## meant for 2 minutes: format, vet, staticcheck, unit tests
	@$(MAKE) --no-print-directory units

vetted:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt differs: $$out" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags crashpoints ./internal/durable ./internal/store
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

OMIT :=
units: OMIT = $(WAIT) -skip '$(GAMES)'
units whole:
	$(TEST) -parallel 4 $(OMIT) $$($(GO) list ./... | grep -v -e /cmd/ -e /nodetest -e '/sim$$' -e '/web/console$$')

# Two kinds at a time keep two cores busy.
test: have-deps ## meant for 10 minutes on 2 cores, more where nothing is compiled yet: the whole promise in small
	@$(MAKE) --no-print-directory vetted
	@$(MAKE) --no-print-directory -j2 --output-sync=target simulated stories whole race stories-postgres

# Seeds are played one after the other and take longest: all else gives way to them.
simulated:
	$(FIRST) ./internal/sim

# Stories mostly wait, so more of them run at a time than there are cores.
stories:
	$(TEST) -p 3 -parallel 4 ./cmd/... ./internal/web/console ./internal/node/nodetest

stories-postgres:
	NOROSHI_ENGINE=postgres $(TEST) -parallel 4 ./internal/node/nodetest

race:
	CGO_ENABLED=1 NOROSHI_ENGINE=sqlite $(TEST) $(WAIT) $(RACED) -skip '$(ALONE)' $(RACE)
	CGO_ENABLED=1 NOROSHI_ENGINE=sqlite $(TEST) $(RACED) -run '$(MEET)' ./internal/store ./internal/door
	CGO_ENABLED=1 $(TEST) $(RACED) -run Concurrent ./internal/detect

crashes: ## two nodes die, and their disks fail, at every numbered point (docs/crashes.md)
	NOROSHI_TIER=battery $(GO) test -v -timeout 30m -run 'TestDiesAtEveryPoint$$|TestFullDisk' ./cmd/noroshi

battery: have-deps ## all tests with the big numbers, under 40 minutes; the courier raced, under 20; builds for other systems; mutants; every parser fuzzed, 20
	NOROSHI_TIER=battery $(GO) test -timeout 40m ./...
	NOROSHI_ENGINE=postgres $(GO) test ./internal/courier
	CGO_ENABLED=1 NOROSHI_ENGINE=sqlite $(GO) test $(RACED) -timeout 20m ./internal/courier ./internal/courier/mail ./internal/partner ./internal/store ./internal/door
	@$(MAKE) --no-print-directory cross mutants
	sh testdata/fuzz.sh 20

mutants: ## under 6 minutes: bugs planted one at a time, each caught by its test
	$(GO) run ./internal/mutants

bench: ## under 25 minutes: the budgets as a table, each against a baseline of the same run
	@NOROSHI_TIER=battery $(GO) test -p 1 -run '^$$' -bench Budget -benchtime 1x -timeout 30m \
		./internal/message ./internal/detect ./internal/store ./internal/release ./internal/watch ./internal/door ./internal/courier/line ./internal/node 2>&1 | awk -f testdata/bench.awk
	@echo "on PostgreSQL:"; NOROSHI_ENGINE=postgres NOROSHI_TIER=battery $(GO) test -p 1 -run '^$$' -bench BudgetAdmit -benchtime 1x -timeout 30m ./internal/store

simulate: ## SEEDS seeds of whole nodes on virtual time, network and disks, the first of them FROM
	@SEEDS=$(or $(SEEDS),500) FROM=$(or $(FROM),1) $(GO) test -count=1 -timeout 0 -v -run '^TestSeeds$$' ./internal/sim | awk ' \
		/^[0-9]+ passed, [0-9]+ failed$$/ { last = $$0; next } \
		!/^(=== |--- |PASS|FAIL|ok )/ { print } \
		END { print last; exit last !~ /, 0 failed$$/ }'

cross: ## it builds for the other systems too
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/noroshi
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/noroshi
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/noroshi
