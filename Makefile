# The commands of this project. `make` alone lists them.
SHELL := /bin/bash
GO    ?= go
TEMPL  = $(GO) tool -modfile=tools/go.mod templ
LINT   = $(GO) tool -modfile=tools/go.mod golangci-lint
# The hub needs no C compiler; the race detector does.
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help run build generate test check test-root test-long bench shots lint format chromium python root-tools

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build and start the hub on its defaults (panel on http://127.0.0.1:5080)
	bin/alerthub serve

build: ## build bin/alerthub
	$(GO) build -trimpath -ldflags '-s -w' -o bin/alerthub ./cmd/alerthub

generate: ## write the generated files again (templ components)
	$(TEMPL) generate -path views

test: chromium python ## all tests, the browser's included (under 8 minutes)
	$(GO) test -timeout 12m ./...

check: chromium python ## what CI adds: generated files, pins, format, lint, vet, races, root tests
	scripts/check-generated
	scripts/check-pins
	$(GO) vet ./...
	$(LINT) run ./...
	CGO_ENABLED=1 $(GO) test -race -short -timeout 12m $$($(GO) list ./... | grep -v -e /e2e -e /jstest)
	$(MAKE) test-root

test-root: root-tools ## proofs that need root: power cut, full disk, failing writes
	@[ "$$(id -u)" = 0 ] || { echo "make test-root needs root: sudo make test-root"; exit 1; }
	$(GO) test -tags root -count=1 -timeout 8m -run '^TestRoot' -v ./e2e

test-long: chromium ## soak and hundreds of kills (an hour)
	$(GO) test -tags long -count=1 -timeout 2h -run '^TestLong' -v ./e2e
	$(GO) test -count=1 -timeout 1h -run '^TestProperty' ./notify -rapid.checks 1000

bench: build ## load the real program through its doors and compare with the floors of this machine
	$(GO) test -tags bench -count=1 -timeout 1h -run '^TestBench' -v ./e2e
	$(GO) test -count=1 -run '^$$' -bench '^BenchmarkClaim$$' -benchtime 500x ./store
	$(GO) test -count=1 -run '^$$' -bench '^BenchmarkService_Session$$' ./access

shots: chromium ## pictures of every page in ./shots, and those of the README in docs/img
	$(GO) test -tags shots -count=1 -timeout 10m -run '^TestShots$$' -v ./e2e

lint: ## run the linters
	$(LINT) run ./...

format: ## format the sources
	$(GO) fmt ./...
	$(TEMPL) fmt views

chromium: # the browser of the tests, installed when that is possible
	@scripts/need-chromium

python: # the Python of one test, installed when that is possible
	@scripts/need-python

root-tools: # strace and the file system tools of the root tests
	@scripts/need-root-tools
