# Two commands for a new user: `make demo` and `make test`. Each sets itself up in ./.venv and installs nothing else.
# Variables: PYTHON (an interpreter, 3.11 to 3.13), ONCE=1 (demo prints and exits), ARGS (passed on to pytest or serve).

PYTHON ?= $(shell deploy/find-python)
VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := requirements/lock.txt
STAMP  := $(VENV)/.installed

unexport PYTHONDONTWRITEBYTECODE # each worker of the tests, and each process a test starts, would compile everything again

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format serve bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## create .venv and install the pinned, hashed dependencies

$(STAMP): $(LOCK) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Chartbrief needs CPython 3.11, 3.12 or 3.13; none was found. Install one, or: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) (about a minute, once) ..."
	@test -w . || { echo "This folder cannot be written to: $(VENV) and the data would go here. Copy it to a folder of your own." >&2; exit 1; }
	@$(PYTHON) -c "" 2>/dev/null || { echo "$(PYTHON) does not run. Name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { echo "The venv module is missing (Debian/Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## three practice hospitals, one patient, a cited summary and a page (ONCE=1: print and exit)
	@$(BIN)/chartbrief demo $(if $(ONCE),--once)

test: $(STAMP) ## lint, types, import contracts and all tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -n auto --dist loadfile -p no:langsmith_plugin $(ARGS)

check: test ## the same, by the name developers look for

format: $(STAMP) ## sort imports and format
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

serve: $(STAMP) ## run the service on http://127.0.0.1:8080 (ARGS="--port 9000")
	@$(BIN)/chartbrief serve $(ARGS)

bench: $(STAMP) ## print the measured ratios that the README quotes
	@for b in $(sort $(patsubst benchmarks/%.py,%,$(filter-out benchmarks/__init__.py,$(wildcard benchmarks/*.py)))); do echo "== benchmarks.$$b"; $(BIN)/python -m benchmarks.$$b || exit 1; done

lock: ## renew requirements/lock.txt (needs uv on the PATH; development only)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml --group dev -o $(LOCK)

clean: ## remove the environment and the local data folder
	rm -rf $(VENV) .chartbrief
