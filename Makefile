# The commands of this project. `make` alone lists them.

CARGO ?= cargo

# What is tested is the daemon with every kind of key store; what is built without them is linted beside it.
DEVICES := --features counterfoild/pkcs11,counterfoild/tpm,counterfoil-tests/devices
# What tpm2-tss says to stderr of every TPM that a test switches off.
export TSS2_LOG := all+NONE
# Properties are tried with the same examples in every `make test`; `make soak` and a bare `cargo test` draw new ones.
PROPERTIES := PROPTEST_RNG_SEED=20260101

.PHONY: help test lint unit plugins interop plugin test-wordpress test-wordpress-all soak fuzz demo bench setup build-setup plugin-setup clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 18

test: setup lint unit plugins interop test-wordpress ## everything CI runs: lints, Rust tests, plugins and their clients, clients from outside

setup: ## install what the build and the tests need and this machine lacks
	@scripts/setup

build-setup:
	@scripts/setup build

plugin-setup:
	@scripts/setup plugin

lint: setup ## formatting, clippy, documentation, licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets $(DEVICES) -- -D warnings
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --offline check bans licenses sources; fi

unit: setup ## the Rust tests: rules, stores, and real server with real daemon
	$(CARGO) build --locked --workspace --bins $(DEVICES)
	$(PROPERTIES) $(CARGO) test --locked --workspace $(DEVICES)

plugins: setup ## the clients that plugins are written with, against a daemon that is played
	@scripts/plugins

interop: setup ## clients nobody here wrote, strict emulations, hostile requests
	$(CARGO) build --locked --workspace --bins $(DEVICES)
	@scripts/interop

plugin: plugin-setup ## target/counterfoil.zip, the WordPress plugin as it is installed
	@scripts/plugin

test-wordpress: setup ## the plugin in a real WordPress, with real server, daemon and browser (6.8)
	$(CARGO) build --locked --workspace --bins $(DEVICES)
	@scripts/test-wordpress

test-wordpress-all: ## the same in WordPress 6.1, 6.8 and the current one
	for suite in bookworm trixie sid; do WORDPRESS=$$suite $(MAKE) test-wordpress || exit 1; done

soak: setup ## every fault at every point, and thousands of kills: hours (make test runs a sample of it)
	$(CARGO) build --locked --workspace --bins $(DEVICES)
	PROPTEST_CASES=20000 $(CARGO) test --locked --workspace $(DEVICES) -- properties paths
	COUNTERFOIL_SOAK=1 $(CARGO) test --locked -p counterfoil-tests --test faults -- --nocapture

fuzz: setup ## cargo-fuzz, a minute for each reader of foreign bytes (TARGET=…, SECONDS_EACH=…)
	@scripts/fuzz

demo: build-setup ## connect one store from nothing and create a payment link (INTERACTIVE=1: you are the merchant)
	$(CARGO) build --locked --workspace --bins
	@scripts/demo

bench: setup ## load of refreshes, proofs, calls and the gateway, start and memory, beside this machine's ES256 rate and an ssh-agent
	$(CARGO) build --locked --release --workspace --bins
	@target/release/bench

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf tests/interop/node_modules
