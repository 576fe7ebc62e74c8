# Two commands matter: `make demo` and `make test`. Both set everything up first, in .venv.
#
#   TORCH_INDEX_URL   package index to take torch from. The default index brings CUDA (several GB); a machine without a GPU
#                     wants https://download.pytorch.org/whl/cpu
#   PYTHON            interpreter that makes the environment (3.11 or later)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
TORCH_INDEX_URL ?=
STAMP := $(VENV)/.complete

export PYTHONUNBUFFERED := 1
export MPLBACKEND := Agg

.PHONY: help environment demo test test-all bench check format generated clean

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

environment: $(STAMP)  ## make .venv with everything pinned in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "triptych needs Python 3.11 or later; set PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: apt install python3-venv, then again" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=24'
	@$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) "$$(grep '^torch==' constraints.txt)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[gpu,dev]'
	@touch $@

demo: environment  ## make a small study of all three kinds, run it, say where the report is
	@rm -rf $(DEMO)
	@$(BIN)/triptych init $(DEMO) --demo
	@$(BIN)/triptych run --study $(DEMO)

test: environment  ## the tests that fit into twenty minutes on two cores
	$(BIN)/python -m pytest

test-all: environment  ## every test, the long ones too
	$(BIN)/python -m pytest -m ''

bench: environment  ## every benchmark, peers in the same run
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[gpu,dev,bench]'
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

check: environment  ## lint, format, types, rules, generated files fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m triptych_cli config show --default | diff - config.yaml
	$(BIN)/python -m triptych_cli config schema | diff - config.schema.json

format: environment  ## format everything
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

generated: environment  ## write config.yaml and config.schema.json from the settings models
	$(BIN)/python -m triptych_cli config show --default > config.yaml
	$(BIN)/python -m triptych_cli config schema > config.schema.json

clean:  ## remove the environment and the demo
	rm -rf $(VENV) $(DEMO)
