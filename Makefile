# Two commands: `make run` does the main job from nothing, `make test` passes the tests.
# Both set up a local virtual environment from PyPI by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help run test regress check formal bench area docs clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trajectile needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

run: $(READY)  ## demo: real gate decisions through the Verilog, checked; area; an HTML report
	$(BIN)/trajectile demo

test: $(READY) check  ## all tests
	$(BIN)/python -m pytest -n auto --dist worksteal

regress: $(VENV)/.docs  ## what make test leaves out: long tests, coverage, mutants
	$(BIN)/python -m tests.reports.regression

check: $(READY)  ## style, types
	$(BIN)/ruff check .
	$(BIN)/mypy

formal: $(READY)  ## proofs of the RTL, and design mutants that violate them
	$(BIN)/python -m tests.formal.runner

bench: $(READY)  ## how fast the timeline model and the control RTL are, at full size
	$(BIN)/python -m trajectile.scripts.maintain.bench

area: $(READY)  ## areas of the presets against the baseline; over 2 % growth fails, or needs REASON='why'
	$(BIN)/python -m trajectile.scripts.maintain.area_check $(if $(REASON),--reason '$(REASON)')

$(VENV)/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

docs: $(VENV)/.docs  ## this documentation as a site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo build/site/index.html

clean:  ## remove everything generated, not the virtual environment
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
