# Everything the project can do about itself. `make help` lists it.
SHELL := /bin/sh
GO    ?= go
TOOLS := .tools/bin

# How long one package's tests may take, and how many packages are tested at once: each has a Postgres of its own.
TEST_TIMEOUT ?= 15m
TEST_PACKAGES_AT_ONCE ?= 2
FUZZ_TIME ?= 30s
# A benchmark says itself how often it repeats what it measures.
BENCH_TIME ?= 1x
SOAK ?= 10000

.DEFAULT_GOAL := help
.PHONY: help build demo test lint vuln bench soak fuzz

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary, bin/prodaccess
	@echo "==> building bin/prodaccess"
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/prodaccess ./cmd/prodaccess

demo: ## all of it in your browser, without Slack and without Docker (ARGS=--play tells the story in the terminal)
	@scripts/setup.sh demo
	@echo "==> building bin/prodaccess (the first time takes a minute)"
	@$(GO) build -o bin/prodaccess ./cmd/prodaccess
	@bin/prodaccess demo $(ARGS)

test: ## everything the project can check about itself, with the race detector
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory lint
	@echo "==> go test -race ./... (each package starts a Postgres of its own; some minutes)"
	@# Not from the cache: the acceptance tests build the binary themselves, which the cache does not see.
	@# go vet has looked at everything already.
	@$(GO) test -race -vet=off -count=1 -p $(TEST_PACKAGES_AT_ONCE) -timeout $(TEST_TIMEOUT) ./...
	@echo "==> all is well"

lint: ## formatting, go vet, staticcheck
	@test -x $(TOOLS)/gofumpt -a -x $(TOOLS)/staticcheck || scripts/setup.sh test
	@echo "==> gofumpt"
	@found=$$($(TOOLS)/gofumpt -l .) || exit 1; if [ -n "$$found" ]; then \
		echo "not formatted (mend with: $(TOOLS)/gofumpt -w .):"; echo "$$found"; exit 1; fi
	@echo "==> go vet ./..."
	@$(GO) vet ./...
	@echo "==> staticcheck ./..."
	@$(TOOLS)/staticcheck ./...

vuln: ## known vulnerabilities in what the binary links
	@scripts/vuln.sh

bench: ## the figures of docs/performance.md, measured here
	@scripts/setup.sh test
	@echo "==> benchmarks: ours and, on the same server, the database's own limit"
	@$(GO) test -run '^$$' -bench . -benchtime $(BENCH_TIME) -timeout 25m ./internal/bench/...

soak: ## ten thousand grants, sixteen at a time, while connections are killed at random (SOAK=10000)
	@scripts/setup.sh demo
	@PRODACCESS_SOAK=$(SOAK) $(GO) test -run '^TestSoak$$' -v -count=1 -timeout 60m ./grants

fuzz: ## every fuzz test for FUZZ_TIME (30s)
	@scripts/fuzz.sh $(FUZZ_TIME)
