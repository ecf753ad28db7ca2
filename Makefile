# One command for each thing a developer does; each sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Any Python of at least 3.11; name another with `make sync PYTHON=...`. It is only asked to make .venv.
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
SYNCED := .venv/.synced
UV := $(BIN)/python .ci/uv
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
CODE := controller tests .ci/uv
GENERATED := crds docs/reference

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

sync: $(SYNCED)  ## make .venv and install the locked environment into it

demo: $(SYNCED)  ## govern a fleet of clusters on this machine and watch it; options by ARGS="--keep"
	@$(BIN)/archgov demo $(ARGS)

test: $(SYNCED)  ## run the tests, without benchmarks and the real control plane
	$(BIN)/pytest -n 2 -q $(ARGS)

check: $(SYNCED) generated  ## format, lint, types, import contracts, generated files
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

generated: $(SYNCED)
	@before=$$(mktemp -d) && trap 'rm -rf "$$before"' EXIT && cp -R $(GENERATED) "$$before" && $(MAKE) generate && \
	for folder in $(GENERATED); do diff -r "$$before/$${folder##*/}" $$folder || { \
	echo "$$folder was not up to date; it is now: commit it" >&2; exit 1; }; done

generate: $(SYNCED)  ## write crds/ and docs/reference/ from the models in archgov.api
	$(BIN)/python -m archgov.api.generate

fmt: $(SYNCED)  ## format the code and mend what ruff can mend safely
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(SYNCED)  ## measure time, memory and quality; options by ARGS=
	$(BIN)/python -m tests.benchmarks $(ARGS)

test-crds: $(SYNCED)  ## prove the CRDs on a real kube-apiserver, built by Go when none is found
	KUBEBUILDER_ASSETS="$$($(BIN)/python tests/controlplane/build.py)" && export KUBEBUILDER_ASSETS && \
	$(BIN)/pytest -q -m controlplane tests/controlplane $(ARGS)

lock: $(SYNCED)  ## resolve the locks again, keeping what still fits; UPGRADE=name or UPGRADE=all to renew
	$(COMPILE) $(UPGRADING) pyproject.toml -o requirements.lock
	$(COMPILE) $(UPGRADING) -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock
UPGRADING = $(if $(UPGRADE),$(if $(filter all,$(UPGRADE)),--upgrade,--upgrade-package $(UPGRADE)))

clean:  ## remove the environment and every cache in this folder
	rm -rf .venv .archgov .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	find controller tests -name __pycache__ -type d -prune -exec rm -rf {} +

# uv comes by pip, pinned and hashed by the same lock as everything else; then uv does the rest in seconds.
$(SYNCED): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; name one: make sync PYTHON=path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "▸ making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@test -x $(BIN)/uv || { echo "▸ fetching uv"; awk '/^[a-z]/ {on = /^uv==/} on' $< > .venv/uv.lock; \
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.lock; }
	@echo "▸ installing what $< lists (the first time, half a minute)"
	@$(UV) pip sync --quiet --require-hashes $<
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ && echo "▸ environment ready (.venv, $$($(UV) pip freeze | wc -l) packages)"

.PHONY: help sync demo test check generated generate fmt bench test-crds lock clean
