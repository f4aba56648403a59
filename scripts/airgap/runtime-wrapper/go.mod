module github.com/devenv-run/devenv/scripts/airgap/runtime-wrapper

go 1.26
