# The two commands that matter: `make demo` shows devenv at work, `make test` proves it. Both set the machine up first.

.PHONY: build setup demo demo-stop test unit e2e lint bench verify-node clean

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

# Two scenarios at a time: most of their time is waiting, and a laptop has room for no more clusters.
e2e: setup build
	DEVENV_E2E=1 go test -count=1 -timeout 60m -parallel 2 -v ./devenv/e2e/

# Cold `up` beside a bare kind cluster and all builds alone; NODE_IMAGE for the bare cluster where kind's default cannot be had.
bench: setup build
	go run ./scripts/bench/coldup -rounds 3 $(if $(NODE_IMAGE),-node-image $(NODE_IMAGE))

# Proves a node image that was built here: pod network, Services, DNS, volumes, metrics, restarts. A few minutes.
verify-node: setup
	scripts/airgap/verify

clean:
	rm -rf bin
