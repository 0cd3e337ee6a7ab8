# otids: what one can make of it. `make help` lists the targets.
#
# Everything that is made goes to .venv, .stamps, dist and hotpath/target; `make clean` removes it.
# pip, cargo and apt read their proxies, mirrors and certificates from their own configuration.

DEMO = otids replay --learn replay/captures/normal/normal.pcap.gz --assets replay/assets.csv replay/captures/attacks/attacks.pcap.gz
PYTEST_ARGS =
PYTHON = python3

# rustup's cargo goes before the system's, as rustup itself has it; packages install with sbin in reach.
export PATH := $(HOME)/.cargo/bin:$(or $(PATH),/usr/local/bin:/usr/bin:/bin):/usr/local/sbin:/usr/sbin:/sbin
export PYTHON
# The crate for Python is loaded by an interpreter: it links none.
export PYO3_BUILD_EXTENSION_MODULE = 1
unexport PYTHONPATH PYTHONHOME MYPYPATH

SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
MAKEFLAGS += --no-print-directory

VENV = .venv
STAMPS = .stamps
RUN = $(VENV)/bin
PIP = $(RUN)/python -m pip --quiet --disable-pip-version-check
CARGO = cd hotpath && cargo

# All that a wheel is made from.
WHEEL_INPUTS = pyproject.toml README.md LICENSE tools/build_backend.py otids rules models \
	hotpath/Cargo.toml hotpath/Cargo.lock hotpath/src hotpath/live hotpath/python

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
# cargo uses every core by itself, and pip may not run twice in one environment.
.NOTPARALLEL:
.PHONY: help demo test check check-format check-types check-imports check-rust build lock clean \
	force system-build system-test system-check

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

demo: $(STAMPS)/installed ## install otids here, and replay a plant's capture with attacks
	PATH="$(CURDIR)/$(RUN):$$PATH" $(DEMO)

test: system-test $(STAMPS)/installed $(STAMPS)/tools ## run the tests of both languages, Python's against the built wheel
	$(CARGO) test --locked --workspace
	$(RUN)/python -P -m pytest $(PYTEST_ARGS)

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

build: $(STAMPS)/wheel ## build the wheel into dist/

lock: $(STAMPS)/tools ## write the exact versions of Python packages into requirements/
	$(RUN)/uv pip compile -q $(LOCK) pyproject.toml -o requirements/runtime.txt
	$(RUN)/uv pip compile -q $(LOCK) --group build -o requirements/build.txt
	$(RUN)/uv pip compile -q $(LOCK) --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(RUN)/uv pip compile -q $(LOCK) --group substation -o requirements/substation.txt

LOCK = --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

clean: ## remove everything that was made
	rm -rf $(VENV) $(STAMPS) dist hotpath/target otids/_data .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# A stamp is as old as the last change of what it stands for, so that nothing is made twice.
KEEP_IF_SAME = if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

system-build:
	@tools/system.sh build

system-test: system-build
	@tools/system.sh test

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
