# The two commands that matter: `make demo` shows devenv at work, `make test` proves it. Both set the machine up first.

.PHONY: build setup demo demo-stop test unit e2e lint bench bench-edit bench-edit-nodes bench-load bench-many bench-cold verify-node clean

build:
	CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags="-s -w" -o bin/devenv ./cmd/devenv

setup:
	scripts/setup

demo: setup build
	scripts/demo up

demo-stop:
	scripts/demo stop

# Everything: static checks, unit tests under the race detector, and the scenarios on a real cluster.
test: setup lint unit e2e

lint:
	scripts/lint

# devenv's own, those of the scripts and modules that prepare a machine, and the sample app's. What is rendered is compared with the
# helm and kustomize programs, which are built for that once, in about two minutes.
unit: setup
	tools=$$(scripts/reference-tools) && env $$tools go test -race ./...
	scripts/setup-test
	go -C scripts/airgap/runtime-wrapper test ./...
	go -C scripts/airgap/node test ./...
	$(MAKE) -C sample-app test

# One scenario restarts the engine, if that is one which scripts/setup started; it runs before the others. Then three at a time: most of their time is waiting.
e2e: setup build
	if scripts/setup --owns-engine; then export DEVENV_E2E_RESTART_ENGINE='$(CURDIR)/scripts/setup --restart-engine'; fi; \
	DEVENV_E2E=1 go test -count=1 -timeout 60m -parallel 3 -v ./devenv/e2e/

# Benchmarks; docs/performance.md says what each of them measures. They want a machine that does nothing else, and take about an hour together.
# NODE_IMAGE names the nodes of plain kind clusters where kind's default cannot be had.
bench: bench-edit bench-edit-nodes bench-load bench-many bench-cold

# From an edit to the new code being served; refused requests; `up` after the images have gone; and a script of one's own for comparison.
bench-edit: setup
	go run ./scripts/bench/edit
	go run ./scripts/bench/edit -mode full -case go-scratch,go-350mb
	go run ./scripts/bench/edit -replicas 2
	go run ./scripts/bench/edit -replicas 2 -mode full -pre-stop 2 -case go-scratch,go-350mb
	go run ./scripts/bench/edit -gone
	go run ./scripts/bench/edit -kind $(if $(NODE_IMAGE),-node-image $(NODE_IMAGE)) -ready '^ready' -command '$(CURDIR)/scripts/bench/edit/by-hand {cluster}'

bench-edit-nodes: setup
	go run ./scripts/bench/edit -nodes 3
	go run ./scripts/bench/edit -nodes 3 -mode full -case go-scratch,go-350mb

# A changed image into three nodes, beside kind load.
bench-load: setup
	go run ./scripts/bench/load -nodes 3 -rounds 5

# Fifty services and 50,000 files: `up` with nothing to do, an idle `dev`, and 2,000 files that change at once.
bench-many: setup
	go run ./scripts/bench/many -measure nothing,idle
	go run ./scripts/bench/many -services 1 -files 2000 -measure burst -mode full

# Cold `up` beside a bare kind cluster and all builds alone.
bench-cold: setup build
	go run ./scripts/bench/coldup -rounds 3 $(if $(NODE_IMAGE),-node-image $(NODE_IMAGE))

# Proves a node image that was built here: pod network, Services, DNS, volumes, metrics, restarts. A few minutes.
verify-node: setup
	scripts/airgap/verify

clean:
	rm -rf bin
