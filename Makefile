# The project's commands. `make` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup serve test lint doc bench fuzz soak clean

# The environment that builds need on this machine (scripts/with-env says which).
WITH := scripts/with-env

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install all that building and serving need (once; later runs take seconds)
	@scripts/setup.sh

serve: setup ## build and start the server on 127.0.0.1:8000 with the model `base`
	@$(WITH) cargo build --release --locked --workspace --bin auricle
	@exec ./target/release/auricle serve

test: setup ## run the whole test suite (AURICLE_EVAL_DATA names other evaluation data)
	@scripts/packages.sh >/dev/null
	@scripts/registry.sh >/dev/null
	@# The end-to-end tests run the program. In one step with the tests, cargo builds both alike.
	@$(WITH) cargo build --release --locked --workspace --bins --tests
	@$(WITH) cargo test --release --locked --workspace
	@# The test guests only link for WebAssembly; the end-to-end tests run them.
	@cargo test --locked --manifest-path guest/Cargo.toml --workspace --exclude auricle-hostile --exclude auricle-v0-1

lint: setup ## check formatting, lints, file lengths and dependencies
	@cargo fmt --all --check
	@scripts/check-lengths.sh
	@scripts/deny.sh
	@$(WITH) cargo clippy --release --locked --workspace --all-targets -- -D warnings
	@if [ -f guest/Cargo.toml ]; then scripts/lint-guests.sh; fi

doc: setup ## build the API documentation (target/doc)
	@RUSTDOCFLAGS=-Dwarnings $(WITH) cargo doc --release --locked --workspace --no-deps

bench: setup ## run the benchmarks and write their pages (about an hour)
	@benches/run.sh

fuzz: setup ## run the fuzz targets, FUZZ_SECS seconds each (600): fuzz/README.md
	@scripts/fuzz.sh

soak: setup ## misbehave for MINUTES (30) beside honest tenants, swap SWAPS (1000) times; writes docs/benchmarks/soak.md
	@scripts/soak.sh

clean: ## remove what was built (models and downloads stay)
	@cargo clean
	@if [ -f guest/Cargo.toml ]; then cargo clean --manifest-path guest/Cargo.toml; fi
