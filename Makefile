# make demo and make test are all a visitor needs; both work in a fresh clone.
GO     ?= go
export CGO_ENABLED ?= 0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The rooms in which goroutines meet: run under the race detector too.
RACE := ./internal/store ./internal/detect ./internal/message ./internal/courier/... ./internal/watch ./internal/partner ./internal/node

.PHONY: demo build deps have-deps check test battery bench cross

build: ## bin/noroshi, one static binary
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/noroshi ./cmd/noroshi

demo: build ## two nodes on loopback share, detect and warn, on real data
	./bin/noroshi demo

deps: ## what the tests need beside Go
	@command -v gcc >/dev/null || (apt-get update -q && apt-get install -y -q gcc libc6-dev)

have-deps:
	@if command -v gcc >/dev/null; then exit 0; \
	elif [ "$$(id -u)" = 0 ] || [ -n "$$CI" ]; then $(MAKE) --no-print-directory deps; \
	else echo "make test needs gcc for the race detector: run make deps as root, or install gcc" >&2; exit 2; fi

check: ## under 2 minutes: format, vet, staticcheck, unit tests
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt differs: $$out" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(GO) test $$($(GO) list ./... | grep -v -e /cmd/ -e /nodetest)

test: have-deps check cross ## under 10 minutes on 2 cores: the whole promise in small
	$(GO) test ./cmd/... ./internal/node/nodetest
	CGO_ENABLED=1 $(GO) test -race $(RACE)

battery: have-deps ## under 40 minutes: the same with the big numbers
	NOROSHI_TIER=battery $(GO) test -timeout 40m ./...
	sh testdata/fuzz.sh 60s

bench: ## under 25 minutes: the budgets as a table, each against a baseline of the same run
	@NOROSHI_TIER=battery $(GO) test -p 1 -run '^$$' -bench Budget -benchtime 1x -timeout 30m \
		./internal/detect ./internal/store ./internal/release ./internal/watch ./internal/node 2>&1 | awk -f testdata/bench.awk

cross: ## it builds for the other systems too
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/noroshi
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/noroshi
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/noroshi
