# Two commands: `make run` does the main job from nothing, `make test` passes the tests.
# Both set up a local virtual environment from PyPI by themselves, with the versions of requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
INSTALL := $(BIN)/python -m pip install --quiet --constraint requirements.lock --editable

.PHONY: help run test pytest regress check wheel-check ranges lock formal bench area docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trajectile needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(INSTALL) .
	@touch $@

$(DEV): $(READY)
	$(INSTALL) '.[dev]'
	@touch $@

run: $(READY)  ## demo: real gate decisions through the Verilog, checked; area; an HTML report
	$(BIN)/trajectile demo

# style and types beside the first tests: alone, mypy would leave a core idle
test: $(DEV)  ## style, types, all tests
	$(MAKE) --no-print-directory --jobs 2 check pytest

pytest: $(DEV)  ## all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

regress: $(VENV)/.docs  ## what make test leaves out: long tests, coverage, mutants
	$(BIN)/python -m tests.reports.regression

check: $(DEV)  ## style, types
	$(BIN)/ruff check .
	$(BIN)/mypy

wheel-check: $(READY)  ## the wheel in a fresh environment, in another folder
	$(BIN)/python -m tests.packaging.environments wheel

ranges: $(DEV)  ## lowest and newest versions of all dependencies, every Python that is there
	$(BIN)/python -m tests.packaging.environments ranges

lock: $(DEV)  ## requirements.lock anew, with the newest versions of all dependencies
	$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev --extra docs \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

formal: $(DEV)  ## proofs of the RTL, and design mutants that violate them
	$(BIN)/python -m tests.formal.runner

bench: $(READY)  ## how fast the timeline model and the control RTL are, at full size
	$(BIN)/python -m trajectile.scripts.maintain.bench

area: $(READY)  ## areas of the presets against the baseline; over 2 % growth fails, or needs REASON='why'
	$(BIN)/python -m trajectile.scripts.maintain.area_check $(if $(REASON),--reason '$(REASON)')

$(VENV)/.docs: $(DEV)
	$(INSTALL) '.[docs]'
	@touch $@

docs: $(VENV)/.docs  ## this documentation as a site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo build/site/index.html

clean:  ## remove everything generated, not the virtual environment
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
