# make demo, make test: all that a fresh machine with Python 3.11 or later needs. Each installs what it uses first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint setup clean

demo: $(INSTALLED)
	$(BIN)/lilliput demo --out out/demo

test: lint
	$(BIN)/pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(INSTALLED)

# torch goes first and alone: what needs it then finds the pinned build in place.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("lilliput needs Python 3.11 or later") if sys.version_info < (3, 11) else None'
	@echo "Installing into $(VENV), once: this takes minutes, and says nothing while it downloads."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache
