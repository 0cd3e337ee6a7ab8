# otids: what one can make of it. `make help` lists the targets.
#
# Everything that is made goes to .venv, .venv-peers, .audit, .stamps, dist and hotpath/target; `make clean`
# removes it.
# pip, cargo and apt read their proxies, mirrors and certificates from their own configuration.

DEMO = otids replay --learn replay/captures/normal/normal.pcap.gz --assets replay/assets.csv replay/captures/attacks/attacks.pcap.gz
PYTEST_ARGS =
BENCH_ARGS =
PYTHON = python3
FUZZ_SECONDS = 60

# rustup's cargo goes before the system's, as rustup itself has it; packages install with sbin in reach.
export PATH := $(HOME)/.cargo/bin:$(or $(PATH),/usr/local/bin:/usr/bin:/bin):/usr/local/sbin:/usr/sbin:/sbin
export PYTHON
# The crate for Python is loaded by an interpreter: it links none.
export PYO3_BUILD_EXTENSION_MODULE = 1
# Python, and what it starts, finds the installed otids and not the folder that make runs in.
export PYTHONSAFEPATH = 1
unexport PYTHONPATH PYTHONHOME MYPYPATH

SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
MAKEFLAGS += --no-print-directory

VENV = .venv
PEERS = .venv-peers
STAMPS = .stamps
AUDIT = .audit
RUN = $(VENV)/bin
PIP = $(RUN)/python -m pip --quiet --disable-pip-version-check
AUDIT_PIP = $(AUDIT)/tools/bin/python -m pip --quiet --disable-pip-version-check
CARGO = cd hotpath && cargo
# Built from source by its own lock file; it needs Rust 1.88.
CARGO_DENY = 0.20.2

# All that a wheel is made from.
WHEEL_INPUTS = pyproject.toml README.md LICENSE tools/build_backend.py otids rules models \
	hotpath/Cargo.toml hotpath/Cargo.lock hotpath/THIRD-PARTY.txt hotpath/src hotpath/live hotpath/python

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
# cargo uses every core by itself, and pip may not run twice in one environment.
.NOTPARALLEL:
.PHONY: help demo test fuzz bench check check-format check-types check-imports check-rust build lock audit \
	licences sbom clean force system-build system-test system-bench system-check

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(STAMPS)/installed ## install otids here, and replay a plant's capture with attacks
	PATH="$(CURDIR)/$(RUN):$$PATH" $(DEMO)

test: system-test $(STAMPS)/installed $(STAMPS)/tools ## run the tests of both languages, Python's against the built wheel
	$(CARGO) test --locked --workspace
	$(RUN)/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

bench: system-bench $(STAMPS)/installed $(STAMPS)/tools $(STAMPS)/peers ## measure what otids costs, beside other tools
	$(RUN)/python tools/bench --python $(PEERS)/bin/python $(BENCH_ARGS)

check: check-format check-types check-imports check-rust ## lint, format, types, import contracts

check-format: $(STAMPS)/tools
	$(RUN)/ruff check
	$(RUN)/ruff format --check

check-types: $(STAMPS)/tools
	$(RUN)/mypy

check-imports: $(STAMPS)/tools
	$(RUN)/lint-imports --no-cache

check-rust: system-check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

fuzz: system-build ## look for bytes that break the hot path, FUZZ_SECONDS each target (default 60)
	$(CARGO) run --quiet --locked --release --package otids-hostile --bin seeds fuzz/corpus
	@command -v cargo-fuzz > /dev/null || cargo install --locked cargo-fuzz
	$(CARGO) fuzz build --fuzz-dir fuzz --sanitizer none
	@for target in readers net modbus dnp3 iec104 goose sv s7comm s7plus engine; do \
		(cd hotpath && mkdir -p fuzz/artifacts/$$target && cargo fuzz run --fuzz-dir fuzz --sanitizer none $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1); \
	done

build: $(STAMPS)/wheel ## build the wheel into dist/

lock: $(STAMPS)/tools ## write the exact versions of Python packages into requirements/
	$(RUN)/uv pip compile -q $(LOCK) pyproject.toml -o requirements/runtime.txt
	$(RUN)/uv pip compile -q $(LOCK) --group build -o requirements/build.txt
	$(RUN)/uv pip compile -q $(LOCK) --group bench -o requirements/bench.txt
	$(RUN)/uv pip compile -q $(LOCK) --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(RUN)/uv pip compile -q $(LOCK) --group audit -o requirements/audit.txt
	for stack in feeders mqtt s7 substation telecontrol; do \
		$(RUN)/uv pip compile -q $(LOCK) --group $$stack -o requirements/$$stack.txt; \
	done

LOCK = --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

audit: $(STAMPS)/audit $(STAMPS)/cargo-deny-$(CARGO_DENY) ## ask for known vulnerabilities of all that is locked (needs a network)
	PATH="$(CURDIR)/$(AUDIT)/cargo/bin:$$PATH" $(AUDIT)/tools/bin/python tools/audit.py

licences: $(STAMPS)/tools ## write the lists of licences, and refuse what is not allowed
	$(CARGO) fetch --locked
	$(RUN)/python tools/licences.py

sbom: $(STAMPS)/wheel $(STAMPS)/audit ## write what otids consists of into dist/, as CycloneDX
	rm -rf $(AUDIT)/runtime dist/otids-*.cdx.json
	$(PYTHON) -m venv --without-pip $(AUDIT)/runtime
	$(PIP) --python $(AUDIT)/runtime/bin/python install --require-hashes -r requirements/runtime.txt
	$(PIP) --python $(AUDIT)/runtime/bin/python install --no-deps dist/otids-*.whl
	$(AUDIT)/tools/bin/python tools/sbom.py $(AUDIT)/runtime/bin/python

clean: ## remove everything that was made
	rm -rf $(VENV) $(PEERS) $(AUDIT) $(STAMPS) dist hotpath/target hotpath/fuzz/{target,corpus,artifacts} otids/_data \
		.hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# A stamp is as old as the last change of what it stands for, so that nothing is made twice.
KEEP_IF_SAME = if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

system-build:
	@tools/system.sh build

system-test: system-build
	@tools/system.sh test

system-bench: system-build
	@tools/system.sh bench

system-check: system-build
	@tools/system.sh check

# An environment holds its own path and its Python's, so it is made again where either has changed.
$(STAMPS)/place: force | system-build
	@mkdir -p $(STAMPS)
	@echo "$(CURDIR) $$($(PYTHON) -VV)" > $@.new
	@$(KEEP_IF_SAME)

$(STAMPS)/venv: requirements/build.txt requirements/runtime.txt $(STAMPS)/place
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@touch $@

$(STAMPS)/tools: requirements/dev.txt $(STAMPS)/venv
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMPS)/audit: requirements/audit.txt $(STAMPS)/place
	$(PYTHON) -m venv --clear $(AUDIT)/tools
	$(AUDIT_PIP) install --require-hashes -r requirements/audit.txt
	@touch $@

# Unoptimised: it runs for seconds, and optimising it would take minutes.
$(STAMPS)/cargo-deny-$(CARGO_DENY): | system-build
	cargo install --quiet --locked --debug --root $(AUDIT)/cargo cargo-deny@$(CARGO_DENY)
	@mkdir -p $(STAMPS)
	@touch $@

# What others have for the same work stands apart: otids needs none of it.
$(STAMPS)/peers: requirements/bench.txt $(STAMPS)/place
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements/bench.txt
	@touch $@

# The digest of the wheel's inputs: rewritten only when one of them was changed, added or removed.
$(STAMPS)/inputs: force
	@mkdir -p $(STAMPS)
	@find $(wildcard $(WHEEL_INPUTS)) -path otids/_data -prune -o -name __pycache__ -prune -o -type f -print0 \
		| LC_ALL=C sort -z | xargs -0 sha256sum > $@.new
	@$(KEEP_IF_SAME)

$(STAMPS)/wheel: $(STAMPS)/inputs $(STAMPS)/venv | system-build
	rm -f dist/otids-*.whl
	PATH="$(CURDIR)/$(RUN):$$PATH" $(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@touch $@

$(STAMPS)/installed: $(STAMPS)/wheel
	$(PIP) install --no-deps --force-reinstall dist/otids-*.whl
	@touch $@
